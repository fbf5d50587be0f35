"""What exported files hold, and that they compute what the network's definition says.

The definition is here once more, in NumPy and float64; features come from python_speech_features and TensorFlow's
operations for audio.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import python_speech_features
import soundfile
from conftest import ROOT
from numpy.typing import NDArray

from util import graph_file, inference, tf
from util.features import FeatureSet
from util.text import Alphabet, ByteAlphabet
from util.tflite_graph import make_tflite
from util.trained import TrainedNetwork

Array = NDArray[Any]
LABELS = " abcdé'"
N_HIDDEN, N_STEPS, N_CONTEXT, CLIP = 24, 5, 3, 1.5
STREAMING = "cudnn_lstm/rnn/multi_rnn_cell/cell_0/cudnn_compatible_lstm_cell"
FORWARD, BACKWARD = (f"bidirectional_rnn/{way}/basic_lstm_cell" for way in ("fw", "bw"))
METADATA = {
    "metadata_sample_rate": 16000,
    "metadata_feature_win_step": 20,
    "metadata_beam_width": 321,
}
# All that the client of 0.9.3 can run: found out with that client.
OLD_OPERATIONS = """ AudioSpectrogram BiasAdd BlockLSTM Cast ConcatV2 Const ExpandDims Fill GatherNd Identity
    ImmutableConst Less MatMul Max Mfcc Minimum Mul NoOp Pack Placeholder Range Relu Reshape Shape Softmax Tile
    Transpose """
SPEECH = soundfile.read(ROOT / "data" / "smoke_test" / "she_had_your_dark_suit.wav", dtype="int16")[0][:16000]


def make_network(bidirectional: bool, layer_norm: bool = False, n_hidden: int = N_HIDDEN) -> TrainedNetwork:
    """A network with weights large enough for its labels to be differ from frame to frame."""
    random = np.random.default_rng(7)
    features = FeatureSet("classic") if bidirectional else FeatureSet("streaming", window_ms=32)
    n, width = n_hidden, n_hidden * (1 + bidirectional)
    cells = [(FORWARD, 1.0), (BACKWARD, 1.0)] if bidirectional else [(STREAMING, 0.0)]
    shapes = {"layer_1": ((2 * N_CONTEXT + 1) * 26, n), "layer_2": (n, n), "layer_3": (n, width), "layer_5": (width, n)}
    shapes |= {"layer_6": (n, len(LABELS) + 1)}
    weights = {}
    for name, shape in shapes.items():
        weights[f"{name}/weights"] = random.normal(0, (3 if name == "layer_6" else 1) / np.sqrt(shape[0]), shape)
        weights[f"{name}/bias"] = random.normal(0, 0.3, shape[1])
        if layer_norm and name != "layer_6":
            weights[f"{name}/LayerNorm/gamma"] = random.normal(1, 0.2, shape[1])
            weights[f"{name}/LayerNorm/beta"] = random.normal(0, 0.2, shape[1])
    for cell, _ in cells:
        weights[f"{cell}/kernel"] = random.normal(0, 1 / np.sqrt(width), (width + n, 4 * n))
        weights[f"{cell}/bias"] = random.normal(0, 0.3, 4 * n)
    weights = {name: value.astype(np.float32) for name, value in weights.items()}
    alphabet = Alphabet(list(LABELS)).serialize()
    return TrainedNetwork(weights, cells, features, alphabet, N_CONTEXT, N_STEPS, CLIP, 321, "en-GB")


def sigmoid(x: Array) -> Array:
    return 1 / (1 + np.exp(-x))


def lstm(network: TrainedNetwork, x: Array, cell: tuple[str, float], c: Array, h: Array) -> tuple[Array, Array, Array]:
    name, forget_bias = cell
    states = []
    for row in x:
        gates = np.concatenate([row, h]) @ network.weights[f"{name}/kernel"] + network.weights[f"{name}/bias"]
        i, g, f, o = np.split(gates, 4)
        c = sigmoid(f + forget_bias) * c + sigmoid(i) * np.tanh(g)
        h = sigmoid(o) * np.tanh(c)
        states.append(h)
    return np.array(states), c, h


def classify(network: TrainedNetwork, windows: Array, c: Array, h: Array) -> tuple[Array, Array, Array]:
    """Probabilities [time, classes] of windows [time, n_window, n_input], and the last state."""
    weights = {name: value.astype(np.float64) for name, value in network.weights.items()}

    def clipped(x: Array, layer: str) -> Array:
        x = np.clip(x @ weights[f"{layer}/weights"] + weights[f"{layer}/bias"], 0, CLIP)
        if f"{layer}/LayerNorm/gamma" not in weights:
            return x
        normal = (x - x.mean(1, keepdims=True)) / np.sqrt(x.var(1, keepdims=True) + 1e-12)
        return normal * weights[f"{layer}/LayerNorm/gamma"] + weights[f"{layer}/LayerNorm/beta"]

    x = windows.reshape(len(windows), -1).astype(np.float64)
    for layer in ("layer_1", "layer_2", "layer_3"):
        x = clipped(x, layer)
    if len(network.cells) == 2:
        ahead, back = (lstm(network, y, cell, c, h)[0] for y, cell in zip((x, x[::-1]), network.cells, strict=True))
        x = np.concatenate([ahead, back[::-1]], 1)
    else:
        x, c, h = lstm(network, x, network.cells[0], c, h)
    scores = clipped(x, "layer_5") @ weights["layer_6/weights"] + weights["layer_6/bias"]
    odds = np.exp(scores - scores.max(1, keepdims=True))
    return odds / odds.sum(1, keepdims=True), c, h


def cepstra(samples: Array, features: FeatureSet) -> Array:
    if features.name == "classic":
        vectors = python_speech_features.mfcc(samples, numcep=26)[::2]
        return (vectors - vectors.mean()) / vectors.std()
    spectrogram = tf.raw_ops.AudioSpectrogram(
        input=samples[:, np.newaxis].astype(np.float32) / 32768,
        window_size=512,
        stride=320,
        magnitude_squared=True,
    )
    options = {"sample_rate": 16000, "upper_frequency_limit": 8000.0, "dct_coefficient_count": 26}
    return tf.raw_ops.Mfcc(spectrogram=spectrogram, **options)[0].numpy()


def recognise(network: TrainedNetwork, samples: Array) -> Array:
    vectors = np.pad(cepstra(samples, network.features), ((N_CONTEXT, N_CONTEXT), (0, 0)))
    windows = np.stack([vectors[i : i + 2 * N_CONTEXT + 1] for i in range(len(vectors) - 2 * N_CONTEXT)])
    zero = np.zeros(network.n_hidden)
    return classify(network, windows, zero, zero)[0]


def distance(expected: Array, found: Array) -> float:
    """How much probabilities differ, against how much they differ from frame to frame."""
    assert found.shape == expected.shape
    return float(np.abs(expected - found).sum() / np.abs(expected - expected.mean(0)).sum())


def write(network: TrainedNetwork, folder: Path, quantises: bool, legacy: bool = False) -> Path:
    path = folder / "network.tflite"
    path.write_bytes(make_tflite(network, quantises, legacy))
    return path


def run(network: TrainedNetwork, model: Any, samples: Array) -> Array:
    if network.is_bidirectional:
        return inference.run_whole(model.run, samples)
    return inference.run_stream(network, model.features, model.run, samples)


FORMS = [(False, False, False), (False, True, False), (True, False, False), (True, True, False), (False, False, True)]


@pytest.fixture(params=FORMS, ids=lambda form: "-".join(map(str, form)))
def form(request) -> tuple[TrainedNetwork, bool]:
    bidirectional, layer_norm, legacy = request.param
    return make_network(bidirectional, layer_norm), legacy


def test_float32_files_compute_the_network(form, tmp_path: Path):
    network, legacy = form
    found = run(network, inference.TfliteModel(write(network, tmp_path, False, legacy)), SPEECH)
    expected = recognise(network, SPEECH)
    assert expected.std(0).max() > 0.01  # there is something to be wrong about
    np.testing.assert_allclose(found, expected, atol=2e-5)


def test_int8_files_compute_nearly_the_network(form, tmp_path: Path):
    network, legacy = form
    found = run(network, inference.TfliteModel(write(network, tmp_path, True, legacy)), SPEECH)
    assert 0 < distance(recognise(network, SPEECH), found) < 0.15


def test_state_goes_in_and_out(tmp_path: Path):
    network = make_network(False)
    random = np.random.default_rng(1)
    windows = random.normal(0, 2, (N_STEPS, 2 * N_CONTEXT + 1, 26)).astype(np.float32)
    c, h = random.normal(0, 1, (2, N_HIDDEN)).astype(np.float32)
    inputs = {"input_node": windows[np.newaxis], "previous_state_c": c[np.newaxis], "previous_state_h": h[np.newaxis]}
    found = inference.TfliteModel(write(network, tmp_path, False)).run(inputs)
    expected = dict(zip(("logits", "new_state_c", "new_state_h"), classify(network, windows, c, h), strict=True))
    for name, value in expected.items():
        np.testing.assert_allclose(found[name], np.atleast_2d(value), atol=1e-5, err_msg=name)


@pytest.mark.parametrize("n_samples", [1, 160, 399, 400, 401, 560, 561, 720, 721, 5000])
def test_whole_utterances_of_any_length(n_samples: int, tmp_path: Path):
    network = make_network(True)
    found = inference.TfliteModel(write(network, tmp_path, False)).run(
        {"input_samples": SPEECH[3000 : 3000 + n_samples].astype(np.float32) / 32768}
    )
    expected = cepstra(SPEECH[3000 : 3000 + n_samples], network.features)
    np.testing.assert_allclose(found["mfccs"], expected, atol=1e-4)
    assert found["logits"].shape == (len(expected), len(LABELS) + 1)


@pytest.mark.parametrize("quantises", [False, True])
@pytest.mark.parametrize("bidirectional", [False, True])
def test_todays_runtime_says_the_same(bidirectional: bool, quantises: bool, tmp_path: Path):
    """LiteRT, where it is installed, else what TensorFlow brings, with the kernels it chooses by itself."""
    network = make_network(bidirectional)
    path = write(network, tmp_path, quantises)
    try:
        from ai_edge_litert.interpreter import Interpreter  # noqa: PLC0415 - not on every platform
    except ImportError:
        Interpreter = tf.lite.Interpreter  # noqa: N806

    class Model(inference.TfliteModel):
        def __init__(self) -> None:
            self._interpreter, self._features = Interpreter(str(path)), None
            self._interpreter.allocate_tensors()
            if not bidirectional:
                self._features = Interpreter(str(path)).get_signature_runner("compute_features")

    assert distance(recognise(network, SPEECH), run(network, Model(), SPEECH)) < (0.15 if quantises else 1e-4)


# ------------------------------------------------------------------------------- inside the files


class Tflite:
    """A .tflite file taken apart.

    Attributes:
        operators: name, version, operator and subgraph of every operator.
        tensors: by name, of all subgraphs.
    """

    def __init__(self, content: bytes):
        schema = tf.part("lite.python.schema_py_generated")
        self.content = content
        self.model = schema.ModelT.InitFromObj(schema.Model.GetRootAsModel(content, 0))
        names = {code: name for name, code in vars(schema.BuiltinOperator).items() if isinstance(code, int)}
        codes = [
            ((code.customCode or b"").decode() or names[code.builtinCode], code.version)
            for code in self.model.operatorCodes
        ]
        self.operators = [
            (*codes[operator.opcodeIndex], operator, subgraph)
            for subgraph in self.model.subgraphs
            for operator in subgraph.operators
        ]
        self.tensors = {
            tensor.name.decode(): tensor for subgraph in self.model.subgraphs for tensor in subgraph.tensors
        }

    def data(self, name: str) -> Any:
        """The bytes of a tensor."""
        return self.model.buffers[self.tensors[name].buffer].data

    def matrix(self, name: str) -> Array:
        """Weights [outputs, inputs] as a reader sees them."""
        tensor = self.tensors[name]
        if tensor.type == 0:
            return self.data(name).view(np.float32).reshape(tensor.shape)
        assert tensor.type == 9
        assert not tensor.quantization.zeroPoint.any()
        assert tensor.quantization.quantizedDimension == 0
        ints = self.data(name).view(np.int8).reshape(tensor.shape)
        assert ints.min() >= -127
        return ints * tensor.quantization.scale[:, np.newaxis]


def expected_matrices(network: TrainedNetwork, legacy: bool) -> dict[str, Array]:
    weights = network.weights
    matrices = {name: value.T for name, value in weights.items() if name.endswith("/weights")}
    for cell, _ in network.cells:
        kernel = weights[f"{cell}/kernel"].T
        parts = {"input_kernel": kernel[:, :-N_HIDDEN], "recurrent_kernel": kernel[:, -N_HIDDEN:]}
        matrices |= {f"{cell}/{name}": part for name, part in ({"kernel": kernel} if legacy else parts).items()}
    return matrices


@pytest.mark.parametrize("quantises", [False, True])
def test_weights_go_by_their_names(form, quantises: bool):
    network, legacy = form
    file = Tflite(make_tflite(network, quantises, legacy))
    for name, expected in expected_matrices(network, legacy).items():
        n_scales = 0 if not quantises else 1 if legacy else len(expected)
        scale = np.abs(expected).max(None if legacy else 1, keepdims=True) / 127
        np.testing.assert_allclose(file.matrix(name), expected, atol=0.501 * scale.max() if quantises else 0)
        if quantises:
            assert len(file.tensors[name].quantization.scale) == n_scales
            assert (np.abs(file.matrix(name) - expected) <= 0.501 * scale).all()
    for name, value in network.weights.items():
        if value.ndim == 1 and not name.startswith(tuple(cell for cell, _ in network.cells)):
            np.testing.assert_array_equal(file.data(name).view(np.float32), value)
    for cell, forget_bias in network.cells:
        shift = np.repeat([0, 0, forget_bias, 0], N_HIDDEN)
        expected = network.weights[f"{cell}/bias"] + shift
        np.testing.assert_allclose(file.data(f"{cell}/bias").view(np.float32), expected, rtol=1e-6)
    assert file.data("relu_clip").view(np.float32) == CLIP


def test_buffers_are_aligned(form):
    network, legacy = form
    content = make_tflite(network, True, legacy)
    for name in expected_matrices(network, legacy):
        data = Tflite(content).data(name).tobytes()
        assert len(data) > 64
        assert content.index(data) % 64 == 0


def test_a_row_of_zeros_is_quantised(tmp_path: Path):
    network = make_network(False)
    network.weights["layer_2/weights"][:, 3] = 0
    file = Tflite(make_tflite(network, True))
    assert not file.matrix("layer_2/weights")[3].any()
    assert np.isfinite(file.tensors["layer_2/weights"].quantization.scale).all()


def test_todays_form_has_builtin_operators_only(form):
    network, legacy = form
    custom = {name for name, *_ in Tflite(make_tflite(network, True, legacy)).operators if not name.isupper()}
    assert custom == ({"AudioSpectrogram", "Mfcc"} if legacy else set())


def test_the_old_form_is_that_of_old_files():
    """The operators of a file that Coqui STT published (armspeech 0.1.4), but for what loops are cut up with."""
    file = Tflite(make_tflite(make_network(False), True, legacy=True))
    versions = {(name, version) for name, version, *_ in file.operators}
    expected = {"ADD", "CONCATENATION", "LOGISTIC", "MUL", "RESHAPE", "SOFTMAX", "TANH", "STRIDED_SLICE", "SPLIT"}
    expected |= {"MINIMUM", "AudioSpectrogram", "Mfcc"}
    assert versions == {(name, 1) for name in expected} | {("FULLY_CONNECTED", 3)}
    assert len(file.model.subgraphs) == 1
    products = [operator for name, _, operator, _ in file.operators if name == "FULLY_CONNECTED"]
    assert len(products) == 5 + N_STEPS
    assert not any(product.builtinOptions.asymmetricQuantizeInputs for product in products)
    assert all(code.deprecatedBuiltinCode == code.builtinCode for code in file.model.operatorCodes)


def decode_alphabet(data: bytes) -> dict[int, bytes]:
    """Read an alphabet as the clients' library does: count, then id, length and text of every label."""
    (count,), place, labels = struct.unpack_from("<H", data), 2, {}
    for _ in range(count):
        label, length = struct.unpack_from("<HH", data, place)
        labels[label] = data[place + 4 : place + 4 + length]
        place += 4 + length
    assert place == len(data)
    return labels


