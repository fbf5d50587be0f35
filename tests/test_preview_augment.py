"""bin/preview_augment.py shows what augmentations do: the sound, the picture, and what was drawn."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import soundfile
from conftest import ROOT, speak
from numpy.typing import NDArray

from util import tf
from util.audio import read_audio
from util.features import UNCHANGED, FeatureSet, Unchanged, mfcc
from util.preview import Listener, draw, encode_png, see

PROGRAM = ROOT / "bin" / "preview_augment.py"
SPEECH = ROOT / "data" / "smoke_test" / "she_had_your_dark_suit.wav"
FEATURES = FeatureSet("classic", 16000, 25), FeatureSet("streaming", 16000, 32)
BACKGROUND = 255


@pytest.fixture(scope="module")
def program() -> ModuleType:
    spec = importlib.util.spec_from_file_location("preview_augment", PROGRAM)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def decode(png: bytes) -> NDArray[np.uint8]:
    return np.asarray(tf.io.decode_png(png).numpy())


def rms(samples: NDArray[np.generic]) -> float:
    return float(np.sqrt(np.mean(np.asarray(samples, np.float64) ** 2)))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder where the program ran as one; it holds the recording, the noise, what was said, the previews."""
    folder = tmp_path_factory.mktemp("preview")
    soundfile.write(folder / "speech.wav", speak("a bad cab"), 16000)
    soundfile.write(folder / "noise.wav", np.random.default_rng(0).normal(0, 0.1, 16000), 16000)
    augmentations = ("overlay[source=noise.wav,snr=6:16]", "volume[dbfs=-3,p=0.001]", "tempo[factor=2]",
                     "frequency_mask[n=1,size=6]")  # fmt: skip
    flags = [word for each in augmentations for word in ("--augment", each)]
    command = [sys.executable, PROGRAM, "speech.wav", *flags, "--output", "here/there", "--number", "2"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    (folder / "said.txt").write_text(done.stdout)
    return folder


@pytest.fixture(scope="module")
def previews(folder: Path) -> Path:
    return folder / "here" / "there"


TITLES = "1-overlay", "2-volume", "3-tempo", "4-frequency_mask", "all"


def test_files_and_words(folder: Path, previews: Path):
    names = [f"{title}{end}" for title in TITLES for end in (".png", "-1.wav", "-2.wav")]
    assert {path.name for path in previews.iterdir()} == {*names, "original.wav", "as_heard.wav"}
    said = (folder / "said.txt").read_text()
    assert "here/there/1-overlay-1.wav: overlay snr 11 layers 1\n" in said  # the clock stands at one half
    assert "here/there/all-2.wav: overlay snr 11 layers 1, volume dbfs -3, tempo factor 2" in said
    assert "here/there/all.png: before on the left, versions 1 to 2 on the right\n" in said


def test_original_is_the_recording(previews: Path):
    np.testing.assert_array_equal(read_audio(previews / "original.wav", 16000), speak("a bad cab"))


def test_overlay_is_heard_at_its_ratio(previews: Path):
    speech = speak("a bad cab").astype(np.float64)
    first, second = (read_audio(previews / f"1-overlay-{version}.wav", 16000) - speech for version in (1, 2))
    for noise in (first, second):
        assert 20 * np.log10(rms(speech) / rms(noise)) == pytest.approx(11, abs=0.05)
    assert abs(np.corrcoef(first, second)[0, 1]) < 0.1


def test_what_is_improbable_is_shown_all_the_same(previews: Path):
    sound = read_audio(previews / "2-volume-1.wav", 16000)
    assert np.abs(sound).max() == pytest.approx(32768 * 10 ** ((-3 - 3.0103) / 20), abs=1)


def test_tempo_shortens_sound_and_picture(previews: Path):
    before, after = (read_audio(previews / name, 16000) for name in ("as_heard.wav", "3-tempo-1.wav"))
    assert len(after) / len(before) == pytest.approx(0.5, abs=0.03)
    n_frames = FEATURES[0].frames(len(speak("a bad cab")))
    picture = decode((previews / "3-tempo.png").read_bytes())
    assert picture.shape == (2 * 26 * 4 + 8, 2 * (n_frames + n_frames // 2) + 8, 3)
    assert (picture[:, 2 * n_frames : 2 * n_frames + 8] == BACKGROUND).all()
    assert (picture[26 * 4 : 26 * 4 + 8] == BACKGROUND).all()


def test_a_masked_band_is_even(previews: Path):
    """Six bands of four pixels that do not change in time, on the right only, at places of their own."""
    n_frames = FEATURES[0].frames(len(speak("a bad cab")))
    picture = decode((previews / "4-frequency_mask.png").read_bytes()).astype(int)
    masked = []
    for top in (0, 26 * 4 + 8):
        row = picture[top : top + 26 * 4]
        left, right = row[:, : 2 * n_frames], row[:, 2 * n_frames + 8 :]
        assert not (np.ptp(left, axis=1) == 0).all(1).any()
        even = np.flatnonzero((np.ptp(right, axis=1) == 0).all(1))
        assert len(even) == 24
        assert np.ptp(even) == 23
        masked.append(even[0])
    assert masked[0] != masked[1]


def run(program: ModuleType, monkeypatch: pytest.MonkeyPatch, words: Sequence[object]) -> int:
    monkeypatch.setattr(sys, "argv", ["preview_augment.py", *map(str, words)])
    return int(program.main())


def test_everything_comes_from_the_seed(program, folder: Path, tmp_path: Path, monkeypatch):
    chosen = ["--augment", "time_mask[n=1,size=50]", "--augment", "reverb[delay=30~20]", "--number", 1]
    for output, seed in (("one", 1), ("same", 1), ("other", 2)):
        where = ["--output", tmp_path / output, "--random_seed", seed, "--nobidirectional"]
        assert run(program, monkeypatch, [folder / "speech.wav", *chosen, *where]) == 0
    one, same, other = (
        {path.name: path.read_bytes() for path in (tmp_path / name).iterdir()} for name in ("one", "same", "other")
    )
    assert one == same
    assert len(one) == 8
    assert {name for name in one if one[name] == other[name]} == {"original.wav", "as_heard.wav"}


@pytest.mark.parametrize(
    ("words", "status", "sentence"),
    [
        ([], 2, "There is nothing to preview: give --augment"),
        (["--augment", "echo"], 2, "--augment 'echo': there is no augmentation 'echo'"),
        (["--augment", "overlay"], 2, "needs recordings, source=PATH"),
        (["--augment", "reverb", "--number", "0"], 2, "--number is 0, expected 1 or more."),
        (["--augment", "reverb", "--clock", "1.5"], 2, "--clock is 1.5, expected how much of the training is done"),
        (["--augment", "reverb", "--audio_sample_rate", "1"], 2, "--audio_sample_rate is 1, expected 1000 or more."),
        (["--augment", "reverb", "--audio_sample_rate", "11025"], 2, "is not a multiple of"),
    ],
)
def test_wrong_flags(program, tmp_path: Path, monkeypatch, capsys, words, status: int, sentence: str):
    audio = tmp_path / "speech.wav"
    soundfile.write(audio, speak("a"), 16000)
    assert run(program, monkeypatch, [audio, *words, "--output", tmp_path / "out"]) == status
    said = capsys.readouterr().err
    assert sentence in said
    assert len(said.splitlines()) == 1
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (None, "No such file or directory; expected"),
        (b"text", "speech.wav is text"),
        (100, "is shorter than one analysis window of 32 ms"),
    ],
)
def test_wrong_recordings(program, tmp_path: Path, monkeypatch, capsys, content, sentence: str):
    audio = tmp_path / "speech.wav"
    if isinstance(content, bytes):
        audio.write_bytes(content)
    elif content:
        soundfile.write(audio, np.zeros(content), 16000)
    assert (
        run(program, monkeypatch, [audio, "--augment", "reverb", "--nobidirectional", "--output", tmp_path / "out"])
        == 1
    )
    assert sentence in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_a_source_without_recordings(program, folder: Path, tmp_path: Path, monkeypatch, capsys):
    (tmp_path / "empty").mkdir()
    words = ["--augment", f"rir[source={tmp_path / 'empty'}]", "--output", tmp_path / "out"]
    assert run(program, monkeypatch, [folder / "speech.wav", *words]) == 1
    assert "empty has no recordings" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_png():
    image = np.random.default_rng(0).integers(0, 256, [7, 13, 3]).astype(np.uint8)
    np.testing.assert_array_equal(decode(encode_png(image)), image)


def test_strong_is_bright_and_low_is_below():
    bands = np.zeros([10, 26], np.float32)
    bands[:, 0] = 1
    picture = decode(draw([(bands, np.zeros_like(bands))])).astype(int).sum(2)
    assert (picture[-4:, :20] > 660).all()
    assert (picture[:-4, :20] < 10).all()
    assert (picture[:, 28:] < 10).all()


@pytest.mark.parametrize("features", FEATURES, ids=lambda features: features.name)
def test_bands_are_what_the_cepstra_come_from(features: FeatureSet):
    """By the cosine transform as defined, of all but the first cepstrum, which is another thing in the classic ones."""
    samples = read_audio(SPEECH, 16000)
    bands = see(samples, features, UNCHANGED).astype(np.float64)
    n_bands, n_cepstra = bands.shape[1], features.n_input
    k = np.arange(n_cepstra)
    transform = np.sqrt(2 / n_bands) * np.cos(np.pi * k * (np.arange(n_bands)[:, np.newaxis] + 0.5) / n_bands)
    lifter = 1 + 11 * np.sin(np.pi * k / 22) if features.name == "classic" else np.ones(n_cepstra)
    vectors, _ = mfcc(samples[np.newaxis], np.array([len(samples)], np.int32), features)
    np.testing.assert_allclose((bands @ transform * lifter)[:, 1:], vectors.numpy()[0][:, 1:], atol=2e-3)


class _Louder(Unchanged):
    """Adds to the third cepstrum."""

    def cepstra(self, vectors, _feature_len):
        return vectors + 0.5 * np.eye(vectors.shape[2], dtype=np.float32)[2]


def test_a_change_of_cepstra_is_seen_in_the_bands():
    """The third cepstrum is a cosine of one period over all bands."""
    samples, features = read_audio(SPEECH, 16000), FEATURES[1]
    change = see(samples, features, _Louder()) - see(samples, features, UNCHANGED)
    expected = 0.5 * np.sqrt(2 / 40) * np.cos(2 * np.pi * (np.arange(40) + 0.5) / 40)
    np.testing.assert_allclose(change, np.broadcast_to(expected, change.shape), atol=1e-4)


@pytest.mark.parametrize("features", FEATURES, ids=lambda features: features.name)
def test_sound_of_bands_has_these_bands(features: FeatureSet):
    samples = read_audio(SPEECH, 16000)
    bands = see(samples, features, UNCHANGED)
    sound = Listener(samples, bands, features).hear(bands)
    assert rms(sound) == pytest.approx(rms(samples), rel=0.01)
    assert len(sound) == pytest.approx(len(samples), abs=features.step + features.fft_size)
    again = see(sound, features, UNCHANGED)[: len(bands)]
    agreement = np.corrcoef(bands[: len(again)].ravel(), again.ravel())[0, 1]
    shifted = np.corrcoef(bands[1 : len(again)].ravel(), again[:-1].ravel())[0, 1]
    assert agreement > 0.95
    assert shifted < agreement - 0.05


@pytest.mark.parametrize("features", FEATURES, ids=lambda features: features.name)
def test_silence_can_be_heard_and_drawn(features: FeatureSet):
    silence = np.zeros(4000, np.int16)
    bands = see(silence, features, UNCHANGED)
    assert not Listener(silence, bands, features).hear(bands).any()
    assert decode(draw([(bands, bands)])).shape[0] == features.n_bands * 4
