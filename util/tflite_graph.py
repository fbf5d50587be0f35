"""The networks as TensorFlow Lite graphs: streaming, streaming for the clients of 0.9.3, and bidirectional.

Weights keep their names of the checkpoint. The tensors that programs look up are described in doc/Export.md.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from util import features
from util.tflite_file import Subgraph, TfliteFile
from util.trained import TrainedNetwork

RELU = 1  # fused into a product
FULLY_CONNECTED_PER_ROW = 12  # versions of the operator, which old runtimes check
FULLY_CONNECTED_PER_TENSOR = 3
INT32 = 2  # of the schema's types
ASYM=True


def make_tflite(network: TrainedNetwork, quantise: bool, legacy: bool = False) -> bytes:
    """Return the content of a .tflite file.

    Args:
        network: the network.
        quantise: whether matrices become int8, a scale for each row (legacy: for each matrix).
        legacy: write the form that the clients of 0.9.3 and Coqui STT 1.x read, of a streaming network.
    """
    graph = _Graph(network, quantise, legacy)
    if network.is_bidirectional:
        graph.write_whole()
    else:
        graph.write_streaming()
    graph.write_metadata()
    return graph.file.to_bytes()


class _Graph:
    """The graph of a network in the making."""

    def __init__(self, network: TrainedNetwork, quantise: bool, legacy: bool):
        self.network, self.quantise, self.legacy = network, quantise, legacy
        self.file = TfliteFile("DeepSpeech")
        self.main = self.file.subgraph("main")
        self.condition: Subgraph | None = None  # of the loops over time

    def write_metadata(self) -> None:
        main = self.main
        for name, value in self.network.metadata().items():
            constant = main.constant(value if isinstance(value, bytes) else [value], f"{name}_copy")
            # the old clients look for the operator that makes an output: a bare constant ends them
            main.output(main.op("RESHAPE", constant, main.constant([1]), shape=[1], name=name, newShape=[1]))

    def write_streaming(self) -> None:
        """Write graph version 6: `n_steps` frames at a time, the state of the LSTM goes in and out."""
        network, main = self.network, self.main
        n_steps, n_input, n = network.n_steps, network.features.n_input, network.n_hidden
        windows = main.input("input_node", [1, n_steps, network.n_window, n_input])
        c, h = main.input("previous_state_c", [1, n]), main.input("previous_state_h", [1, n])
        samples = main.input("input_samples", [network.features.window])
        mfccs = (self.legacy_cepstra if self.legacy else self.streaming_cepstra)(samples)
        if not self.legacy:
            windows = main.op("RESHAPE", windows, main.constant([n_steps, -1]), shape=[n_steps, network.n_window * n_input])
        x = self.dense_layers(windows, n_steps)
        cell, forget_bias = network.cells[0]
        x, c, h = (self.unrolled_lstm if self.legacy else self.lstm)(x, c, h, cell, forget_bias)
        main.output(self.labels(x), c, h, mfccs)

    def write_whole(self) -> None:
        """Write graph version 7: from the samples of an utterance to the labels of its frames."""
        network, main = self.network, self.main
        vectors = self.classic_cepstra(main.input("input_samples", [-1]))
        side = network.n_context
        padded = main.op("PAD", vectors, main.constant([[side, side], [0, 0]]), shape=[-1, network.features.n_input])
        windows = self.sliding(padded, self.length(vectors), 1, network.n_window, [network.features.n_input])
        width = network.n_window * network.features.n_input
        windows = main.op("RESHAPE", windows, main.constant([-1, width]), shape=[-1, width])
        x = self.dense_layers(windows, -1)
        zero = main.constant(np.zeros([1, network.n_hidden], np.float32))
        (forward, forget_bias), (backward, backward_bias) = network.cells
        first, _, _ = self.lstm(x, zero, zero, forward, forget_bias)
        turned = main.op("REVERSE_V2", x, main.constant([0]))
        second, _, _ = self.lstm(turned, zero, zero, backward, backward_bias)
        second = main.op("REVERSE_V2", second, main.constant([0]))
        x = main.op("CONCATENATION", first, second, shape=[-1, 2 * network.n_hidden], axis=1)
        main.output(self.labels(x), vectors)

    # ------------------------------------------------------------------------------------ layers

    def product(self, graph: Subgraph, x: int, weights: np.ndarray, name: str, bias: int = -1, relu: bool = False, rows: int | None = None, output: str = "") -> int:
        """Multiply the rows of x with weights [inputs, outputs]."""
        weights = np.ascontiguousarray(weights.T)
        if self.quantise:
            matrix = graph.quantised(weights, name, per_row=not self.legacy)
            version = FULLY_CONNECTED_PER_TENSOR if self.legacy else FULLY_CONNECTED_PER_ROW
        else:
            matrix, version = graph.constant(weights, name), 1
        shape = [graph.shape(x)[0] if rows is None else rows, len(weights)]
        return graph.op("FULLY_CONNECTED", x, matrix, bias, shape=shape, name=output, version=version,
                        fusedActivationFunction=RELU * relu, asymmetricQuantizeInputs=ASYM and not self.legacy)  # fmt: skip

    def dense_layers(self, x: int, rows: int) -> int:
        for layer in ("layer_1", "layer_2", "layer_3"):
            x = self.clipped(x, layer, rows)
        return x

    def clipped(self, x: int, layer: str, rows: int) -> int:
        """Write a layer of clipped rectified linear units, normalised if the network does."""
        weights, main = self.network.weights, self.main
        bias = main.constant(weights[f"{layer}/bias"], f"{layer}/bias")
        x = self.product(main, x, weights[f"{layer}/weights"], f"{layer}/weights", bias, relu=True, rows=rows)
        x = main.op("MINIMUM", x, main.constant(np.float32(self.network.relu_clip), "relu_clip"))
        if not self.network.has_layer_norm:
            return x
        scale, shift = (main.constant(weights[f"{layer}/LayerNorm/{name}"], f"{layer}/LayerNorm/{name}") for name in ("gamma", "beta"))
        normal = self.standardised(x, [1], [main.shape(x)[0], 1], 1e-12)
        return main.op("ADD", main.op("MUL", normal, scale), shift)

    def standardised(self, x: int, axes: Sequence[int], shape: Sequence[int], floor: float) -> int:
        """Shift and scale to mean 0 and deviation 1 over axes; `shape` is that of the means."""
        main = self.main
        mean = main.op("MEAN", x, main.constant(axes), shape=shape, keepDims=True)
        centred = main.op("SUB", x, mean)
        variance = main.op("MEAN", main.op("MUL", centred, centred), main.constant(axes), shape=shape, keepDims=True)
        return main.op("MUL", centred, main.op("RSQRT", main.op("ADD", variance, main.constant(np.float32(floor)))))

    def labels(self, x: int) -> int:
        weights, main = self.network.weights, self.main
        x = self.clipped(x, "layer_5", main.shape(x)[0])
        bias = main.constant(weights["layer_6/bias"], "layer_6/bias")
        x = self.product(main, x, weights["layer_6/weights"], "layer_6/weights", bias)
        return main.op("SOFTMAX", x, name="logits", beta=1.0)

    # -------------------------------------------------------------------------------------- LSTM

    def lstm(self, x: int, c: int, h: int, cell: str, forget_bias: float) -> tuple[int, int, int]:
        """Write an LSTM as a loop over time; what does not depend on the state stays out of it.

        Returns:
            The hidden state of every step, and the last c and h.
        """
        network, main, n = self.network, self.main, self.network.n_hidden
        kernel = network.weights[f"{cell}/kernel"]
        n_input = len(kernel) - n
        bias = main.constant(_with_forget_bias(network.weights[f"{cell}/bias"], forget_bias), f"{cell}/bias")
        projected = self.product(main, x, kernel[:n_input], f"{cell}/input_kernel", bias)
        rows = main.shape(x)[0]
        extent = main.op("CONCATENATION", self.length(x), main.constant([n]), shape=[2], axis=0)
        states = main.op("FILL", extent, main.constant(np.float32(0)), shape=[rows, n], dtype="FLOAT32")
        body = self.step(rows, cell, kernel[n_input:])
        _, _, c, h, states = main.loop(
            self.until_the_end(rows), body, [main.constant([0]), projected, c, h, states]
        )
        return states, *self.named_state(c, h)

    def named_state(self, c: int, h: int) -> tuple[int, int]:
        if self.network.is_bidirectional:
            return c, h
        for tensor, name in ((c, "new_state_c"), (h, "new_state_h")):
            self.main.table.tensors[tensor].name = name
        return c, h

    def loop_variables(self, graph: Subgraph, rows: int) -> list[int]:
        n = self.network.n_hidden
        return [
            graph.input("step", [1], "INT32"),
            graph.input("projected", [rows, 4 * n]),
            graph.input("c", [1, n]),
            graph.input("h", [1, n]),
            graph.input("states", [rows, n]),
        ]

    def until_the_end(self, rows: int) -> Subgraph:
        if self.condition is None:
            graph = self.condition = self.file.subgraph("is_not_at_the_end")
            step, projected, *_ = self.loop_variables(graph, rows)
            graph.output(graph.op("LESS", step, _length(graph, projected), shape=[1], dtype="BOOL"))
        return self.condition

    def step(self, rows: int, cell: str, kernel: np.ndarray) -> Subgraph:
        """Write a step of an LSTM."""
        n = self.network.n_hidden
        graph = self.file.subgraph(f"{cell}/step")
        step, projected, c, h, states = self.loop_variables(graph, rows)
        recurrent = self.product(graph, h, kernel, f"{cell}/recurrent_kernel")
        gates = graph.op("ADD", graph.op("GATHER", projected, step, shape=[1, 4 * n], axis=0), recurrent)
        c, h = _cell(graph, gates, c)
        place = graph.op("CONCATENATION", step, graph.constant([0]), shape=[2], axis=0)
        states = graph.op("DYNAMIC_UPDATE_SLICE", states, h, place)
        graph.output(graph.op("ADD", step, graph.constant([1])), projected, c, h, states)
        return graph

    def unrolled_lstm(self, x: int, c: int, h: int, cell: str, forget_bias: float) -> tuple[int, int, int]:
        """Write an LSTM step by step, each with one product of input and state, as 0.9.3 exports it."""
        main, weights, n = self.main, self.network.weights, self.network.n_hidden
        bias = main.constant(_with_forget_bias(weights[f"{cell}/bias"], forget_bias), f"{cell}/bias")
        states = []
        matrix = None
        for step in range(self.network.n_steps):
            row = main.op("STRIDED_SLICE", x, *(main.constant(place) for place in ([step, 0], [step + 1, n], [1, 1])),
                          shape=[1, n])  # fmt: skip
            joint = main.op("CONCATENATION", row, h, shape=[1, 2 * n], axis=1)
            gates = self.product(main, joint, weights[f"{cell}/kernel"], f"{cell}/kernel", bias)
            c, h = _cell(main, gates, c)
            states.append(h)
        x = main.op("CONCATENATION", *states, shape=[len(states), n], axis=0)
        return x, *self.named_state(c, h)

    # ---------------------------------------------------------------------------------- features

    def streaming_cepstra(self, samples: int) -> int:
        """Write `features.mfcc` of a streaming feature set for one window of samples, float32 [window], -1 to 1."""
        wanted, main = self.network.features, self.main
        samples = main.op("MUL", samples, main.constant(features.hann_window(wanted.window)))
        samples = main.op("RESHAPE", samples, main.constant([1, 1, -1]), shape=[1, 1, wanted.window])
        spectrum = self.spectrum(samples, "COMPLEX_ABS")
        bands = self.matrix(spectrum, features.streaming_filterbank(wanted))
        bands = main.op("LOG", main.op("MAXIMUM", bands, main.constant(np.float32(1e-12))))
        return self.matrix(bands, features.cosine_transform(40, wanted.n_input), "mfccs")

    def legacy_cepstra(self, samples: int) -> int:
        """Write the operators by which the old clients compute features."""
        wanted, main = self.network.features, self.main
        n_bins = wanted.fft_size // 2 + 1
        column = main.op("RESHAPE", samples, main.constant([wanted.window, 1]), shape=[wanted.window, 1])
        options = {"window_size": wanted.window, "stride": wanted.step, "magnitude_squared": True}
        spectrum = main.op("AudioSpectrogram", column, shape=[1, 1, n_bins], custom=_flexbuffer(options))
        options = {
            "upper_frequency_limit": wanted.sample_rate / 2,
            "lower_frequency_limit": 20.0,
            "filterbank_channel_count": 40,
            "dct_coefficient_count": wanted.n_input,
        }
        rate = main.constant(wanted.sample_rate)
        cepstra = main.op("Mfcc", spectrum, rate, shape=[1, 1, wanted.n_input], custom=_flexbuffer(options))
        return main.op("RESHAPE", cepstra, main.constant([-1, wanted.n_input]), shape=[1, wanted.n_input], name="mfccs")

    def classic_cepstra(self, samples: int) -> int:
        """Write `features.mfcc` and `features.whiten` of a classic feature set, for float32 [samples], -1 to 1."""
        wanted, main = self.network.features, self.main
        samples = main.op("MUL", samples, main.constant(np.float32(32768)))
        before = main.op("PAD", samples, main.constant([[1, 0]]))
        before = main.op("STRIDED_SLICE", before, *map(main.constant, ([0], [-1], [1])))
        samples = main.op("SUB", samples, main.op("MUL", before, main.constant(np.float32(0.97))))
        n_frames = self.classic_frames(samples)
        samples = self.padded_to(samples, n_frames)
        frames = self.sliding(samples, n_frames, wanted.step, wanted.window, [])
        frames = main.op("RESHAPE", frames, main.constant([-1, 1, wanted.window]), shape=[-1, 1, wanted.window])
        magnitude = self.spectrum(frames, "COMPLEX_ABS")
        power = main.op("MUL", magnitude, main.op("MUL", magnitude, main.constant(np.float32(1 / wanted.fft_size))))
        # the energy of the whole spectrum is one more band, and the first cepstrum nothing but its logarithm
        filters = features.classic_filterbank(wanted)
        bands = self.matrix(power, np.hstack([np.ones_like(filters[:, :1]), filters]))
        is_zero = main.op("EQUAL", bands, main.constant(np.float32(0)), dtype="BOOL")
        floor = main.constant(np.float32(np.finfo(float).eps))
        bands = main.op("SELECT_V2", is_zero, floor, bands, shape=main.shape(bands), dtype="FLOAT32")
        transform = features.classic_transform(wanted)
        transform[:, 0] = 0
        energy = np.eye(1, wanted.n_input, dtype=np.float32)
        cepstra = self.matrix(main.op("LOG", bands), np.vstack([energy, transform]))
        vectors = self.standardised(cepstra, [0, 1], [1, 1], 1e-10)
        main.table.tensors[vectors].name = "mfccs"
        return vectors

    def classic_frames(self, samples: int) -> int:
        """Write `FeatureSet.frames` of a classic feature set."""
        wanted, main = self.network.features, self.main
        behind = main.op("SUB", self.length(samples), main.constant([wanted.window]))
        behind = main.op("MAXIMUM", behind, main.constant([0]))
        half_step = wanted.step // 2
        half_steps = main.op("ADD", behind, main.constant([half_step - 1]))
        half_steps = main.op("FLOOR_DIV", half_steps, main.constant([half_step]))
        return main.op("ADD", main.op("FLOOR_DIV", half_steps, main.constant([2])), main.constant([1]))

    def padded_to(self, samples: int, n_frames: int) -> int:
        """Write zeros behind samples up to the end of the last window."""
        wanted, main = self.network.features, self.main
        needed = main.op("MUL", main.op("SUB", n_frames, main.constant([1])), main.constant([wanted.step]))
        needed = main.op("ADD", needed, main.constant([wanted.window]))
        missing = main.op("MAXIMUM", main.op("SUB", needed, self.length(samples)), main.constant([0]))
        both = main.op("CONCATENATION", main.constant([0]), missing, shape=[2], axis=0)
        return main.op("PAD", samples, main.op("RESHAPE", both, main.constant([1, 2]), shape=[1, 2]), shape=[-1])

    def sliding(self, x: int, n_windows: int, step: int, width: int, rest: Sequence[int]) -> int:
        """Write windows of `width` rows of x, `step` rows apart: [n_windows, width, rest]."""
        main = self.main
        count = main.op("RESHAPE", n_windows, main.constant(np.zeros(0, int)), shape=[])
        begins = main.op("RANGE", main.constant(0), count, main.constant(1), shape=[-1])
        begins = main.op("MUL", begins, main.constant(step))
        begins = main.op("RESHAPE", begins, main.constant([-1, 1]), shape=[-1, 1])
        rows = main.op("ADD", begins, main.constant(np.arange(width)), shape=[-1, width])
        return main.op("GATHER", x, rows, shape=[-1, width, *rest], axis=0)

    def spectrum(self, frames: int, part: str) -> int:
        """Write the magnitudes [frames, fft_size / 2 + 1] of float32 [frames, 1, window]."""
        main, fft_size = self.main, self.network.features.fft_size
        rows, n_bins = main.shape(frames)[0], fft_size // 2 + 1
        bins = main.op("RFFT2D", frames, main.constant([1, fft_size]), shape=[rows, 1, n_bins], dtype="COMPLEX64")
        magnitude = main.op(part, bins, dtype="FLOAT32")
        return main.op("RESHAPE", magnitude, main.constant([-1, n_bins]), shape=[rows, n_bins])

    def matrix(self, x: int, matrix: np.ndarray, name: str = "") -> int:
        """Multiply with [inputs, outputs], in float32."""
        main = self.main
        weights = main.constant(np.ascontiguousarray(matrix.T))
        return main.op("FULLY_CONNECTED", x, weights, -1, shape=[main.shape(x)[0], matrix.shape[1]], name=name,
                       fusedActivationFunction=0)  # fmt: skip

    def length(self, x: int) -> int:
        return _length(self.main, x)


def _length(graph: Subgraph, x: int) -> int:
    """Write the number of rows of x, int32 [1]."""
    shape = graph.op("SHAPE", x, shape=[len(graph.shape(x))], dtype="INT32", outType=INT32)
    return graph.op("STRIDED_SLICE", shape, *map(graph.constant, ([0], [1], [1])), shape=[1])


def _cell(graph: Subgraph, gates: int, c: int) -> tuple[int, int]:
    """Write an LSTM cell; return the new c and h."""
    i, g, f, o = graph.split(gates, 4)
    kept = graph.op("MUL", graph.op("LOGISTIC", f), c)
    new = graph.op("MUL", graph.op("LOGISTIC", i), graph.op("TANH", g))
    c = graph.op("ADD", kept, new)
    return c, graph.op("MUL", graph.op("LOGISTIC", o), graph.op("TANH", c))


def _with_forget_bias(bias: np.ndarray, forget_bias: float) -> np.ndarray:
    n = len(bias) // 4
    bias = bias.copy()
    bias[2 * n : 3 * n] += np.float32(forget_bias)
    return bias


def _flexbuffer(options: dict[str, int | float | bool]) -> bytes:
    from flatbuffers import flexbuffers  # noqa: PLC0415 - comes with TensorFlow

    return bytes(flexbuffers.Dumps(options))
