"""Checkpoints that other programs left: DeepSpeech 0.1 to 0.9.3 and Coqui STT, written by TensorFlow 1.

They hold the same variables as ours, the older ones under other names, and no word of the state of training. What
they do not say themselves stands in the flags.txt and alphabet.txt beside them.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from util import tf
from util.checkpoints import RUN_FILE, STATE, STATE_FILES, DamagedCheckpointError, first_line
from util.errors import CheckpointError, DataError
from util.files import read_utf8
from util.filling import MOMENTS, fill
from util.text import read_alphabet
from util.trained import BACKWARD, STREAMING, Array

CONTINUED = "continued"  # folder of our run in a directory that is another program's
OLD_CELL = "lstm_fused_cell"  # 0.2 to 0.5; it adds 1 to its forget gate, where later ones add nothing


def old_names(name: str) -> Iterator[str]:
    """Yield the names that one of our variables has had, the present one first."""
    yield name
    for kind, letter in (("weights", "h"), ("bias", "b")):  # 0.1 to 0.4
        match = re.fullmatch(rf"layer_(\d)/{kind}(/Adam|/Adam_1)?", name)
        if match:
            yield f"{letter}{match[1]}{match[2] or ''}"
    if name.startswith(f"{STREAMING}/"):
        yield OLD_CELL + name.removeprefix(STREAMING)


def with_forget_bias(bias: Array, forget_bias: float) -> Array:
    """Add to the forget gate of an LSTM's bias, float32 [4 n_hidden] in the order of `lstm.lstm`."""
    gates = bias.reshape(4, -1) + np.array([[0], [0], [forget_bias], [0]], np.float32)
    return np.asarray(gates.ravel(), np.float32)


def settings_of(shapes: Mapping[str, Any]) -> dict[str, Any]:
    """Tell the flags of a network from the shapes of its variables, by any of their names."""
    n_hidden = next((shapes[name][0] for name in old_names("layer_1/bias") if name in shapes), None)
    n_classes = next((shapes[name][0] for name in old_names("layer_6/bias") if name in shapes), None)
    if n_hidden is None or n_classes is None:
        return {}
    return {
        "n_hidden": int(n_hidden),
        "bidirectional": f"{BACKWARD}/kernel" in shapes,
        "layer_norm": "layer_1/LayerNorm/gamma" in shapes,
        "n_labels": int(n_classes) - 1,
    }


