"""Weights out of model files: .pb, .pbmm and .tflite of DeepSpeech 0.1 to 0.9.3, Coqui STT and our own exports."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from util import tf
from util.errors import CheckpointError, DataError
from util.filling import MOMENTS, fill
from util.foreign import OLD_CELL, old_names, settings_of, with_forget_bias
from util.graph_file import read_graph
from util.text import Alphabet, ByteAlphabet
from util.trained import BACKWARD, FORGET_BIAS, FORWARD, STREAMING, Array

METADATA = {
    "metadata_sample_rate": "audio_sample_rate",
    "metadata_feature_win_len": "feature_win_len",
    "metadata_feature_win_step": "feature_win_step",
}
LAYERS = ("layer_1", "layer_2", "layer_3", STREAMING, "layer_5", "layer_6")  # in the order in which they are computed


class ModelFile:
    """A network read from a model file.

    Attributes:
        path: the file.
        weights: float32 by the names of our checkpoints.
        metadata: what the file says of itself, by name.
        relu_clip: upper clip of the rectified linear units; None where the file does not say.
    """

    def __init__(self, path: Path):
        """Read a file.

        Raises:
            CheckpointError: it is missing, damaged, or no network of DeepSpeech or Coqui STT.
        """
        self.path = path
        try:
            content = path.read_bytes()
        except OSError as error:
            reason = "it is a folder" if path.is_dir() else error.strerror
            raise CheckpointError(
                f"cannot read {path}: {reason}; expected a model file (.pb, .pbmm or .tflite)."
            ) from None
        self.weights: dict[str, Array] = {}
        self.metadata: dict[str, Any] = {}
        self.relu_clip: float | None = None
        try:
            (self._read_tflite if content[4:8] == b"TFL3" else self._read_graph)(content)
        except CheckpointError:
            raise
        except Exception as error:  # whatever a parser of protocol or flat buffers makes of damaged bytes
            raise CheckpointError(f"{path} is damaged, or no .pb, .pbmm or .tflite file.") from error
        shapes = {name: value.shape for name, value in self.weights.items()}
        if not settings_of(shapes) or not ({f"{STREAMING}/kernel", f"{FORWARD}/kernel"} & shapes.keys()):
            raise CheckpointError(
                f"{path} is no network of DeepSpeech or Coqui STT: it lacks the six layers of one; give such a model,"
                " or the directory of its checkpoint with --load_checkpoint_dir."
            )

    def settings(self) -> dict[str, Any]:
        """Return the flags of the network as far as the file tells them, and `n_labels`."""
        settings = settings_of({name: value.shape for name, value in self.weights.items()})
        settings |= {flag: self.metadata[name] for name, flag in METADATA.items() if name in self.metadata}
        if self.relu_clip is not None:
            settings["relu_clip"] = self.relu_clip
        if "metadata_alphabet" in self.metadata:
            alphabet = self.alphabet()
            if isinstance(alphabet, ByteAlphabet):
                return settings | {"bytes_output_mode": True}
            return settings | {"alphabet_path": self.path}
        return settings

    def alphabet(self) -> Alphabet:
        """Return the alphabet in the file.

        Raises:
            CheckpointError: it has none.
        """
        data = self.metadata.get("metadata_alphabet")
        if data is None:
            raise CheckpointError(f"{self.path} holds no alphabet: give a text file with one label on each line.")
        try:
            labels = _parse_alphabet(data)
            is_bytes = labels == [bytes([byte]) for byte in range(1, 256)]
            return ByteAlphabet() if is_bytes else Alphabet([label.decode() for label in labels])
        except (struct.error, KeyError, ValueError, DataError) as error:
            raise CheckpointError(f"{self.path} is damaged: its alphabet cannot be read.") from error

    def load(self, variables: Mapping[str, Any]) -> None:
        """Copy the weights into variables; moments become zero."""
        fill(variables, self.weights.get, self.path, MOMENTS)

    # -------------------------------------------------------------------------------- TensorFlow

    def _read_graph(self, content: bytes) -> None:
        nodes = {node.name: node for node in read_graph(content).node}
        constants = {name: tf.make_ndarray(node.attr["value"].tensor) for name, node in nodes.items()
                     if node.op == "Const"}  # fmt: skip
        fitting = {name: np.asarray(value) for name, value in constants.items() if value.dtype == np.float32}
        for name in (f"{layer}/{part}" for layer in (*LAYERS, FORWARD, BACKWARD) for part in _parts(layer)):
            there = next((old for old in old_names(name) if old in fitting), None)
            if there is not None:
                self.weights[name] = fitting[there]
        if any(node.op == "Rsqrt" for node in nodes.values()) and "layer_1/LayerNorm/gamma" not in self.weights:
            raise CheckpointError(f"{self.path} normalises its layers by numbers without names, which cannot be told"
                                  " apart: give its .tflite file or the directory of its checkpoint.")  # fmt: skip
        cells = [node.attr["forget_bias"].f for node in nodes.values() if node.op == "BlockLSTM"]
        forget_bias = cells[0] if cells else float(f"{OLD_CELL}/bias" in fitting)
        if f"{STREAMING}/bias" in self.weights:  # both directions have the forget bias of ours
            self.weights[f"{STREAMING}/bias"] = with_forget_bias(self.weights[f"{STREAMING}/bias"], forget_bias)
        for name in ("metadata_alphabet", *METADATA):
            if name in constants:
                value = constants[name].ravel()[0]
                self.metadata[name] = value if isinstance(value, bytes) else value.item()
        for node in nodes.values():
            clips = [fitting[end.split(":")[0]] for end in node.input if end.split(":")[0] in fitting]
            if node.op == "Minimum" and clips and clips[0].size == 1:
                self.relu_clip = float(clips[0].ravel()[0])

    # --------------------------------------------------------------------------- TensorFlow Lite

    def _read_tflite(self, content: bytes) -> None:
        model = _TfliteConstants(content)
        named = {name: index for name, index in model.names.items() if model.has_value(index)}
        if "layer_1/weights" in named:
            self._take_named(model, named)
        else:
            self._take_in_order(model)
        for name in ("metadata_alphabet", *METADATA):
            if name in model.names:
                self.metadata[name] = model.metadata(model.names[name])
        self.relu_clip = model.scalar_operand("MINIMUM")

    def _take_named(self, model: _TfliteConstants, named: Mapping[str, int]) -> None:
        """Take the weights of one of our exports."""
        for layer in (*LAYERS, FORWARD, BACKWARD):
            if f"{layer}/input_kernel" in named:
                parts = [model.value(named[f"{layer}/{part}"]) for part in ("input_kernel", "recurrent_kernel")]
                self.weights[f"{layer}/kernel"] = np.concatenate(parts, 1).T
            for part in _parts(layer):
                if f"{layer}/{part}" in named:
                    value = model.value(named[f"{layer}/{part}"])
                    self.weights[f"{layer}/{part}"] = value.T if value.ndim == 2 else value
            if layer in FORGET_BIAS and f"{layer}/bias" in self.weights:  # which the file has added
                self.weights[f"{layer}/bias"] = with_forget_bias(self.weights[f"{layer}/bias"], -FORGET_BIAS[layer])

    def _take_in_order(self, model: _TfliteConstants) -> None:
        """Take the weights of the predecessors, whose names tell nothing: the products come layer by layer."""
        products = dict.fromkeys(tuple(inputs[1:3]) for inputs in model.operators("FULLY_CONNECTED"))
        if len(products) != len(LAYERS) or model.operators("RSQRT"):
            raise CheckpointError(
                f"{self.path} is no network of DeepSpeech or Coqui STT that can be read: it has {len(products)} layers"
                f"{' and normalises them' if model.operators('RSQRT') else ''}, expected {len(LAYERS)}; give the .pb"
                " file or the directory of its checkpoint."
            )
        for layer, (matrix, bias) in zip(LAYERS, products, strict=True):
            self.weights[f"{layer}/{_parts(layer)[0]}"] = model.value(matrix).T
            self.weights[f"{layer}/bias"] = model.value(bias)
        forget_bias = model.scalar_operand("ADD") or 0.0
        self.weights[f"{STREAMING}/bias"] = with_forget_bias(self.weights[f"{STREAMING}/bias"], forget_bias)


class _TfliteConstants:
    """The constants and operators of a .tflite file."""

    def __init__(self, content: bytes):
        self._schema = tf.part("lite.python.schema_py_generated")
        self._model = self._schema.ModelT.InitFromObj(self._schema.Model.GetRootAs(content, 0))
        self._graph = self._model.subgraphs[0]
        # those of the main graph, which operators number, are the first
        self._tensors = [tensor for graph in self._model.subgraphs for tensor in graph.tensors]
        self.names: dict[str, int] = {}
        for index, tensor in enumerate(self._tensors):
            name = tensor.name.decode()
            if name not in self.names or not self.has_value(self.names[name]):
                self.names[name] = index

    def has_value(self, index: int) -> bool:
        """Tell whether a tensor is a constant."""
        data = self._model.buffers[self._tensors[index].buffer].data
        return data is not None and len(data) > 0

    def value(self, index: int) -> Array:
        """Return a constant as float32; int8 is multiplied with its scales."""
        tensor = self._tensors[index]
        kinds = {self._schema.TensorType.FLOAT32: np.float32, self._schema.TensorType.INT8: np.int8}
        data = np.asarray(self._model.buffers[tensor.buffer].data, np.uint8)
        values = data.view(kinds[tensor.type]).reshape(tensor.shape)
        if values.dtype == np.int8:
            along = [1] * values.ndim
            along[tensor.quantization.quantizedDimension] = -1
            scale = np.asarray(tensor.quantization.scale, np.float32).reshape(along)
            zero = np.asarray(tensor.quantization.zeroPoint, np.float32).reshape(along)
            values = (values.astype(np.float32) - zero) * scale
        return np.array(values, np.float32)

    def operators(self, kind: str) -> list[list[int]]:
        """Return the inputs of the main graph's operators of a kind, in the order in which they run."""
        return [list(operator.inputs) for operator in self._of_kind(kind)]

    def _of_kind(self, kind: str) -> Iterator[Any]:
        code = getattr(self._schema.BuiltinOperator, kind)
        for operator in self._graph.operators:
            known = self._model.operatorCodes[operator.opcodeIndex]
            if max(known.builtinCode, known.deprecatedBuiltinCode) == code:
                yield operator

    def scalar_operand(self, kind: str) -> float | None:
        """Return the single number that an operator of a kind has as its operand, if one has."""
        for inputs in self.operators(kind):
            for index in inputs:
                if self.has_value(index) and self.value(index).size == 1:
                    return float(self.value(index).ravel()[0])
        return None

    def metadata(self, index: int) -> Any:
        """Return the number or the text in a tensor, which is a constant or the copy of one."""
        while not self.has_value(index):
            index = next(operator.inputs[0] for operator in self._graph.operators if index in operator.outputs)
        data = bytes(self._model.buffers[self._tensors[index].buffer].data)
        if self._tensors[index].type == self._schema.TensorType.INT32:
            return struct.unpack("<i", data[:4])[0]
        begin, end = struct.unpack("<2i", data[4:12])  # behind the number of texts
        return data[begin:end]


def _parts(layer: str) -> list[str]:
    """Return the names of a layer's weights."""
    if layer in FORGET_BIAS:
        return ["kernel", "bias"]
    return ["weights", "bias", "LayerNorm/gamma", "LayerNorm/beta"]


def _parse_alphabet(data: bytes) -> list[bytes]:
    """Return the labels of a serialised alphabet (`Alphabet.serialize`), whatever their order in it."""
    labels, position = {}, 2
    while position < len(data):
        number, length = struct.unpack_from("<2H", data, position)
        labels[number] = data[position + 4 : position + 4 + length]
        position += 4 + length
    return [labels[number] for number in range(len(labels))]
