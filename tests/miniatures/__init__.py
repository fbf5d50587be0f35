"""Corpora in miniature: archives made as the real ones are, of a few seconds of sound.

Each module is named after its importer and has a function `miniature()`; tests/test_importers.py puts all of them
through the same tests.
"""

from __future__ import annotations

import io
import tarfile
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray


@dataclass(frozen=True, order=True)
class Row:
    """What a CSV must say of a clip.

    Attributes:
        transcript: cleaned.
        duration_s: of the audio file.
        speaker: "" where the corpus does not tell.
    """

    transcript: str
    duration_s: float
    speaker: str = ""


@dataclass(frozen=True)
class Miniature:
    """A small corpus and what must become of it.

    Attributes:
        archives: the content of each file to serve, by name.
        tables: the rows that each CSV must have, by the name of the CSV.
        left_out: the kinds of clips left out, with the end of each one's file name; a broken clip and one without
            transcript are among them wherever the corpus's layout allows such a thing.
        options: of the importer besides DIR and --source.
        source: what --source names besides the server.
    """

    archives: Mapping[str, bytes]
    tables: Mapping[str, list[Row]]
    left_out: list[tuple[str, str]]
    options: tuple[str, ...] = field(default=())
    source: str = ""


def sound(seconds: float, rate: int = 16000, channels: int = 1) -> NDArray[np.float32]:
    """Return float32 [samples, channels] of a hum that differs from channel to channel."""
    time = np.arange(round(seconds * rate)) / rate
    hums = [0.3 * np.sin(2 * np.pi * (220 + 110 * channel) * time) for channel in range(channels)]
    return np.stack(hums, axis=1).astype(np.float32)


def audio(seconds: float, form: str = "WAV", rate: int = 16000, channels: int = 1, subtype: str | None = None) -> bytes:
    """Return an audio file: WAV, FLAC, MP3, OGG (subtype OPUS or VORBIS) or NIST (SPHERE; subtype ULAW, PCM_16)."""
    file = io.BytesIO()
    soundfile.write(file, sound(seconds, rate, channels), rate, format=form, subtype=subtype)
    return file.getvalue()


def broken(file: bytes) -> bytes:
    """Return a file as an interrupted copy leaves it."""
    return file[: len(file) // 3]


def tar(files: Mapping[str, bytes], mode: str = "w:gz") -> bytes:
    """Return a tar archive; mode as of tarfile.open, w: for one that is not compressed."""
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode=mode) as opened:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            opened.addfile(info, io.BytesIO(content))
    return archive.getvalue()


def pack(files: Mapping[str, bytes]) -> bytes:
    """Return a zip archive."""
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as opened:
        for name, content in files.items():
            opened.writestr(name, content)
    return archive.getvalue()


def names() -> list[str]:
    """Return the names of all miniatures."""
    return sorted(path.stem for path in Path(__file__).parent.glob("*.py") if path.stem != "__init__")