class ForeignDirectory:
    """A checkpoint directory of another program; it is only read."""

    def __init__(self, path: Path):
        self.path = path

    @classmethod
    def at(cls, path: Path) -> ForeignDirectory | None:
        """Return the directory at a path if there are checkpoints that are not ours."""
        if (path / RUN_FILE).exists():
            return None
        found = cls(path)
        prefix = found.checkpoint("train") or found.checkpoint("best_dev")
        return found if prefix and STATE not in _open(prefix).get_variable_to_shape_map() else None

    def checkpoint(self, kind: str) -> Path | None:
        """Return the prefix of the newest checkpoint of a kind, `train` or `best_dev`."""
        state_file = self.path / STATE_FILES[kind]
        text = state_file.read_text("utf-8", errors="replace") if state_file.is_file() else ""
        named = re.search(r'^model_checkpoint_path: *"([^"]+)"', text, re.MULTILINE)
        if named:
            prefix = self.path / Path(named[1]).name  # the directory may have moved since
            if Path(f"{prefix}.index").exists():
                return prefix
        pattern = r"best_dev-(\d+)" if kind == "best_dev" else r"(?:train|model\.\S+?)(?:-(\d+))?"
        steps = {path.stem: re.fullmatch(pattern, path.stem) for path in self.path.glob("*.index")}
        newest = max(((int(match[1] or 0), name) for name, match in steps.items() if match), default=None)
        return newest and self.path / newest[1]

    def settings(self) -> dict[str, Any]:
        """Return the network's flags as far as they are known, `alphabet_path` and `n_labels`.

        Raises:
            CheckpointError: the files beside the checkpoint cannot be read, or it is of no network of ours.
        """
        prefix = self.checkpoint("best_dev") or self.checkpoint("train")
        shapes = _open(prefix).get_variable_to_shape_map() if prefix else {}
        settings = settings_of(shapes)
        if not settings:
            raise CheckpointError(
                f"{prefix} is no checkpoint of DeepSpeech or Coqui STT: it has no variable layer_1/bias or b1;"
                " give the directory of one."
            )
        given = read_flags_file(self.path / "flags.txt")
        for name, kind in (
            ("audio_sample_rate", int),
            ("feature_win_len", float),
            ("feature_win_step", float),
            ("relu_clip", float),
        ):
            if given.get(name) is not None:
                settings[name] = _number(given[name], kind, name, self.path)
        alphabet = self._alphabet(given, settings["n_labels"])
        if any(str(given.get(name)).lower() == "true" for name in ("bytes_output_mode", "utf8")):
            return settings | {"bytes_output_mode": True}
        return settings | ({"alphabet_path": alphabet} if alphabet else {})

    def _alphabet(self, given: Mapping[str, Any], n_labels: int) -> Path | None:
        """Return the alphabet file that belongs to a network, if there is one."""
        named = given.get("alphabet_config_path") or ""
        for path in (self.path / "alphabet.txt", self.path / Path(named).name, Path(named)):
            try:
                if path.is_file() and len(read_alphabet(path)) == n_labels:
                    return path
            except DataError:
                continue
        return None

    def load(self, kind: str, variables: Mapping[str, Any]) -> tuple[Path, int, list[str]] | None:
        """Load the newest checkpoint of a kind into variables.

        Returns:
            Its prefix, its number of updates and the moments it does not have; None where there is no such checkpoint.

        Raises:
            CheckpointError: it is damaged or of another network.
        """
        prefix = self.checkpoint(kind)
        if prefix is None:
            return None
        reader = _open(prefix)
        names = reader.get_variable_to_shape_map()

        def find(name: str) -> Array | None:
            there = next((old for old in old_names(name) if old in names), None)
            if there is None:
                return None
            value: Array = reader.get_tensor(there)
            return with_forget_bias(value, 1.0) if there == f"{OLD_CELL}/bias" else value

        try:
            missing = fill(variables, find, prefix, MOMENTS)
            step = int(reader.get_tensor("global_step")) if "global_step" in names else 0
        except (RuntimeError, IndexError, ValueError, tf.errors.OpError) as error:
            raise DamagedCheckpointError(f"{prefix} is damaged: {first_line(error)}.") from error
        return prefix, step, missing


def home(path: Path) -> Path:
    """Return where a run of ours is kept that is to be at a path: in a folder of its own where others were."""
    return path / CONTINUED if ForeignDirectory.at(path) else path


def read_flags_file(path: Path) -> dict[str, Any]:
    """Read a flags.txt: the flags of 0.9.3, one on each line, or the JSON object of Coqui STT; {} where there is none.

    Raises:
        CheckpointError: it is neither.
    """
    if not path.exists():
        return {}
    try:
        text = read_utf8(path, "flags")
        if text.lstrip().startswith("{"):
            values = json.loads(text)
            return dict(values)
    except (DataError, ValueError) as error:
        raise CheckpointError(f"{path} cannot be read ({first_line(error)}): restore it, or move it away and give"
                              " the network's flags.") from error  # fmt: skip
    values = {}
    for line in text.splitlines():
        match = re.fullmatch(r"--?(\w+)(?:=(.*))?", line.strip())
        if match and match[2] is None:
            values |= {match[1]: "true", match[1].removeprefix("no"): str(not match[1].startswith("no")).lower()}
        elif match:
            values[match[1]] = match[2]
    return values


def _number(value: Any, kind: type, name: str, directory: Path) -> Any:
    try:
        return kind(value)
    except (TypeError, ValueError):
        raise CheckpointError(
            f"{directory / 'flags.txt'} says {name} {value!r}, expected a number: correct it, or move the file away."
        ) from None


def _open(prefix: Path) -> Any:
    try:
        return tf.train.load_checkpoint(str(prefix))
    except (OSError, RuntimeError, ValueError, tf.errors.OpError) as error:
        raise DamagedCheckpointError(f"{prefix} is damaged: {first_line(error)}.") from error
