"""Clips of a corpus become audio files: whole or a part, once, checked."""

from __future__ import annotations

import math
import os
from pathlib import Path

import numpy as np
import pytest
import soundfile
from miniatures import audio, broken, sound

from util.audio import read_audio, read_info
from util.clips import Clip, Form, check_kind, convert
from util.errors import AudioError, UnsupportedAudioError
from util.transcripts import RefusedError

FORM = Form(16000, ".wav", 0.0, math.inf, 0.02)
RECORDINGS = [("WAV", "wav", None), ("FLAC", "flac", None), ("MP3", "mp3", None), ("OGG", "ogg", "VORBIS")]
RECORDINGS += [("OGG", "opus", "OPUS"), ("NIST", "sph", "PCM_16"), ("NIST", "sph", "ULAW")]


def record(folder: Path, name: str, *args: object, **how: object) -> Path:
    path = folder / name
    path.write_bytes(audio(*args, **how))  # type: ignore[arg-type]
    return path


@pytest.mark.parametrize(("form", "ending", "subtype"), RECORDINGS)
def test_every_kind_becomes_mono_of_16_bits(tmp_path: Path, form: str, ending: str, subtype: str | None):
    recording = record(tmp_path, f"a.{ending}", 1.5, form, 48000 if form == "OGG" else 8000, 2, subtype)
    path, seconds = convert(Clip(recording, "a b"), tmp_path / "clips" / "a", FORM)
    assert path == tmp_path / "clips" / "a.wav"
    assert soundfile.info(path).subtype == "PCM_16"
    info = read_info(path)
    assert (info.sample_rate, info.channels) == (16000, 1)
    assert seconds == info.duration_s == pytest.approx(1.5, abs=0.08)


def test_what_is_as_wanted_is_used_as_it_lies(tmp_path: Path):
    recording = record(tmp_path, "a.wav", 1)
    assert convert(Clip(recording, "a"), tmp_path / "clips" / "a", FORM) == (recording, 1.0)
    assert not (tmp_path / "clips").exists()
    stereo = record(tmp_path, "b.wav", 1, channels=2)
    assert convert(Clip(stereo, "a"), tmp_path / "clips" / "b", FORM)[0] == tmp_path / "clips" / "b.wav"


def test_a_part_of_one_channel(tmp_path: Path):
    recording = tmp_path / "call.sph"
    samples = sound(3, 8000, 2)
    soundfile.write(recording, samples, 8000, format="NIST", subtype="PCM_16")
    clip = Clip(recording, "a", start_s=1.0, end_s=2.5, channel=1)
    path, seconds = convert(clip, tmp_path / clip.file_name(tmp_path), Form(8000, ".flac", 0, math.inf, 0.02))
    assert (path.name, seconds) == ("call-ch1-0000100-0000250.flac", 1.5)
    expected = np.rint(samples[8000:20000, 1] * 32768)
    np.testing.assert_allclose(read_audio(path, 8000), expected, atol=1)


def test_parts_that_the_recording_has_not(tmp_path: Path):
    recording = record(tmp_path, "a.wav", 2)
    for clip in (Clip(recording, "a", start_s=1, end_s=4), Clip(recording, "a", start_s=3)):
        with pytest.raises(AudioError, match=r"ends after 2\.00 s"):
            convert(clip, tmp_path / "b", FORM)
    with pytest.raises(AudioError, match="1 channels"):
        convert(Clip(recording, "a", channel=1), tmp_path / "b", FORM)
    assert convert(Clip(recording, "a", start_s=1, end_s=2.05), tmp_path / "b", FORM)[1] == 1.0


def test_nothing_is_converted_twice_unless_something_changed(tmp_path: Path):
    recording = record(tmp_path, "a.flac", 1)
    clip, target = Clip(recording, "a"), tmp_path / "clips" / "a"
    path, _ = convert(clip, target, FORM)
    os.utime(path, (2e9, 2e9))
    convert(clip, target, FORM)
    assert path.stat().st_mtime == 2e9
    convert(clip, target, Form(8000, ".wav", 0, math.inf, 0.02))
    assert read_info(path).sample_rate == 8000
    os.utime(path, (1e9, 1e9))  # older than the recording
    assert convert(clip, target, Form(8000, ".wav", 0, math.inf, 0.02))[1] == 1.0
    assert path.stat().st_mtime != 1e9
    path.write_bytes(broken(path.read_bytes()))
    assert convert(clip, target, FORM)[1] == 1.0
    assert not list(tmp_path.rglob("*.tmp"))


LIMITS = [
    (Form(16000, ".wav", 1.5, math.inf, 0.02), "a", "too short", "1.00 s, expected 1.5 s or more"),
    (Form(16000, ".wav", 0, 0.5, 0.02), "a", "too long", "1.00 s, expected 0.5 s or less"),
    (FORM, "a" * 51, "too short for its transcript", "1.00 s for 51 characters, expected 1.02 s"),
]


@pytest.mark.parametrize(("form", "transcript", "kind", "said"), LIMITS)
def test_lengths_that_are_left_out(tmp_path: Path, form: Form, transcript: str, kind: str, said: str):
    for recording in (record(tmp_path, "a.wav", 1), record(tmp_path, "a.flac", 1)):
        with pytest.raises(RefusedError) as refusal:
            convert(Clip(recording, transcript), tmp_path / "clips" / "a", form)
        assert (refusal.value.kind, str(refusal.value)) == (kind, said)
    assert not (tmp_path / "clips").exists()
    assert convert(Clip(recording, "a" * 50), tmp_path / "clips" / "a", FORM)[1] == 1.0


def test_recordings_at_fault(tmp_path: Path):
    with pytest.raises(RefusedError, match="there is no") as refusal:
        convert(Clip(tmp_path / "a.wav", "a"), tmp_path / "b", FORM)
    assert refusal.value.kind == "no audio file"
    for form, ending in (("FLAC", "flac"), ("OGG", "ogg"), ("NIST", "sph")):
        recording = tmp_path / f"a.{ending}"
        recording.write_bytes(broken(audio(2, form)))
        with pytest.raises(AudioError, match="cut short"):
            convert(Clip(recording, "a"), tmp_path / "b", FORM)
        check_kind(recording)
    recording = tmp_path / "a.m4a"
    recording.write_bytes(b"\0\0\0\x20ftypM4A " + bytes(64))
    with pytest.raises(UnsupportedAudioError, match="ffmpeg"):
        check_kind(recording)


def test_names_never_lead_elsewhere(tmp_path: Path):
    assert Clip(tmp_path / "x" / "a.mp3", "a").file_name(tmp_path) == "x/a"
    assert Clip(Path("/elsewhere/a.mp3"), "a").file_name(tmp_path) == "a"
    assert Clip(tmp_path / ".." / ".." / "a.mp3", "a").file_name(tmp_path) == "a"
