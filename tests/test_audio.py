"""Audio files of every kind we read, made here with libsndfile, and every way to spoil one."""

import math
from pathlib import Path

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from util.audio import AudioInfo, read_audio, read_info, read_part, read_stored, resampled_length, write_audio
from util.errors import AudioError, DataError

RATE = 16000
EXACT = [("WAV", "PCM_16"), ("WAVEX", "PCM_16"), ("RF64", "PCM_16"), ("FLAC", "PCM_16")]
WIDE = [("WAV", "PCM_24"), ("WAV", "PCM_32"), ("WAV", "FLOAT"), ("WAV", "DOUBLE")]
WIDE += [("WAVEX", "PCM_24"), ("WAVEX", "FLOAT"), ("FLAC", "PCM_24")]
COARSE = [("WAV", "PCM_U8"), ("FLAC", "PCM_S8"), ("WAV", "ULAW"), ("WAV", "ALAW")]
LOSSY = [("OGG", "VORBIS"), ("OGG", "OPUS"), ("MP3", "MPEG_LAYER_III")]


def _speech(seconds: float = 1.0, rate: int = RATE) -> NDArray[np.float64]:
    """Return a voiced sound of changing pitch, well below half of any rate used here."""
    time = np.arange(round(seconds * rate)) / rate
    return 0.3 * np.sin(2 * np.pi * 200 * time + 3 * np.sin(4 * time)) * (1 + np.sin(9 * time)) / 2


def _pcm(seconds: float = 1.0, rate: int = RATE) -> NDArray[np.int16]:
    return np.rint(_speech(seconds, rate) * 32768).astype(np.int16)


def _make(path: Path, samples: NDArray, form: str = "WAV", subtype: str = "PCM_16") -> Path:
    soundfile.write(path, samples, RATE, format=form, subtype=subtype)
    return path


def _message(path: Path, read=read_info) -> str:
    with pytest.raises(AudioError) as caught:
        read(path) if read is read_info else read(path, RATE)
    message = str(caught.value)
    assert str(path) in message
    assert "\n" not in message
    return message


@pytest.mark.parametrize(("form", "subtype"), EXACT)
def test_16_bit_mono_is_exact(tmp_path: Path, form: str, subtype: str):
    pcm = np.random.default_rng(1).integers(-32768, 32768, 5000).astype(np.int16)
    pcm[:2] = -32768, 32767
    read = read_audio(_make(tmp_path / "a", pcm, form, subtype), RATE)
    assert read.dtype == np.int16
    np.testing.assert_array_equal(read, pcm)


@pytest.mark.parametrize(("form", "subtype"), WIDE)
def test_wider_samples_lose_nothing_of_16_bits(tmp_path: Path, form: str, subtype: str):
    pcm = np.random.default_rng(2).integers(-32768, 32768, 5000).astype(np.int16)
    path = _make(tmp_path / "a", pcm.astype(np.float64) / 32768, form, subtype)
    np.testing.assert_array_equal(read_audio(path, RATE), pcm)


@pytest.mark.parametrize(("form", "subtype"), COARSE)
def test_narrow_samples_come_close(tmp_path: Path, form: str, subtype: str):
    path = _make(tmp_path / "a", _speech(), form, subtype)
    np.testing.assert_allclose(read_audio(path, RATE), _pcm(), atol=520)


@pytest.mark.parametrize(("form", "subtype"), LOSSY)
def test_lossy_formats_resemble_the_sound(tmp_path: Path, form: str, subtype: str):
    path = _make(tmp_path / "a", _speech(2.0), form, subtype)
    read = read_audio(path, RATE)
    assert len(read) == read_info(path).n_samples == 2 * RATE
    assert np.corrcoef(read, _pcm(2.0))[0, 1] > 0.99


