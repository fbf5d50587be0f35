"""Audio files: their length, their samples at the rate the network wants, and what ails them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
import soxr
from numpy.typing import NDArray

from util.errors import AudioError

_SUPPORTED = "WAV, FLAC, OGG or MP3"
_FORMATS = {"WAV", "WAVEX", "RF64", "FLAC", "OGG", "MP3"}
_BLOCK = 1 << 20  # samples read at a time: nearly always the whole utterance
_LONGEST = 3_600_000  # s; libsndfile gives a larger number for an unknown length
_UNKNOWN_WAV_SIZE = 0x7FFF0000  # bytes; written into the header by programs that could not seek
_OGG_PAGE = 65307  # bytes, the largest page (RFC 3533, section 6)
_OGG_HEADER = 27  # bytes, without the table of segments
_OGG_LAST = 0x04  # flag of the last page

# First bytes of what people mistake for audio we read; None: ours, so it must be damaged.
_MAGIC: list[tuple[bytes, int, str | None]] = [
    (b"RIFF", 0, None),
    (b"RF64", 0, None),
    (b"fLaC", 0, None),
    (b"OggS", 0, None),
    (b"ID3", 0, None),
    (b"\xff\xfb", 0, None),
    (b"\xff\xf3", 0, None),
    (b"\xff\xf2", 0, None),
    (b"ftyp", 4, "MP4 or M4A"),
    (b"\x1a\x45\xdf\xa3", 0, "WebM or Matroska"),
    (b"\x30\x26\xb2\x75", 0, "Windows Media"),
    (b"#!AMR", 0, "AMR"),
    (b"ADIF", 0, "AAC"),
    (b"\xff\xf1", 0, "AAC"),
    (b"\xff\xf9", 0, "AAC"),
    (b"PK\x03\x04", 0, "a ZIP archive"),
    (b"\x1f\x8b", 0, "a gzip archive"),
    (b"version https://git-lfs", 0, "a Git LFS pointer"),
]


@dataclass(frozen=True, slots=True)
class AudioInfo:
    """What an audio file holds.

    Attributes:
        sample_rate: in Hz.
        channels: 1 is mono.
        n_samples: in each channel, at `sample_rate`.
    """

    sample_rate: int
    channels: int
    n_samples: int

    @property
    def duration_s(self) -> float:
        """The length in seconds."""
        return self.n_samples / self.sample_rate


def read_info(path: str | Path) -> AudioInfo:
    """Read what a file holds, and make sure that its end is there.

    Decodes the last sample only, except where the format does not tell the length.

    Raises:
        AudioError: the file is missing, a folder, empty, not audio, of an unsupported format, cut
            short, or without samples.
    """
    with _open(path) as file:
        if _knows_length(path, file):
            n_samples = file.frames
            if n_samples:
                file.seek(n_samples - 1)
                if len(file.read(1)) != 1:
                    raise _cut_short(path, f"its header promises {n_samples} samples")
        else:
            n_samples = sum(len(block) for block in _blocks(file, "int16"))
        if n_samples == 0:
            raise _no_samples(path)
        return AudioInfo(file.samplerate, file.channels, n_samples)


def read_audio(path: str | Path, sample_rate: int) -> NDArray[np.int16]:
    """Read a file as one channel at one rate.

    Channels are averaged, another rate is resampled (soxr, HQ), values beyond full scale are
    clipped. 16-bit mono at the right rate comes back as it is stored.

    Args:
        path: WAV (8, 16, 24, 32 bits, float), FLAC, OGG or MP3.
        sample_rate: wanted, in Hz.

    Returns:
        int16 [samples], `resampled_length(n_samples, file's rate, sample_rate)` of them.

    Raises:
        AudioError: as in `read_info`; also when a float file holds NaN or infinity.
    """
    with _open(path) as file:
        stored = (file.subtype, file.channels, file.samplerate)
        exact = stored == ("PCM_16", 1, sample_rate)
        blocks = list(_blocks(file, "int16" if exact else "float32"))  # each [samples, channels]
        samples: NDArray[Any] = np.concatenate(blocks) if blocks else np.zeros((0, 1), np.int16)
        if _knows_length(path, file) and len(samples) != file.frames:
            raise _cut_short(path, f"{len(samples)} of {file.frames} samples are there")
        rate: int = file.samplerate
    if len(samples) == 0:
        raise _no_samples(path)
    if exact:
        return samples[:, 0].astype(np.int16, copy=False)  # [samples]
    if not np.isfinite(samples).all():
        raise AudioError(
            f"{path} holds samples that are not numbers (NaN or infinity), expected values from "
            "-1 to 1; make the file again or leave it out"
        )
    mono: NDArray[np.float32] = np.clip(samples, -1.0, 1.0).mean(axis=1, dtype=np.float32)
    if rate != sample_rate:
        mono = _resample(mono, rate, sample_rate)
    pcm: NDArray[np.int16] = np.clip(np.rint(mono * 32768.0), -32768, 32767).astype(np.int16)
    return pcm


def resampled_length(n_samples: int, from_rate: int, to_rate: int) -> int:
    """Return how many samples `read_audio` makes of `n_samples` > 0 when it changes the rate.

    The nearest whole number to n_samples * to_rate / from_rate, and never 0.
    """
    if from_rate == to_rate:
        return n_samples
    return max(1, (2 * n_samples * to_rate + from_rate) // (2 * from_rate))


def write_wav(path: str | Path, samples: NDArray[np.int16], sample_rate: int) -> None:
    """Write a 16-bit mono WAV, atomically.

    Args:
        path: where to; an existing file is replaced.
        samples: int16 [samples].
        sample_rate: in Hz.

    Raises:
        AudioError: the file cannot be written.
        ValueError: `samples` is not one channel of int16.
    """
    if samples.dtype != np.int16 or samples.ndim != 1:
        raise ValueError(f"expected int16 [samples], found {samples.dtype} {list(samples.shape)}")
    wav = BytesIO()
    soundfile.write(wav, samples, sample_rate, format="WAV", subtype="PCM_16")
    _write_atomically(Path(path), wav.getvalue())


@contextmanager
def _open(path: str | Path) -> Iterator[Any]:
    try:
        size = Path(path).stat().st_size
        with Path(path).open("rb") as raw:
            head = raw.read(64)
            if size and head[:4] == b"OggS":
                _check_ogg_end(path, raw, size)
            elif head[:4] in (b"RIFF", b"RF64"):
                _check_wav_end(path, raw, size)
    except OSError as error:
        reason = "it is a folder" if Path(path).is_dir() else error.strerror
        raise AudioError(f"cannot read {path}: {reason}; expected a {_SUPPORTED} file with speech") from None
    if size == 0:
        raise AudioError(f"{path} is empty (0 bytes), expected {_SUPPORTED}; copy it again")
    opened = False
    try:
        with soundfile.SoundFile(str(path)) as file:
            if file.format not in _FORMATS:
                raise _unsupported(path, file.format_info.split(" (")[0])
            if file.frames > _LONGEST * file.samplerate:
                raise AudioError(
                    f"{path} does not say how long it is, as FLAC that was written into a pipe; "
                    "convert it again, from file to file"
                )
            opened = True
            yield file
    except soundfile.SoundFileError:
        if opened:
            raise _cut_short(path, "decoding stops before the end") from None
        raise _not_audio(path, head) from None


def _knows_length(path: str | Path, file: Any) -> bool:
    """Return False for an MP3 whose length is a guess."""
    if file.format != "MP3":
        return True
    # Without one of these headers the length is the bit rate of the first frame extrapolated.
    with Path(path).open("rb") as raw:
        head = raw.read(10)
        if head[:3] == b"ID3":  # its length: four bytes of seven bits each
            tag = head[6] << 21 | head[7] << 14 | head[8] << 7 | head[9]
            raw.seek(10 + tag)
        first_frame = raw.read(256)
    return any(name in first_frame for name in (b"Xing", b"Info", b"VBRI"))


def _blocks(file: Any, dtype: str) -> Iterator[NDArray[Any]]:
    """Yield dtype [samples, channels] from the file's position until nothing comes."""
    while len(block := file.read(_BLOCK, dtype=dtype, always_2d=True)):
        yield block


