"""The networks as TensorFlow Lite graphs: streaming, streaming for the clients of 0.9.3, and bidirectional.

Weights keep their names of the checkpoint. The tensors that programs look up are described in doc/Export.md.
Every method that writes an operator returns its output.
"""

from __future__ import annotations

import numpy as np

from util.tflite_features import classic_cepstra, legacy_cepstra, sliding, standardised, streaming_cepstra
from util.tflite_file import NONE, Subgraph, TfliteFile
from util.trained import Array, TrainedNetwork

RELU = 1  # fused into a product


def make_tflite(network: TrainedNetwork, quantises: bool, legacy: bool = False) -> bytes:
    """Return the content of a .tflite file.

    Args:
        network: the network.
        quantises: whether matrices become int8, with a scale for each row (legacy: for each matrix).
        legacy: write the form that the clients of 0.9.3 and Coqui STT 1.x read; of a streaming network.
    """
    graph = _LegacyGraph(network, quantises) if legacy else _Graph(network, quantises)
    if network.is_bidirectional:
        graph.write_whole()
    else:
        graph.write_streaming()
    graph.write_metadata()
    return graph.file.to_bytes()


class _Graph:
    """The graph of a network in the making."""

    cepstra = staticmethod(streaming_cepstra)
    QUANTISED_PRODUCT = 12  # version of FULLY_CONNECTED with a scale for each row; old runtimes look at versions

    def __init__(self, network: TrainedNetwork, quantises: bool):
        self.network, self.quantises = network, quantises
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
        n = network.n_hidden
        windows = main.input("input_node", [1, network.n_steps, network.n_window, network.features.n_input])
        c, h = main.input("previous_state_c", [1, n]), main.input("previous_state_h", [1, n])
        mfccs = self.cepstra(main, network.features, main.input("input_samples", [network.features.window]))
        x, c, h = self.lstm(self.dense_layers(self.rows(windows)), c, h, network.cells[0])
        main.rename(c, "new_state_c")
        main.rename(h, "new_state_h")
        main.output(self.labels(x), c, h, mfccs)
        self.write_parts()

    def write_parts(self) -> None:
        """Write the features once more as a model of their own: there is a vector for every frame to compute."""
        graph = self.file.subgraph("compute_features")
        graph.output(
            self.cepstra(graph, self.network.features, graph.input("input_samples", [self.network.features.window]))
        )
        self.file.signature("compute_features", graph)

    def write_whole(self) -> None:
        """Write graph version 7: from the samples of an utterance to the labels of its frames."""
        network, main = self.network, self.main
        forward, backward = network.cells
        side, n_input = network.n_context, network.features.n_input
        vectors = classic_cepstra(main, network.features, main.input("input_samples", [-1]))
        vectors = standardised(main, vectors, [0, 1], [1, 1], 1e-10)
        main.rename(vectors, "mfccs")
        padded = main.op("PAD", vectors, main.constant([[side, side], [0, 0]]), shape=[-1, n_input])
        windows = sliding(main, padded, main.length(vectors), 1, network.n_window)
        x = self.dense_layers(main.op("RESHAPE", windows, main.constant([-1, network.n_window * n_input]),
                                      shape=[-1, network.n_window * n_input]))  # fmt: skip
        zero = main.constant(np.zeros([1, network.n_hidden], np.float32))
        first, _, _ = self.lstm(x, zero, zero, forward)
        turned = main.op("REVERSE_V2", x, main.constant([0]))
        second, _, _ = self.lstm(turned, zero, zero, backward)
        second = main.op("REVERSE_V2", second, main.constant([0]))
        x = main.op("CONCATENATION", first, second, shape=[-1, 2 * network.n_hidden], axis=1)
        main.output(self.labels(x), vectors)

    # ------------------------------------------------------------------------------------ layers

    def rows(self, windows: int) -> int:
        """Flatten windows [1, n_steps, n_window, n_input] to [n_steps, ..]."""
        _, n_steps, *window = self.main.shape(windows)
        return self.main.op(
            "RESHAPE", windows, self.main.constant([n_steps, -1]), shape=[n_steps, int(np.prod(window))]
        )

    def matrix(self, graph: Subgraph, weights: Array, name: str) -> int:
        """Add weights [inputs, outputs], turned as products want them, in the precision of the file."""
        weights = np.ascontiguousarray(weights.T)
        return graph.quantised(weights, name, per_row=True) if self.quantises else graph.constant(weights, name)

    def product(self, graph: Subgraph, x: int, matrix: int, bias: int = NONE, activation: int = 0) -> int:
        """Multiply rows of inputs with a matrix [outputs, inputs].

        Where the runtime quantises the rows, it is to do so symmetrically, as our engine does.
        """
        n_outputs, n_inputs = graph.shape(matrix)
        shape = graph.shape(x)
        n_rows = -1 if -1 in shape else int(np.prod(shape)) // n_inputs
        version = self.QUANTISED_PRODUCT if self.quantises else 1
        return graph.op("FULLY_CONNECTED", x, matrix, bias, shape=[n_rows, n_outputs], version=version,
                        fusedActivationFunction=activation, asymmetricQuantizeInputs=False)  # fmt: skip

    def dense(self, x: int, layer: str, activation: int = 0) -> int:
        main, weights = self.main, self.network.weights
        bias = main.constant(weights[f"{layer}/bias"], f"{layer}/bias")
        return self.product(
            main, x, self.matrix(main, weights[f"{layer}/weights"], f"{layer}/weights"), bias, activation
        )

    def dense_layers(self, x: int) -> int:
        for layer in ("layer_1", "layer_2", "layer_3"):
            x = self.clipped(x, layer)
        return x

    def clipped(self, x: int, layer: str) -> int:
        """Write a layer of clipped rectified linear units, normalised if the network does that."""
        main = self.main
        x = main.op(
            "MINIMUM", self.dense(x, layer, RELU), main.constant(np.float32(self.network.relu_clip), "relu_clip")
        )
        if not self.network.has_layer_norm:
            return x
        names = f"{layer}/LayerNorm/gamma", f"{layer}/LayerNorm/beta"
        scale, shift = (main.constant(self.network.weights[name], name) for name in names)
        normal = standardised(main, x, [1], [main.shape(x)[0], 1], 1e-12)
        return main.op("ADD", main.op("MUL", normal, scale), shift)

    def labels(self, x: int) -> int:
        return self.main.op("SOFTMAX", self.dense(self.clipped(x, "layer_5"), "layer_6"), name="logits", beta=1.0)

    # -------------------------------------------------------------------------------------- LSTM

    def lstm(self, x: int, c: int, h: int, cell: tuple[str, float]) -> tuple[int, int, int]:
        """Write an LSTM as a loop over time; what does not depend on the state stays out of it.

        Returns:
            The hidden state of every step, and the last c and h.
        """
        main, n = self.main, self.network.n_hidden
        name, _ = cell
        kernel = self.network.weights[f"{name}/kernel"]
        bias = main.constant(self.lstm_bias(cell), f"{name}/bias")
        projected = self.product(main, x, self.matrix(main, kernel[:-n], f"{name}/input_kernel"), bias)
        n_rows = main.shape(x)[0]
        extent = main.op("CONCATENATION", main.length(x), main.constant([n]), shape=[2], axis=0)
        states = main.op("FILL", extent, main.constant(np.float32(0)), shape=[n_rows, n], dtype="FLOAT32")
        variables = [main.constant([0]), projected, c, h, states]
        _, _, c, h, states = main.loop(self.until_the_end(n_rows), self.step(n_rows, name, kernel[-n:]), variables)
        return states, c, h

    def lstm_bias(self, cell: tuple[str, float]) -> Array:
        """Return the bias, float32 [4 n_hidden], with the forget bias added."""
        name, forget_bias = cell
        gates = self.network.weights[f"{name}/bias"].reshape(4, -1)
        return (gates + np.array([[0], [0], [forget_bias], [0]], np.float32)).ravel()

    def loop_variables(self, graph: Subgraph, n_rows: int) -> tuple[int, int, int, int, int]:
        n = self.network.n_hidden
        return (
            graph.input("step", [1], "INT32"),
            graph.input("projected", [n_rows, 4 * n]),
            graph.input("c", [1, n]),
            graph.input("h", [1, n]),
            graph.input("states", [n_rows, n]),
        )

    def until_the_end(self, n_rows: int) -> Subgraph:
        """Write the condition of the loops, one for all of them."""
        if self.condition is None:
            graph = self.condition = self.file.subgraph("is_not_at_the_end")
            step, projected, *_ = self.loop_variables(graph, n_rows)
            graph.output(graph.op("LESS", step, graph.length(projected), dtype="BOOL"))
        return self.condition

    def step(self, n_rows: int, name: str, kernel: Array) -> Subgraph:
        """Write the body of the loop of an LSTM."""
        graph = self.file.subgraph(f"{name}/step")
        step, projected, c, h, states = self.loop_variables(graph, n_rows)
        recurrent = self.product(graph, h, self.matrix(graph, kernel, f"{name}/recurrent_kernel"))
        row = graph.op("GATHER", projected, step, shape=graph.shape(recurrent), axis=0)
        c, h = _cell(graph, graph.op("ADD", row, recurrent), c)
        place = graph.op("CONCATENATION", step, graph.constant([0]), shape=[2], axis=0)
        states = graph.op("DYNAMIC_UPDATE_SLICE", states, h, place)
        graph.output(graph.op("ADD", step, graph.constant([1])), projected, c, h, states)
        return graph


