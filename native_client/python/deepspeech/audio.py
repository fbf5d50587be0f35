"""Sound of any format, rate and number of channels as what the network hears: mono, int16, at its rate.

Everything is read in blocks, so that the length of a recording costs no memory.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import soundfile
import soxr
from numpy.typing import NDArray

STDIN = "-"
SUFFIXES = frozenset((".wav", ".flac", ".ogg", ".oga", ".opus", ".mp3", ".aiff", ".aif", ".au", ".w64"))

_BLOCK_SECONDS = 10.0
_SPOOLED = 1 << 24  # bytes of standard input kept in memory; more goes to a temporary file


class AudioError(Exception):
    """Sound that cannot be read; the message says what and why."""


def read_blocks(path: str, sample_rate: int, seconds: float = _BLOCK_SECONDS) -> Iterator[NDArray[np.int16]]:
    """Yield a recording bit by bit.

    Channels are averaged, another rate is resampled (soxr, HQ), values beyond full scale are clipped. 16-bit mono at
    the right rate comes as it is stored.

    Args:
        path: a file in a format that libsndfile reads, or `-` for such a file on standard input.
        sample_rate: wanted, in Hz.
        seconds: length of a block.

    Yields:
        int16 [samples].

    Raises:
        AudioError: there is no such file, it is no sound, or it breaks off.
    """
    with _open(path) as file:
        n = max(1, round(seconds * file.samplerate))
        if (file.subtype, file.channels, file.samplerate) == ("PCM_16", 1, sample_rate):
            yield from (block[:, 0] for block in _stored(file, n, "int16"))
        else:
            mono = (_mix_down(block, path) for block in _stored(file, n, "float32"))
            yield from _convert(mono, file.samplerate, sample_rate)


def read_raw_blocks(
    stream: BinaryIO, stream_rate: int, sample_rate: int, seconds: float = _BLOCK_SECONDS
) -> Iterator[NDArray[np.int16]]:
    """Yield what a program writes into a pipe: 16-bit samples of one channel in the machine's byte order, no header.

    Arguments, results and errors are as those of `read_blocks`; `stream_rate` is the rate of the stream, in Hz. A block
    is yielded as soon as its samples are there.
    """
    size = 2 * max(1, round(seconds * stream_rate))
    blocks = (np.frombuffer(data[: len(data) // 2 * 2], np.int16) for data in iter(lambda: stream.read(size), b""))
    if stream_rate == sample_rate:
        return blocks
    return _convert((block.astype(np.float32) / np.float32(32768) for block in blocks), stream_rate, sample_rate)


def _stored(file: Any, n: int, dtype: str) -> Iterator[NDArray[Any]]:
    """Yield up to `n` samples at a time, [samples, channels]."""
    while len(block := file.read(n, dtype=dtype, always_2d=True)):
        yield block


@contextmanager
def _open(path: str) -> Iterator[Any]:
    shown = "the standard input" if path == STDIN else path
    try:
        with tempfile.SpooledTemporaryFile(_SPOOLED) as spooled:
            if path == STDIN:
                shutil.copyfileobj(sys.stdin.buffer, spooled)
                spooled.seek(0)
            with soundfile.SoundFile(spooled if path == STDIN else _existing(path)) as file:
                yield file
    except soundfile.SoundFileError as error:
        reason = str(getattr(error, "error_string", error)).rstrip(".")
        raise AudioError(
            f"{shown} is no sound that can be read, or damaged ({reason}); expected WAV, FLAC, OGG, MP3 or another "
            "format of libsndfile"
        ) from None


def _existing(path: str) -> str:
    """Return the path of a file that has something in it; libsndfile's own messages about that are vague."""
    try:
        size = Path(path).stat().st_size
        with Path(path).open("rb"):
            pass
    except OSError as error:
        reason = "it is a folder" if Path(path).is_dir() else error.strerror
        raise AudioError(f"cannot read {path}: {reason}") from None
    if size == 0:
        raise AudioError(f"{path} is empty (0 bytes); copy it again")
    return path


def _mix_down(block: NDArray[np.float32], path: str) -> NDArray[np.float32]:
    """Average the channels of [samples, channels]."""
    if not np.isfinite(block).all():
        raise AudioError(f"{path} holds samples that are not numbers (NaN or infinity); make the file again")
    mono: NDArray[np.float32] = np.clip(block, -1.0, 1.0).mean(axis=1, dtype=np.float32)  # [samples]
    return mono


def _convert(blocks: Iterator[NDArray[np.float32]], from_rate: int, to_rate: int) -> Iterator[NDArray[np.int16]]:
    """Yield float32 [samples] of -1 to 1 as int16 at another rate."""
    resampler = soxr.ResampleStream(from_rate, to_rate, 1, dtype="float32", quality="HQ")
    nothing = np.zeros(0, np.float32)
    for block in blocks:
        yield _quantize(resampler.resample_chunk(block) if from_rate != to_rate else block)
    if from_rate != to_rate:
        yield _quantize(resampler.resample_chunk(nothing, last=True))


def _quantize(samples: NDArray[np.float32]) -> NDArray[np.int16]:
    pcm: NDArray[np.int16] = np.clip(np.rint(samples * 32768.0), -32768, 32767).astype(np.int16)
    return pcm