def check_metadata(found: Mapping[str, Any], bidirectional: bool) -> None:
    whole = {"metadata_version": 7 if bidirectional else 6, "metadata_feature_win_len": 25 if bidirectional else 32}
    for name, value in (METADATA | whole).items():
        assert found[name].dtype == np.int32
        assert found[name].tolist() == [value], name
    assert found["metadata_language"].tolist() == [b"en-GB"]
    assert decode_alphabet(found["metadata_alphabet"][0]) == {i: label.encode() for i, label in enumerate(LABELS)}


def test_metadata(form, tmp_path: Path):
    network, legacy = form
    path = write(network, tmp_path, True, legacy)
    samples = np.zeros([1000 if network.is_bidirectional else 512], np.float32)
    check_metadata(inference.TfliteModel(path).run({"input_samples": samples}), network.is_bidirectional)
    makers = {
        subgraph.tensors[operator.outputs[0]].name.decode(): (name, operator, subgraph)
        for name, _, operator, subgraph in Tflite(path.read_bytes()).operators
    }
    for name in network.metadata():  # the old clients are ended by an output that no operator makes
        code, operator, subgraph = makers[name]
        assert code == "RESHAPE"
        assert subgraph.tensors[operator.inputs[0]].name == f"{name}_copy".encode()


