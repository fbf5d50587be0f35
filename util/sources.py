"""Where a network comes from (a run, a checkpoint directory of another program, a model file), and its settings."""

from __future__ import annotations

import functools
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from util.checkpoints import RUN_FILE, default_directory, has_checkpoints, read_run
from util.errors import CheckpointError, DataError, UsageError
from util.features import FeatureSet
from util.foreign import ForeignDirectory, home
from util.model_file import ModelFile
from util.text import Alphabet, ByteAlphabet, read_alphabet

MODEL_ENDINGS = (".pb", ".pbmm", ".tflite")
GEOMETRY = (
    *("bidirectional", "n_hidden", "layer_norm", "relu_clip"),
    *("audio_sample_rate", "feature_win_len", "feature_win_step"),
)
ALPHABET = "alphabet_config_path", "bytes_output_mode"

read_model = functools.lru_cache(1)(ModelFile)  # its settings, its alphabet and its weights are wanted one by one


def is_training(flags: Mapping[str, Any]) -> bool:
    """Tell whether a command line asks for training."""
    return bool(flags["train"] and flags["train_files"])


def save_path(flags: Mapping[str, Any]) -> Path:
    """Return where a run is saved; without a flag, in a directory named after the training set."""
    chosen = flags["save_checkpoint_dir"] or flags["checkpoint_dir"]
    return home(Path(chosen)) if chosen else default_directory(flags["train_files"])


def run_path(flags: Mapping[str, Any]) -> Path | None:
    """Return the directory of the run that a command is about; None where there is only a model file."""
    if is_training(flags):
        return save_path(flags)
    chosen = flags["load_checkpoint_dir"] or flags["checkpoint_dir"]
    return home(Path(chosen)) if chosen else None


def find_source(flags: Mapping[str, Any]) -> Path | None:
    """Return the directory or model file that a command takes its network from; None where it is a new one."""
    own = run_path(flags)
    if own and has_checkpoints(own):  # it goes on, or is tested, whatever it began with
        return own
    if is_training(flags) and flags["load_train"] == "init":
        return None
    if flags["initialize_from_frozen_model"]:
        return Path(flags["initialize_from_frozen_model"])
    chosen = flags["load_checkpoint_dir"] or flags["checkpoint_dir"]
    if not chosen:
        return None
    path = Path(chosen)
    ours = home(path)
    if has_checkpoints(ours):
        return ours
    return path if ForeignDirectory.at(path) else None


def settings_from(source: Path) -> dict[str, Any]:
    """Return the flags of the network at a source, `bytes_output_mode` or `alphabet_path` among them where known.

    Raises:
        CheckpointError: it cannot be read, or is no network of ours.
    """
    if source.suffix in MODEL_ENDINGS or not source.is_dir():
        return read_model(source).settings()
    foreign = ForeignDirectory.at(source)
    if foreign:
        return foreign.settings()
    network = dict(read_run(source).get("network", {}))
    labels = network.pop("alphabet_config_path", None)
    if labels == list(ByteAlphabet().labels):
        return network | {"bytes_output_mode": True}
    return network | ({"alphabet_path": source / RUN_FILE} if labels else {})


def inherit(flags: Mapping[str, Any], given: Collection[str]) -> tuple[list[str], str]:
    """Tell what a command line that does not say it has to say of the network that it takes up.

    Args:
        flags: values by name.
        given: names of the flags that the user has given; these are left alone.

    Returns:
        Arguments for the command line, and a sentence for the user, empty where there are none.

    Raises:
        CheckpointError: the source cannot be read.
        UsageError: the flags name no source, or two.
    """
    _check_transfer(flags)
    source = None if flags["job_name"] == "ps" else find_source(flags)
    if source is None:
        return [], ""
    settings = settings_from(source)
    bidirectional = settings.get("bidirectional", flags["bidirectional"])
    features = FeatureSet.of_network(bidirectional, flags["audio_sample_rate"], flags["feature_win_len"])
    present = {**flags, "feature_win_len": features.window_ms}
    arguments = []
    for name in GEOMETRY:
        value = settings.get(name)
        if value is not None and value != present[name] and name not in given:
            is_switch = isinstance(value, bool)
            arguments.append(f"--{'' if value else 'no'}{name}" if is_switch else f"--{name}={value}")
    alphabet = [] if set(ALPHABET) & set(given) else _alphabet_argument(settings, flags["alphabet_config_path"])
    arguments += alphabet
    shown = ", ".join(argument.replace("=", " ", 1) for argument in arguments)
    return arguments, f"The network in {source} has {shown}." if shown else ""


def _check_transfer(flags: Mapping[str, Any]) -> None:
    """Refuse flags about the start that contradict each other.

    Raises:
        UsageError: they do.
    """
    if flags["initialize_from_frozen_model"]:
        for name, value in (("load_checkpoint_dir", ""), ("load_train", "init")):
            if flags[name] and value in ("", flags[name]):
                raise UsageError(
                    f"--initialize_from_frozen_model and --{name} {flags[name]} name two beginnings: leave one out."
                )
    if flags["freeze_source_layers"] and not flags["drop_source_layers"]:
        raise UsageError(
            f"--freeze_source_layers {flags['freeze_source_layers']} leaves nothing to train: give"
            " --drop_source_layers too, the number of layers that are new."
        )


def _alphabet_argument(settings: Mapping[str, Any], present: str) -> list[str]:
    if settings.get("bytes_output_mode"):
        return ["--bytes_output_mode"]
    path = settings.get("alphabet_path")
    try:
        is_known = path is None or read_labels(path) == read_alphabet(present)
    except DataError:
        is_known = False
    return [] if is_known else [f"--alphabet_config_path={path}"]


def read_labels(path: str | Path) -> Alphabet:
    """Read the alphabet in a text file, in the run.json of a run, or in a model file.

    Raises:
        DataError: a text file cannot be used; see `text.read_alphabet`.
        CheckpointError: another cannot.
    """
    path = Path(path)
    if path.name == RUN_FILE:
        labels = read_run(path.parent).get("network", {}).get("alphabet_config_path")
        if not labels:
            raise CheckpointError(f"{path} holds no alphabet: give a text file with one label on each line.")
        return Alphabet(labels)
    return read_model(path).alphabet() if path.suffix in MODEL_ENDINGS else read_alphabet(path)