@pytest.mark.parametrize(("form", "subtype"), EXACT + WIDE + COARSE + LOSSY)
@pytest.mark.parametrize("channels", [1, 2])
def test_the_info_of_every_format(tmp_path: Path, form: str, subtype: str, channels: int):
    sound = np.repeat(_speech(0.5)[:, None], channels, axis=1)  # [samples, channels]
    info = read_info(_make(tmp_path / "a", sound, form, subtype))
    assert info == AudioInfo(RATE, channels, RATE // 2)
    assert info.duration_s == 0.5


def test_channels_are_averaged(tmp_path: Path):
    left = np.array([100, -200, 32767, -32768, 7], np.int16)
    right = np.array([300, 200, 32767, -32768, -7], np.int16)
    path = _make(tmp_path / "a", np.stack([left, right], axis=1))  # [samples, channels]
    np.testing.assert_array_equal(read_audio(path, RATE), [200, 0, 32767, -32768, 0])


def test_float_beyond_full_scale_is_clipped(tmp_path: Path):
    sound = np.array([0.5, 1.0, 1.5, -1.0, -7.0])
    path = _make(tmp_path / "a", sound, subtype="FLOAT")
    np.testing.assert_array_equal(read_audio(path, RATE), [16384, 32767, 32767, -32768, -32768])
    both = np.array([[1.5, -1.0], [0.25, -7.0]])  # [samples, channels]
    path = _make(tmp_path / "b", both, subtype="FLOAT")
    np.testing.assert_array_equal(read_audio(path, RATE), [0, -12288])


def test_wider_samples_are_rounded(tmp_path: Path):
    wide = np.array([0.9, -0.9, 7.4, -7.4, 7.6]) / 32768
    path = _make(tmp_path / "a", wide, subtype="PCM_24")
    np.testing.assert_array_equal(read_audio(path, RATE), [1, -1, 7, -7, 8])


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("subtype", ["FLOAT", "DOUBLE"])
def test_float_that_is_no_number(tmp_path: Path, value: float, subtype: str):
    sound = _speech()
    sound[77] = value
    path = _make(tmp_path / "a.wav", sound, subtype=subtype)
    assert "holds samples that are not numbers (NaN or infinity)" in _message(path, read_audio)


@pytest.mark.parametrize(("form", "subtype"), [*EXACT, *WIDE])
def test_a_file_as_it_is_stored(tmp_path: Path, form: str, subtype: str):
    pcm = np.random.default_rng(3).integers(-32768, 32768, [5000, 2]).astype(np.int16)
    path = tmp_path / "a"
    soundfile.write(path, pcm.astype(np.float64) / 32768, 11025, format=form, subtype=subtype)
    samples, rate = read_stored(path)
    assert (samples.dtype, rate) == (np.int16, 11025)
    np.testing.assert_array_equal(samples, pcm)


def test_what_is_stored_beyond_full_scale_is_clipped(tmp_path: Path):
    path = _make(tmp_path / "a", np.array([0.5, 1.5, -7.0]), subtype="FLOAT")
    np.testing.assert_array_equal(read_stored(path)[0], [[16384], [32767], [-32768]])


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ([], "has no samples, only a header"),
        ([0.1, np.nan], "holds samples that are not numbers"),
        ([0.1] * 5000, "is cut short or damaged"),
    ],
)
def test_what_is_stored_and_cannot_be_read(tmp_path: Path, content: list[float], sentence: str):
    path = _make(tmp_path / "a.wav", np.array(content), subtype="FLOAT")
    path.write_bytes(path.read_bytes()[: 4000 + len(content)])
    with pytest.raises(AudioError, match=sentence):
        read_stored(path)


@pytest.mark.parametrize("rate", [8000, 11025, 22050, 44100, 48000])
@pytest.mark.parametrize("channels", [1, 2])
def test_other_rates_are_resampled(tmp_path: Path, rate: int, channels: int):
    sound = np.repeat(_speech(1.0, rate)[:, None], channels, axis=1)  # [samples, channels]
    soundfile.write(tmp_path / "a.wav", sound, rate)
    read = read_audio(tmp_path / "a.wav", RATE)
    assert len(read) == resampled_length(rate, rate, RATE) == RATE
    middle = slice(500, -500)  # the filter rings where the sound is cut
    np.testing.assert_allclose(read[middle], _pcm()[middle], atol=30)


