"""What augmentation does to an utterance, to look at and to listen to."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from util.features import (
    FeatureSet,
    FloatArray,
    Tensor,
    Unchanged,
    classic_filterbank,
    classic_transform,
    cosine_transform,
    mfcc,
    streaming_filterbank,
)

Pcm = NDArray[np.int16]
Pixels = NDArray[np.uint8]

FRAME_PIXELS, BAND_PIXELS, GAP_PIXELS = 2, 4, 8
_HEAT = np.array([(0, 0, 4), (87, 16, 110), (188, 55, 84), (249, 142, 9), (252, 255, 164)])  # from weak to strong, RGB
_WHITE = 255
_SPECTRA_PER_FRAME = 4  # when sound is made of frames, which lie too far apart for it
_ITERATIONS = 40


class _Witness(Unchanged):
    """Passes on what a change does, and remembers the logarithms of the bands and the cepstra."""

    def __init__(self, change: Unchanged):
        self._change = change

    def filters(self, filterbank: FloatArray) -> Tensor:
        return self._change.filters(filterbank)

    def in_time(self, bands: Tensor, feature_len: Tensor) -> tuple[Tensor, Tensor]:
        return self._change.in_time(bands, feature_len)

    def log_bands(self, bands: Tensor, feature_len: Tensor) -> Tensor:
        self.bands = self._change.log_bands(bands, feature_len)
        return self.bands

    def cepstra(self, vectors: Tensor, feature_len: Tensor) -> Tensor:
        self.before, self.after = vectors, self._change.cepstra(vectors, feature_len)
        return self.after


def see(samples: Pcm, features: FeatureSet, change: Unchanged) -> FloatArray:
    """Return the mel bands that the network gets to see of an utterance.

    A change of the cepstra is shown as that of the bands that they describe.

    Args:
        samples: int16 [n], of one analysis window at least.
        features: the feature set.
        change: augmentation of the spectrum, for a batch of one.

    Returns:
        float32 [frames, bands], natural logarithms of energies (classic) or magnitudes (streaming).
    """
    witness = _Witness(change)
    _, feature_len = mfcc(samples[np.newaxis], np.array([len(samples)], np.int32), features, witness)
    changed = (witness.after - witness.before).numpy()[0] @ np.linalg.pinv(_transform(features))
    bands = witness.bands.numpy()[0, : len(changed), : features.n_bands] + changed
    return np.asarray(bands[: int(feature_len[0])], np.float32)


def _transform(features: FeatureSet) -> FloatArray:
    """Return the matrix from bands to cepstra."""
    if features.name == "classic":
        return classic_transform(features)
    return cosine_transform(features.n_bands, features.n_input)


class Listener:
    """Makes sound of mel bands, at the level that makes a recording as loud as it is.

    The algorithm is that of Griffin and Lim (1984, doi:10.1109/TASSP.1984.1164317). The sound whispers, as bands hold
    no pitch: it is as much as the network hears.
    """

    def __init__(self, samples: Pcm, bands: FloatArray, features: FeatureSet):
        """Begin with a recording, int16 [n], and its bands, from `see`."""
        self._features = features
        level = _rms(self._resynthesize(bands))
        self._gain = _rms(samples) / level if level else 0.0

    def hear(self, bands: FloatArray) -> Pcm:
        """Return int16 [n] for float32 [frames, bands], from `see`."""
        sound = self._resynthesize(bands) * self._gain
        return np.rint(sound).clip(-32768, 32767).astype(np.int16)

    def _resynthesize(self, bands: FloatArray) -> NDArray[np.float64]:
        size, hop = self._features.fft_size, self._features.step // _SPECTRA_PER_FRAME
        times = np.arange((len(bands) - 1) * _SPECTRA_PER_FRAME + 1) / _SPECTRA_PER_FRAME
        between = np.stack([np.interp(times, np.arange(len(bands)), band) for band in bands.T], 1)
        magnitudes = _spectrum(np.exp(between.astype(np.float64)), self._features)
        window = np.hanning(size + 1)[:-1]
        places = np.arange(len(times))[:, np.newaxis] * hop + np.arange(size)
        weight = np.bincount(places.ravel(), np.tile(window**2, len(times)))
        phases = np.exp(2j * np.pi * np.random.default_rng(0).random(magnitudes.shape))
        for _ in range(_ITERATIONS):
            frames = np.fft.irfft(magnitudes * phases, size) * window
            sound = np.bincount(places.ravel(), frames.ravel()) / np.maximum(weight, 1e-3)
            spectra = np.fft.rfft(sound[places] * window)
            phases = spectra / np.maximum(np.abs(spectra), 1e-12)
        return sound


def _rms(sound: NDArray[np.generic]) -> float:
    return float(np.sqrt(np.mean(np.square(sound, dtype=np.float64))))


def _spectrum(bands: NDArray[np.float64], features: FeatureSet) -> NDArray[np.float64]:
    """Estimate magnitudes, float64 [frames, fft_size / 2 + 1]: every bin has the mean level of its bands."""
    is_classic = features.name == "classic"
    filters = (classic_filterbank if is_classic else streaming_filterbank)(features).astype(np.float64)
    levels = bands / filters.sum(0)
    spectrum = levels @ filters.T / np.maximum(filters.sum(1), 1e-6)
    if not is_classic:
        return np.asarray(spectrum)
    angles = np.pi * np.arange(filters.shape[0]) / (filters.shape[0] - 1)
    return np.asarray(np.sqrt(spectrum) / np.abs(1 - 0.97 * np.exp(-1j * angles)))  # without the pre-emphasis


def draw(pairs: Sequence[tuple[FloatArray, FloatArray]]) -> bytes:
    """Draw spectrograms as a PNG: a row for each pair, before and after side by side, low bands below.

    All have the scale of colours of the first.
    """
    low, high = np.percentile(pairs[0][0], (1, 99.9))
    sides = [[_colour((bands - low) / max(high - low, 1e-6)) for bands in side] for side in zip(*pairs, strict=True)]
    columns = []
    for images in sides:
        width = max(image.shape[1] for image in images) + GAP_PIXELS
        columns.append(np.concatenate([_pad(image, image.shape[0] + GAP_PIXELS, width) for image in images]))
    return encode_png(np.concatenate(columns, 1)[:-GAP_PIXELS, :-GAP_PIXELS])


def _colour(levels: FloatArray) -> Pixels:
    """Return the picture, uint8 [height, width, 3], of levels from 0 to 1, [frames, bands]."""
    image = np.kron(levels.T[::-1].clip(0, 1), np.ones([BAND_PIXELS, FRAME_PIXELS]))
    stops = np.linspace(0, 1, len(_HEAT))
    return np.stack([np.interp(image, stops, channel) for channel in _HEAT.T], 2).astype(np.uint8)


def _pad(image: Pixels, height: int, width: int) -> Pixels:
    missing = (0, height - image.shape[0]), (0, width - image.shape[1]), (0, 0)
    return np.pad(image, missing, constant_values=_WHITE)


def encode_png(image: Pixels) -> bytes:
    """Return a picture, uint8 [height, width, 3] of red, green and blue, as a PNG file (ISO/IEC 15948)."""
    height, width, _ = image.shape
    lines = np.pad(image.reshape(height, width * 3), ((0, 0), (1, 0)))  # each begins with its filter: none
    header = struct.pack(">2I5B", width, height, 8, 2, 0, 0, 0)
    parts = (b"IHDR", header), (b"IDAT", zlib.compress(lines.tobytes(), 9)), (b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data)) for name, data in parts
    )
