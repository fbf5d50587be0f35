"""Features as TensorFlow Lite graphs: what `util.features` computes, operator by operator.

Every function writes operators and returns their output.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from util import features
from util.features import FeatureSet, FloatArray
from util.tflite_file import NONE, Subgraph


def streaming_cepstra(graph: Subgraph, wanted: FeatureSet, samples: int) -> int:
    """Write `features.mfcc` of a streaming feature set for one window of samples, float32 [window], -1 to 1."""
    samples = graph.op("MUL", samples, graph.constant(features.hann_window(wanted.window)))
    samples = graph.op("RESHAPE", samples, graph.constant([1, 1, -1]), shape=[1, 1, wanted.window])
    bands = _matmul(graph, _spectrum(graph, samples, wanted.fft_size), features.streaming_filterbank(wanted))
    bands = graph.op("LOG", graph.op("MAXIMUM", bands, graph.constant(np.float32(1e-12))))
    return _matmul(graph, bands, features.cosine_transform(40, wanted.n_input), "mfccs")


def legacy_cepstra(graph: Subgraph, wanted: FeatureSet, samples: int) -> int:
    """Write the same by the custom operators that the old clients have."""
    column = graph.op("RESHAPE", samples, graph.constant([-1, 1]), shape=[wanted.window, 1])
    options: dict[str, float] = {"window_size": wanted.window, "stride": wanted.step, "magnitude_squared": True}
    n_bins = wanted.fft_size // 2 + 1
    spectrum = graph.op("AudioSpectrogram", column, shape=[1, 1, n_bins], custom=_flexbuffer(options))
    options = {
        "upper_frequency_limit": wanted.sample_rate / 2,
        "lower_frequency_limit": 20.0,
        "filterbank_channel_count": 40,
        "dct_coefficient_count": wanted.n_input,
    }
    rate = graph.constant(wanted.sample_rate)
    cepstra = graph.op("Mfcc", spectrum, rate, shape=[1, 1, wanted.n_input], custom=_flexbuffer(options))
    return graph.op("RESHAPE", cepstra, graph.constant([-1, wanted.n_input]), shape=[1, wanted.n_input], name="mfccs")


def classic_cepstra(graph: Subgraph, wanted: FeatureSet, samples: int) -> int:
    """Write `features.mfcc` of a classic feature set for a whole utterance, float32 [n_samples], -1 to 1."""
    samples = graph.op("MUL", samples, graph.constant(np.float32(32768)))
    before = graph.op("STRIDED_SLICE", graph.op("PAD", samples, graph.constant([[1, 0]])),
                      *map(graph.constant, ([0], [-1], [1])))  # fmt: skip
    samples = graph.op("SUB", samples, graph.op("MUL", before, graph.constant(np.float32(0.97))))
    n_frames = _n_frames(graph, wanted, samples)
    frames = sliding(graph, _padded(graph, wanted, samples, n_frames), n_frames, wanted.step, wanted.window)
    frames = graph.op("RESHAPE", frames, graph.constant([-1, 1, wanted.window]), shape=[-1, 1, wanted.window])
    magnitude = _spectrum(graph, frames, wanted.fft_size)
    power = graph.op("MUL", magnitude, magnitude)
    # the energy of the whole spectrum is one more band, and the first cepstrum nothing but its logarithm
    filters = features.classic_filterbank(wanted) / np.float32(wanted.fft_size)
    energy = np.full_like(filters[:, :1], 1 / wanted.fft_size)
    bands = _matmul(graph, power, np.hstack([energy, filters]))
    is_zero = graph.op("EQUAL", bands, graph.constant(np.float32(0)), dtype="BOOL")
    floor = graph.constant(np.float32(np.finfo(float).eps))
    bands = graph.op("SELECT_V2", is_zero, floor, bands, shape=graph.shape(bands), dtype="FLOAT32")
    transform = features.classic_transform(wanted) * (np.arange(wanted.n_input) > 0)
    transform = np.vstack([np.eye(1, wanted.n_input, dtype=np.float32), transform])
    return _matmul(graph, graph.op("LOG", bands), transform)


def _n_frames(graph: Subgraph, wanted: FeatureSet, samples: int) -> int:
    """Write `FeatureSet.frames`, int32 [1]."""
    half_step = wanted.step // 2
    behind = graph.op("SUB", graph.length(samples), graph.constant([wanted.window]))
    behind = graph.op("ADD", graph.op("MAXIMUM", behind, graph.constant([0])), graph.constant([half_step - 1]))
    half_steps = graph.op("FLOOR_DIV", behind, graph.constant([half_step]))
    return graph.op("ADD", graph.op("FLOOR_DIV", half_steps, graph.constant([2])), graph.constant([1]))


def _padded(graph: Subgraph, wanted: FeatureSet, samples: int, n_frames: int) -> int:
    """Write zeros behind the samples, up to the end of the last window."""
    needed = graph.op("MUL", graph.op("SUB", n_frames, graph.constant([1])), graph.constant([wanted.step]))
    needed = graph.op("ADD", needed, graph.constant([wanted.window]))
    missing = graph.op("MAXIMUM", graph.op("SUB", needed, graph.length(samples)), graph.constant([0]))
    ends = graph.op("CONCATENATION", graph.constant([0]), missing, shape=[2], axis=0)
    return graph.op("PAD", samples, graph.op("RESHAPE", ends, graph.constant([1, 2]), shape=[1, 2]))


def sliding(graph: Subgraph, x: int, n_windows: int, step: int, width: int) -> int:
    """Write windows of `width` rows of x, `step` rows apart: [n_windows, width, ..]."""
    count = graph.op("RESHAPE", n_windows, graph.constant(np.zeros(0, int)), shape=[])
    begins = graph.op("RANGE", graph.constant(0), count, graph.constant(1), shape=[-1])
    begins = graph.op("MUL", begins, graph.constant(step))
    begins = graph.op("RESHAPE", begins, graph.constant([-1, 1]), shape=[-1, 1])
    rows = graph.op("ADD", begins, graph.constant(np.arange(width)), shape=[-1, width])
    return graph.op("GATHER", x, rows, shape=[-1, width, *graph.shape(x)[1:]], axis=0)


def _spectrum(graph: Subgraph, frames: int, fft_size: int) -> int:
    """Write the magnitudes, float32 [n_frames, fft_size / 2 + 1], of frames [n_frames, 1, window]."""
    n_frames, n_bins = graph.shape(frames)[0], fft_size // 2 + 1
    bins = graph.op("RFFT2D", frames, graph.constant([1, fft_size]), shape=[n_frames, 1, n_bins], dtype="COMPLEX64")
    magnitude = graph.op("COMPLEX_ABS", bins, dtype="FLOAT32")
    return graph.op("RESHAPE", magnitude, graph.constant([-1, n_bins]), shape=[n_frames, n_bins])


def _matmul(graph: Subgraph, x: int, matrix: FloatArray, name: str = "") -> int:
    """Multiply with [inputs, outputs], in float32 whatever the precision of the file."""
    weights = graph.constant(np.ascontiguousarray(matrix.T))
    return graph.op("FULLY_CONNECTED", x, weights, NONE, shape=[graph.shape(x)[0], matrix.shape[1]], name=name)


def standardised(graph: Subgraph, x: int, axes: Sequence[int], shape: Sequence[int], floor: float) -> int:
    """Shift and scale to mean 0 and deviation 1 over axes; `shape` is that of the means."""
    mean = graph.op("MEAN", x, graph.constant(axes), shape=shape, keepDims=True)
    centred = graph.op("SUB", x, mean)
    variance = graph.op("MEAN", graph.op("MUL", centred, centred), graph.constant(axes), shape=shape, keepDims=True)
    return graph.op("MUL", centred, graph.op("RSQRT", graph.op("ADD", variance, graph.constant(np.float32(floor)))))


def _flexbuffer(options: Mapping[str, float]) -> bytes:
    from flatbuffers import flexbuffers  # noqa: PLC0415 - comes with TensorFlow

    return bytes(flexbuffers.Dumps(options))
