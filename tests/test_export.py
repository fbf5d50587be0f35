"""Exports as a user makes them: what is written, what is refused, and that nothing wrong is ever left behind.

With PREDECESSORS naming a folder with the virtual environments ds39 (deepspeech 0.9.3), dst39 (deepspeech-tflite
0.9.3) and stt310 (stt 1.4.0), these clients transcribe what we export.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from conftest import ROOT, SMALL, Csvs, Program

from util import inference, tf
from util.decoding import read_probabilities
from util.export import new_export
from util.features import FeatureSet
from util.trained import TrainedNetwork

SPEECH = ROOT / "data" / "smoke_test" / "she_had_your_dark_suit.wav"
SENTENCE = "she had your dark suit in greasy wash water all year"
STREAMING = "--nobidirectional"


@dataclass(frozen=True)
class Checkpoint:
    """A run of one epoch.

    Attributes:
        folder: its directory.
        flags: what a command line has to say of it.
    """

    folder: Path
    flags: tuple[str, ...]


def train(program: Program, csvs: Csvs, folder: Path, *flags: str) -> Checkpoint:
    done = program(*flags, "--epochs=1", "--checkpoint_dir", folder, "--train_files", csvs.train)
    assert done.returncode == 0, done.stderr
    return Checkpoint(folder, (*flags, "--checkpoint_dir", str(folder)))


@pytest.fixture(scope="session")
def bidirectional(csvs: Csvs, decoy: Path, tmp_path_factory: pytest.TempPathFactory) -> Checkpoint:
    folder = tmp_path_factory.mktemp("bidirectional")
    return train(Program(folder, decoy), csvs, folder / "run", "--layer_norm")


@pytest.fixture(scope="session")
def streaming(csvs: Csvs, decoy: Path, tmp_path_factory: pytest.TempPathFactory) -> Checkpoint:
    folder = tmp_path_factory.mktemp("streaming")
    return train(Program(folder, decoy), csvs, folder / "run", STREAMING)


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def head_of(card: str) -> dict[str, str]:
    """Read the front matter of a model card: flat YAML with quoted strings."""
    _, head, _ = card.split("---\n", 2)
    return {name: json.loads(value) for name, value in (line.split(": ", 1) for line in head.splitlines())}


def saved_model(path: Path, signature: str) -> inference.Call:
    run = tf.saved_model.load(str(path)).signatures[signature]

    def call(values: Mapping[str, Any]) -> dict[str, Any]:
        named = {name: tf.constant(values[name]) for name in run.structured_input_signature[1]}
        return {name: tensor.numpy() for name, tensor in run(**named).items()}

    return call


def test_export_with_the_training(deepspeech: Program, csvs: Csvs, tmp_path: Path):
    done = deepspeech("--epochs=1", "--train_files", csvs.train, "--dev_files", csvs.dev, "--test_files", csvs.test,
                      "--checkpoint_dir=run", "--export_dir=model", "--export_author_id=me", "--export_model_name=toy",
                      "--export_model_version=1.2", "--export_language=en", "--export_license=CC0",
                      "--export_description=Letters.", "--export_beam_width=77")  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "Exported to model, compared on 2 recording(s)" in done.stderr
    assert {path.name for path in (tmp_path / "model").iterdir()} == {
        "output_graph.tflite", "me_toy_1.2.md", "export.json"}  # fmt: skip
    outputs = inference.TfliteModel(tmp_path / "model" / "output_graph.tflite").run(
        {"input_samples": np.zeros(1000, np.float32)}
    )
    assert outputs["metadata_beam_width"] == [77]
    assert outputs["metadata_language"] == [b"en"]

    card = (tmp_path / "model" / "me_toy_1.2.md").read_text()
    head = head_of(card)
    assert head["author"], head["model_name"] == ("me", "toy")
    assert (head["license"], head["language"], head["runtime"]) == ("CC0", "en", "tflite")
    assert head["contact_info"] == head["min_ds_version"] == "not given"
    run = json.loads((tmp_path / "run" / "run.json").read_text())
    events = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    (test,) = (event for event in events if event["event"] == "test")
    for text in ("# toy 1.2", "Letters.", "16 units", "train.csv", run["train_set"], "1 epochs, 6 updates",
                 f"| test.csv | test | {test['wer']:.4f} | {test['cer']:.4f} |", "follow 77 prefixes"):  # fmt: skip
        assert text in card


@pytest.mark.parametrize("kind", ["bidirectional", "streaming"])
def test_every_file_says_what_the_test_says(kind: str, request, deepspeech: Program, csvs: Csvs, tmp_path: Path):
    checkpoint: Checkpoint = request.getfixturevalue(kind)
    flags = ["--test_files", csvs.test, "--probabilities_file=test.npz", "--export_dir=model", "--export_file_name=toy"]
    flags += ["--noexport_quantize", "--export_graph", "--export_savedmodel", "--n_steps=4"]
    done = deepspeech(*checkpoint.flags, *flags)
    assert done.returncode == 0, done.stderr
    folder = tmp_path / "model"
    assert (folder / "toy.pb").exists()
    assert (folder / "toy.pbmm").exists() == (kind == "streaming")
    test = read_probabilities(tmp_path / "test.npz")
    tflite = inference.TfliteModel(folder / "toy.tflite")
    forms: list[Sequence[inference.Call]] = [(tflite.features, tflite.run)]
    if kind == "streaming":
        names = "compute_features", "forward_from_features"
        forms.append([saved_model(folder / "toy_savedmodel", name) for name in names])
    else:
        forms.append([saved_model(folder / "toy_savedmodel", "serving_default")])
    features = FeatureSet("streaming", window_ms=32)
    weights = {"layer_1/bias": np.zeros(16, np.float32)}
    network = TrainedNetwork(weights, [("", 0.0)], features, b"", 9, 4, 20.0, 500, "")
    for path, expected in zip(test.wav_filenames, test.probabilities, strict=True):
        samples = soundfile.read(path, dtype="int16")[0]
        for calls in forms:
            if kind == "streaming":
                found = inference.run_stream(network, *calls, samples)
            else:
                found = inference.run_whole(calls[-1], samples)
            np.testing.assert_allclose(found, expected, atol=1e-5)


def test_weights_are_chosen_as_for_the_test(streaming: Checkpoint, deepspeech: Program):
    done = deepspeech(*streaming.flags, "--export_dir=model", "--load_evaluate=best")
    assert done.returncode == 1
    assert "holds no checkpoint (best)" in done.stderr
    assert not (deepspeech.folder / "model").exists()


def test_old_clients_files_zip_and_removal(streaming: Checkpoint, deepspeech: Program, tmp_path: Path):
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "mine.txt").write_text("keep")
    (tmp_path / "my.scorer").write_text("scorer")
    first = deepspeech(*streaming.flags, "--export_dir=model", "--export_savedmodel", "--export_file_name=old")
    assert first.returncode == 0, first.stderr
    second = deepspeech(*streaming.flags, "--export_dir=model", "--export_compat=0.9.3", "--remove_export",
                        "--export_zip", "--scorer_path=my.scorer")  # fmt: skip
    assert second.returncode == 0, second.stderr
    exported = {"output_graph.tflite", "output_graph.pb", "output_graph.pbmm", "author_model_0.0.1.md"}
    assert {path.name for path in folder.iterdir()} == exported | {"mine.txt", "export.json"}
    with zipfile.ZipFile(tmp_path / "model.zip") as archive:
        assert archive.testzip() is None
        assert set(archive.namelist()) == {f"model/{name}" for name in exported | {"my.scorer"}}
        assert archive.read("model/output_graph.pb") == (folder / "output_graph.pb").read_bytes()


BREAK = """
import runpy, sys
import util.export
whole = util.export.make_tflite
def make_broken(network, *rest):
    network.weights[{name!r}][...] = {value}
    return whole(network, *rest)
