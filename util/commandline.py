"""How a command line is written: old and new spellings, switches with values, the help text.

Command lines written for DeepSpeech 0.1 to 0.9.3 keep working: a flag that has lost its purpose is
accepted and answered with the sentence that stands here.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
import re
import signal
import sys
import textwrap
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Any

from util.errors import DeepSpeechError, UsageError
from util.flag_page import write_default, write_name, write_page
from util.progress import ERROR, Console

ALIASES = {
    "epoch": "epochs",
    "scorer": "scorer_path",
    "utf8": "bytes_output_mode",
    "export_min_stt_version": "export_min_ds_version",
    "export_max_stt_version": "export_max_ds_version",
}

_RETIRED = {
    "features are computed while training runs, at a small part of its cost; there is no cache": """
        feature_cache cache_for_epochs read_buffer train_cached_features_path
        dev_cached_features_path test_cached_features_path""",
    "use --es_epochs and --es_min_delta": """
        earlystop_nsteps estop_mean_thresh estop_std_thresh es_steps es_mean_th es_std_th""",
    "weights start from Glorot's uniform distribution": """
        default_stddev b1_stddev h1_stddev b2_stddev h2_stddev b3_stddev h3_stddev b5_stddev h5_stddev
        b6_stddev h6_stddev""",
    "use --load_train and --load_evaluate": "load",
    "every epoch is shuffled, and no utterance is left out": "shuffle_batches shuffle_start shuffle_buffer",
    "use --scorer_path": "vocab_file lm_binary_path lm_trie_path lm trie decoder_library_path",
    "use --lm_alpha and --lm_beta": "lm_weight word_count_weight valid_word_count_weight",
    "use --augment": """
        data_aug_features_additive data_aug_features_multiplicative
        augmentation_spec_dropout_keeprate augmentation_sparse_warp
        augmentation_freq_and_time_masking augmentation_speed_up_std
        augmentation_pitch_and_tempo_scaling augmentation_sparse_warp_num_control_points
        augmentation_sparse_warp_time_warping_para augmentation_sparse_warp_interpolation_order
        augmentation_sparse_warp_regularization_weight augmentation_sparse_warp_num_boundary_points
        augmentation_freq_and_time_masking_freq_mask_range
        augmentation_freq_and_time_masking_number_freq_masks
        augmentation_freq_and_time_masking_time_mask_range
        augmentation_freq_and_time_masking_number_time_masks
        augmentation_pitch_and_tempo_scaling_min_pitch augmentation_pitch_and_tempo_scaling_max_pitch
        augmentation_pitch_and_tempo_scaling_max_tempo""",
    "split the data into CSV files, which bin/import_folder.py does, and give --train_files": "auto_input_dataset",
    "give it to bin/lm_optimizer.py": "lm_alpha_max lm_beta_max n_trials",
    "the .tflite is always written": "export_tflite",
    "every validation reports WER, CER and two samples": "display_step",
    "all workers take part in every step, or each goes on by itself with --ps_hosts": "replicas replicas_to_agg",
    "TensorFlow coordinates the cluster; a coordinating task has --chief_host": """
        coord_retries coord_host coord_port iters_per_worker log_traffic horovod""",
    "one network and one loss serve every device": """
        train_cudnn load_cudnn use_cudnn_rnn cudnn_checkpoint use_warpctc""",
    "it has no effect any more": """
        fulltrace summary_secs export_version use_seq_length checkpoint_step skip_batch_test
        normalize_sample_rate""",
}
RETIRED = {name: notice for notice, names in _RETIRED.items() for name in names.split()}
_SWITCHES = """
    augmentation_sparse_warp augmentation_freq_and_time_masking augmentation_pitch_and_tempo_scaling
    log_traffic horovod train_cudnn load_cudnn use_cudnn_rnn use_warpctc fulltrace use_seq_length skip_batch_test
    normalize_sample_rate shuffle_batches export_tflite"""
RETIRED_SWITCHES = frozenset(_SWITCHES.split())

STOPPED = 130  # exit status of a program that was asked to end


Inherit = Callable[[Mapping[str, Any], Collection[str]], tuple[list[str], str]]


@dataclasses.dataclass
class Outcome:
    """How a program ends."""

    status: int = 0


@contextlib.contextmanager
def report_errors(console: Console) -> Iterator[Outcome]:
    """Turn the errors of a program into a line of the console and an exit status; a request to end is one of them."""
    outcome = Outcome()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield outcome
        sys.stdout.flush()
    except DeepSpeechError as error:
        console.say(str(error), ERROR)
        outcome.status = error.exit_status
    except BrokenPipeError:  # the program that reads the output has had enough, for instance head
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # or Python complains when it ends
        outcome.status = 1
    except OSError as error:
        if not (error.filename and error.strerror):  # nothing a user could act on
            raise
        console.say(f"{error.filename}: {error.strerror}.", ERROR)
        outcome.status = 1
    except SystemExit as request:
        if not isinstance(request.code, int):
            raise
        outcome.status = request.code
    except KeyboardInterrupt:
        console.say("Interrupted.", ERROR)
        outcome.status = STOPPED


class FlagTable:
    """Defines a program's flags section by section, reads the command line, writes the help text.

    The absl.flags module comes in as an argument: only programs read flags.

    Attributes:
        inherited: what the last command line took from elsewhere, a sentence or nothing.
    """

    def __init__(self, absl_flags: Any, about: str):
        self._absl, self._values, self._about = absl_flags, absl_flags.FLAGS, about
        self._sections: dict[str, list[str]] = {}
        self._repeated: set[str] = set()
        self.inherited = ""

    def section(self, title: str) -> None:
        """Begin a section of the help text."""
        self._sections[title] = []

    def define(self, kind: str, name: str, default: Any, *text: Any, **limits: Any) -> None:
        """Define a flag in the present section; arguments as of absl's DEFINE_`kind`."""
        getattr(self._absl, f"DEFINE_{kind}")(name, default, *text, **limits)
        if kind == "multi_string":
            self._repeated.add(name)
            self._values[name].help = text[0]  # absl adds that it can be repeated, on a line of its own
        self._sections[list(self._sections)[-1]].append(name)

    def accept_old_flags(self) -> None:
        """Define the aliases of the flags that there are, and the retired flags."""
        for alias, name in ALIASES.items():
            if name in self._values:
                self._absl.DEFINE_alias(alias, name)
        for name, notice in RETIRED.items():
            kind = self._absl.DEFINE_boolean if name in RETIRED_SWITCHES else self._absl.DEFINE_string
            kind(name, None, notice)

    def parse(self, argv: Sequence[str], inherit: Inherit = lambda _values, _given: ([], "")) -> bool:
        """Read a command line.

        Args:
            argv: the command line.
            inherit: told the flags and which of them were given, returns arguments to put before them and a sentence
                for the user, which becomes `inherited`.

        Returns:
            False when it asks for help instead of work.

        Raises:
            UsageError: a flag is unknown or has a wrong value, or a word belongs to no flag.
        """
        switches = {name for name in self._values if self._values[name].boolean}
        try:
            lists = {name for name in self._values if self._values[name].flag_type().startswith("comma separated")}
            arguments = join_switch_values(self._values.read_flags_from_files(list(argv)), switches)
            arguments = repeat_flags(join_list_values(arguments, lists), self._repeated)
            if {"--help", "-h", "-?", "-help", "--helpshort", "--helpfull", "--helpmarkdown"} & set(arguments):
                return False
            surplus = self._values(arguments)[1:]
            given = [name for name in self._values if self._values[name].present]
            taken, self.inherited = ([], "") if surplus else inherit(self.values(), given)
            if taken:
                self._values.unparse_flags()
                self._values([arguments[0], *taken, *arguments[1:]])
        except self._absl.Error as error:
            raise UsageError(_plainly(str(error))) from error
        if surplus:
            raise UsageError(f"Unexpected argument '{surplus[0]}': every value belongs to a flag, --flag value.")
        return True

    def notices(self) -> list[str]:
        """Return a sentence for each retired flag on the command line."""
        used = [name for name in RETIRED if self._values[name].present]
        return [f"--{name} is accepted for old command lines only: {RETIRED[name]}." for name in used]

    def values(self) -> dict[str, Any]:
        """Return the value of every flag by name."""
        return {name: self._values[name].value for names in self._sections.values() for name in names}

    def help_text(self) -> str:
        """Lay out the flags in the order of their sections, one line each."""
        lines = [
            self._about.partition("\n\n")[0],
            "",
            "  ./DeepSpeech.py --train_files train.csv --dev_files dev.csv --test_files test.csv --checkpoint_dir run",
            "",
            "--flagfile=FILE reads flags from a file, one per line. doc/Training.md tells the story.",
        ]
        for title, names in self._sections.items():
            lines += ["", title]
            lines += [_help_line(name, self._values[name]) for name in names]
        retired = textwrap.wrap(
            " ".join(f"--{name}" for name in sorted(RETIRED)), 110, initial_indent="  ", subsequent_indent="  "
        )
        return "\n".join([*lines, "", "Accepted from older versions, with a notice", *retired])

    def help_page(self) -> str:
        """Write the flags as a page of the documentation, in Markdown."""
        flags = {title: {name: self._values[name] for name in names} for title, names in self._sections.items()}
        return write_page(flags, ALIASES, _RETIRED)


