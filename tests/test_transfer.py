"""From a trained network to a language with other letters, and back: new layers, frozen ones, resume, test, export."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import SHARED, Program, write_corpus
from numpy.typing import NDArray

from util import tf
from util.model_file import ModelFile
from util.starting import is_dropped
from util.text import read_alphabet
from util.trained import STREAMING

QUICK = ("--intra_op_parallelism_threads=1", "--inter_op_parallelism_threads=1", "--noshow_progressbar")
BARISTA = SHARED / "picovoice_barista"
LETTERS = {"english": " abct", "russian": " бвгдеж", "greek": " λμπσ"}
TEXTS = {"english": ["a cat", "bat tab"], "russian": ["где", "беж вед"], "greek": ["λμπ", "πσ λ"]}
NEW = "layer_6/weights", "layer_6/bias"


@dataclass(frozen=True)
class Language:
    """Files of a language.

    Attributes:
        csv: a few utterances.
        alphabet: its letters.
    """

    csv: Path
    alphabet: Path


@pytest.fixture
def languages(tmp_path: Path) -> dict[str, Language]:
    found = {}
    for name, letters in LETTERS.items():
        (tmp_path / f"{name}.txt").write_text("\n".join(letters) + "\n")
        found[name] = Language(write_corpus(tmp_path, name, TEXTS[name]), tmp_path / f"{name}.txt")
    return found


@pytest.fixture
def orders(tmp_path: Path, languages: dict[str, Language]) -> Language:
    """Return a few real recordings of orders at a bar; where they are not, the English of `languages`."""
    if not BARISTA.exists():
        return languages["english"]
    header, *rows = (BARISTA / "train.csv").read_text().splitlines()[:3]
    letters = sorted(set("".join(row.split(",")[-1] for row in rows)))
    path = tmp_path / "orders.csv"
    path.write_text("\n".join([header, *(f"{BARISTA}/{row}" for row in rows)]) + "\n")
    alphabet = tmp_path / "orders.txt"
    alphabet.write_text("\n".join(letters) + "\n")
    return Language(path, alphabet)


Run = Callable[..., str]


@pytest.fixture
def run(deepspeech: Program) -> Run:
    """Run the trainer to its end; return what it says."""
    program = replace(deepspeech, always=QUICK)

    def run(*flags: object, status: int = 0) -> str:
        done = program(*flags)
        assert done.returncode == status, done.stderr
        return done.stderr + done.stdout

    return run


def read(prefix: Path) -> dict[str, NDArray[Any]]:
    """Return weights and moments of a checkpoint."""
    reader = tf.train.load_checkpoint(str(prefix))
    return {name: reader.get_tensor(name) for name in reader.get_variable_to_shape_map() if "/" in name
            and not name.startswith("deepspeech")}  # fmt: skip


def train(language: Language, folder: str, *flags: str) -> tuple[object, ...]:
    alphabet = "--alphabet_config_path", language.alphabet
    return "--train_files", language.csv, *alphabet, "--save_checkpoint_dir", folder, "--learning_rate=0.01", *flags


def test_to_other_alphabets_and_back(run: Run, orders: Language, languages: dict[str, Language], tmp_path: Path):
    run(*train(orders, "en", "--nobidirectional", "--n_hidden=12", "--epochs=2"))
    source = read(tmp_path / "en" / "train-4")

    # two epochs of the new layer, then one of all; the geometry comes with the network
    transfer = train(languages["russian"], "ru", "--load_checkpoint_dir=en", "--drop_source_layers=1",
                     "--freeze_source_layers=2", "--epochs=3")  # fmt: skip
    said = run(*transfer)
    assert "The network in en has --nobidirectional, --n_hidden 12." in said
    assert "Loaded en/train-4." in said
    assert "Only the new layers learn until the end of epoch 2." in said
    frozen, last = read(tmp_path / "ru" / "train-8"), read(tmp_path / "ru" / "train-10")
    assert frozen.keys() == source.keys()
    for name, value in source.items():
        if name.startswith("layer_6"):
            assert frozen[name].shape[-1] == len(LETTERS["russian"]) + 1, name
        else:  # moments too
            np.testing.assert_array_equal(frozen[name], value, err_msg=name)
            assert (last[name] != value).any(), name
    assert (last["layer_6/bias"] != frozen["layer_6/bias"]).any()

    # the same command goes on: nothing is dropped again
    said = run(*transfer[:-1], "--epochs=4", "--test_files", languages["russian"].csv, "--export_dir=model")
    assert "Loaded ru/train-10." in said
    assert "Training from epoch 4, batch 1 to the end of epoch 4" in said
    assert "Only the new layers" not in said
    assert "Test on" in said
    exported = ModelFile(tmp_path / "model" / "output_graph.tflite")
    assert exported.alphabet() == read_alphabet(languages["russian"].alphabet)

    # from the exported file to the next, and from there back; a test needs no flag but where
    said = run(*train(languages["greek"], "el", "--initialize_from_frozen_model=model/output_graph.tflite",
                      "--drop_source_layers=1", "--epochs=1"))  # fmt: skip
    assert "Loaded model/output_graph.tflite." in said
    said = run(*train(orders, "back", "--load_checkpoint_dir=el", "--drop_source_layers=6", "--epochs=1"))
    assert "--drop_source_layers 6 is more than there are: the first layer stays, the other 5 are new" in said
    back, greek = read(tmp_path / "back" / "train-4"), read(tmp_path / "el" / "train-2")
    assert back["layer_6/bias"].shape == source["layer_6/bias"].shape
    assert greek["layer_6/bias"].shape == (len(LETTERS["greek"]) + 1,)
    said = run("--checkpoint_dir=back", "--test_files", orders.csv)
    assert "--alphabet_config_path back/run.json" in said
    assert "Test on" in said
    state = json.loads(tf.train.load_checkpoint(str(tmp_path / "back" / "train-4")).get_tensor("deepspeech/state"))
    assert (state["dropped"], state["frozen_epochs"]) == (5, 0)


def test_what_cannot_begin(run: Run, languages: dict[str, Language], tmp_path: Path):
    run(*train(languages["english"], "en", "--nobidirectional", "--n_hidden=12", "--epochs=1"))
    russian = train(languages["russian"], "ru", "--load_checkpoint_dir=en")
    said = run(*russian, status=1)
    for words in ("of 5 labels", "of 7 labels", "--alphabet_config_path", "--drop_source_layers 1"):
        assert words in said
    said = run(*train(languages["english"], "en", "--epochs=2", "--drop_source_layers=1"), status=2)
    assert "en holds a run that began without --drop_source_layers, this command says 1" in said
    assert "--freeze_source_layers 3 leaves nothing to train" in run(*russian, "--freeze_source_layers=3", status=2)
    said = run(*russian, "--initialize_from_frozen_model=m.pb", status=2)
    assert "--initialize_from_frozen_model and --load_checkpoint_dir en name two beginnings" in said


@pytest.mark.parametrize(("folder", "warns"), [("nowhere", True), ("new", False)])
def test_a_beginning_that_is_not_there(run: Run, languages: dict[str, Language], folder: str, warns: bool):
    said = run(*train(languages["english"], "new", "--n_hidden=12", "--epochs=1"), "--load_checkpoint_dir", folder)
    assert ("There is no checkpoint in nowhere: training begins with new weights." in said) == warns
    assert "Training from new weights" in said


@pytest.mark.parametrize(
    ("n_dropped", "dropped"),
    [
        (0, set()),
        (1, {"6"}),
        (2, {"5", "6"}),
        (3, {"lstm", "5", "6"}),
        (4, {"3", "lstm", "5", "6"}),
        (5, {"2", "3", "lstm", "5", "6"}),
    ],
)
def test_the_layers_that_0_9_3_dropped(n_dropped: int, dropped: set[str]):
    """Counted there from the end: 6, 5, the LSTM, 3, 2; never the first."""
    layers = {"1": "layer_1/bias", "2": "layer_2/weights", "3": "layer_3/bias/Adam", "5": "layer_5/weights",
              "lstm": f"{STREAMING}/kernel/Adam_1", "6": "layer_6/weights"}  # fmt: skip
    assert {layer for layer, name in layers.items() if is_dropped(name, n_dropped)} == dropped
    assert is_dropped("bidirectional_rnn/bw/basic_lstm_cell/bias", n_dropped) == ("lstm" in dropped)
