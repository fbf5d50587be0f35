"""Networks as TensorFlow graphs: frozen (.pb), memory-mapped (.pbmm) and as a SavedModel.

A streaming network's graph is what the client of DeepSpeech 0.9.3 loads: it has TensorFlow 2.3 and only the
operations that client was built with (no AddV2, no while loop, LSTM as BlockLSTM).
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from google.protobuf.message import DecodeError

from util import tf
from util.errors import DataError
from util.features import mfcc, whiten
from util.trained import Array, TrainedNetwork

Tensor = Any
Call = Callable[[Mapping[str, Any]], dict[str, Any]]  # from inputs to outputs, by name

NEW_ATTRIBUTES = ("bad_indices_policy", "grad_a", "grad_b")  # TensorFlow 2.3 refuses to run what has them
MAPPED_BYTES = 10_000  # constants of at least this size are regions of their own
REGION = "memmapped_package://"
STATE = "previous_state_c", "previous_state_h"


def make_graph(network: TrainedNetwork) -> Any:
    """Return the network as a GraphDef, its weights constants; doc/Export.md has inputs and outputs."""
    graph = tf.Graph()
    with graph.as_default():
        (_whole if network.is_bidirectional else _streaming)(network)
        for name, value in network.metadata().items():
            tf.constant([value], name=name)
    definition = graph.as_graph_def()
    for node in definition.node:
        for attribute in NEW_ATTRIBUTES:
            node.attr.pop(attribute, None)
    return definition


def _streaming(network: TrainedNetwork) -> None:
    wanted, n_steps, n = network.features, network.n_steps, network.n_hidden
    samples = _placeholder([wanted.window], "input_samples")
    spectrogram = tf.raw_ops.AudioSpectrogram(
        input=tf.expand_dims(samples, -1), window_size=wanted.window, stride=wanted.step, magnitude_squared=True
    )
    cepstra = tf.raw_ops.Mfcc(
        spectrogram=spectrogram,
        sample_rate=wanted.sample_rate,
        upper_frequency_limit=wanted.sample_rate / 2,
        dct_coefficient_count=wanted.n_input,
    )
    tf.reshape(cepstra, [-1, wanted.n_input], "mfccs")

    windows = _placeholder([1, n_steps, network.n_window, wanted.n_input], "input_node")
    length = tf.compat.v1.placeholder(tf.int32, [1], "input_lengths")
    c, h = (_placeholder([1, n], name) for name in STATE)
    x = _dense_layers(network, tf.reshape(windows, [n_steps, network.n_window * wanted.n_input]))
    length = tf.reduce_max(length)
    cells, states = _lstm(network, network.cells[0], x, c, h, length)
    last = tf.expand_dims(tf.stack([length, tf.constant(0)]), 0)
    for before, after, name in ((c, cells, "new_state_c"), (h, states, "new_state_h")):
        tf.gather_nd(tf.concat([tf.expand_dims(before, 0), after], 0), last, name=name)
    logits = _labels(network, tf.reshape(states, [n_steps, n]))
    tf.nn.softmax(tf.reshape(logits, [n_steps, 1, network.n_classes]), name="logits")


def _whole(network: TrainedNetwork) -> None:
    n, side = network.n_hidden, network.n_context
    samples = _placeholder([None], "input_samples")
    vectors, feature_len = mfcc(samples[tf.newaxis] * 32768.0, tf.shape(samples), network.features)
    vectors = tf.identity(whiten(vectors, feature_len)[0], "mfccs")
    n_frames = tf.shape(vectors)[0]
    windows = tf.signal.frame(tf.pad(vectors, [[side, side], [0, 0]]), network.n_window, 1, axis=0)
    x = _dense_layers(network, tf.reshape(windows, [-1, network.n_window * network.features.n_input]))
    zero = tf.zeros([1, n])
    forward, backward = network.cells
    _, ahead = _lstm(network, forward, x, zero, zero, n_frames)
    _, back = _lstm(network, backward, tf.reverse(x, [0]), zero, zero, n_frames)
    states = tf.concat([ahead, tf.reverse(back, [0])], 2)
    tf.nn.softmax(_labels(network, tf.reshape(states, [-1, 2 * n])), name="logits")


def _placeholder(shape: Sequence[int | None], name: str) -> Tensor:
    return tf.compat.v1.placeholder(tf.float32, shape, name)


def _dense_layers(network: TrainedNetwork, x: Tensor) -> Tensor:
    for layer in ("layer_1", "layer_2", "layer_3"):
        x = _clipped(network, x, layer)
    return x


def _dense(network: TrainedNetwork, x: Tensor, layer: str) -> Tensor:
    product = tf.matmul(x, tf.constant(network.weights[f"{layer}/weights"], name=f"{layer}/weights"))
    return tf.nn.bias_add(product, tf.constant(network.weights[f"{layer}/bias"], name=f"{layer}/bias"))


def _clipped(network: TrainedNetwork, x: Tensor, layer: str) -> Tensor:
    x = tf.minimum(tf.nn.relu(_dense(network, x, layer)), network.relu_clip)
    if network.has_layer_norm:
        mean, variance = tf.nn.moments(x, 1, keepdims=True)
        names = f"{layer}/LayerNorm/gamma", f"{layer}/LayerNorm/beta"
        scale, shift = (tf.constant(network.weights[name], name=name) for name in names)
        # not tf.nn.batch_normalization, for which oneDNN puts an operation that is off by some per cent
        x = (x - mean) * tf.math.rsqrt(variance + 1e-12) * scale + shift
    return x


def _labels(network: TrainedNetwork, x: Tensor) -> Tensor:
    return _dense(network, _clipped(network, x, "layer_5"), "layer_6")


def _lstm(
    network: TrainedNetwork, cell: tuple[str, float], x: Tensor, c: Tensor, h: Tensor, length: Tensor
) -> tuple[Tensor, Tensor]:
    """Run an LSTM over float32 [time, n_input] from a state [1, n_hidden]; return all c and h, [time, 1, n_hidden]."""
    name, forget_bias = cell
    zero = tf.zeros([network.n_hidden])  # peepholes, of which there are none
    run = tf.raw_ops.BlockLSTM(
        seq_len_max=tf.cast(length, tf.int64),
        x=tf.expand_dims(x, 1),
        cs_prev=c,
        h_prev=h,
        w=tf.constant(network.weights[f"{name}/kernel"], name=f"{name}/kernel"),
        wci=zero,
        wcf=zero,
        wco=zero,
        b=tf.constant(network.weights[f"{name}/bias"], name=f"{name}/bias"),
        forget_bias=forget_bias,
        cell_clip=-1.0,
        use_peephole=False,
    )
    return run.cs, run.h


def memory_mapped(definition: Any) -> bytes:
    """Return a GraphDef as a memory-mapped package, which 0.9.3's client maps instead of copying.

    The large constants lie behind each other, then the graph, a directory of them all (a protocol buffer)
    and the directory's offset (tensorflow/core/util/memmapped_file_system.cc).
    """
    mapped = type(definition)()
    mapped.CopyFrom(definition)
    package, directory = bytearray(), _directory()

    def add(name: str, data: bytes) -> None:
        package.extend(bytes(-len(package) % 64))
        directory.element.add(name=name, offset=len(package), length=len(data))
        package.extend(data)

    for node in mapped.node:
        values = _large_constant(node)
        if values is not None:
            name = f"{REGION}Tensor_{len(directory.element)}"
            node.op = "ImmutableConst"
            del node.attr["value"]
            node.attr["shape"].shape.CopyFrom(tf.TensorShape(values.shape).as_proto())
            node.attr["memory_region_name"].s = name.encode()
            add(name, values.tobytes())
    add(f"{REGION}.", mapped.SerializeToString())
    return bytes(package + directory.SerializeToString() + struct.pack("<Q", len(package)))


def _directory() -> Any:
    return tf.part("core.util.memmapped_file_system_pb2").MemmappedFileSystemDirectory()


def _large_constant(node: Any) -> Array | None:
    if node.op != "Const" or node.attr["dtype"].type != tf.float32.as_datatype_enum:
        return None
    values: Array = tf.make_ndarray(node.attr["value"].tensor)
    return values if values.nbytes >= MAPPED_BYTES else None


def load_graph(path: Path) -> Any:
    """Load a .pb or .pbmm as a GraphDef.

    Raises:
        DataError: the file cannot be read, or holds no graph.
    """
    try:
        definition = read_graph(path.read_bytes())
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror}; expected a TensorFlow graph (.pb, .pbmm)") from None
    except (DecodeError, struct.error, KeyError, ValueError):
        definition = None
    if not (definition and definition.node):
        raise DataError(f"{path} holds no TensorFlow graph, expected a .pb or .pbmm as --export_graph writes it")
    return definition


def read_graph(content: bytes) -> Any:
    """Read a frozen graph or what `memory_mapped` wrote, as a GraphDef without ImmutableConst."""
    definition = tf.compat.v1.GraphDef()
    (end,) = struct.unpack("<Q", content[-8:])
    if end >= len(content):
        definition.ParseFromString(content)
        return definition
    directory = _directory()
    directory.ParseFromString(content[end:-8])
    regions = {part.name: content[part.offset : part.offset + part.length] for part in directory.element}
    definition.ParseFromString(regions[f"{REGION}."])
    for node in definition.node:
        if node.op == "ImmutableConst":
            shape = [dim.size for dim in node.attr["shape"].shape.dim]
            values = np.frombuffer(regions[node.attr["memory_region_name"].s.decode()], np.float32).reshape(shape)
            node.op = "Const"
            del node.attr["shape"], node.attr["memory_region_name"]
            node.attr["value"].tensor.CopyFrom(tf.make_tensor_proto(values))
    return definition


def signatures(network: TrainedNetwork) -> dict[str, tuple[Sequence[str], Sequence[str]]]:
    """Return inputs and outputs of the parts that compute; the streaming ones go by the names of Coqui STT."""
    if network.is_bidirectional:
        return {"serving_default": (["input_samples"], ["mfccs", "logits"])}
    inputs, outputs = ["input_node", "input_lengths", *STATE], ["logits", "new_state_c", "new_state_h"]
    return {"compute_features": (["input_samples"], ["mfccs"]), "forward_from_features": (inputs, outputs)}


def make_calls(definition: Any, network: TrainedNetwork) -> list[Call]:
    """Return functions that run the parts of a graph, in the order of `signatures`.

    In a session, as the old clients do: functions of today hold several copies of the weights.
    """
    v1, graph = tf.compat.v1, tf.Graph()
    with graph.as_default():
        tf.import_graph_def(definition, name="")
    config = v1.ConfigProto(device_count={"GPU": 0})
    config.graph_options.rewrite_options.disable_meta_optimizer = True  # for the same reason
    session = v1.Session(graph=graph, config=config)

    def call(inputs: Sequence[str], outputs: Sequence[str], values: Mapping[str, Any]) -> dict[str, Any]:
        given = {f"{name}:0": values[name] for name in inputs}
        found = session.run([f"{name}:0" for name in outputs], given)
        return dict(zip(outputs, found, strict=True))

    return [partial(call, *ends) for ends in signatures(network).values()]


def write_saved_model(network: TrainedNetwork, path: Path) -> None:
    """Write a network as a SavedModel, a folder; the signature `metadata` takes nothing."""
    definition = make_graph(network)
    wrapped = tf.compat.v1.wrap_function(lambda: tf.import_graph_def(definition, name=""), [])

    def tensors(names: Sequence[str]) -> dict[str, Tensor]:
        return {name: wrapped.graph.get_tensor_by_name(f"{name}:0") for name in names}

    parts = signatures(network) | {"metadata": ([], list(network.metadata()))}
    functions = {name: wrapped.prune(list(tensors(ins).values()), tensors(outs)) for name, (ins, outs) in parts.items()}
    tf.saved_model.save(tf.Module(), str(path), signatures=functions)


def load_calls(path: Path, network: TrainedNetwork) -> list[Call]:
    """Return functions that run the parts of a SavedModel, in the order of `signatures`."""
    functions = tf.saved_model.load(str(path)).signatures

    def call(name: str, values: Mapping[str, Any]) -> dict[str, Any]:
        inputs = {key: tf.constant(values[key]) for key in functions[name].structured_input_signature[1]}
        return {output: tensor.numpy() for output, tensor in functions[name](**inputs).items()}

    return [partial(call, name) for name in signatures(network)]