def join_switch_values(arguments: Sequence[str], switches: Collection[str]) -> list[str]:
    """Turn `--switch False`, which absl reads as true and a stray word, into `--switch=false`.

    Args:
        arguments: the command line.
        switches: names of the boolean flags.
    """
    joined: list[str] = []
    for argument in arguments:
        value = argument.lower()
        is_switch = joined and joined[-1].startswith("-") and joined[-1].lstrip("-") in switches
        if is_switch and value in {"true", "false"}:
            joined[-1] += f"={value}"
        else:
            joined.append(argument)
    return joined


def join_list_values(arguments: Sequence[str], lists: Collection[str]) -> list[str]:
    """Turn `--files a.csv b.csv`, as Coqui STT has lists, into `--files a.csv,b.csv`.

    Args:
        arguments: the command line.
        lists: names of the flags that take a list.
    """
    joined: list[str] = []
    for argument in arguments:
        flag, value = joined[-2:] if len(joined) > 1 else ("", "")
        is_listed = flag.startswith("-") and flag.lstrip("-") in lists
        if is_listed and not (value.startswith("-") or argument.startswith("-")):
            joined[-1] += f",{argument}"
        else:
            joined.append(argument)
    return joined


def repeat_flags(arguments: Sequence[str], repeated: Collection[str]) -> list[str]:
    """Turn `--flag a b`, as Coqui STT has it, into `--flag a --flag=b` for flags that can be given several times.

    Args:
        arguments: the command line.
        repeated: names of these flags.
    """
    single: list[str] = []
    flag = ""  # whose value has been seen, while nothing but words follow
    for argument in arguments:
        previous = single[-1] if single else ""
        if argument.startswith("-"):
            name, equals, _ = argument.lstrip("-").partition("=")
            flag = name if name in repeated and equals else ""
            single.append(argument)
        elif previous.startswith("-") and previous.lstrip("-") in repeated:
            flag = previous.lstrip("-")
            single.append(argument)
        else:
            single.append(f"--{flag}={argument}" if flag else argument)
    return single


def _plainly(message: str) -> str:
    """Say what absl and Python say of a wrong flag, in one line."""
    message = re.sub(r"invalid literal for int\(\) with base \d+: .*", "expected a whole number", message)
    message = re.sub(r"could not convert string to float: .*", "expected a number", message)
    return " ".join(message.split())


def _help_line(name: str, flag: Any) -> str:
    default = write_default(flag)
    return f"  {write_name(name, flag):<34} {flag.help}{f' ({default})' if default else ''}"
