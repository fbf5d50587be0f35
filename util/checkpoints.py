"""Checkpoints: written atomically, read back with a fallback, described by the run.json beside them.

A checkpoint is a TensorFlow tensor bundle (KIND-STEP.index and KIND-STEP.data-00000-of-00001, the
format of tf.train.Saver) whose variables are stored by name, plus one JSON string that holds the state
of the training loop. Any tool that reads TensorFlow checkpoints can read it.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import re
import shutil
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

from util import tf
from util.errors import CheckpointError, DataError
from util.files import make_directory, publish, write_atomically
from util.filling import fill
from util.progress import Console

STATE = "deepspeech/state"
STATE_FILES = {"train": "checkpoint", "best_dev": "best_dev_checkpoint"}  # as tf.train.latest_checkpoint reads
RUN_FILE = "run.json"


@dataclasses.dataclass
class State:
    """Where training stands; saved with every checkpoint, so that a resumed run goes on exactly there."""

    epoch: int = 0  # complete epochs
    batch: int = 0  # batches of the present epoch that are done
    step: int = 0  # updates in all
    target: int = 0  # epochs to do
    loss_sum: float = 0.0  # of the present epoch
    n_losses: int = 0
    validated: int = 0  # epochs with which the validation, if any, is done too
    elapsed: float = 0.0  # seconds of training over all restarts
    reduction: float = 1.0  # of the learning rate, at plateaus
    best: float | None = None  # measure of the best validation
    best_step: int = -1
    stale: int = 0  # validations since it improved
    plan: str = ""  # digest of the present epoch's plan
    dropped: int = 0  # last layers that were new when the run began from another network
    frozen_epochs: int = 0  # first epochs, in which only they learn

    @property
    def loss(self) -> float:
        """Mean loss of the present epoch so far."""
        return self.loss_sum / max(self.n_losses, 1)

    def count(self, loss_sum: float, n_losses: int) -> None:
        """Add the losses of an update."""
        self.loss_sum += loss_sum
        self.n_losses += n_losses

    def aim_at(self, epochs: int) -> None:
        """Set the target: so many epochs in all; negative: that many more, once the old target is reached."""
        if epochs >= 0:
            self.target = epochs
        elif self.epoch >= self.target:
            self.target = self.epoch - epochs

    def take_measure(self, measure: float, min_delta: float) -> bool:
        """Note the measure of a validation, of which lower is better; return whether it is the best so far.

        Args:
            measure: the measure.
            min_delta: the least improvement after which the validation does not count as stale.
        """
        improved = self.best is None or measure < self.best
        self.stale = 0 if self.best is None or measure <= self.best - min_delta else self.stale + 1
        if improved:
            self.best, self.best_step = measure, self.step
        return improved


class DamagedCheckpointError(CheckpointError):
    """A checkpoint's files are cut short or altered; an older one may still be good."""


def save_checkpoint(
    directory: Path, kinds: Iterable[str], step: int, tensors: Mapping[str, Any], state: Mapping[str, Any]
) -> None:
    """Write one checkpoint and publish it under each of `kinds`, in that order.

    A process killed at any moment leaves either the whole checkpoint or none of that name: the
    files are written beside, flushed to the disk and renamed, the index last.

    Args:
        directory: where; made if absent.
        kinds: `train`, `best_dev`; the files are KIND-STEP.*.
        step: number of optimiser steps done.
        tensors: variables or arrays by name.
        state: JSON values.

    Raises:
        CheckpointError: the files cannot be written.
    """
    values = {**tensors, STATE: json.dumps(state)}
    try:
        directory.mkdir(parents=True, exist_ok=True)
        scratch = directory / ".saving"
        shutil.rmtree(scratch, ignore_errors=True)  # what a killed process left behind
        scratch.mkdir()
        tf.raw_ops.SaveV2(
            prefix=str(scratch / "part"),
            tensor_names=list(values),
            shape_and_slices=[""] * len(values),
            tensors=[tf.convert_to_tensor(value) for value in values.values()],
        )
        for kind in kinds:
            _publish(scratch / "part", directory / f"{kind}-{step}")
            latest = f'model_checkpoint_path: "{kind}-{step}"\n'
            write_atomically(directory / STATE_FILES[kind], latest)
        shutil.rmtree(scratch)
    except (OSError, DataError, tf.errors.OpError) as error:
        raise CheckpointError(
            f"Cannot save step {step} to {directory}: {first_line(error)}; earlier checkpoints there"
            " are untouched. Make room or choose another --save_checkpoint_dir."
        ) from error


