"""Speech features: from samples to mel-frequency cepstra, one TensorFlow graph for every feature set.

A feature set is data (`FeatureSet`): window, step, filterbank, cosine transform. Two are defined here,
`classic` (DeepSpeech 0.1: the MFCC of the python_speech_features library, whose filterbank and lifter
are the constants of the graph) and `streaming` (DeepSpeech 0.4 to 0.9.3 and Coqui STT: TensorFlow's
AudioSpectrogram and Mfcc operations).
"""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
from numpy.typing import NDArray

from util import tf
from util.errors import UsageError

Tensor = Any
FloatArray = NDArray[np.float32]

STREAMING_BANDS = 40  # mel filters of the streaming features; the classic ones have as many as cepstra


@dataclasses.dataclass(frozen=True)
class FeatureSet:
    """What turns samples into feature vectors.

    Attributes:
        name: `classic` or `streaming`.
        sample_rate: Hz.
        window_ms: length of the analysis window, milliseconds.
        step_ms: distance between feature vectors, milliseconds.
        n_input: cepstra per feature vector.
    """

    name: str
    sample_rate: int = 16000
    window_ms: float = 25
    step_ms: float = 20
    n_input: int = 26

    @classmethod
    def of_network(
        cls, bidirectional: bool, sample_rate: int, window_ms: float | None = None, step_ms: float = 20
    ) -> FeatureSet:
        """Return the features of a network; without `window_ms` the window is the one that belongs to them."""
        name, usual_ms = ("classic", 25) if bidirectional else ("streaming", 32)
        return cls(name, sample_rate, window_ms or usual_ms, step_ms)

    @property
    def window(self) -> int:
        """Samples in a window."""
        return round(self.sample_rate * self.window_ms / 1000)

    @property
    def step(self) -> int:
        """Samples from one feature vector to the next."""
        return round(self.sample_rate * self.step_ms / 1000)

    @property
    def fft_size(self) -> int:
        """Points of the Fourier transform: the power of two that holds a window; in the library at least 512."""
        power_of_two = 1 << (self.window - 1).bit_length()
        return max(512, power_of_two) if self.name == "classic" else power_of_two

    @property
    def n_bands(self) -> int:
        """Mel bands that the cepstra are made of."""
        return self.n_input if self.name == "classic" else STREAMING_BANDS

    @property
    def pads_last_window(self) -> bool:
        """Whether samples left over at the end are filled up with zeros to one more window."""
        return self.name == "classic"

    def check(self) -> None:
        """Refuse windows and steps that are not whole samples.

        Raises:
            UsageError: one is not.
        """
        halves = 2 if self.name == "classic" else 1  # the classic features look at every half step
        for name, milliseconds, parts in (("len", self.window_ms, 1), ("step", self.step_ms, halves)):
            if (self.sample_rate * milliseconds / 1000) % parts:
                rate = f"{self.sample_rate} Hz"
                raise UsageError(
                    f"--feature_win_{name} {milliseconds:g} is not a multiple of {parts} samples at {rate}."
                )

    def frames(self, n_samples: int) -> int:
        """Count the feature vectors of `n_samples` samples (at `sample_rate`)."""
        if self.pads_last_window:
            # python_speech_features counts windows at half our step; every second one is kept
            half_steps = -(-max(0, n_samples - self.window) // (self.step // 2))
            return half_steps // 2 + 1
        return max(0, 1 + (n_samples - self.window) // self.step)


class Unchanged:
    """What stands for augmentation of the spectrum in validation, test and use: every step stays as it is."""

    def filters(self, filterbank: FloatArray) -> Tensor:
        """Return the filters, float32 [bins, bands] or [batch, bins, bands], that make bands of a spectrum."""
        return filterbank

    def in_time(self, bands: Tensor, feature_len: Tensor) -> tuple[Tensor, Tensor]:
        """Return the energies of bands, float32 [batch, time, bands], and the valid frames, int32 [batch]."""
        return bands, feature_len

    def log_bands(self, bands: Tensor, _feature_len: Tensor) -> Tensor:
        """Return the logarithms of these energies, float32 [batch, time, bands]."""
        return bands

    def cepstra(self, vectors: Tensor, _feature_len: Tensor) -> Tensor:
        """Return the cepstra, float32 [batch, time, n_input]."""
        return vectors


UNCHANGED = Unchanged()


def mfcc(
    samples: Tensor, n_samples: Tensor, features: FeatureSet, change: Unchanged = UNCHANGED
) -> tuple[Tensor, Tensor]:
    """Compute the cepstra of a batch of utterances.

    Args:
        samples: int16 [batch, samples], zero padded.
        n_samples: int32 [batch], valid samples of each utterance.
        features: the feature set.
        change: augmentation of the spectrum.

    Returns:
        float32 [batch, time, n_input], zero behind the valid frames, and int32 [batch], the number of
        valid frames (equal to `features.frames` unless `change` changes it).
    """
    graph = _classic if features.name == "classic" else _streaming
    feature_len = _frame_counts(n_samples, features)
    time = tf.reduce_max(feature_len)
    missing = tf.maximum(0, (time - 1) * features.step + features.window - tf.shape(samples)[1])
    signal = tf.pad(samples, [[0, 0], [0, missing]])
    vectors, feature_len = graph(signal, n_samples, feature_len, features, change)
    time = tf.reduce_max(feature_len)
    valid = tf.sequence_mask(feature_len, time)[:, :, tf.newaxis]
    vectors = change.cepstra(vectors[:, :time], feature_len)
    return tf.where(valid, vectors, 0.0), feature_len


def whiten(vectors: Tensor, feature_len: Tensor) -> Tensor:
    """Shift and scale each utterance to mean 0 and deviation 1 over all cepstra of its valid frames.

    One mean and one deviation per utterance, as in DeepSpeech 0.1. To normalise each cepstrum by
    itself would raise the high ones, which tell the speaker more than the sound, to the size of the
    low ones: on an hour of speech from 50 speakers it was worse (benchmarks/RESULTS.md).

    Args:
        vectors: float32 [batch, time, n_input], zero behind the valid frames.
        feature_len: int32 [batch].

    Returns:
        float32 [batch, time, n_input], zero behind the valid frames.
    """
    valid = tf.cast(tf.sequence_mask(feature_len, tf.shape(vectors)[1]), tf.float32)[..., tf.newaxis]
    count = tf.cast(tf.maximum(feature_len, 1) * vectors.shape[2], tf.float32)[:, tf.newaxis, tf.newaxis]
    mean = tf.reduce_sum(vectors, [1, 2], keepdims=True) / count
    centred = (vectors - mean) * valid
    variance = tf.reduce_sum(tf.square(centred), [1, 2], keepdims=True) / count
    return centred / tf.sqrt(variance + 1e-10)


def _classic(
    signal: Tensor, n_samples: Tensor, feature_len: Tensor, features: FeatureSet, change: Unchanged
) -> tuple[Tensor, Tensor]:
    """Follow python_speech_features.mfcc(numcep=26) and keep every second vector.

    Up to the power spectrum in float64, as there: beside the strong partials of a rectangular window
    the weakest bands carry fewer digits than their logarithm needs in float32.
    """
    signal = tf.cast(signal, tf.float64)
    emphasised = tf.concat([signal[:, :1], signal[:, 1:] - 0.97 * signal[:, :-1]], 1)
    # the library pads behind the pre-emphasis: the step down to the padding must not be seen
    emphasised *= tf.sequence_mask(n_samples, tf.shape(signal)[1], tf.float64)
    power = _power_spectrum(emphasised, features) / features.fft_size
    power = tf.cast(power, tf.float32)
    bands = power @ change.filters(classic_filterbank(features))
    bands = tf.concat([bands, tf.reduce_sum(power, 2, keepdims=True)], 2)  # the last is the energy of the frame
    bands, feature_len = change.in_time(bands, feature_len)
    bands = change.log_bands(tf.math.log(_positive(bands)), feature_len)
    cepstra = bands[..., :-1] @ classic_transform(features)
    return tf.concat([bands[..., -1:], cepstra[..., 1:]], 2), feature_len


def _streaming(
    signal: Tensor, _n_samples: Tensor, feature_len: Tensor, features: FeatureSet, change: Unchanged
) -> tuple[Tensor, Tensor]:
    """Follow TensorFlow's AudioSpectrogram (squared magnitude, Hann window) and Mfcc operations.

    The spectrum is computed in float64, as there.
    """
    signal = tf.cast(signal, tf.float64) / 32768.0
    magnitude = tf.cast(tf.sqrt(_power_spectrum(signal, features, hann_window(features.window))), tf.float32)
    bands, feature_len = change.in_time(magnitude @ change.filters(streaming_filterbank(features)), feature_len)
    bands = change.log_bands(tf.math.log(tf.maximum(bands, 1e-12)), feature_len)
    return bands @ cosine_transform(STREAMING_BANDS, features.n_input), feature_len


def _power_spectrum(signal: Tensor, features: FeatureSet, window: Tensor = 1.0) -> Tensor:
    """Return the squared magnitudes, float64 [batch, time, fft_size / 2 + 1]."""
    frames = tf.signal.frame(signal, features.window, features.step)  # [batch, time, window]
    spectrum = tf.signal.rfft(frames * window, [features.fft_size])
    return tf.square(tf.math.real(spectrum)) + tf.square(tf.math.imag(spectrum))


def _positive(x: Tensor) -> Tensor:
    """Replace exact zeros by the smallest step of a float64, as python_speech_features does."""
    return tf.where(x == 0, np.float32(np.finfo(float).eps), x)


def _frame_counts(n_samples: Tensor, features: FeatureSet) -> Tensor:
    """Count frames in the graph: `FeatureSet.frames` on int32 [batch]."""
    if features.pads_last_window:
        return -(-tf.maximum(0, n_samples - features.window) // (features.step // 2)) // 2 + 1
    return tf.maximum(0, 1 + (n_samples - features.window) // features.step)


def hann_window(length: int) -> NDArray[np.float64]:
    """Return the window of AudioSpectrogram: periodic, float64 [length]."""
    return np.asarray(0.5 - 0.5 * np.cos(2 * np.pi / length * np.arange(length)))


def cosine_transform(n_bands: int, n_cepstra: int) -> FloatArray:
    """Return the type-II cosine transform, float32 [n_bands, n_cepstra], all rows of equal scale."""
    angle = np.pi / n_bands * np.outer(np.arange(n_bands) + 0.5, np.arange(n_cepstra))
    return np.asarray(np.sqrt(2 / n_bands) * np.cos(angle), np.float32)


def classic_filterbank(features: FeatureSet) -> FloatArray:
    """Return the library's 26 triangular mel filters, float32 [fft_size / 2 + 1, n_input]."""
    from python_speech_features import get_filterbanks  # noqa: PLC0415 - slow to import

    banks = get_filterbanks(features.n_input, features.fft_size, features.sample_rate)
    return np.asarray(banks.T, np.float32)


def classic_transform(features: FeatureSet) -> FloatArray:
    """Return cosine transform and lifter in one matrix, float32 [n_input, n_input]."""
    from python_speech_features import lifter  # noqa: PLC0415 - slow to import

    return np.asarray(lifter(cosine_transform(features.n_input, features.n_input), 22), np.float32)


def streaming_filterbank(features: FeatureSet) -> FloatArray:
    """Return the 40 mel filters of the Mfcc operation, float32 [fft_size / 2 + 1, 40].

    Each spectrum bin between 20 Hz and half the sample rate is shared linearly, on the mel scale,
    between the two bands whose centres lie around it (tensorflow/core/kernels/mfcc_mel_filterbank.cc).
    """
    n_bands, low, high = STREAMING_BANDS, 20.0, features.sample_rate / 2
    edges = np.linspace(_mel(low), _mel(high), n_bands + 2)
    bin_width = features.sample_rate / features.fft_size  # Hz
    bins = np.arange(features.fft_size // 2 + 1)
    mel = _mel(bins * bin_width)
    rising = (mel[:, np.newaxis] - edges[:-2]) / (edges[1:-1] - edges[:-2])
    falling = (edges[2:] - mel[:, np.newaxis]) / (edges[2:] - edges[1:-1])
    used = (bins >= int(1.5 + low / bin_width)) & (bins <= int(high / bin_width))
    weights = np.clip(np.minimum(rising, falling), 0, None) * used[:, np.newaxis]
    return np.asarray(weights, np.float32)


def _mel(hertz: Any) -> Any:
    return 1127.0 * np.log1p(hertz / 700.0)
