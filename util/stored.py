"""Recordings inside larger files: where they are, and their bytes."""

from __future__ import annotations

import io
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from util.audio_faults import cut_short
from util.opus import to_ogg


@dataclass(frozen=True, slots=True)
class Stored:
    """A recording inside a larger file.

    Attributes:
        path: the file, absolute.
        name: of the recording in it: "#17" or ":a/b.wav".
        offset: of its first byte.
        size: in bytes.
        is_mozilla_opus: it is Opus in Mozilla's wrapping, see util/opus.py; otherwise it is as a file of its own.
    """

    path: str
    name: str
    offset: int
    size: int
    is_mozilla_opus: bool = False

    def __str__(self) -> str:
        return f"{self.path}{self.name}"


Audio = str | Path | Stored  # a recording: a file, or stored in one


def open_audio(audio: Audio) -> io.BufferedIOBase:
    """Open a recording for reading as a file of audio; Opus in Mozilla's wrapping comes in Ogg.

    Raises:
        OSError: it cannot be read.
        AudioError: Mozilla's wrapping is damaged.
    """
    if not isinstance(audio, Stored):
        return Path(audio).open("rb")
    part = io.BufferedReader(_Part(audio))
    if not audio.is_mozilla_opus:
        return part
    with part:
        try:
            return io.BytesIO(to_ogg(part.read()))
        except ValueError as error:
            raise cut_short(audio, str(error)) from None


def read_bytes(audio: Audio) -> bytes:
    """Read a recording as it is stored.

    Raises:
        OSError: it cannot be read.
    """
    if not isinstance(audio, Stored):
        return Path(audio).read_bytes()
    with io.BufferedReader(_Part(audio)) as part:
        return part.read()


def size_of(audio: Audio) -> int:
    """Return the bytes that a recording takes.

    Raises:
        OSError: there is no such file.
    """
    return audio.size if isinstance(audio, Stored) else Path(audio).stat().st_size


class _Part(io.RawIOBase):
    """The bytes of a stored recording as if they were a file: of a long one only what is asked for is read."""

    def __init__(self, stored: Stored):
        self._file = Path(stored.path).open("rb", buffering=0)  # noqa: SIM115 - closed by close()
        self._offset, self._size, self._at = stored.offset, stored.size, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        self._at = offset + {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self._size}[whence]
        return self._at

    def readinto(self, buffer: Any) -> int:
        length = max(0, min(len(buffer), self._size - self._at))
        self._file.seek(self._offset + self._at)
        n_read: int = self._file.readinto(memoryview(buffer)[:length])
        self._at += n_read
        return n_read

    def close(self) -> None:
        self._file.close()
        super().close()