def _publish(written: Path, prefix: Path) -> None:
    Path(f"{prefix}.index").unlink(missing_ok=True)  # of another run's same step: it must not meet the new data
    for ending in (".data-00000-of-00001", ".index"):
        source, link = Path(f"{written}{ending}"), Path(f"{written}{ending}.link")
        os.link(source, link)
        publish(link, Path(f"{prefix}{ending}"))


def remove_checkpoint(prefix: Path) -> None:
    """Delete the files of a checkpoint; the index goes first, so that no half one is ever listed."""
    for ending in (".index", ".data-00000-of-00001"):
        Path(f"{prefix}{ending}").unlink(missing_ok=True)


def list_checkpoints(directory: Path, kind: str) -> list[Path]:
    """Return the prefixes (KIND-STEP) of the checkpoints of a kind, newest first."""
    name = re.compile(rf"{kind}-(\d+)\.index")
    found = [name.fullmatch(path.name) for path in directory.glob(f"{kind}-*.index")]
    steps = sorted((int(match[1]) for match in found if match), reverse=True)
    return [directory / f"{kind}-{step}" for step in steps]


def has_checkpoints(directory: Path) -> bool:
    """Tell whether a directory holds a run: its first checkpoint may be the best one alone."""
    return any(list_checkpoints(directory, kind) for kind in STATE_FILES)


def lacks(directory: Path, choice: str) -> CheckpointError:
    """Make the error that says that there is no checkpoint of a choice (of `RunDirectory.CHOICES`)."""
    return CheckpointError(
        f"{directory} holds no checkpoint ({choice}): train first, give the --checkpoint_dir of a trained"
        " network, or choose another with --load_train or --load_evaluate."
    )


def load_checkpoint(prefix: Path, variables: Mapping[str, Any]) -> dict[str, Any]:
    """Read a checkpoint into `variables` and return the state saved with it.

    Raises:
        DamagedCheckpointError: a file is damaged.
        CheckpointError: a variable is missing or of another shape.
    """
    try:
        reader = tf.train.load_checkpoint(str(prefix))
        shapes = reader.get_variable_to_shape_map()
        fill(variables, lambda name: reader.get_tensor(name) if name in shapes else None, prefix)
        state: dict[str, Any] = json.loads(reader.get_tensor(STATE)) if STATE in shapes else {}
    except (OSError, IndexError, RuntimeError, ValueError, tf.errors.OpError) as error:
        raise DamagedCheckpointError(f"{prefix} is damaged: {first_line(error)}.") from error
    return state