util.export.make_tflite = make_broken
sys.argv = {argv!r}
runpy.run_path({program!r}, run_name="__main__")
"""


@pytest.mark.parametrize(
    ("precision", "value"), [("--export_quantize", "5 * (numpy.arange(29) == 3)"), ("--noexport_quantize", "numpy.nan")]
)
def test_a_file_that_differs_is_not_exported(value: str, precision: str, streaming: Checkpoint, deepspeech: Program):
    """A weight changes on its way into the file."""
    assert deepspeech(*streaming.flags, "--export_dir=model").returncode == 0
    folder = deepspeech.folder / "model"
    before = contents(folder)
    argv = [str(ROOT / "DeepSpeech.py"), *SMALL, *streaming.flags, "--export_dir=model", "--remove_export", precision]
    program = "import numpy\n" + BREAK.format(name="layer_6/bias", value=value, argv=argv, program=argv[0])
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=deepspeech.folder, capture_output=True, text=True, check=False,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert done.returncode == 1, done.stderr
    assert "output_graph.tflite" in done.stderr
    assert "Nothing was exported" in done.stderr
    assert "Traceback" not in done.stderr
    assert contents(folder) == before


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--export_compat=0.9.3"], ["--export_compat", "--nobidirectional"]),
        ([STREAMING, "--export_compat=0.9.3", "--layer_norm"], ["--export_compat", "--layer_norm"]),
        (["--export_compat=0.8"], ["export_compat", "0.9.3"]),
        (["--feature_win_len=25.5"], ["--feature_win_len 25.5", "whole milliseconds"]),
        (["--export_batch_size=2"], ["--export_batch_size 2"]),
        (["--export_file_name=a/b"], ["--export_file_name", "'a/b'"]),
        (["--export_author_id="], ["--export_author_id"]),
        (["--export_model_version=.1"], ["--export_model_version", "'.1'"]),
        (["--n_steps=0"], ["n_steps"]),
        (["--export_beam_width=0"], ["export_beam_width"]),
        (["--export_zip", "--scorer_path=none.scorer"], ["none.scorer", "no such file"]),
        (["--export_dir=file/model"], ["--export_dir file/model", "is not a folder"]),
        (["--export_dir=file"], ["--export_dir file", "is not a folder"]),
        (["--export_dir=", "--export_zip"], ["--export_zip", "--export_dir"]),
        (["--export_dir=", "--remove_export"], ["--remove_export", "--export_dir"]),
    ],
    ids=" ".join,
)
def test_wrong_flags_end_before_anything_begins(flags: list[str], words: list[str], deepspeech: Program):
    (deepspeech.folder / "file").write_text("")
    done = deepspeech("--checkpoint_dir=run", "--export_dir=model", "--train_files=t.csv", *flags, tensorflow=False)
    assert done.returncode == 2, done.stderr
    assert done.stderr.count("\n") == 1
    for word in words:
        assert word in done.stderr
    assert not (deepspeech.folder / "model").exists()


def test_an_export_needs_a_checkpoint(deepspeech: Program):
    done = deepspeech("--export_dir=model", tensorflow=False)
    assert done.returncode == 2
    assert "--export_dir without training needs --checkpoint_dir" in done.stderr


def test_a_list_of_files_is_not_trusted(tmp_path: Path):
    """What --remove_export removes cannot lie elsewhere."""
    (tmp_path / "precious").write_text("keep")
    folder = tmp_path / "model"
    folder.mkdir()
    for listed in ('{"files": ["../precious"]}', '{"files": [7]}', "[]", "{"):
        (folder / "export.json").write_text(listed)
        with pytest.raises(Exception, match=r"export\.json is not a list of exported files"), new_export(folder, True):
            pass
    assert (tmp_path / "precious").exists()


def test_what_fails_leaves_no_folder(tmp_path: Path):
    with pytest.raises(ZeroDivisionError), new_export(tmp_path / "model", False) as staging:
        (staging / "file").write_text("")
        raise ZeroDivisionError
    assert list(tmp_path.iterdir()) == []


CLIENT = """
import sys, wave
import numpy
try:
    from deepspeech import Model
