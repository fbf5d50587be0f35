"""How training starts, and what a test or an export loads: the network's weights, from wherever they are."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from util.checkpoints import RunDirectory, State, check_network, lacks
from util.errors import CheckpointError, UsageError
from util.foreign import ForeignDirectory
from util.progress import Console
from util.sources import GEOMETRY, find_source, is_training, read_labels, read_model, run_path, settings_from

DROPPABLE = ("layer_2", "layer_3", "lstm", "layer_5", "layer_6")  # as in 0.9.3: the first layer always stays


def is_dropped(name: str, n_dropped: int) -> bool:
    """Tell whether a variable belongs to the last layers, so many of them."""
    return n_dropped > 0 and any(layer in name for layer in DROPPABLE[-n_dropped:])


class Start:
    """Loads the variables of a model as the flags ask for it.

    Attributes:
        own: the directory of the run.
    """

    def __init__(self, flags: Mapping[str, Any], model: Any, console: Console):
        """Look at nothing yet.

        Args:
            flags: values by name.
            model: with `variables`, `features`, `alphabet` and `cluster`.
            console: told what is loaded.
        """
        self._flags, self._model, self._console = flags, model, console
        self._network = {name: flags[name] for name in GEOMETRY}
        self._network |= {"feature_win_len": model.features.window_ms}
        self._network |= {"alphabet_config_path": list(model.alphabet.labels)}
        self._n_dropped = min(flags["drop_source_layers"], len(DROPPABLE))
        self.own = RunDirectory(run_path(flags) or Path(), self._network, model.variables, console)

    def begin_training(self) -> State:
        """Load what training goes on from, and give it to the other workers.

        Raises:
            CheckpointError: it cannot be read, or is of another network.
            UsageError: the run that is there began in another way.
        """
        cluster = self._model.cluster
        loaded = self._load() if cluster.is_chief else None
        state = State(**cluster.share(loaded, self._model.variables))
        state.reduction = 1.0 if self._flags["force_initialize_learning_rate"] else state.reduction
        state.aim_at(self._flags["epochs"])
        place = f"epoch {state.epoch + 1}, batch {state.batch + 1}" if loaded else "new weights"
        self._console.say(f"Training from {place} to the end of epoch {state.target}; checkpoints in {self.own.path}.")
        if state.epoch < state.frozen_epochs:
            self._console.say(f"Only the new layers learn until the end of epoch {state.frozen_epochs}.")
        return state

    def _load(self) -> dict[str, Any]:
        """Load weights, moments and state; a run that has begun goes on from its own checkpoints."""
        choice = self._flags["load_train"]
        has_begun = self.own.has_begun()
        if has_begun and choice == "init":
            raise UsageError(f"{self.own.path} holds a run, --load_train init begins one: give a new"
                             " --save_checkpoint_dir.")  # fmt: skip
        choice = choice.replace("auto", "last or best")
        if has_begun:
            state = self.own.require(choice)
            self._check_start(state)
            return state
        source = find_source(self._flags)
        loaded = self._load_from(source, choice, self._n_dropped) if source else None
        if loaded is None:
            self._accept_nothing(source, choice)
            return {}
        if self._flags["drop_source_layers"] > len(DROPPABLE):
            self._console.warn(f"--drop_source_layers {self._flags['drop_source_layers']} is more than there are: the"
                               f" first layer stays, the other {len(DROPPABLE)} are new.")  # fmt: skip
        # the weights and moments of another run begin this one
        transfer = {"dropped": self._n_dropped, "frozen_epochs": self._flags["freeze_source_layers"]}
        return {"step": loaded.get("step", 0), **transfer}

    def _accept_nothing(self, source: Path | None, choice: str) -> None:
        """Accept that there is nothing to load only where that is what a new run expects."""
        place = source or Path(self._flags["load_checkpoint_dir"] or self.own.path)
        if choice in ("last", "best"):
            raise lacks(place, choice)
        if self._flags["drop_source_layers"] and choice != "init":
            raise UsageError(
                f"--drop_source_layers {self._flags['drop_source_layers']} needs a trained network, and there is no"
                f" checkpoint in {place}: give its --load_checkpoint_dir, or --load_train init for a new network."
            )
        if place != self.own.path and choice != "init":
            self._console.warn(
                f"There is no checkpoint in {place}: training begins with new weights. To begin with trained ones, give"
                " the --load_checkpoint_dir that has them."
            )

    def _check_start(self, state: Mapping[str, Any]) -> None:
        """Refuse to go on with a run that began in another way than the flags say."""
        for flag, wanted, key in (
            ("drop_source_layers", self._n_dropped, "dropped"),
            ("freeze_source_layers", self._flags["freeze_source_layers"], "frozen_epochs"),
        ):
            began = state.get(key, 0)
            if wanted and wanted != began:
                how = f"with --{flag} {began}" if began else f"without --{flag}"
                raise UsageError(
                    f"{self.own.path} holds a run that began {how}, this command says {wanted}: leave it out to go on"
                    " with that run, or give a new --save_checkpoint_dir."
                )

    def load_trained(self) -> dict[str, Any]:
        """Load the network to test or export, and give it to the other workers; return the state saved with it.

        Raises:
            CheckpointError: there is none, or it is of another network.
        """
        cluster = self._model.cluster
        state: dict[str, Any] | None = {}
        if cluster.is_chief:
            choice = self._flags["load_evaluate"].replace("auto", "best or last")
            source = self.own.path if is_training(self._flags) else find_source(self._flags)
            state = self._load_from(source, choice, 0) if source else None
            if state is None:
                raise lacks(source or self.own.path, choice)
        state = cluster.share(state, self._model.variables)
        return dict(state or {})

    def _load_from(self, source: Path, choice: str, n_dropped: int) -> dict[str, Any] | None:
        """Load what is not dropped from a source; None where it has no checkpoint of the choice."""
        variables = {name: variable for name, variable in self._model.variables.items()
                     if not is_dropped(name, n_dropped)}  # fmt: skip
        network = dict(self._network)
        if n_dropped:
            del network["alphabet_config_path"]
        is_file = source == Path(self._flags["initialize_from_frozen_model"] or "/")
        foreign = None if is_file else ForeignDirectory.at(source)
        if not is_file and foreign is None:
            return RunDirectory(source, network, variables, self._console).load(choice)
        self._check_settings(source, network)
        if foreign is None:
            read_model(source).load(variables)
            read_model.cache_clear()  # it holds the weights once more
            self._console.say(f"Loaded {source}.")
            return {}
        for kind in RunDirectory.CHOICES[choice]:
            loaded = foreign.load(kind, variables)
            if loaded:
                self._tell(*loaded)
                return {"step": loaded[1]}
        return None

    def _check_settings(self, source: Path, network: Mapping[str, Any]) -> None:
        """Refuse a source that is of another network."""
        made_with = settings_from(source)
        n_labels = made_with.get("n_labels")
        if "alphabet_path" in made_with:
            made_with["alphabet_config_path"] = list(read_labels(made_with["alphabet_path"]).labels)
        elif "alphabet_config_path" in network and n_labels != len(network["alphabet_config_path"]):
            raise CheckpointError(
                f"{source} holds a network of {n_labels} labels, the alphabet of this command has"
                f" {len(network['alphabet_config_path'])}: give the network's --alphabet_config_path, or train a new"
                " last layer with --drop_source_layers 1."
            )
        check_network(source, made_with, network)

    def _tell(self, prefix: Path, step: int, missing: list[str]) -> None:
        self._console.say(f"Loaded {prefix} (step {step}) of another program.")
        layers = sorted({name.rpartition("/")[0] for name in missing})
        if layers:
            self._console.warn(
                f"It has no optimiser state for {', '.join(layers)}, as where cuDNN trained: Adam begins at zero there."
            )