@pytest.mark.parametrize("rate", [8000, 11025, 16000, 22050, 44100, 48000])
@pytest.mark.parametrize("length", [1, 2, 3, 5, 99, 100, 101, 1000, 4099])
def test_the_length_is_foretold(tmp_path: Path, rate: int, length: int):
    soundfile.write(tmp_path / "a.wav", np.full(length, 0.1), rate)
    read = read_audio(tmp_path / "a.wav", RATE)
    assert len(read) == resampled_length(length, rate, RATE) >= 1
    assert abs(len(read) - length * RATE / rate) <= 0.5 or len(read) == 1


def test_a_wav_is_written_exactly(tmp_path: Path):
    path = tmp_path / "a.wav"
    path.write_text("old")
    write_audio(path, _pcm(), 8000)
    assert list(tmp_path.iterdir()) == [path]
    stored, rate = soundfile.read(path, dtype="int16")
    np.testing.assert_array_equal(stored, _pcm())
    assert (rate, soundfile.info(path).subtype) == (8000, "PCM_16")
    np.testing.assert_array_equal(read_audio(path, 8000), _pcm())


def test_a_wav_that_cannot_be_written(tmp_path: Path):
    with pytest.raises(DataError, match=r"cannot write .*a\.wav: No such file or directory"):
        write_audio(tmp_path / "none" / "a.wav", _pcm(), RATE)
    for wrong in (_speech(), _pcm()[:, None]):
        with pytest.raises(ValueError, match=r"expected int16 \[samples\]"):
            write_audio(tmp_path / "a.wav", wrong, RATE)  # type: ignore[arg-type]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("form", "subtype"), EXACT + WIDE + COARSE + LOSSY)
@pytest.mark.parametrize("kept", [0.01, 0.1, 0.5, 0.9, 0.999])
@pytest.mark.parametrize("read", [read_info, read_audio])
def test_a_truncated_file(tmp_path: Path, form: str, subtype: str, kept: float, read):
    path = _make(tmp_path / "a.wav", _speech(3.0), form, subtype)
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * kept)])
    message = _message(path, read)
    assert f"{path} is cut short or damaged: " in message
    assert message.endswith("; copy or download it again")


def test_an_ogg_cut_between_pages(tmp_path: Path):
    path = _make(tmp_path / "a.ogg", _speech(30.0), "OGG", "VORBIS")
    data = path.read_bytes()
    assert data.count(b"OggS") > 3
    path.write_bytes(data[: data.rfind(b"OggS")])
    assert "its last OGG page is missing" in _message(path)


def test_how_much_of_a_wav_is_there(tmp_path: Path):
    path = _make(tmp_path / "a.wav", _pcm())
    path.write_bytes(path.read_bytes()[:1044])
    assert "1000 of 32000 bytes of sound are there" in _message(path)


def test_a_wav_with_more_chunks_and_one_from_a_pipe(tmp_path: Path):
    path = _make(tmp_path / "a.wav", _pcm())
    data = path.read_bytes()
    assert data[36:40] == b"data"
    odd = data[:36] + b"LIST\x03\0\0\0abc\0" + data[36:]
    path.write_bytes(odd + b"more")
    np.testing.assert_array_equal(read_audio(path, RATE), _pcm())
    path.write_bytes(odd[:-2])
    assert "31998 of 32000 bytes of sound are there" in _message(path)
    path.write_bytes(data[:4] + b"\xff" * 4 + data[8:40] + b"\xff" * 4 + data[44:])
    assert read_info(path).n_samples == RATE
    np.testing.assert_array_equal(read_audio(path, RATE), _pcm())


