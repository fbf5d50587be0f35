"""Cepstra against python_speech_features and TensorFlow's operations, on real speech and on edge cases."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import python_speech_features
import soundfile
from conftest import ROOT, SHARED
from numpy.typing import NDArray

from util import tf
from util.features import FeatureSet, mfcc, whiten

CLASSIC = FeatureSet("classic")
STREAMING = FeatureSet("streaming", window_ms=32)
SETS = (CLASSIC, STREAMING)
NARROWBAND = (FeatureSet("classic", 8000), FeatureSet("streaming", 8000, 32))
SMOKE = ROOT / "data" / "smoke_test" / "she_had_your_dark_suit.wav"

Pcm = NDArray[np.int16]


def oracle(samples: Pcm, features: FeatureSet) -> NDArray[Any]:
    """The cepstra [time, n_input] by the library or the operations that define them."""
    rate = features.sample_rate
    if features.name == "classic":
        return python_speech_features.mfcc(samples, samplerate=rate, numcep=26)[::2]
    spectrogram = tf.raw_ops.AudioSpectrogram(
        input=samples[:, np.newaxis].astype(np.float32) / 32768,
        window_size=features.window,
        stride=features.step,
        magnitude_squared=True,
    )
    cepstra = tf.raw_ops.Mfcc(
        spectrogram=spectrogram, sample_rate=rate, upper_frequency_limit=rate / 2, dct_coefficient_count=26
    )
    return cepstra.numpy()[0]


def compute(batch: Sequence[Pcm], features: FeatureSet, padding: int = 0) -> tuple[NDArray[Any], NDArray[Any]]:
    samples = np.zeros([len(batch), max(map(len, batch)) + padding], np.int16)
    for row, utterance in zip(samples, batch, strict=True):
        row[: len(utterance)] = utterance
    vectors, feature_len = mfcc(tf.constant(samples), tf.constant([len(u) for u in batch]), features)
    return vectors.numpy(), feature_len.numpy()


def check(batch: Sequence[Pcm], features: FeatureSet, padding: int = 0) -> None:
    vectors, feature_len = compute(batch, features, padding)
    assert vectors.dtype == np.float32
    assert vectors.shape == (len(batch), max(feature_len), 26)
    for utterance, found, length in zip(batch, vectors, feature_len, strict=True):
        expected = oracle(utterance, features)
        assert length == len(expected) == features.frames(len(utterance))
        np.testing.assert_allclose(found[:length], expected, rtol=0, atol=1e-4)
        assert not found[length:].any()


def read(path: Path) -> Pcm:
    samples, rate = soundfile.read(path, dtype="int16")
    assert rate == 16000
    return samples


def noise(n_samples: int, amplitude: int, seed: int = 0) -> Pcm:
    return np.random.default_rng(seed).integers(-amplitude, amplitude + 1, n_samples).astype(np.int16)


@pytest.mark.parametrize("features", SETS, ids=lambda f: f.name)
def test_the_bundled_recording(features: FeatureSet):
    samples = read(SMOKE)
    check([samples, samples[5000:20001], samples[-9999:]], features)


@pytest.mark.skipif(not SHARED.is_dir(), reason="the recordings are not beside this checkout")
@pytest.mark.parametrize("features", SETS, ids=lambda f: f.name)
def test_real_recordings(features: FeatureSet):
    paths = [SHARED / "ldc93s1" / "LDC93S1.wav", *sorted(SHARED.glob("picovoice_barista/audio/*.flac"))[::25]]
    assert len(paths) > 10
    check([read(path) for path in paths], features, padding=1234)


@pytest.mark.parametrize("features", SETS, ids=lambda f: f.name)
def test_silence_and_the_faintest_noise(features: FeatureSet):
    half = np.concatenate([np.zeros(8000, np.int16), noise(8000, 9000)])
    check(
        [np.zeros(16000, np.int16), noise(16000, 1), half, half[::-1].copy(), np.full(4000, -32768, np.int16)], features
    )


@pytest.mark.parametrize("features", NARROWBAND, ids=lambda f: f.name)
def test_eight_kilohertz(features: FeatureSet):
    check([read(SMOKE)[::2].copy(), noise(3000, 20000)], features)


@pytest.mark.parametrize("n_samples", [1, 2, 100, 399, 400, 401, 560, 561, 719, 720, 721])
def test_very_short_signals_of_the_classic_set(n_samples: int):
    check([noise(n_samples, 3000)], CLASSIC)


@pytest.mark.parametrize("n_samples", [512, 513, 831, 832, 833])
def test_very_short_signals_of_the_streaming_set(n_samples: int):
    check([noise(n_samples, 3000)], STREAMING)


def test_less_than_a_window_has_no_streaming_features():
    vectors, feature_len = compute([noise(511, 3000), noise(512, 3000), noise(1, 3000)], STREAMING)
    assert feature_len.tolist() == [0, 1, 0]
    assert not vectors[[0, 2]].any()
    assert STREAMING.frames(511) == STREAMING.frames(0) == 0


@pytest.mark.parametrize("features", [*SETS, *NARROWBAND], ids=lambda f: f"{f.name} {f.sample_rate}")
def test_the_number_of_frames(features: FeatureSet):
    rng = np.random.default_rng(1)
    around = features.window + features.step // 2 * np.arange(12)[:, np.newaxis] + np.arange(-1, 2)
    lengths = [*around.ravel().tolist(), *rng.integers(features.window, 30000, 30).tolist()]
    _, feature_len = mfcc(tf.zeros([len(lengths), max(lengths)], tf.int16), tf.constant(lengths), features)
    for length, found in zip(lengths, feature_len.numpy(), strict=True):
        assert found == features.frames(length)
        if length >= features.window:
            assert found == len(oracle(np.zeros(length, np.int16), features)), length


@pytest.mark.parametrize("features", SETS, ids=lambda f: f.name)
def test_padding_and_company_change_nothing(features: FeatureSet):
    samples = read(SMOKE)[:12345]
    alone, (length,) = compute([samples], features)
    among, lengths = compute([noise(30000, 30000), samples, noise(700, 30000)], features, padding=777)
    assert lengths[1] == length
    np.testing.assert_allclose(among[1, :length], alone[0], rtol=0, atol=1e-5)


def test_whitening():
    rng = np.random.default_rng(2)
    lengths = [1, 2, 40, 57]
    vectors = rng.normal(rng.normal(0, 20, 26), rng.uniform(0.1, 30, 26), [4, 60, 26]).astype(np.float32)
    for row, length in zip(vectors, lengths, strict=True):
        row[length:] = 0
    white = whiten(tf.constant(vectors), tf.constant(lengths)).numpy()
    for row, found, length in zip(vectors, white, lengths, strict=True):
        assert not found[length:].any()
        assert found[:length].mean() == pytest.approx(0, abs=1e-4)
        assert found[:length].std() == pytest.approx(1, abs=1e-4)
        valid = row[:length].astype(np.float64)
        np.testing.assert_allclose(found[:length], (valid - valid.mean()) / valid.std(), rtol=0, atol=1e-4)


def test_whitening_constant_and_empty_utterances():
    vectors = np.zeros([3, 5, 26], np.float32)
    vectors[0] = 7
    vectors[1, :3] = -36.04
    white = whiten(tf.constant(vectors), tf.constant([5, 3, 0])).numpy()
    assert np.isfinite(white).all()
    assert np.abs(white).max() <= 1
