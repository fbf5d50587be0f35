"""How a command line is written: old and new spellings, switches with values, the help text.

Command lines written for DeepSpeech 0.1 to 0.9.3 keep working: a flag that has lost its purpose is
accepted and answered with the sentence that stands here.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

HELP_FLAGS = {"--help", "-h", "-?", "-help", "--helpshort", "--helpfull"}

ALIASES = {"epoch": "epochs", "scorer": "scorer_path", "utf8": "bytes_output_mode"}

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
    "use --scorer_path": "lm_binary_path lm_trie_path lm trie decoder_library_path",
    "use --lm_alpha and --lm_beta": "lm_weight word_count_weight valid_word_count_weight",
    "use --augment": """
        data_aug_features_additive data_aug_features_multiplicative
        augmentation_spec_dropout_keeprate augmentation_sparse_warp
        augmentation_freq_and_time_masking augmentation_speed_up_std
        augmentation_pitch_and_tempo_scaling""",
    "every validation reports WER, CER and two samples": "display_step",
    "the cluster has no coordinator of its own any more": """
        coord_retries coord_host coord_port iters_per_worker log_traffic horovod""",
    "one network and one loss serve every device": """
        train_cudnn use_cudnn_rnn cudnn_checkpoint use_warpctc""",
    "it has no effect any more": """
        fulltrace summary_secs export_version use_seq_length checkpoint_step skip_batch_test
        normalize_sample_rate""",
}
RETIRED = {name: notice for notice, names in _RETIRED.items() for name in names.split()}
_SWITCHES = """
    augmentation_sparse_warp augmentation_freq_and_time_masking augmentation_pitch_and_tempo_scaling
    log_traffic horovod train_cudnn use_cudnn_rnn use_warpctc fulltrace use_seq_length skip_batch_test
    normalize_sample_rate"""
RETIRED_SWITCHES = frozenset(_SWITCHES.split())


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


def help_text(about: str, sections: Mapping[str, Sequence[str]], flags: Any, later: Mapping[str, str]) -> str:
    """Lay out the help of a program.

    Args:
        about: docstring of the program, of which the first paragraph is shown.
        sections: names of the flags by section, in order.
        flags: flag objects by name, with `help`, `default` and `boolean`.
        later: what a flag that does not work yet waits for.
    """
    lines = [
        about.partition("\n\n")[0],
        "",
        "  ./DeepSpeech.py --train_files train.csv --dev_files dev.csv --test_files test.csv --checkpoint_dir run",
        "",
        "--flagfile=FILE reads flags from a file, one per line. doc/Training.md tells the story.",
    ]
    for title, names in sections.items():
        lines += ["", title]
        lines += [_help_line(name, flags[name], later.get(name)) for name in names]
    retired = " ".join(sorted(RETIRED))
    return "\n".join([*lines, "", "Accepted from older versions, with a notice", f"  {retired}", ""])


def _help_line(name: str, flag: Any, waits_for: str | None) -> str:
    shown = f"--[no]{name}" if flag.boolean else f"--{name}"
    default = ",".join(flag.default) if isinstance(flag.default, list) else flag.default
    if flag.boolean:
        default = "yes" if default else "no"
    value = "" if default in ("", None) else f" ({default})"
    pending = f" [not in this version: {waits_for}]" if waits_for else ""
    return f"  {shown:<34} {flag.help}{value}{pending}"
