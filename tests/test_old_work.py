"""Checkpoints and model files of other programs: the networks in them say here what they said there.

golden/coqui holds networks of Coqui STT and what its own graph said; its README tells how they were made. A checkpoint
that cuDNN trained takes a GPU of that time: its variables are put together here from their documented names, and so
are those of DeepSpeech 0.1.1 and 0.5.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import ROOT, SMALL, Program

from util import tf
from util.audio import read_audio
from util.errors import CheckpointError
from util.features import FeatureSet
from util.foreign import ForeignDirectory, home, read_flags_file
from util.graph_file import make_calls, make_graph, memory_mapped, read_graph
from util.inference import TfliteModel, run_stream
from util.model_file import ModelFile
from util.sources import find_source, inherit, read_labels
from util.text import ByteAlphabet, read_alphabet
from util.tflite_graph import make_tflite
from util.trained import BACKWARD, FORWARD, STREAMING, Array, TrainedNetwork

COQUI = Path(__file__).parent / "golden" / "coqui"
SAID = np.load(COQUI / "probabilities.npz")
RECORDING = ROOT / "data" / "smoke_test" / "she_had_your_dark_suit.wav"
ENGLISH = ROOT / "data" / "alphabet.txt"
N = 4
LAYERS = {"1": (494, N), "2": (N, N), "3": (N, N), "5": (N, N), "6": (N, 29)}


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    return Path(shutil.copytree(COQUI / "checkpoint", tmp_path / "coqui"))


@pytest.fixture
def csv(tmp_path: Path) -> Path:
    path = tmp_path / "d.csv"
    path.write_text(f"wav_filename,wav_filesize,transcript\n{RECORDING},98262,she had your dark suit\n")
    return path


@pytest.fixture
def program(deepspeech: Program) -> Program:
    """Run the trainer without saying how large the network is."""
    return replace(deepspeech, always=SMALL[1:])


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


def write_bundle(folder: Path, name: str, values: Mapping[str, Any], state_file: str = "checkpoint") -> None:
    """Write a checkpoint as TensorFlow 1 does; the state file names it where it was then."""
    folder.mkdir(exist_ok=True)
    tensors = [tf.convert_to_tensor(value) for value in values.values()]
    tf.raw_ops.SaveV2(prefix=str(folder / name), tensor_names=list(values), shape_and_slices=[""] * len(values),
                      tensors=tensors)  # fmt: skip
    (folder / state_file).write_text(f'model_checkpoint_path: "/home/somebody/{name}"\n')


def random_values(shapes: Mapping[str, tuple[int, ...]]) -> dict[str, Array]:
    rng = np.random.default_rng(1)
    return {name: rng.normal(0, 0.2, shape).astype(np.float32) for name, shape in shapes.items()}


def streaming_shapes(cell: str = STREAMING) -> dict[str, tuple[int, ...]]:
    shapes: dict[str, tuple[int, ...]] = {f"{cell}/kernel": (2 * N, 4 * N), f"{cell}/bias": (4 * N,)}
    for layer, shape in LAYERS.items():
        shapes |= {f"layer_{layer}/weights": shape, f"layer_{layer}/bias": shape[1:]}
    return shapes


def blank_variables(names: Mapping[str, tuple[int, ...]]) -> dict[str, Any]:
    """Return the variables of a network of ours, moments included, filled with ones."""
    suffixes = "", "/Adam", "/Adam_1"
    return {f"{name}{suffix}": tf.Variable(tf.ones(shape)) for name, shape in names.items() for suffix in suffixes}


def network_of(weights: Mapping[str, Array]) -> TrainedNetwork:
    cells = [(cell, 1.0) for cell in (FORWARD, BACKWARD) if f"{cell}/kernel" in weights] or [(STREAMING, 0.0)]
    features = FeatureSet("streaming", 16000, 32, 20)
    alphabet = read_alphabet(ENGLISH).serialize()
    return TrainedNetwork(weights, cells, features, alphabet, 9, 16, 20.0, 500, "en")


def say(model: ModelFile) -> Array:
    network = network_of(model.weights)
    return run_stream(network, *make_calls(make_graph(network), network), read_audio(RECORDING, 16000))


# ------------------------------------------------------------------------------------- as a program


@pytest.mark.parametrize(("where", "key"), [("checkpoint", "best"), ("layer_norm", "ln")])
def test_a_checkpoint_directory_says_what_it_said(program: Program, tmp_path: Path, csv: Path, where: str, key: str):
    shutil.copytree(COQUI / where, tmp_path / "coqui")
    done = program("--checkpoint_dir=coqui", "--test_files", csv, "--probabilities_file=p.npz")
    assert done.returncode == 0, done.stderr
    assert "The network in coqui has --nobidirectional, --n_hidden 12" in done.stderr
    found = [value for value in np.load(tmp_path / "p.npz").values() if value.ndim == 2]
    np.testing.assert_allclose(found[0], SAID[key], atol=1e-4)


def test_a_model_file_is_exported_again(program: Program, tmp_path: Path, csv: Path):
    source = "--initialize_from_frozen_model", COQUI / "output_graph.pb"
    (tmp_path / "run.json").write_text('{"flags": {"learning_rate": 987}}')  # of another network
    done = program(*source, "--export_dir=model", "--test_files", csv, "--probabilities_file=p.npz",
                   "--noexport_quantize")  # fmt: skip
    assert done.returncode == 0, done.stderr
    found = [value for value in np.load(tmp_path / "p.npz").values() if value.ndim == 2]
    np.testing.assert_allclose(found[0], SAID["best"], atol=1e-4)
    (card,) = (tmp_path / "model").glob("*.md")
    assert "learning rate" not in card.read_text()
    again = ModelFile(tmp_path / "model" / "output_graph.tflite")
    for name, value in ModelFile(COQUI / "output_graph.pb").weights.items():
        np.testing.assert_array_equal(again.weights[name], value, err_msg=name)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["d.csv", "model", "p.npz", "run.json"]


def test_training_goes_on_beside_what_was_there(program: Program, tmp_path: Path, csv: Path, checkpoint: Path):
    """An update makes of weights and moments what it makes of them there; then our own run counts."""
    before = contents(checkpoint)
    sentence = "she had your dark suit in greasy wash water all year"
    csv.write_text(csv.read_text().replace("she had your dark suit", sentence))
    train = "--train_files", csv, "--checkpoint_dir=coqui", "--dropout_rate=0"  # at 0.001, the rate of the next step
    done = program(*train, "--epochs=1")
    assert done.returncode == 0, done.stderr
    assert "Loaded coqui/train-303 (step 303) of another program." in done.stderr
    assert "Training from epoch 1, batch 1 to the end of epoch 1; checkpoints in coqui/continued." in done.stderr
    assert contents(checkpoint) == before
    old, ours = (tf.train.load_checkpoint(str(checkpoint / name)) for name in ("train-303", "continued/train-304"))
    for name, expected in np.load(COQUI / "next_step.npz").items():
        moved = np.abs(expected - old.get_tensor(name)).max()
        np.testing.assert_allclose(ours.get_tensor(name), expected, atol=moved / 100 + 1e-7, err_msg=name)
    again = program(*train, "--epoch=2")  # an alias, which is read twice
    assert "Loaded coqui/continued/train-304." in again.stderr
    assert "Training from epoch 2, batch 1" in again.stderr
    assert contents(checkpoint) == before


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--n_hidden=16"], ["coqui", "--n_hidden 12", "--n_hidden 16", "use the same --n_hidden"]),
        (["--bidirectional"], ["--bidirectional False", "--bidirectional True"]),
        (["--drop_source_layers=1", "--load_checkpoint_dir=nowhere"], ["--drop_source_layers 1", "nowhere"]),
        (["--load_train=last", "--load_checkpoint_dir=nowhere"], ["nowhere holds no checkpoint (last)"]),
    ],
    ids=lambda value: " ".join(value[:1]),
)
def test_what_contradicts_it_is_one_sentence(
    program: Program, tmp_path: Path, csv: Path, checkpoint: Path, flags, words
):
    if "nowhere" not in flags[-1]:
        flags = ["--load_checkpoint_dir=coqui", *flags]
    done = program("--train_files", csv, "--save_checkpoint_dir=new", *flags)
    assert done.returncode in (1, 2)
    error = done.stderr.splitlines()[-1]
    assert error.startswith("Error: ")
    for word in words:
        assert word in error


# --------------------------------------------------------------------------------------- directories


def test_every_moment_is_loaded():
    names = {name: tuple(shape) for name, shape in
             tf.train.load_checkpoint(str(COQUI / "checkpoint" / "train-303")).get_variable_to_shape_map().items()
             if name.endswith(("/weights", "/kernel", "/bias"))}  # fmt: skip
    assert len(names) == 12
    variables = blank_variables(names)
    loaded = ForeignDirectory(COQUI / "checkpoint").load("train", variables)
    assert loaded == (COQUI / "checkpoint" / "train-303", 303, [])
    reader = tf.train.load_checkpoint(str(COQUI / "checkpoint" / "train-303"))
    for name, variable in variables.items():
        np.testing.assert_array_equal(variable.numpy(), reader.get_tensor(name), err_msg=name)


def test_where_cudnn_trained_moments_are_missing(tmp_path: Path):
    shapes = streaming_shapes()
    dense = {
        f"{name}{slot}": shape for name, shape in shapes.items() if name[0] == "l" for slot in ("/Adam", "/Adam_1")
    }
    values = random_values(shapes | dense)
    write_bundle(tmp_path / "old", "best_dev-7", values | {"global_step": np.int64(7)}, "best_dev_checkpoint")
    variables = blank_variables(shapes)
    loaded = ForeignDirectory(tmp_path / "old").load("best_dev", variables)
    assert loaded is not None
    assert loaded[1] == 7
    assert sorted(loaded[2]) == sorted(f"{STREAMING}/{part}/{slot}" for part in ("kernel", "bias")
                                       for slot in ("Adam", "Adam_1"))  # fmt: skip
    for name, variable in variables.items():
        np.testing.assert_array_equal(variable.numpy(), values.get(name, np.zeros(variable.shape)), err_msg=name)


def test_the_names_of_0_1_1(tmp_path: Path):
    recurrent: dict[str, tuple[int, ...]] = {}
    for cell in (FORWARD, BACKWARD):
        recurrent |= {f"{cell}/kernel": (3 * N, 4 * N), f"{cell}/bias": (4 * N,)}
    layers = LAYERS | {"3": (N, 2 * N), "5": (2 * N, N)}
    old, ours = dict(recurrent), dict(recurrent)
    for layer, shape in layers.items():
        old |= {f"h{layer}": shape, f"b{layer}": shape[1:]}
        ours |= {f"layer_{layer}/weights": shape, f"layer_{layer}/bias": shape[1:]}
    values = random_values({f"{name}{slot}": shape for name, shape in old.items() for slot in ("", "/Adam", "/Adam_1")})
    write_bundle(tmp_path / "old", "model.ckpt-99", values | {"global_step": np.int32(99)})
    directory = ForeignDirectory.at(tmp_path / "old")
    assert directory is not None
    assert directory.settings() == {"n_hidden": N, "bidirectional": True, "layer_norm": False, "n_labels": 28}
    variables = blank_variables(ours)
    loaded = directory.load("train", variables)
    assert loaded is not None
    assert loaded[1:] == (99, [])
    np.testing.assert_array_equal(variables["layer_3/weights"].numpy(), values["h3"])
    np.testing.assert_array_equal(variables["layer_6/bias/Adam_1"].numpy(), values["b6/Adam_1"])
    np.testing.assert_array_equal(variables[f"{BACKWARD}/kernel/Adam"].numpy(), values[f"{BACKWARD}/kernel/Adam"])


def test_the_cell_of_0_5_adds_one_to_its_forget_gate(tmp_path: Path):
    values = random_values(streaming_shapes("lstm_fused_cell"))
    write_bundle(tmp_path / "old", "model.v0.5.1", values)
    variables = {f"{STREAMING}/bias": tf.Variable(tf.ones(4 * N))}
    loaded = ForeignDirectory(tmp_path / "old").load("train", variables)
    assert loaded is not None
    (tmp_path / "old" / "checkpoint").unlink()
    assert ForeignDirectory(tmp_path / "old").checkpoint("train") == tmp_path / "old" / "model.v0.5.1"
    expected = values["lstm_fused_cell/bias"].copy()
    expected[2 * N : 3 * N] += 1  # input, candidate, forget, output
    np.testing.assert_allclose(variables[f"{STREAMING}/bias"].numpy(), expected, atol=1e-6)


def test_a_directory_without_its_state_file(tmp_path: Path, checkpoint: Path):
    (checkpoint / "checkpoint").unlink()
    (checkpoint / "best_dev_checkpoint").unlink()
    (checkpoint / "train-9.index").touch()  # of an earlier step
    directory = ForeignDirectory(checkpoint)
    assert directory.checkpoint("train") == checkpoint / "train-303"
    assert directory.checkpoint("best_dev") == checkpoint / "best_dev-300"


def test_a_checkpoint_of_something_else(tmp_path: Path):
    write_bundle(tmp_path / "old", "train-1", {"dense/kernel": np.zeros([2, 2], np.float32)})
    directory = ForeignDirectory.at(tmp_path / "old")
    assert directory is not None
    with pytest.raises(CheckpointError, match=r"no checkpoint of DeepSpeech or Coqui STT: .* layer_1/bias or b1"):
        directory.settings()


def test_a_damaged_checkpoint(checkpoint: Path):
    for path in checkpoint.glob("train-303.*"):
        path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(CheckpointError, match="train-303 is damaged: "):
        ForeignDirectory(checkpoint).load("train", {"layer_1/bias": tf.Variable(tf.zeros(12))})


def test_ours_is_not_foreign(tmp_path: Path, checkpoint: Path):
    assert home(checkpoint) == checkpoint / "continued"
    assert home(tmp_path / "none") == tmp_path / "none"
    (checkpoint / "run.json").write_text("{}")
    assert home(checkpoint) == checkpoint


FLAG_FILES = {
    "absl": "--alphabet_config_path=data/alphabet.txt\n--noshow_progressbar\n--n_hidden=2048\n--layer_norm\n",
    "json": json.dumps({"alphabet_config_path": "data/alphabet.txt", "n_hidden": 2048, "layer_norm": True}),
}


@pytest.mark.parametrize("kind", FLAG_FILES)
def test_flags_beside_a_checkpoint(tmp_path: Path, kind: str):
    (tmp_path / "flags.txt").write_text(FLAG_FILES[kind])
    found = read_flags_file(tmp_path / "flags.txt")
    assert found["alphabet_config_path"] == "data/alphabet.txt"
    assert int(found["n_hidden"]) == 2048
    assert str(found["layer_norm"]).lower() == "true"
    assert kind == "json" or found["show_progressbar"] == "false"


def test_wrong_flags_beside_a_checkpoint(checkpoint: Path):
    (checkpoint / "flags.txt").write_text("--audio_sample_rate=fast\n")
    with pytest.raises(CheckpointError, match=r"flags.txt says audio_sample_rate 'fast', expected a number"):
        ForeignDirectory(checkpoint).settings()
    (checkpoint / "flags.txt").write_text("{")
    with pytest.raises(CheckpointError, match=r"flags.txt cannot be read .*move it away"):
        ForeignDirectory(checkpoint).settings()


PLAIN = {
    "train": True, "train_files": [], "job_name": "localhost", "load_train": "auto", "initialize_from_frozen_model": "",
    "freeze_source_layers": 0, "drop_source_layers": 0,
    "checkpoint_dir": "", "load_checkpoint_dir": "", "save_checkpoint_dir": "", "bidirectional": True, "n_hidden": 2048,
    "layer_norm": False, "relu_clip": 20.0, "audio_sample_rate": 16000, "feature_win_len": None,
    "feature_win_step": 20.0, "alphabet_config_path": str(ENGLISH), "bytes_output_mode": False,
}  # fmt: skip


def test_what_a_command_line_takes_over(checkpoint: Path):
    flags = PLAIN | {"load_checkpoint_dir": str(checkpoint)}
    (checkpoint / "flags.txt").write_text("--audio_sample_rate=8000\n--feature_win_len=32\n--relu_clip=10\n--utf8\n")
    arguments, sentence = inherit(flags, [])
    assert arguments == ["--nobidirectional", "--n_hidden=12", "--relu_clip=10.0", "--audio_sample_rate=8000",
                         "--bytes_output_mode"]  # fmt: skip
    assert sentence.startswith(f"The network in {checkpoint} has --nobidirectional, --n_hidden 12")
    (checkpoint / "flags.txt").unlink()
    (checkpoint / "alphabet.txt").write_text("\n".join("бвгдежзийклмнопрстуфхцчшщъыь") + "\n")
    assert inherit(flags, ["n_hidden", "bidirectional"])[0] == [f"--alphabet_config_path={checkpoint / 'alphabet.txt'}"]
    assert inherit(flags, ["n_hidden", "bidirectional", "alphabet_config_path"]) == ([], "")
    assert inherit(PLAIN, []) == ([], "")


@pytest.mark.parametrize("kind", ["train", "best_dev"])  # the best alone: killed in the middle of the first save
def test_a_run_that_has_begun_counts_more_than_what_it_began_with(tmp_path: Path, kind: str):
    model = PLAIN | {"initialize_from_frozen_model": "m.pb", "checkpoint_dir": str(tmp_path)}
    other = PLAIN | {"load_checkpoint_dir": str(COQUI / "checkpoint"), "save_checkpoint_dir": str(tmp_path)}
    train = {"train_files": ["train.csv"]}
    assert find_source(model) == find_source(model | train) == Path("m.pb")
    assert find_source(other | train) == COQUI / "checkpoint"
    (tmp_path / f"{kind}-4.index").touch()
    (tmp_path / "run.json").write_text("{}")
    for flags in (model, model | train, other | train, other | train | {"load_train": "init"}):
        assert find_source(flags) == tmp_path
    assert find_source(other) == COQUI / "checkpoint"


# --------------------------------------------------------------------------------------- model files


def test_a_frozen_graph_says_what_it_said():
    model = ModelFile(COQUI / "output_graph.pb")
    np.testing.assert_allclose(say(model), SAID["best"], atol=1e-4)
    assert model.settings() == {
        "n_hidden": 12, "bidirectional": False, "layer_norm": False, "n_labels": 28, "audio_sample_rate": 16000,
        "feature_win_len": 32, "feature_win_step": 20, "relu_clip": 20.0, "alphabet_path": model.path,
    }  # fmt: skip
    assert read_labels(model.path) == read_alphabet(ENGLISH)


def test_a_mapped_graph_has_the_same_weights(tmp_path: Path):
    path = tmp_path / "m.pbmm"
    path.write_bytes(memory_mapped(read_graph((COQUI / "output_graph.pb").read_bytes())))
    assert path.read_bytes().count(b"memmapped_package://Tensor_") > 0
    mapped, whole = ModelFile(path), ModelFile(COQUI / "output_graph.pb")
    assert mapped.settings() == whole.settings() | {"alphabet_path": path}
    check_weights(mapped, whole.weights, 0)


def test_int8_weights_say_what_the_file_says():
    """The runtime rounds the inputs of products to int8 too; each does that by itself."""
    model, network = ModelFile(COQUI / "output_graph.tflite"), network_of(ModelFile(COQUI / "output_graph.pb").weights)
    runtime = TfliteModel(model.path)
    expected = run_stream(network, runtime.features, runtime.run, read_audio(RECORDING, 16000))
    assert np.abs(say(model) - expected).mean() < 0.01
    trained = tf.train.load_checkpoint(str(COQUI / "checkpoint" / "best_dev-300"))
    for name, value in model.weights.items():
        exact = trained.get_tensor(name)
        np.testing.assert_allclose(value, exact, atol=np.abs(exact).max() / 127 * 0.51 + 1e-7, err_msg=name)


@pytest.mark.parametrize("quantises", [False, True], ids=["float32", "int8"])
@pytest.mark.parametrize("legacy", [False, True], ids=["today", "0.9.3"])
def test_our_own_tflite(tmp_path: Path, quantises: bool, legacy: bool):
    weights = random_values(streaming_shapes())
    (tmp_path / "m.tflite").write_bytes(make_tflite(network_of(weights), quantises, legacy))
    check_weights(ModelFile(tmp_path / "m.tflite"), weights, 0.51 / 127 if quantises else 0)


@pytest.mark.parametrize("ending", ["pb", "tflite"])
def test_our_own_network_in_both_directions(tmp_path: Path, ending: str):
    weights = random_values(bidirectional_shapes())
    network = replace(network_of(weights), features=FeatureSet("classic"))
    made = make_tflite(network, False) if ending == "tflite" else make_graph(network).SerializeToString()
    path = tmp_path / f"m.{ending}"
    path.write_bytes(made)
    check_weights(ModelFile(path), weights, 0)


def bidirectional_shapes() -> dict[str, tuple[int, ...]]:
    shapes = {name: shape for name, shape in streaming_shapes().items() if not name.startswith(STREAMING)}
    shapes |= {"layer_3/weights": (N, 2 * N), "layer_3/bias": (2 * N,), "layer_5/weights": (2 * N, N)}
    for cell in (FORWARD, BACKWARD):
        shapes |= {f"{cell}/kernel": (3 * N, 4 * N), f"{cell}/bias": (4 * N,)}
    for layer in ("layer_1", "layer_2", "layer_3", "layer_5"):
        shapes |= {f"{layer}/LayerNorm/{part}": shapes[f"{layer}/bias"] for part in ("gamma", "beta")}
    return shapes


def check_weights(model: ModelFile, weights: Mapping[str, Array], tolerance: float) -> None:
    assert model.weights.keys() == weights.keys()
    for name, value in weights.items():
        np.testing.assert_allclose(
            model.weights[name], value, atol=np.abs(value).max() * tolerance + 1e-6, err_msg=name
        )
    assert model.settings()["relu_clip"] == 20.0


def test_a_byte_alphabet_in_a_file(tmp_path: Path):
    shapes = streaming_shapes() | {"layer_6/weights": (N, 256), "layer_6/bias": (256,)}
    network = replace(network_of(random_values(shapes)), alphabet=ByteAlphabet().serialize())
    (tmp_path / "m.tflite").write_bytes(make_tflite(network, False))
    model = ModelFile(tmp_path / "m.tflite")
    assert model.settings()["bytes_output_mode"] is True
    assert model.alphabet() == ByteAlphabet()


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        ("gone.pb", None, "cannot read .*gone.pb: No such file or directory; expected a model file"),
        ("page.pb", b"<html>not a model</html>", "page.pb is "),
        ("empty.tflite", b"", "empty.tflite is "),
        ("cut.tflite", "output_graph.tflite", "cut.tflite is damaged"),
        ("cut.pb", "output_graph.pb", "cut.pb is "),
    ],
)
def test_what_is_no_model_is_one_sentence(tmp_path: Path, name: str, content: Any, sentence: str):
    if isinstance(content, str):
        whole = (COQUI / content).read_bytes()
        content = whole[: len(whole) // 3]
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(CheckpointError, match=sentence) as caught:
        ModelFile(tmp_path / name)
    assert "\n" not in str(caught.value)