def _mp3_without_length(folder: Path) -> Path:
    """Return 2 s of silence and 6 s of noise, of which the bit rate of the silence says the length."""
    path = folder / "a.mp3"
    silence_and_noise = np.concatenate([np.zeros(2 * RATE), np.random.default_rng(3).normal(0, 0.2, 6 * RATE)])
    with soundfile.SoundFile(path, "w", RATE, 1, format="MP3", bitrate_mode="VARIABLE", compression_level=0.3) as file:
        file.write(silence_and_noise)
    data = path.read_bytes()
    assert b"Xing" in data[:100]
    second_frame = data.index(data[:2], 100)
    path.write_bytes(b"ID3\x03\0\0\0\0\x01\x00" + bytes(128) + data[second_frame:])
    return path


def test_an_mp3_that_does_not_tell_its_length(tmp_path: Path):
    path = _mp3_without_length(tmp_path)
    guess = soundfile.info(path).frames
    info = read_info(path)
    assert abs(info.n_samples - 8 * RATE) < 3000 < abs(guess - 8 * RATE)
    assert len(read_audio(path, RATE)) == info.n_samples


def test_a_flac_that_does_not_tell_its_length(tmp_path: Path):
    path = _make(tmp_path / "a.flac", _pcm(), "FLAC")
    data = bytearray(path.read_bytes())
    data[21] &= 0xF0  # STREAMINFO: the low 36 bits of bytes 18 to 25 are the total
    data[22:26] = bytes(4)
    path.write_bytes(data)
    assert "does not say how long it is" in _message(path)


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (b"", " is empty (0 bytes), expected WAV, FLAC, OGG or MP3; copy it again"),
        (
            b"<!DOCTYPE html>\n<html><body>Not found</body></html>",
            " is a web page (it starts with '<!DOCTYPE html>\\n<html><b'), "
            "expected WAV, FLAC, OGG or MP3; download or convert it again",
        ),
        (b"\xef\xbb\xbf \n<HTML lang=en>", " is a web page (it starts with '"),
        (b"error: 404, no such key\n", " is text (it starts with 'error: 404, no such key\\n')"),
        (b"version https://git-lfs.github.com/spec/v1\n", " is a Git LFS pointer, expected WAV"),
        (b"\0\0\0 ftypM4A \0\0\0\0" + bytes(500), " is MP4 or M4A, expected WAV, FLAC, OGG or MP3"),
        (b"\x1a\x45\xdf\xa3" + bytes(500), " is WebM or Matroska, expected WAV"),
        (b"\x30\x26\xb2\x75\x8e\x66" + bytes(500), " is Windows Media, expected WAV"),
        (b"#!AMR\n" + bytes(range(200)), " is AMR, expected WAV"),
        (b"PK\x03\x04" + bytes(range(200)), " is a ZIP archive, expected WAV"),
        (bytes(200), " is not audio of a known kind (it starts with '\\x00\\x00"),
        (b"RIFF\x24\0\0\0WAVE", " is cut short or damaged: decoding fails at once"),
    ],
)
@pytest.mark.parametrize("read", [read_info, read_audio])
def test_what_is_not_audio(tmp_path: Path, data: bytes, sentence: str, read):
    path = tmp_path / "a.wav"
    path.write_bytes(data)
    assert f"{path}{sentence}" in _message(path, read)


@pytest.mark.parametrize(("form", "name"), [("AIFF", "AIFF"), ("AU", "AU"), ("VOC", "VOC")])
def test_audio_that_must_be_converted(tmp_path: Path, form: str, name: str):
    path = _make(tmp_path / "a.wav", _pcm(), form)
    assert _message(path) == (
        f"{path} is {name}, expected WAV, FLAC, OGG or MP3; convert it to one of them (ffmpeg -i)"
    )


@pytest.mark.parametrize("read", [read_info, read_audio])
def test_no_samples(tmp_path: Path, read):
    path = _make(tmp_path / "a.wav", np.zeros(0, np.int16))
    assert f"{path} has no samples, only a header" in _message(path, read)


@pytest.mark.parametrize("read", [read_info, read_audio])
def test_no_file(tmp_path: Path, read):
    assert _message(tmp_path / "no.wav", read) == (
        f"cannot read {tmp_path}/no.wav: No such file or directory; expected a WAV, FLAC, OGG or MP3 file with speech"
    )
    assert f"cannot read {tmp_path}: it is a folder; " in _message(tmp_path, read)