def _resample(mono: NDArray[np.float32], rate: int, wanted: int) -> NDArray[np.float32]:
    resampled: NDArray[np.float32] = soxr.resample(mono, rate, wanted, quality="HQ")
    length = resampled_length(len(mono), rate, wanted)
    # soxr rounds the length of very short sounds differently.
    return np.pad(resampled[:length], (0, max(0, length - len(resampled))))


def _check_wav_end(path: str | Path, raw: Any, size: int) -> None:
    """Compare the length of the data chunk with the file: libsndfile corrects it silently."""
    start = 12
    long_length = None  # of an RF64, whose data chunk has no room for it (EBU Tech 3306)
    while start + 8 <= size:
        raw.seek(start)
        header = raw.read(8)
        length = int.from_bytes(header[4:], "little")
        start += 8
        if header[:4] == b"ds64":
            long_length = int.from_bytes(raw.read(16)[8:], "little")
        if header[:4] == b"data":
            unknown = long_length is None and length >= _UNKNOWN_WAV_SIZE
            length = length if long_length is None else long_length
            if start + length > size and not unknown:
                raise _cut_short(path, f"{size - start} of {length} bytes of sound are there")
            return
        start += length + length % 2


def _check_ogg_end(path: str | Path, raw: Any, size: int) -> None:
    """Look for the last page: libsndfile takes whatever page comes last for it."""
    raw.seek(max(0, size - _OGG_PAGE - _OGG_HEADER))
    tail = raw.read()
    page = tail[max(0, tail.rfind(b"OggS")) :]
    segments = page[_OGG_HEADER : _OGG_HEADER + page[26]] if len(page) >= _OGG_HEADER else b""
    complete = (
        len(page) >= _OGG_HEADER
        and len(segments) == page[26]
        and len(page) >= _OGG_HEADER + len(segments) + sum(segments)
        and page[5] & _OGG_LAST
    )
    if not complete:
        raise _cut_short(path, "its last OGG page is missing")