except ImportError:
    from stt import Model
with wave.open(sys.argv[1]) as file:
    samples = numpy.frombuffer(file.readframes(file.getnframes()), numpy.int16)
for path in sys.argv[2:]:
    model = Model(path)
    print(model.beamWidth(), model.sampleRate(), model.stt(samples))
"""


@pytest.mark.skipif("PREDECESSORS" not in os.environ, reason="PREDECESSORS does not name their folder")
def test_old_clients_transcribe_what_we_export(deepspeech: Program, tmp_path: Path):
    (tmp_path / "train.csv").write_text(f"wav_filename,wav_filesize,transcript\n{SPEECH},,{SENTENCE}\n")
    command = ["--n_hidden=100", STREAMING, "--train_files=train.csv", "--checkpoint_dir=run", "--checkpoint_secs=0"]
    command += ["--epochs=200", "--learning_rate=0.002", "--max_to_keep=1", "--export_compat=0.9.3"]
    for name, precision in (("int8", "--export_quantize"), ("float32", "--noexport_quantize")):
        done = deepspeech(*command, "--export_dir", name, precision)
        assert done.returncode == 0, done.stderr
    tflite = [tmp_path / name / "output_graph.tflite" for name in ("int8", "float32")]
    graphs = [tmp_path / "int8" / f"output_graph.{ending}" for ending in ("pb", "pbmm")]
    for client, models in (("ds39", graphs), ("dst39", tflite), ("stt310", tflite)):
        python = Path(os.environ["PREDECESSORS"], client, "bin", "python")
        done = subprocess.run([python, "-c", CLIENT, SPEECH, *models], capture_output=True, text=True, check=False)
        assert done.stdout.splitlines() == [f"500 16000 {SENTENCE}"] * 2, done.stderr
