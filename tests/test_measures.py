"""Measures against arithmetic."""

import numpy as np
import pytest

from util.measures import measure, stand_out


def sine(amplitude: float, seconds: float = 1.0, rate: int = 16000) -> np.ndarray:
    time = np.arange(round(seconds * rate)) / rate
    return np.rint(amplitude * 32768 * np.sin(2 * np.pi * 500 * time)).astype(np.int16)[:, np.newaxis]


def test_the_level_of_a_sine():
    """Its root mean square is its amplitude over the square root of 2, 3.01 dB less."""
    sound = measure(sine(0.5), 16000)
    assert sound.level_db == pytest.approx(-6.02 - 3.01, abs=0.01)
    assert (sound.silent, sound.silence_before_s, sound.silence_after_s, sound.clipped) == (0, 0, 0, 0)
    assert (sound.info.sample_rate, sound.info.channels, sound.info.duration_s) == (16000, 1, 1.0)


def test_silence_is_measured_in_frames():
    still = np.zeros((16000, 1), np.int16)
    sound = measure(np.concatenate([still, still, sine(0.1), still, sine(0.1), still[:8000]]), 16000)
    assert sound.silence_before_s == pytest.approx(2)
    assert sound.silence_after_s == pytest.approx(0.5)
    assert sound.silent == pytest.approx(3.5 / 5.5, abs=0.01)
    assert sound.level_db == pytest.approx(-23.01, abs=0.1), "of what is not silence"


def test_what_counts_as_silence():
    faint = sine(0.002)  # -54 - 3 dBFS
    assert measure(faint, 16000).silent == 1
    assert measure(faint, 16000, silence_db=-60).silent == 0
    assert measure(faint + np.int16(5000), 16000).silent == 1, "the constant part is no sound"


def test_digital_silence_has_a_level_all_the_same():
    sound = measure(np.zeros((100, 2), np.int16), 8000)
    assert (sound.silent, sound.level_db) == (1, -100)
    assert sound.silence_before_s == sound.silence_after_s == pytest.approx(100 / 8000)


@pytest.mark.parametrize("length", [1, 319, 320, 321])
def test_short_recordings(length: int):
    samples = sine(0.5)[40 : 40 + length]
    sound = measure(samples, 16000)
    assert sound.info.n_samples == length
    assert 0 <= sound.silent <= 1


def test_clipping_counts_samples_of_all_channels():
    samples = np.zeros((100, 2), np.int16)
    samples[:3, 0] = 32767, -32768, -32767
    samples[50, 1] = 32767
    samples[60, 1] = 32766
    assert measure(samples, 16000).clipped == 4 / 200


def test_the_digest_is_that_of_the_samples():
    samples = np.arange(1000, dtype=np.int16).reshape(500, 2)
    same = measure(np.asfortranarray(samples), 16000).digest
    assert measure(samples, 16000).digest == same
    others = [measure(samples, 8000), measure(samples.reshape(1000, 1), 16000), measure(samples[:-1], 16000)]
    assert same not in {sound.digest for sound in others}


def test_wild_numbers_stand_out_and_do_not_hide_each_other():
    values = [10.0, 11, 9, 10.5, 9.5, 10, 10.2, 9.8, 1000, 1000, 0.1]
    scores = stand_out(values)
    assert abs(scores[:8]).max() < 5
    assert scores[8] == scores[9] > 50
    assert scores[10] < -50


def test_scores_by_hand():
    """Logarithms 0 to 4: the median is 2, the differences' sizes are 2 1 0 1 2, their median 1."""
    assert stand_out(np.exp([0, 1, 2, 3, 4])) == pytest.approx(np.array([-2, -1, 0, 1, 2]) / 1.4826)


def test_equal_numbers_do_not_stand_out():
    assert stand_out([3.0] * 5).tolist() == [0] * 5
    assert abs(stand_out([3.0] * 5 + [3.1])[-1]) < 5, "nor one that is nearly the same"
    assert stand_out([]).tolist() == []
