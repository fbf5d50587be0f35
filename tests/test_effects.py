"""Tests of util.effects: each effect is measured by other means than those that make it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray
from scipy.signal import convolve, correlate

from util import effects
from util.augmentation import KINDS
from util.effects import NoiseSource, speed_length
from util.errors import DataError

RATE = 16000
Samples = NDArray[np.float32]


def generator(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def noise(n: int, level: float = 0.1, seed: int = 1) -> Samples:
    return (level * generator(seed).standard_normal(n)).astype(np.float32)


def tone(hertz: float, seconds: float, level: float = 0.3, rate: int = RATE) -> Samples:
    return (level * np.sin(2 * np.pi * hertz * np.arange(round(seconds * rate)) / rate)).astype(np.float32)


def rms(samples: NDArray[Any]) -> float:
    return float(np.sqrt(np.mean(np.asarray(samples, np.float64) ** 2)))


def decibels(ratio: float) -> float:
    return 20 * float(np.log10(ratio))


def loudest_hertz(samples: Samples, rate: int = RATE) -> float:
    spectrum = np.abs(np.fft.rfft(samples * np.hanning(len(samples))))
    return float(np.argmax(spectrum)) * rate / len(samples)


def write(path: Path, samples: NDArray[Any], rate: int = RATE) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, samples, rate, subtype="PCM_16")
    return path


@pytest.fixture
def hiss(tmp_path: Path) -> NoiseSource:
    """Return a source of 3 s of noise."""
    return NoiseSource(write(tmp_path / "hiss.wav", noise(3 * RATE, 0.05, seed=7)))


@pytest.fixture
def room(tmp_path: Path) -> NoiseSource:
    """Return a source of one impulse response: a faint sound before the direct one, then two echoes."""
    response = np.zeros(2000)
    response[[90, 100, 500, 1900]] = -0.05, 0.8, -0.4, 0.2
    return NoiseSource(write(tmp_path / "room.wav", response))


Effect = Callable[..., Samples]


@pytest.fixture
def every(hiss: NoiseSource, room: NoiseSource) -> dict[str, tuple[Effect, dict[str, Any]]]:
    return {
        "faster": (effects.speed, {"factor": 1.1}),
        "slower": (effects.speed, {"factor": 0.9}),
        "overlay": (effects.overlay, {"source": hiss, "snr": 3.0, "layers": 2}),
        "reverb": (effects.reverb, {"delay": 20.0, "decay": 10.0}),
        "rir": (effects.rir, {"source": room}),
        "resample": (effects.resample, {"rate": 8000}),
        "volume": (effects.volume, {"dbfs": -3.0}),
        "codec": (effects.codec, {"bitrate": 3200}),
        "time_mask": (effects.time_mask, {"n": 3, "size": 10.0}),
        "dropout": (effects.dropout, {"rate": 0.05}),
        "add": (effects.add, {"stddev": 0.01}),
        "multiply": (effects.multiply, {"stddev": 0.3}),
    }


NAMES = (
    *("faster", "slower", "overlay", "reverb", "rir", "resample"),
    *("volume", "codec", "time_mask", "dropout", "add", "multiply"),
)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("rate", [8000, 16000, 22050])
@pytest.mark.parametrize("n", [1, 2, 37, 500, 9001])
def test_length_type_and_scale_of_every_effect(every, name: str, rate: int, n: int):
    effect, values = every[name]
    before = noise(n, 0.4).clip(-1, 1)
    samples = before.copy()
    after = effect(samples, rate, generator(), **values)
    assert after.dtype == np.float32
    assert after.shape == (speed_length(n, values.get("factor", 1.0)),)
    assert np.isfinite(after).all()
    assert np.abs(after).max() <= 1
    np.testing.assert_array_equal(samples, before)


@pytest.mark.parametrize("name", [name for name in NAMES if name != "add"])
def test_silence_stays_silence(every, name: str):
    effect, values = every[name]
    after = effect(np.zeros(4000, np.float32), RATE, generator(), **values)
    assert np.abs(after).max() < 1e-4  # a codec may leave a trace


@pytest.mark.parametrize("name", NAMES)
def test_full_scale_sound_does_not_wrap(every, name: str):
    effect, values = every[name]
    square = np.sign(tone(300, 0.5)).astype(np.float32)
    after = effect(square, RATE, generator(), **values)
    assert np.abs(after).max() <= 1
    assert np.dot(after[:100], square[:100]) > 0  # the first waves of both still go up and down together


@pytest.mark.parametrize("name", NAMES)
def test_the_generator_decides_everything(every, name: str):
    effect, values = every[name]
    speech = noise(8000)
    first, again, other = (effect(speech, RATE, generator(seed), **values) for seed in (5, 5, 6))
    np.testing.assert_array_equal(first, again)
    if name in {"overlay", "time_mask", "dropout", "add", "multiply"}:
        assert (first != other).any()


@pytest.mark.parametrize(
    ("n", "factor", "expected"),
    [(16000, 1.0, 16000), (16000, 0.8, 20000), (16000, 1.25, 12800), (10, 3.0, 3), (5, 2.0, 3), (1, 4.0, 1)],
)
def test_length_after_speed(n: int, factor: float, expected: int):
    assert speed_length(n, factor) == expected


@pytest.mark.parametrize("factor", [0.8, 0.9, 1.1, 1.2371])
def test_speed_moves_pitch_and_time_alike(factor: float):
    """A tone that begins at 1 s begins at 1 s / factor, `factor` times as high."""
    speech = np.concatenate([np.zeros(RATE, np.float32), tone(1000, 1.0)])
    after = effects.speed(speech, RATE, generator(), factor=factor)
    assert len(after) == round(2 * RATE / factor)
    onset = np.flatnonzero(np.abs(after) > 0.1)[0]
    assert onset == pytest.approx(RATE / factor, abs=16)  # a ms
    sounding = after[onset + 800 : len(after) - 800]
    assert loudest_hertz(sounding) == pytest.approx(1000 * factor, abs=RATE / len(sounding))
    assert rms(sounding) == pytest.approx(0.3 / np.sqrt(2), rel=0.01)


def test_speed_does_not_fold_high_sounds_down():
    after = effects.speed(tone(7500, 0.5), RATE, generator(), factor=1.2)  # 9 kHz, beyond half the rate
    assert rms(after[500:-500]) < 0.001


@pytest.mark.parametrize("snr", [-5.0, 0.0, 3.0, 20.0])
@pytest.mark.parametrize("layers", [1, 3])
def test_signal_to_noise_ratio(hiss: NoiseSource, snr: float, layers: int):
    speech = tone(440, 1.5, 0.05)
    mixed = effects.overlay(speech, RATE, generator(), source=hiss, snr=snr, layers=layers)
    assert decibels(rms(speech) / rms(mixed - speech)) == pytest.approx(snr, abs=0.01)


def test_a_mix_beyond_full_scale_is_made_quieter_as_a_whole(hiss: NoiseSource):
    speech = tone(440, 1.5, 0.9)
    mixed = effects.overlay(speech, RATE, generator(), source=hiss, snr=0.0)
    assert np.abs(mixed).max() == pytest.approx(1, abs=1e-6)
    scale = np.dot(mixed, speech) / np.dot(speech, speech)
    assert scale < 0.8
    assert decibels(rms(scale * speech) / rms(mixed - scale * speech)) == pytest.approx(0, abs=0.2)


def test_overlay_without_noise_or_layers_changes_nothing(tmp_path: Path, hiss: NoiseSource):
    speech, silent = noise(3000), NoiseSource(write(tmp_path / "silent.wav", np.zeros(500)))
    for source, layers in ((silent, 1), (hiss, 0)):
        mixed = effects.overlay(speech, RATE, generator(), source=source, snr=0.0, layers=layers)
        np.testing.assert_array_equal(mixed, speech)


def test_layers_are_different_excerpts(hiss: NoiseSource):
    """Two independent layers have the power of both; the same one twice would have twice that."""
    one, two = (sum(hiss.excerpt(20000, RATE, generator(seed)) for seed in seeds) for seeds in ((1,), (1, 2)))
    assert decibels(rms(two) / rms(one)) == pytest.approx(3.01, abs=0.2)


def test_excerpts_come_from_everywhere(tmp_path: Path):
    """A ramp tells where an excerpt begins; places are uniform over all that leave room for it."""
    ramp = np.arange(20000, dtype=np.int16)
    source, random = NoiseSource(write(tmp_path / "ramp.wav", ramp)), generator()
    starts = []
    for _ in range(400):
        excerpt = source.excerpt(5000, RATE, random) * 32768
        np.testing.assert_array_equal(np.diff(excerpt), 1)
        starts.append(excerpt[0])
    assert min(starts) < 300
    assert max(starts) > 14700
    assert max(starts) <= 15000
    assert np.mean(starts) == pytest.approx(7500, abs=4 * 15000 / np.sqrt(12 * 400))


def test_recordings_are_chosen_by_their_length(tmp_path: Path):
    write(tmp_path / "a" / "low.wav", np.full(30000, 100, np.int16))
    write(tmp_path / "b" / "high.flac", np.full(90000, 200, np.int16))
    (tmp_path / "notes.txt").write_text("not a recording")
    source, random = NoiseSource(tmp_path), generator()
    values = [round(float(source.excerpt(100, RATE, random)[0] * 32768)) for _ in range(600)]
    assert set(values) == {100, 200}
    assert values.count(200) == pytest.approx(450, abs=4 * np.sqrt(600 * 0.75 * 0.25))


def test_a_short_source_is_repeated(tmp_path: Path):
    source = NoiseSource(write(tmp_path / "short.wav", np.arange(300, dtype=np.int16)))
    expected = np.concatenate([np.arange(300)] * 200)[:50000]
    np.testing.assert_array_equal(source.excerpt(50000, RATE, generator()) * 32768, expected)
    longer = NoiseSource(write(tmp_path / "longer.wav", np.arange(20000, dtype=np.int16)))
    excerpt = longer.excerpt(50000, RATE, generator()) * 32768
    np.testing.assert_array_equal(excerpt[:40000], np.tile(np.arange(20000), 2))
    np.testing.assert_array_equal(np.diff(excerpt[40000:]), 1)


def test_short_recordings_are_joined(tmp_path: Path):
    for value in (1, 2, 3):
        write(tmp_path / f"{value}.wav", np.full(RATE, 1000 * value, np.int16))
    excerpt = NoiseSource(tmp_path).excerpt(20 * RATE, RATE, generator()) * 32768
    assert {*np.unique(excerpt)} == {1000, 2000, 3000}


def test_a_source_at_another_rate_keeps_its_pitch(tmp_path: Path):
    source = NoiseSource(write(tmp_path / "tone.wav", tone(1000, 3.0, rate=44100), 44100))
    assert loudest_hertz(source.excerpt(RATE, RATE, generator())) == pytest.approx(1000, abs=1)
    assert loudest_hertz(source.excerpt(8000, 8000, generator()), 8000) == pytest.approx(1000, abs=1)


@pytest.mark.parametrize("stored_rate", [16000, 22050])
def test_a_source_too_long_for_memory_gives_the_same(tmp_path: Path, monkeypatch, stored_rate: int):
    for seed in (1, 2):
        smooth = np.convolve(noise(3 * stored_rate, 1, seed), np.hanning(50) / 50, "same")
        write(tmp_path / f"{seed}.wav", smooth, stored_rate)
    lengths = (700, 5000, RATE, 40000, 100000)
    kept = [NoiseSource(tmp_path).excerpt(n, RATE, generator(n)) for n in lengths]
    monkeypatch.setattr(effects, "_KEPT_BYTES", 100)
    source = NoiseSource(tmp_path)
    again = [source.excerpt(n, RATE, generator(n)) for n in lengths]
    assert not source._kept
    for one, other in zip(kept, again, strict=True):
        assert len(one) == len(other)
        if stored_rate == RATE:
            np.testing.assert_array_equal(one, other)
        else:  # resampled in parts: up to half a sample apart
            assert np.corrcoef(one, other)[0, 1] > 0.99


def test_sources_of_a_csv(tmp_path: Path):
    write(tmp_path / "wavs" / "a.wav", np.full(500, 123, np.int16))
    (tmp_path / "noise.csv").write_text("wav_filename\nwavs/a.wav\n")
    excerpt = NoiseSource(tmp_path / "noise.csv").excerpt(10, RATE, generator())
    np.testing.assert_array_equal(excerpt * 32768, 123)


def broken(tmp_path: Path, case: str) -> tuple[Path, str]:
    """Make a source with a fault; return it and what the sentence has to say."""
    if case == "missing":
        path = tmp_path / "nowhere"
        return path, f"cannot find {path}, expected a CSV, SDB or tar, a folder or a recording; correct the name"
    if case == "missing CSV":
        return tmp_path / "no.csv", f"cannot read {tmp_path / 'no.csv'}: No such file or directory; expected a CSV"
    if case == "empty folder":
        return tmp_path, f"{tmp_path} has no recordings, expected files that end in .flac, .mp3,"
    if case == "empty CSV":
        (tmp_path / "a.csv").write_text("wav_filename\n")
        return tmp_path / "a.csv", "a.csv has no recordings, expected rows with a wav_filename; name another source"
    if case == "row without its file":
        (tmp_path / "a.csv").write_text("wav_filename\ngone.wav\n")
        return tmp_path / "a.csv", f"cannot read {tmp_path / 'gone.wav'}: No such file"
    (tmp_path / "a.wav").write_text("These are not the sounds you are looking for.")
    return tmp_path if case == "folder with a text" else tmp_path / "a.wav", "a.wav is text (it starts with"


@pytest.mark.parametrize(
    "case",
    ["missing", "missing CSV", "empty folder", "empty CSV", "row without its file", "folder with a text", "text"],
)
def test_what_is_no_source(tmp_path: Path, case: str):
    path, sentence = broken(tmp_path, case)
    with pytest.raises(DataError) as error:
        NoiseSource(path)
    assert sentence in str(error.value)


def test_echoes_of_reverb():
    """A click shows them: five series at 17:19:23:29:31 of the delay, each echo by `decay` below the one before."""
    click = np.zeros(8000, np.float32)
    click[0] = 0.5
    after = effects.reverb(click, RATE, generator(), delay=17.0, decay=6.0)
    echoes = after / after[0]
    expected = np.zeros(8000)
    for milliseconds in (17, 19, 23, 29, 31):
        for k in range(1, 500 // milliseconds + 1):
            if milliseconds * k * 16 < 8000:
                expected[milliseconds * k * 16] += 10 ** (-6 * k / 20) / 6  # dry sound and five combs: 6 at first
    expected[0] = 1
    np.testing.assert_allclose(echoes, expected, atol=2e-5)


@pytest.mark.parametrize(("n", "decay"), [(3000, 3.0), (20000, 10.0)])  # convolved as a whole and in blocks
def test_reverb_is_the_recursion_of_its_combs(n: int, decay: float):
    speech = noise(n)
    after = effects.reverb(speech, RATE, generator(), delay=5.0, decay=decay)
    wet = speech.astype(np.float64)
    for prime in (17, 19, 23, 29, 31):
        comb, step = speech.astype(np.float64), round(5 * 16 * prime / 17)
        for i in range(step, len(comb)):
            comb[i] += 10 ** (-decay / 20) * comb[i - step]
        wet = wet + comb
    np.testing.assert_allclose(after, wet * rms(speech) / rms(wet), atol=1e-5)


@pytest.mark.parametrize(("delay", "decay"), [(0.0, 10.0), (20.0, 0.0), (-1.0, -1.0), (1e6, 10.0)])
def test_reverb_at_its_limits(delay: float, decay: float):
    after = effects.reverb(noise(2000), RATE, generator(), delay=delay, decay=decay)
    assert rms(after) == pytest.approx(0.1, rel=0.05)


@pytest.mark.parametrize("n", [300, 3000, 30000])
def test_impulse_response(room: NoiseSource, n: int):
    """By direct convolution, the direct sound at its place, the level kept."""
    speech = noise(n)
    after = effects.rir(speech, RATE, generator(), source=room)
    response = np.zeros(2000)
    response[[90, 100, 500, 1900]] = -0.05, 0.8, -0.4, 0.2
    expected = convolve(speech.astype(np.float64), response, method="direct")[100 : 100 + n]
    np.testing.assert_allclose(after, expected * rms(speech) / rms(expected), atol=1e-4)
    assert np.argmax(np.abs(correlate(after, speech))) == n - 1  # no shift
    assert rms(after) == pytest.approx(rms(speech), rel=1e-5)


def test_a_silent_impulse_response_does_not_silence(tmp_path: Path):
    speech, silent = noise(3000), NoiseSource(write(tmp_path / "silent.wav", np.zeros(500)))
    np.testing.assert_array_equal(effects.rir(speech, RATE, generator(), source=silent), speech)


def test_impulse_responses_are_single_channels(tmp_path: Path):
    """The mean of these channels would be no room at all."""
    stereo = np.zeros([50, 2])
    stereo[0] = 0.5, -0.5
    source, random = NoiseSource(write(tmp_path / "stereo.wav", stereo)), generator()
    firsts = {float(source.impulse_response(RATE, random)[0]) for _ in range(30)}
    assert firsts == {0.5, -0.5}


def test_an_impulse_response_is_short(tmp_path: Path):
    source = NoiseSource(write(tmp_path / "music.wav", noise(11 * 8000), 8000))
    assert len(source.impulse_response(8000, generator())) == 80000


def test_band_limit_of_resample():
    speech = noise(2 * RATE)
    after = effects.resample(speech, RATE, generator(), rate=8000)
    before_power, after_power = (np.abs(np.fft.rfft(sound)) ** 2 for sound in (speech, after))
    hertz = np.fft.rfftfreq(2 * RATE, 1 / RATE)
    low, high = hertz < 3500, hertz > 4200
    assert after_power[low].sum() == pytest.approx(before_power[low].sum(), rel=0.01)
    assert after_power[high].sum() < 1e-5 * before_power[high].sum()
    assert np.argmax(correlate(after, speech)) == 2 * RATE - 1  # no shift


@pytest.mark.parametrize("rate", [16000, 44100])
def test_a_rate_that_holds_everything_changes_nothing(rate: int):
    speech = noise(1000)
    np.testing.assert_array_equal(effects.resample(speech, RATE, generator(), rate=rate), speech)


@pytest.mark.parametrize(
    ("dbfs", "peak"), [(3.0103, 1.0), (3.0103 - 6.0206, 0.5), (3.0103 - 20, 0.1), (3.0103 - 60, 0.001)]
)
def test_volume_sets_the_peak(dbfs: float, peak: float):
    after = effects.volume(tone(400, 0.1, 0.37), RATE, generator(), dbfs=dbfs)
    assert np.abs(after).max() == pytest.approx(peak, rel=1e-4)
    full_scale_sine = tone(400, 1.0, 1.0)  # whose mean power is the 0 dBFS of this scale
    assert decibels(rms(full_scale_sine)) + 3.0103 == pytest.approx(0, abs=1e-3)


def test_volume_beyond_full_scale_clips():
    speech = np.array([0.1, -0.2, 0.05], np.float32)
    after = effects.volume(speech, RATE, generator(), dbfs=3.0103 + 6.0206)  # twice full scale
    np.testing.assert_allclose(after, [1.0, -1.0, 0.5], rtol=1e-4)


@pytest.mark.parametrize("rate", [8000, 11025, 16000, 22050, 48000])
@pytest.mark.parametrize("n", [9600, 10001])  # a whole number of frames at 16 kHz, and none
def test_codec_keeps_timing(rate: int, n: int):
    """Nothing may be shifted, nothing missing at either end."""
    speech = noise(n)
    after = effects.codec(speech, rate, generator(), bitrate=256000)
    assert len(after) == n
    assert np.argmax(correlate(after, speech)) == n - 1
    for part in (slice(0, 300), slice(n - 300, n)):
        assert np.corrcoef(after[part], speech[part])[0, 1] > 0.85  # of 24 kHz, Opus carries 20


def test_codec_takes_every_bitrate_that_can_be_asked_for():
    limits = KINDS["codec"].parameters["bitrate"]
    for bitrate in (limits.low, limits.high):
        assert len(effects.codec(noise(500), RATE, generator(), bitrate=int(bitrate))) == 500


def test_codec_costs_quality_by_bitrate():
    speech = noise(2 * RATE)
    errors = [rms(effects.codec(speech, RATE, generator(), bitrate=bits) - speech) for bits in (8000, 24000, 128000)]
    assert errors[0] > 1.2 * errors[1] > 1.2 * 1.2 * errors[2]


def test_codec_at_the_rate_of_a_telephone_has_its_band():
    """At 3200 bits per second Opus works in narrowband: 4 kHz (RFC 6716 section 2)."""
    after = effects.codec(noise(2 * RATE), RATE, generator(), bitrate=3200)
    power = np.abs(np.fft.rfft(after)) ** 2
    above = np.fft.rfftfreq(len(after), 1 / RATE) > 4500
    assert power[above].sum() < 0.001 * power.sum()
    assert rms(after) > 0.01


def test_time_masks():
    speech = np.ones(RATE, np.float32)
    after = effects.time_mask(speech, RATE, generator(), n=1, size=50.0)
    silent = np.flatnonzero(after == 0)
    assert len(silent) == 800
    assert silent[-1] - silent[0] == 799
    places = [np.argmin(effects.time_mask(speech, RATE, generator(seed), n=1, size=50.0)) for seed in range(300)]
    assert np.mean(places) == pytest.approx(7600, abs=4 * 15200 / np.sqrt(12 * 300))
    three = effects.time_mask(speech, RATE, generator(), n=3, size=50.0)
    assert 800 < np.count_nonzero(three == 0) <= 2400
    assert not effects.time_mask(speech, RATE, generator(), n=1, size=5000.0).any()
    assert effects.time_mask(speech, RATE, generator(), n=0, size=50.0).all()


@pytest.mark.parametrize("rate", [0.0, 0.05, 0.5, 1.0])
def test_dropout_zeroes_its_share(rate: float):
    after = effects.dropout(np.ones(40000, np.float32), RATE, generator(), rate=rate)
    assert {*np.unique(after)} <= {0.0, 1.0}
    assert np.mean(after == 0) == pytest.approx(rate, abs=4 * np.sqrt(rate * (1 - rate) / 40000))


def test_added_noise():
    speech = tone(300, 2.0, 0.2)
    added = effects.add(speech, RATE, generator(), stddev=0.02) - speech
    assert np.std(added) == pytest.approx(0.02, rel=0.02)
    assert np.mean(added) == pytest.approx(0, abs=4 * 0.02 / np.sqrt(len(added)))
    assert np.mean(added**4) / np.var(added) ** 2 == pytest.approx(3, abs=0.15)  # Gaussian


def test_multiplied_noise():
    factors = effects.multiply(np.full(32000, 0.1, np.float32), RATE, generator(), stddev=0.2) / 0.1
    assert np.std(factors) == pytest.approx(0.2, rel=0.02)
    assert np.mean(factors) == pytest.approx(1, abs=4 * 0.2 / np.sqrt(32000))