def test_bytes_are_labels():
    assert decode_alphabet(ByteAlphabet().serialize()) == {i: bytes([i + 1]) for i in range(255)}


# ---------------------------------------------------------------------------------- frozen graphs


def run_graph(network: TrainedNetwork, definition: Any, samples: Array) -> Array:
    calls = graph_file.make_calls(definition, network)
    if network.is_bidirectional:
        return inference.run_whole(calls[0], samples)
    return inference.run_stream(network, *calls, samples)


@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("layer_norm", [False, True])
def test_frozen_graphs_compute_the_network(bidirectional: bool, layer_norm: bool):
    network = make_network(bidirectional, layer_norm)
    written = graph_file.make_graph(network).SerializeToString()
    found = run_graph(network, graph_file.read_graph(written), SPEECH)
    np.testing.assert_allclose(found, recognise(network, SPEECH), atol=2e-5)


def test_old_clients_know_what_is_in_a_streaming_graph():
    definition = graph_file.make_graph(make_network(False))
    assert all(f" {node.op} " in OLD_OPERATIONS.replace("\n", " ") for node in definition.node)
    newer = {"bad_indices_policy", "grad_a", "grad_b"}  # since TensorFlow 2.3
    assert not any(newer & set(node.attr) for node in definition.node)
    assert not definition.library.function


