"""Augmentation of the spectrum against NumPy, by the definition of each, and on sounds whose spectrum is known."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from numpy.typing import NDArray

from util import tf
from util.augmentation import parse_augmentations
from util.features import UNCHANGED, FeatureSet, classic_filterbank, mfcc, streaming_filterbank
from util.spectral import Slot, SpectralChange, arrange, make_numbers

CLASSIC = FeatureSet("classic")
STREAMING = FeatureSet("streaming", window_ms=32)
SETS = (CLASSIC, STREAMING)
EVERYTHING = (
    "pitch", "tempo[factor=1.2~0.3]", "warp[nt=3,nf=2,wt=0.2,wf=0.1]", "frequency_mask", "time_mask[size=100]",
    "dropout", "add[domain=spectrogram,stddev=1]", "multiply[domain=spectrogram,stddev=0.1]",
    "time_mask[domain=features]", "dropout[domain=features]", "add", "multiply[stddev=0.1]",
)  # fmt: skip

Array = NDArray[np.float32]


def slots_of(*texts: str) -> list[Slot]:
    return arrange(parse_augmentations(texts))


def change_of(texts: Sequence[str], rows: object, features: FeatureSet = CLASSIC) -> SpectralChange:
    return SpectralChange(slots_of(*texts), features, tf.constant(rows, tf.float32))


def draw(texts: Sequence[str], lengths: Sequence[int], features: FeatureSet, needed: int = 1) -> list[list[float]]:
    """Return numbers for utterances of these lengths, each drawn from a seed of its own."""
    rows: list[list[float]] = []
    for seed, length in enumerate(lengths):
        random, n_frames = np.random.default_rng(seed), length
        rows.append([])
        for slot in slots_of(*texts):
            values = slot.augmentation.draw(random, 0.5)
            rows[-1] += make_numbers(slot, values, random, n_frames, needed, features)
            n_frames += int(rows[-1][-1]) if slot.augmentation.name == "tempo" else 0
    return rows


def speech_like(lengths: Sequence[int], n_bands: int = 27) -> Array:
    random = np.random.default_rng(0)
    x = random.normal(random.normal(3, 2, n_bands), 1, [len(lengths), max(lengths), n_bands]).astype(np.float32)
    for row, length in zip(x, lengths, strict=True):
        row[length:] = 1e6  # what lies behind an utterance must not matter
    return x


# ------------------------------------------------------------------------------------------- places


def test_every_augmentation_has_its_own_numbers():
    slots = slots_of("pitch", "time_mask[n=2~1]", "warp[nt=1:3,nf=2]", "tempo", "frequency_mask[n=0]", "dropout", "add")
    assert [(slot.first, slot.count) for slot in slots] == [
        (0, 1), (1, 6), (7, 10), (17, 1), (18, 0), (18, 3), (21, 3)
    ]  # fmt: skip


@pytest.mark.parametrize("features", SETS, ids=lambda f: f.name)
def test_zeros_change_nothing(features: FeatureSet):
    samples = np.random.default_rng(0).integers(-9000, 9000, [2, 9000]).astype(np.int16)
    n_samples = tf.constant([9000, 4321])
    rows = np.zeros([2, sum(slot.count for slot in slots_of(*EVERYTHING))])
    found, lengths = mfcc(tf.constant(samples), n_samples, features, change_of(EVERYTHING, rows, features))
    expected, plain_lengths = mfcc(tf.constant(samples), n_samples, features)
    np.testing.assert_array_equal(lengths, plain_lengths)
    np.testing.assert_allclose(found, expected, rtol=0, atol=2e-4)


# ---------------------------------------------------------------------------- pitch, tempo and warp


@pytest.mark.parametrize("bank", [classic_filterbank(CLASSIC), streaming_filterbank(STREAMING)], ids=["26", "40"])
def test_pitch_stretches_the_frequency_axis(bank: Array):
    spectrum = np.random.default_rng(0).exponential(1, [3, 5, len(bank)]).astype(np.float32)
    factors = [0.8, 1.0, 1.3]
    filters = change_of(["pitch"], [[factor - 1] for factor in factors]).filters(bank)
    bins = np.arange(len(bank))
    for one, factor, found in zip(spectrum, factors, (spectrum @ filters).numpy(), strict=True):
        stretched = np.array([np.interp(bins / factor, bins, frame) for frame in one])
        np.testing.assert_allclose(found, stretched @ bank, rtol=1e-4)


def test_a_tone_moves_to_the_higher_pitch():
    time = np.arange(16000) / 16000
    noise = np.random.default_rng(0).normal(0, 300, 16000)
    low, high = (np.rint(9000 * np.sin(2 * np.pi * f * time) + noise).astype(np.int16)[np.newaxis] for f in (990, 1980))
    n_samples = tf.constant([16000])
    before, wanted = (mfcc(tf.constant(sound), n_samples, STREAMING)[0] for sound in (low, high))
    found, _ = mfcc(tf.constant(low), n_samples, STREAMING, change_of(["pitch"], [[1.0]], STREAMING))
    assert np.linalg.norm(found - wanted) < 0.5 * np.linalg.norm(before - wanted)


def test_tempo_stretches_the_time_axis():
    lengths, new_lengths = [40, 7, 25, 1, 1], [31, 12, 25, 1, 3]
    bands = np.random.default_rng(0).exponential(1, [5, 40, 27]).astype(np.float32)
    rows = np.subtract(new_lengths, lengths)[:, np.newaxis]
    found, feature_len = change_of(["tempo"], rows).in_time(tf.constant(bands), tf.constant(lengths))
    assert feature_len.numpy().tolist() == new_lengths
    assert found.shape == (5, 31, 27)
    for one, length, new_length, stretched in zip(bands, lengths, new_lengths, found.numpy(), strict=True):
        positions = np.linspace(0, length - 1, new_length)
        expected = np.array([np.interp(positions, np.arange(length), band[:length]) for band in one.T]).T
        np.testing.assert_allclose(stretched[:new_length], expected, rtol=0, atol=1e-4)


def test_warp_moves_the_anchors_in_time_and_the_ends_stay():
    lengths = [41, 30]
    anchors, shifts = np.array([[0.2, 0.7], [0.25, 0.6]]), np.array([[0.1, -0.15], [-0.1, 0.05]])
    bands = np.random.default_rng(0).exponential(1, [2, 41, 27]).astype(np.float32)
    change = change_of(["warp[nt=2,wt=0.2]"], np.concatenate([anchors, shifts, np.zeros([2, 2])], 1))
    found, feature_len = change.in_time(tf.constant(bands), tf.constant(lengths))
    assert feature_len.numpy().tolist() == lengths
    for one, length, at, by, warped in zip(bands, lengths, anchors, shifts, found.numpy(), strict=True):
        x = np.linspace(0, 1, length)
        source = np.interp(x, [0, *(at + by), 1], [0, *at, 1]) * (length - 1)
        expected = np.array([np.interp(source, np.arange(length), band[:length]) for band in one.T]).T
        np.testing.assert_allclose(warped[:length], expected, rtol=0, atol=1e-4)


def test_warp_moves_the_anchors_in_frequency():
    bank = classic_filterbank(CLASSIC)
    spectrum = np.random.default_rng(0).exponential(1, [1, 5, len(bank)]).astype(np.float32)
    filters = change_of(["warp[nf=2,wf=0.2]"], [[0.5, 0, 0.2, 0.7, 0.1, -0.15]]).filters(bank)
    bins = np.arange(len(bank))
    source = np.interp(bins / 256, [0, 0.3, 0.55, 1], [0, 0.2, 0.7, 1]) * 256
    warped = np.array([np.interp(source, bins, frame) for frame in spectrum[0]])
    np.testing.assert_allclose((spectrum @ filters)[0], warped @ bank, rtol=1e-4)


def test_several_moves_act_one_after_the_other():
    """A tempo of 2 after a warp is the warped utterance, faster."""
    bands = np.linspace(0, 1, 41, dtype=np.float32)[np.newaxis, :, np.newaxis]
    warp, tempo = [0.5, 0.25, 0, 0], [-20]
    both = change_of(["warp", "tempo"], [[*warp, *tempo]]).in_time(tf.constant(bands), tf.constant([41]))[0]
    x = np.linspace(0, 1, 21)
    np.testing.assert_allclose(both[0, :, 0], np.interp(x, [0, 0.75, 1], [0, 0.5, 1]), atol=1e-5)
    twice = change_of(["warp", "warp"], [[*warp, 0.5, -0.25, 0, 0]]).in_time(tf.constant(bands), tf.constant([41]))[0]
    expected = np.interp(np.interp(np.linspace(0, 1, 41), [0, 0.25, 1], [0, 0.5, 1]), [0, 0.75, 1], [0, 0.5, 1])
    np.testing.assert_allclose(twice[0, :, 0], expected, atol=1e-5)


@pytest.mark.parametrize(
    ("text", "n_frames", "needed", "expected"),
    [
        ("tempo[factor=1.5]", 100, 10, 66),
        ("tempo[factor=1.5]", 100, 80, 80),
        ("tempo[factor=1.5]", 100, 100, 100),
        ("tempo[factor=0.8]", 100, 100, 125),
        ("tempo[factor=10]", 5, 1, 1),
        ("tempo[factor=0.5,max_time=3000]", 100, 10, 150),
        ("tempo[factor=0.5,max_time=1000]", 100, 80, 80),
    ],
)
def test_tempo_leaves_the_frames_that_a_transcript_needs(text: str, n_frames: int, needed: int, expected: int):
    (row,) = draw([text], [n_frames], CLASSIC, needed)
    assert n_frames + row[0] == expected


def test_warps_shift_evenly_spaced_anchors():
    """By a normal distribution, in half distances, as in 0.9.3; but none overtakes its neighbour."""
    rows = np.array(draw(["warp[nt=2:4,nf=1,wt=0.3,wf=5]"], [100] * 2000, CLASSIC))
    anchors, shifts, in_frequency, by = np.split(rows, [4, 8, 9], 1)
    np.testing.assert_allclose(anchors, np.tile([0, 0.25, 0.5, 0.75], [2000, 1]), err_msg="at half time three of four")
    assert not shifts[:, 0].any()
    assert shifts[:, 1:].std() == pytest.approx(0.3 / 8, rel=0.03)
    assert np.abs(shifts).max() <= 0.9 / 8 + 1e-9
    np.testing.assert_allclose(in_frequency, 0.5)
    assert np.abs(by).max() == pytest.approx(0.9 / 4)
    assert (np.abs(by) > 0.22).mean() > 0.8


# ------------------------------------------------------------------------------------ masks, noise


@pytest.mark.parametrize("features", SETS, ids=lambda f: f.name)
def test_masks_become_the_mean_of_the_band(features: FeatureSet):
    n_bands = features.n_bands + (features is CLASSIC)
    lengths = [30, 12]
    x = speech_like(lengths, n_bands)
    texts = ["frequency_mask[n=2]", "time_mask[n=2]"]
    rows = [[3, features.n_bands - 2, 4, 2, 5, 20, 5, 1], [0, 7, 0, 2, 0, 0, 12, 0]]
    found = change_of(texts, rows, features).log_bands(tf.constant(x), tf.constant(lengths)).numpy()
    expected = x.copy()
    means = [one[:length].mean(0, dtype=np.float64) for one, length in zip(x, lengths, strict=True)]
    for bands in (slice(3, 7), slice(features.n_bands - 2, features.n_bands)):
        expected[0, :, bands] = means[0][bands]
    expected[0, [*range(5, 10), 20]] = means[0]
    expected[1, :, 7:9] = means[1][7:9]
    expected[1, :12] = means[1]
    for one, other, length in zip(found, expected, lengths, strict=True):
        np.testing.assert_allclose(one[:length], other[:length], rtol=1e-4)


def test_masks_are_drawn_evenly_and_within_the_utterance():
    texts = ["frequency_mask[n=2,size=5]", "time_mask[n=1:3,size=100]"]
    rows = np.array(draw(texts, [50] * 2000, CLASSIC))
    bands, band_sizes, frames, frame_sizes = np.split(rows, [2, 4, 7], 1)
    assert set(band_sizes.flat) == {5}
    assert np.unique(bands).tolist() == list(range(22)), "26 bands, 5 in a mask"
    assert frame_sizes[:, :2].flatten().tolist() == [5] * 4000, "100 ms are 5 frames of 20 ms"
    assert not frame_sizes[:, 2].any(), "two of three at half time"
    starts, counts = np.unique(frames[:, :2], return_counts=True)
    assert starts.tolist() == list(range(46))
    assert counts.min() > 40
    assert counts.max() < 140
    tiny = np.array(draw(["time_mask[size=100]", "frequency_mask[size=40]", "time_mask[size=1]"], [3], CLASSIC))[0]
    assert tiny.tolist() == [0, 0, 0, 3, 3, 3, 0, 0, 0, 26, 26, 26, *tiny[12:15], 1, 1, 1], "no larger than it all"
    assert draw(["time_mask[size=0]"], [9], CLASSIC)[0][3:] == [0, 0, 0]


def test_dropout_removes_a_share_not_keeps_it():
    lengths = [500, 300]
    x = speech_like(lengths)
    rows = [[0.05, 1, 2], [0.3, 3, 4]]
    found = change_of(["dropout"], rows).log_bands(tf.constant(x), tf.constant(lengths)).numpy()
    for one, other, length, (rate, *_) in zip(x, found, lengths, rows, strict=True):
        dropped = one[:length] != other[:length]
        assert dropped.mean() == pytest.approx(rate, abs=0.015)
        mean = np.broadcast_to(one[:length].mean(0), dropped.shape)
        np.testing.assert_allclose(other[:length][dropped], mean[dropped], rtol=1e-4)


@pytest.mark.parametrize("domain", ["spectrogram", "features"])
def test_noise_has_its_distribution(domain: str):
    lengths = [800]
    x = speech_like(lengths) * (np.abs(speech_like(lengths)) > 0.1)
    steps = {}
    for name in ("add", "multiply"):
        change = change_of([f"{name}[domain={domain}]"], [[0.2, 77, 88]])
        step = change.log_bands if domain == "spectrogram" else change.cepstra
        steps[name] = step(tf.constant(x), tf.constant(lengths)).numpy()
        other = change.cepstra if domain == "spectrogram" else change.log_bands
        np.testing.assert_array_equal(other(tf.constant(x), tf.constant(lengths)), x, "elsewhere nothing happens")
    added = steps["add"] - x
    if domain == "features":
        is_sound = np.abs(x) > 0.1
        factor = steps["multiply"][is_sound] / x[is_sound]
    else:
        factor = np.exp(steps["multiply"] - x)  # of energies
    for noise, mean in ((added, 0), (factor, 1)):
        assert noise.mean() == pytest.approx(mean, abs=0.01)
        assert noise.std() == pytest.approx(0.2, abs=0.01)
        flat = (noise.ravel() - mean) / 0.2
        assert np.mean(flat**4) == pytest.approx(3, abs=0.25), "as of a normal distribution"
    assert abs(np.corrcoef(added[0, 1:].ravel(), added[0, :-1].ravel())[0, 1]) < 0.03


def test_masks_and_noise_keep_the_order_of_the_command_line():
    x, length, numbers = speech_like([50]), tf.constant([50]), {"time_mask": [0, 50], "add": [1, 5, 6]}
    for order in (["time_mask", "add"], ["add", "time_mask"]):
        texts = ["time_mask[n=1]" if name == "time_mask" else "add[domain=spectrogram]" for name in order]
        found = change_of(texts, [numbers[order[0]] + numbers[order[1]]]).log_bands(tf.constant(x), length).numpy()
        assert (found.std(1).max() < 1e-3) == (order[1] == "time_mask"), "masked at last: nothing but the mean"


# -------------------------------------------------------------------------------- all of it together


@pytest.mark.parametrize("features", SETS, ids=lambda f: f.name)
def test_company_and_padding_change_nothing(features: FeatureSet):
    random = np.random.default_rng(0)
    lengths = [6000, 16000, 9000]
    samples = np.zeros([3, 16000], np.int16)
    for row, length in zip(samples, lengths, strict=True):
        row[:length] = random.integers(-9000, 9000, length)
    rows = draw(EVERYTHING, [features.frames(length) for length in lengths], features)
    together, feature_len = mfcc(
        tf.constant(samples), tf.constant(lengths), features, change_of(EVERYTHING, rows, features)
    )
    plain, plain_len = mfcc(tf.constant(samples), tf.constant(lengths), features)
    tempo = [row[1] for row in rows]
    np.testing.assert_array_equal(feature_len, plain_len + tempo)
    for one in range(3):
        change = change_of(EVERYTHING, rows[one : one + 1], features)
        part = samples[one : one + 1, : lengths[one]]
        alone, (length,) = mfcc(tf.constant(part), tf.constant(lengths[one : one + 1]), features, change)
        assert length == feature_len[one]
        np.testing.assert_allclose(together[one, :length], alone[0], rtol=0, atol=1e-3)
        assert not np.any(together[one, length:])
        shared = min(length, plain_len[one])
        assert not np.allclose(together[one, :shared], plain[one, :shared], atol=1)


def test_it_compiles_for_batches_of_any_shape():
    kinds = ([None, None], tf.int16), ([None], tf.int32), ([None, None], tf.float32)

    @tf.function(input_signature=[tf.TensorSpec(shape, kind) for shape, kind in kinds])
    def step(samples, n_samples, numbers):
        return mfcc(samples, n_samples, CLASSIC, SpectralChange(slots_of(*EVERYTHING), CLASSIC, numbers))

    random = np.random.default_rng(0)
    for n_samples in ([3000], [8000, 5000]):
        samples = random.integers(-9000, 9000, [len(n_samples), max(n_samples)]).astype(np.int16)
        rows = np.array(draw(EVERYTHING, [CLASSIC.frames(length) for length in n_samples], CLASSIC), np.float32)
        found, feature_len = step(samples, np.array(n_samples, np.int32), rows)
        change = change_of(EVERYTHING, rows)
        expected, lengths = mfcc(tf.constant(samples), tf.constant(n_samples), CLASSIC, change)
        np.testing.assert_array_equal(feature_len, lengths)
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-3)


def test_no_augmentation_leaves_every_step_as_it_is():
    bank = classic_filterbank(CLASSIC)
    x, length = tf.constant(speech_like([9])), tf.constant([9])
    for change in (UNCHANGED, change_of([], np.zeros([1, 0]))):
        assert change.filters(bank) is bank
        assert change.in_time(x, length)[0] is x
        assert change.log_bands(x, length) is x
        assert change.cepstra(x, length) is x
