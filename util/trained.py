"""A trained network as exporters see it: arrays and settings, no TensorFlow."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from util.features import FeatureSet

Array = NDArray[np.float32]

FORWARD = "bidirectional_rnn/fw/basic_lstm_cell"  # names of LSTM cells, as in 0.1.1
BACKWARD = "bidirectional_rnn/bw/basic_lstm_cell"
STREAMING = "cudnn_lstm/rnn/multi_rnn_cell/cell_0/cudnn_compatible_lstm_cell"  # as in 0.9.3
FORGET_BIAS = {FORWARD: 1.0, BACKWARD: 1.0, STREAMING: 0.0}  # as there

STREAMING_VERSION = 6  # of the exported graph; the clients of 0.7 to 0.9.3 and of Coqui STT know it
WHOLE_VERSION = 7  # both directions: takes whole utterances


@dataclass(frozen=True)
class TrainedNetwork:
    """The network of a checkpoint.

    Attributes:
        weights: float32 by their names in the checkpoint; matrices are [inputs, outputs], the kernels of LSTM
            cells [n_input + n_hidden, 4 n_hidden] in the order input gate, candidate, forget gate, output gate.
        cells: name and forget bias of the LSTM cells: one, or forward and backward.
        features: what the network reads.
        alphabet: serialised.
        n_context: feature vectors on each side of the one that is classified.
        n_steps: feature vectors classified at a time in a stream.
        relu_clip: upper clip of the rectified linear units.
        beam_width: default of the clients.
        language: for people, for instance `en`.
    """

    weights: Mapping[str, Array]
    cells: Sequence[tuple[str, float]]
    features: FeatureSet
    alphabet: bytes
    n_context: int
    n_steps: int
    relu_clip: float
    beam_width: int
    language: str

    @property
    def is_bidirectional(self) -> bool:
        """Whether the network reads utterances in both directions, and so as a whole."""
        return len(self.cells) > 1

    @property
    def n_hidden(self) -> int:
        """Units of a layer."""
        return len(self.weights["layer_1/bias"])

    @property
    def n_classes(self) -> int:
        """Labels and the blank."""
        return len(self.weights["layer_6/bias"])

    @property
    def n_window(self) -> int:
        """Feature vectors that the first layer sees at a time."""
        return 2 * self.n_context + 1

    @property
    def has_layer_norm(self) -> bool:
        """Whether activations are normalised behind layers 1, 2, 3 and 5."""
        return "layer_1/LayerNorm/gamma" in self.weights

    def metadata(self) -> dict[str, int | bytes]:
        """Return what every exported file says of itself, by the name of the output that says it."""
        return {
            "metadata_version": WHOLE_VERSION if self.is_bidirectional else STREAMING_VERSION,
            "metadata_sample_rate": self.features.sample_rate,
            "metadata_feature_win_len": round(self.features.window_ms),
            "metadata_feature_win_step": round(self.features.step_ms),
            "metadata_beam_width": self.beam_width,
            "metadata_alphabet": self.alphabet,
            "metadata_language": self.language.encode(),
        }