def test_damage_in_the_middle_of_a_flac(tmp_path: Path):
    path = _make(tmp_path / "a.flac", _pcm(3.0), "FLAC")
    data = bytearray(path.read_bytes())
    data[len(data) // 2 : len(data) // 2 + 400] = bytes(400)
    path.write_bytes(data)
    assert "is cut short or damaged" in _message(path, read_audio)


@pytest.mark.parametrize(("subtype", "width"), [("PCM_16", 2), ("ULAW", 1)])
@pytest.mark.parametrize("channels", [1, 2])
def test_sphere(tmp_path: Path, subtype: str, width: int, channels: int):
    sound = np.repeat(_speech()[:, None], channels, axis=1)  # [samples, channels]
    path = _make(tmp_path / "a.sph", sound, "NIST", subtype)
    assert read_info(path) == AudioInfo(RATE, channels, RATE)
    np.testing.assert_allclose(read_audio(path, RATE), _pcm(), atol=520)
    path.write_bytes(path.read_bytes()[:-5])
    size = RATE * width * channels
    assert f"{size - 5} of {size} bytes of sound are there" in _message(path)


@pytest.mark.parametrize("read", [read_info, read_audio])
def test_sphere_with_a_header_of_another_kind(tmp_path: Path, read):
    path = _make(tmp_path / "a.sph", _speech(), "NIST", "PCM_16")
    whole = path.read_bytes()
    path.write_bytes(whole.replace(b"sample_coding -s3 pcm", b"sample_coding -s26 pcm,embedded-shorten-v2.00"))
    assert "is SPHERE compressed by shorten, expected WAV" in _message(path, read)
    path.write_bytes(whole.replace(b"sample_count -i 16000", b"sample_count -i many!"))
    assert "its header says sample_count 'many!'" in _message(path, read)
    path.write_bytes(whole.replace(b"NIST_1A\n   1024", b"NIST_1A\n   some"))
    assert "its header does not tell its own length" in _message(path, read)


PARTS = [*EXACT, ("OGG", "VORBIS"), ("MP3", "MPEG_LAYER_III"), ("NIST", "PCM_16")]


@pytest.mark.parametrize(("form", "subtype"), PARTS)
def test_a_part_is_what_the_whole_has_there(tmp_path: Path, form: str, subtype: str):
    path = _make(tmp_path / "a", _speech(4.0), form, subtype)
    whole = read_audio(path, RATE)
    np.testing.assert_allclose(read_part(path, RATE, 1.25, 2.5, None), whole[20000:40000], atol=2)
    np.testing.assert_allclose(read_part(path, RATE, 3.0, math.inf, None), whole[48000:], atol=2)


def test_a_part_of_an_mp3_that_does_not_tell_its_length(tmp_path: Path):
    path = _mp3_without_length(tmp_path)
    whole = read_audio(path, RATE)
    np.testing.assert_array_equal(read_part(path, RATE, 5.0, 7.5, 0), whole[80000:120000])


@pytest.mark.parametrize(
    ("start_s", "end_s"), [(1.0, 0.5), (0.5, 0.5), (-0.5, 0.5), (math.nan, 0.5), (0.0, math.nan), (math.inf, math.inf)]
)
def test_a_part_that_is_none(tmp_path: Path, start_s: float, end_s: float):
    path = _make(tmp_path / "a.wav", _pcm())
    with pytest.raises(AudioError, match=f"from {start_s} s to {end_s} s is no part"):
        read_part(path, RATE, start_s, end_s, None)


@pytest.mark.parametrize("channel", [-1, 1])
def test_a_channel_that_is_not_there(tmp_path: Path, channel: int):
    with pytest.raises(AudioError, match=f"has 1 channels, expected channel {channel}"):
        read_part(_make(tmp_path / "a.wav", _pcm()), RATE, 0.0, 0.5, channel)