def test_metadata_of_a_graph():
    definition = graph_file.make_graph(make_network(False))
    constants = {
        node.name: tf.make_ndarray(node.attr["value"].tensor) for node in definition.node if node.op == "Const"
    }
    check_metadata(constants, bidirectional=False)


def test_memory_mapped_packages():
    network = make_network(False, n_hidden=64)
    definition = graph_file.make_graph(network)
    content = graph_file.memory_mapped(definition)
    (end,) = struct.unpack("<Q", content[-8:])
    directory = tf.part("core.util.memmapped_file_system_pb2").MemmappedFileSystemDirectory()
    directory.ParseFromString(content[end:-8])
    regions = {part.name: content[part.offset :][: part.length] for part in directory.element}
    assert all(part.offset % 64 == 0 for part in directory.element)

    mapped = tf.compat.v1.GraphDef.FromString(regions["memmapped_package://."])
    immutable = {node.name: node for node in mapped.node if node.op == "ImmutableConst"}
    for name in ("layer_1/weights", "layer_2/weights", f"{STREAMING}/kernel"):
        node = immutable[name]
        assert node.attr["dtype"].type == tf.float32.as_datatype_enum
        assert [dim.size for dim in node.attr["shape"].shape.dim] == list(network.weights[name].shape)
        assert regions[node.attr["memory_region_name"].s.decode()] == network.weights[name].tobytes()
    assert not set(immutable) & {"layer_1/bias", "metadata_alphabet"}  # small ones stay in the graph
    assert graph_file.read_graph(content) == definition