class RunDirectory:
    """The directory of a run: its checkpoints and the network they belong to."""

    CHOICES: ClassVar = {
        "last": ["train"],
        "best": ["best_dev"],
        "last or best": ["train", "best_dev"],
        "best or last": ["best_dev", "train"],
        "init": [],
    }

    def __init__(self, path: Path, network: Mapping[str, Any], variables: Mapping[str, Any], console: Console):
        """Name a directory; nothing is read or written yet.

        Args:
            path: may not exist yet.
            network: what a checkpoint and a command line have to agree on, by flag.
            variables: what a checkpoint holds, by name.
            console: told what is loaded, and of damaged checkpoints.
        """
        self.path, self._network, self._variables, self._console = path, network, variables, console

    def has_begun(self) -> bool:
        """Tell whether there is a checkpoint to go on from."""
        return has_checkpoints(self.path)

    def load(self, choice: str) -> dict[str, Any] | None:
        """Load the newest readable checkpoint of a choice (of `CHOICES`) into the variables.

        Returns:
            The state saved with it; None where there is no such checkpoint.

        Raises:
            CheckpointError: none can be read, or they are of another network.
        """
        prefixes = [prefix for kind in self.CHOICES[choice] for prefix in list_checkpoints(self.path, kind)]
        if prefixes:
            check_network(self.path, read_run(self.path).get("network", {}), self._network)
        damaged = 0
        for prefix in prefixes:
            try:
                state = load_checkpoint(prefix, self._variables)
            except DamagedCheckpointError as error:
                self._console.warn(f"{error} Going back to the one before.")
                damaged += 1
            else:
                self._console.say(f"Loaded {prefix}.")
                return state
        if damaged:
            raise CheckpointError(
                f"None of the {damaged} checkpoints in {self.path} can be read: move them away to start afresh."
            )
        return None

    def require(self, choice: str) -> dict[str, Any]:
        """Load as `load`, where there has to be something to load."""
        state = self.load(choice)
        if state is None:
            raise lacks(self.path, choice)
        return state

    def load_best(self, step: int) -> None:
        """Go back to the weights and moments of the best validation."""
        load_checkpoint(self.path / f"best_dev-{step}", self._variables)

    def save(self, kinds: Sequence[str], state: Mapping[str, Any], counters: Mapping[str, Any], keep: int) -> None:
        """Write a checkpoint, then remove those it replaces.

        Args:
            kinds: `train`, and `best_dev` before it if this is the best so far.
            state: JSON values, with the present `step` and the `best_step`.
            counters: tensors by name that are stored beside the variables.
            keep: `train` checkpoints to keep.
        """
        save_checkpoint(self.path, kinds, state["step"], {**self._variables, **counters}, state)
        trained = list_checkpoints(self.path, "train")
        kept = [prefix for prefix in trained if _step(prefix) <= state["step"]][:keep]
        kept.append(self.path / f"best_dev-{state['best_step']}")
        for prefix in trained + list_checkpoints(self.path, "best_dev"):
            if prefix not in kept:  # too old, or of a future that this run did not take
                remove_checkpoint(prefix)

    def describe(self, **description: Any) -> None:
        """Write run.json: the network, and what else describes the run.

        Raises:
            DataError: the directory cannot be made or the file not be written.
        """
        text = json.dumps({"network": self._network, **description}, indent=1, ensure_ascii=False, sort_keys=True)
        make_directory(self.path)
        write_atomically(self.path / RUN_FILE, text + "\n")


def check_network(path: Path, made_with: Mapping[str, Any], network: Mapping[str, Any]) -> None:
    """Refuse a network that is not the one of the flags.

    Args:
        path: where it is.
        made_with: what is known of it, by flag; alphabets as lists of labels.
        network: the same of the flags.

    Raises:
        CheckpointError: they differ.
    """
    for flag, value in made_with.items():
        if flag in network and value != network[flag]:
            keeps = "" if flag != "alphabet_config_path" else " --drop_source_layers 1 in a new --save_checkpoint_dir,"
            raise CheckpointError(
                f"The network in {path} was made with {_shown(flag, value)}, this command says"
                f" {_shown(flag, network[flag])}: use the same --{flag},{keeps} or another --checkpoint_dir."
            )


def _step(prefix: Path) -> int:
    return int(prefix.name.rpartition("-")[2])


def _shown(flag: str, value: Any) -> str:
    if isinstance(value, list):  # an alphabet
        text = "".join(value)
        return f"--{flag} of {len(value)} labels ({text if len(text) <= 60 else text[:57] + '...'!r})"
    return f"--{flag} {value}"


def default_directory(csv_paths: Sequence[str]) -> Path:
    """Return a directory of its own for the runs on a training set, named after the first CSV."""
    paths = [Path(path).resolve() for path in csv_paths]
    digest = hashlib.sha256("\n".join(map(str, paths)).encode()).hexdigest()[:8]
    return Path("runs") / f"{paths[0].parent.name}-{paths[0].stem}-{digest}"


def read_run(directory: Path) -> dict[str, Any]:
    """Read run.json; an empty dict where there is none.

    Raises:
        CheckpointError: the file is there but is not what `RunDirectory.describe` writes.
    """
    path = directory / RUN_FILE
    try:
        description = json.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise CheckpointError(
            f"{path} cannot be read ({first_line(error)}): it describes the checkpoints beside it;"
            " restore it, or move the directory away to start afresh."
        ) from error
    if not isinstance(description, dict) or not isinstance(description.get("network", {}), dict):
        raise CheckpointError(
            f"{path} does not hold a JSON object with the object 'network': it describes the checkpoints beside it;"
            " restore it, or move the directory away to start afresh."
        )
    return description


def first_line(error: BaseException) -> str:
    """Return what an error says, in one line."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")