def _not_audio(path: str | Path, head: bytes) -> AudioError:
    for magic, offset, name in _MAGIC:
        if head[offset:].startswith(magic):
            return _unsupported(path, name) if name else _cut_short(path, "decoding fails at once")
    text = head.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if text.startswith((b"<!doctype html", b"<html")):
        what = "is a web page"
    elif all(byte >= 32 or byte in b"\t\r\n" for byte in head):
        what = "is text"
    else:
        what = "is not audio of a known kind"
    quoted = ascii(head[:24].decode("latin-1"))
    return AudioError(f"{path} {what} (it starts with {quoted}), expected {_SUPPORTED}; download or convert it again")


def _unsupported(path: str | Path, name: str) -> AudioError:
    return AudioError(f"{path} is {name}, expected {_SUPPORTED}; convert it to one of them")


def _cut_short(path: str | Path, proof: str) -> AudioError:
    return AudioError(f"{path} is cut short or damaged: {proof}; copy or download it again")


def _no_samples(path: str | Path) -> AudioError:
    return AudioError(f"{path} has no samples, only a header; record it again or leave it out")


def _write_atomically(path: Path, data: bytes) -> None:
    beside = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with beside.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
    except OSError as error:
        raise AudioError(f"cannot write {path}: {error.strerror}") from None
    finally:
        with suppress(OSError):
            beside.unlink(missing_ok=True)