class _LegacyGraph(_Graph):
    """The form of 0.9.3: unrolled in time, a scale for each matrix, features by custom operators."""

    cepstra = staticmethod(legacy_cepstra)
    QUANTISED_PRODUCT = 3

    def write_parts(self) -> None:
        """Leave out what the old clients do not know."""

    def rows(self, windows: int) -> int:
        return windows

    def matrix(self, graph: Subgraph, weights: Array, name: str) -> int:
        weights = np.ascontiguousarray(weights.T)
        return graph.quantised(weights, name, per_row=False) if self.quantises else graph.constant(weights, name)

    def lstm(self, x: int, c: int, h: int, cell: tuple[str, float]) -> tuple[int, int, int]:
        """Write the steps one by one, each with one product for input and state."""
        main, n = self.main, self.network.n_hidden
        name, _ = cell
        bias = main.constant(self.lstm_bias(cell), f"{name}/bias")
        matrix = self.matrix(main, self.network.weights[f"{name}/kernel"], f"{name}/kernel")
        states = []
        for step in range(self.network.n_steps):
            ends = (main.constant(place) for place in ([step, 0], [step + 1, n], [1, 1]))
            row = main.op("STRIDED_SLICE", x, *ends, shape=[1, n])
            gates = self.product(main, main.op("CONCATENATION", row, h, shape=[1, 2 * n], axis=1), matrix, bias)
            c, h = _cell(main, gates, c)
            states.append(h)
        return main.op("CONCATENATION", *states, shape=[len(states), n], axis=0), c, h


def _cell(graph: Subgraph, gates: int, c: int) -> tuple[int, int]:
    """Write an LSTM cell; return the new c and h."""
    i, g, f, o = graph.split(gates, 4)
    kept = graph.op("MUL", graph.op("LOGISTIC", f), c)
    c = graph.op("ADD", kept, graph.op("MUL", graph.op("LOGISTIC", i), graph.op("TANH", g)))
    return c, graph.op("MUL", graph.op("LOGISTIC", o), graph.op("TANH", c))
