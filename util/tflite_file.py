"""TensorFlow Lite files (.tflite), written operator by operator.

We write the flatbuffer ourselves, with the schema classes that TensorFlow brings, instead of converting a
graph: names, order and versions of everything in the file are then ours to choose, as readers that are older
or simpler than today's TensorFlow Lite need it, and no minute of conversion passes.
Format: tensorflow/lite/schema/schema.fbs.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from util import tf

Shape = Sequence[int]  # -1: known when the model runs

NONE = -1  # in place of a tensor that an operator can do without
ALIGNMENT = 64  # bytes; a mapped file's weights can be read by any vector instruction
OPTIONS = {  # classes of options that are not named after their operator
    "MEAN": "Reducer",
    "RFFT2D": "Rfft2d",
    "REVERSE_V2": "ReverseV2",
}


class TfliteFile:
    """A model in the making."""

    def __init__(self, description: str):
        self.schema = tf.part("lite.python.schema_py_generated")
        self._model = self.schema.ModelT()
        self._model.version = 3
        self._model.description = description
        self._model.subgraphs, self._model.operatorCodes, self._model.signatureDefs = [], [], []
        self._model.buffers = [self.schema.BufferT()]  # number 0 is that of tensors without values
        self._buffers: dict[bytes, int] = {}

    def subgraph(self, name: str) -> Subgraph:
        """Begin a subgraph; the first is the model itself."""
        subgraph = Subgraph(self, name, len(self._model.subgraphs))
        self._model.subgraphs.append(subgraph.table)
        return subgraph

    def buffer(self, data: bytes) -> int:
        """Return the number of the buffer with these bytes; equal ones are stored once."""
        if data not in self._buffers:
            buffer = _aligned_buffer(self.schema)
            buffer.data = data
            self._buffers[data] = len(self._model.buffers)
            self._model.buffers.append(buffer)
        return self._buffers[data]

    def operator_code(self, name: str, version: int) -> int:
        """Return the number of an operator, builtin or (by a name that is not all capitals) custom."""
        is_custom = not name.isupper()
        code = self.schema.BuiltinOperator.CUSTOM if is_custom else getattr(self.schema.BuiltinOperator, name)
        custom_code = name if is_custom else None
        for number, known in enumerate(self._model.operatorCodes):
            if (known.builtinCode, known.version, known.customCode) == (code, version, custom_code):
                return number
        added = self.schema.OperatorCodeT()
        added.builtinCode, added.version, added.customCode = code, version, custom_code
        added.deprecatedBuiltinCode = min(code, 127)  # where runtimes before TensorFlow 2.4 look
        self._model.operatorCodes.append(added)
        return len(self._model.operatorCodes) - 1

    def signature(self, name: str, subgraph: Subgraph) -> None:
        """Name a subgraph so that it can be run by itself, its tensors going by their own names."""
        signature = self.schema.SignatureDefT()
        signature.signatureKey, signature.subgraphIndex = name, subgraph.number
        signature.inputs, signature.outputs = (
            [self._tensor_map(subgraph, tensor) for tensor in tensors]
            for tensors in (subgraph.table.inputs, subgraph.table.outputs)
        )
        self._model.signatureDefs.append(signature)

    def _tensor_map(self, subgraph: Subgraph, tensor: int) -> Any:
        entry = self.schema.TensorMapT()
        entry.name, entry.tensorIndex = subgraph.table.tensors[tensor].name, tensor
        return entry

    def to_bytes(self) -> bytes:
        """Return the content of the file."""
        import flatbuffers  # noqa: PLC0415 - comes with TensorFlow, which is not there when importers run

        size = sum(len(data) + ALIGNMENT for data in self._buffers)
        builder = flatbuffers.Builder(size + (1 << 20))
        builder.Finish(self._model.Pack(builder), file_identifier=b"TFL3")
        return bytes(builder.Output())


class Subgraph:
    """Operators in the order in which they run. Tensors are known by their numbers."""

    def __init__(self, file: TfliteFile, name: str, number: int):
        self._file, self._schema, self.number = file, file.schema, number
        self.table = self._schema.SubGraphT()
        self.table.name, self.table.tensors, self.table.operators = name, [], []
        self.table.inputs, self.table.outputs = [], []
        self._constants: dict[tuple[Any, ...], int] = {}

    def shape(self, tensor: int) -> list[int]:
        """Return the shape of a tensor, -1 where it is known only when the model runs."""
        table = self.table.tensors[tensor]
        return list(table.shape if table.shapeSignature is None else table.shapeSignature)

    def input(self, name: str, shape: Shape, dtype: str = "FLOAT32") -> int:
        """Add an input."""
        number = self._tensor(name, shape, dtype)
        self.table.inputs.append(number)
        return number

    def output(self, *tensors: int) -> None:
        """Declare outputs."""
        self.table.outputs += tensors

    def rename(self, tensor: int, name: str) -> None:
        """Give a tensor a name."""
        self.table.tensors[tensor].name = name

    def constant(self, value: Any, name: str = "") -> int:
        """Add numbers (float32 unless all are whole: int32) or a string, `bytes`, as a tensor [1]."""
        if isinstance(value, bytes):
            data = struct.pack("<3i", 1, 12, 12 + len(value)) + value  # count, begin and end, text
            return self._tensor(name, [1], "STRING", self._file.buffer(data))
        array = np.asarray(value)
        kind = np.float32 if array.dtype.kind == "f" else np.int32
        array = np.array(array, kind, order="C")
        key = name, kind, array.shape, array.tobytes()
        if key not in self._constants:
            dtype = "FLOAT32" if kind is np.float32 else "INT32"
            self._constants[key] = self._tensor(name, array.shape, dtype, self._file.buffer(array.tobytes()))
        return self._constants[key]

    def quantised(self, weights: NDArray[np.float32], name: str, per_row: bool) -> int:
        """Add a matrix as int8, symmetric, -127 to 127, with a scale for each row or one for all.

        Args:
            weights: float32 [outputs, inputs].
            name: of the tensor.
            per_row: whether each row has its own scale.
        """
        peaks = np.abs(weights).max(1 if per_row else None, keepdims=True).astype(np.float32)
        scales = np.where(peaks > 0, peaks / np.float32(127), np.float32(1))
        ints = np.clip(np.rint(weights / scales), -127, 127).astype(np.int8)
        number = self._tensor(name, weights.shape, "INT8", self._file.buffer(ints.tobytes()))
        quantization = self._schema.QuantizationParametersT()
        quantization.scale = scales.ravel()
        quantization.zeroPoint = np.zeros(scales.size, np.int64)
        quantization.quantizedDimension = 0
        self.table.tensors[number].quantization = quantization
        return number

    def op(
        self, code: str, *inputs: int, shape: Shape | None = None, name: str = "", dtype: str = "", **options: Any
    ) -> int:
        """Add an operator with one output and return that.

        Args:
            code: the operator's name in the schema.
            inputs: tensors, or NONE.
            shape: of the output; default: that of the first input.
            name: of the output.
            dtype: of the output; default: that of the first input.
            options: what the operator's table of options holds, and `version` (1).
        """
        table = self.table.tensors[inputs[0]]
        kind = getattr(self._schema.TensorType, dtype) if dtype else table.type
        output = self._tensor(name or f"{code.lower()}_{len(self.table.operators)}",
                              self.shape(inputs[0]) if shape is None else shape, kind)  # fmt: skip
        self.operator(code, inputs, [output], **options)
        return output

    def length(self, x: int) -> int:
        """Add operators that count the rows of x, int32 [1]."""
        kind = self._schema.TensorType.INT32
        shape = self.op("SHAPE", x, shape=[len(self.shape(x))], dtype="INT32", outType=kind)
        return self.op("STRIDED_SLICE", shape, *map(self.constant, ([0], [1], [1])), shape=[1])

    def split(self, x: int, parts: int) -> list[int]:
        """Cut the last axis into equal parts."""
        *rows, columns = self.shape(x)
        names = [f"split_{len(self.table.operators)}_{part}" for part in range(parts)]
        outputs = [self._tensor(name, [*rows, columns // parts], "FLOAT32") for name in names]
        self.operator("SPLIT", [self.constant(len(rows)), x], outputs, numSplits=parts)
        return outputs

    def loop(self, condition: Subgraph, body: Subgraph, variables: Sequence[int]) -> list[int]:
        """Run `body` on the variables of a loop while `condition` holds; return what they are then."""
        kinds = [self.table.tensors[variable].type for variable in variables]
        outputs = [
            self._tensor(f"while_{len(self.table.operators)}_{place}", self.shape(variable), kind)
            for place, (variable, kind) in enumerate(zip(variables, kinds, strict=True))
        ]
        self.operator("WHILE", variables, outputs, condSubgraphIndex=condition.number, bodySubgraphIndex=body.number)
        return outputs

    def operator(
        self,
        code: str,
        inputs: Sequence[int],
        outputs: Sequence[int],
        version: int = 1,
        custom: bytes = b"",
        **options: Any,
    ) -> None:
        """Add an operator between tensors that are there."""
        operator = self._schema.OperatorT()
        operator.opcodeIndex = self._file.operator_code(code, version)
        operator.inputs, operator.outputs = np.array(inputs, np.int32), np.array(outputs, np.int32)
        if custom:
            operator.customOptions = np.frombuffer(custom, np.uint8)
        kind = OPTIONS.get(code, code.title().replace("_", "")) + "Options"
        if hasattr(self._schema, f"{kind}T"):  # old runtimes do not see to the defaults of a table that is not there
            operator.builtinOptionsType = getattr(self._schema.BuiltinOptions, kind)
            operator.builtinOptions = getattr(self._schema, f"{kind}T")()
            for option, value in options.items():
                setattr(operator.builtinOptions, option, value)
        self.table.operators.append(operator)

    def _tensor(self, name: str, shape: Shape, dtype: str | int, buffer: int = 0) -> int:
        table = self._schema.TensorT()
        table.name = name or f"constant_{len(self.table.tensors)}"
        table.type = getattr(self._schema.TensorType, dtype) if isinstance(dtype, str) else dtype
        table.buffer = buffer
        table.shape = np.abs(np.array(shape, np.int32))
        if -1 in shape:
            table.shapeSignature = np.array(shape, np.int32)
        self.table.tensors.append(table)
        return len(self.table.tensors) - 1


def _aligned_buffer(schema: Any) -> Any:
    """Return a buffer that writes its bytes where their place in the file is a multiple of ALIGNMENT."""

    class AlignedBuffer(schema.BufferT):  # type: ignore[misc]
        def Pack(self, builder: Any) -> Any:  # noqa: N802 - called by the schema's classes
            builder.StartVector(1, len(self.data), ALIGNMENT)
            builder.head -= len(self.data)
            builder.Bytes[builder.head : builder.head + len(self.data)] = self.data
            vector = builder.EndVector()
            schema.BufferStart(builder)
            schema.BufferAddData(builder, vector)
            return schema.BufferEnd(builder)

    return AlignedBuffer()
