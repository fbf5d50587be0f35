"""Sample databases (SDB): recordings and transcripts in one file, as DeepSpeech since 0.8 and Coqui STT have them.

All integers are big-endian. "SAMPLEDB"; uint64 length of a JSON text that names the columns; that text; uint64 length
of what follows until the index; uint64 number of samples; the samples; uint64 length of the index; uint64 number of
samples; for each of them uint64, where it begins. A sample is uint32 length of all of it, then each column behind its
uint32 length.
"""

from __future__ import annotations

import json
import os
import struct
import unicodedata
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any

from util.corpus import Utterance
from util.errors import DataError
from util.stored import Stored

MAGIC = b"SAMPLEDB"
MOZILLA_OPUS = "application/vnd.mozilla.opus"
_AUDIO = (MOZILLA_OPUS, "audio/")  # beginnings of mime types
_TEXT = "text/plain"
_INT, _LONG = struct.Struct(">I"), struct.Struct(">Q")
_TWO_LONGS = struct.Struct(">QQ")


def read_sdb(path: str | Path) -> list[Utterance]:
    """Read where the samples of a database are, and what is said in them; not the audio.

    Text columns besides the transcript become `extra`.

    Raises:
        DataError: it is cut short or damaged, or has no column of audio.
    """
    with Path(path).open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(len(MAGIC))
        schema = _read_schema(path, file, size)
        begin = file.tell()
        chunk, count = _TWO_LONGS.unpack(_take(path, file, _TWO_LONGS.size))
        index = begin + _LONG.size + chunk
        if chunk == 0 or index + _TWO_LONGS.size > size:
            raise _cut(path, "the index at its end is missing")
        file.seek(index)
        length, indexed = _TWO_LONGS.unpack(file.read(_TWO_LONGS.size))
        if indexed != count or length != (count + 1) * _LONG.size:
            raise _cut(path, f"it has {count} samples and its index {indexed}")
        offsets = struct.unpack(f">{count}Q", _take(path, file, count * _LONG.size))
        return [_read_sample(path, file, schema, i, (offset, index)) for i, offset in enumerate(offsets)]


def _read_schema(path: str | Path, file: IO[bytes], size: int) -> list[tuple[str, str]]:
    """Return content and mime type of the columns; the first one of audio is called "speech", and no other."""
    (length,) = _LONG.unpack(_take(path, file, _LONG.size))
    if length > size:
        raise _cut(path, "its header does not end within it")
    try:
        columns = [
            (str(column["content"]), str(column["mime-type"]))
            for column in json.loads(_take(path, file, length))["schema"]
        ]
    except (ValueError, KeyError, TypeError):
        raise _cut(path, "its header names no columns") from None
    if not any(content == "speech" and mime.startswith(_AUDIO) for content, mime in columns):
        found = ", ".join(f"{content} ({mime})" for content, mime in columns) or "none"
        raise DataError(f"{path} has no column of speech that is audio, found {found}; make it again")
    return columns


def _read_sample(
    path: str | Path, file: IO[bytes], schema: Sequence[tuple[str, str]], number: int, span: tuple[int, int]
) -> Utterance:
    """Read a sample between two positions, but not its audio."""
    at, limit = span
    file.seek(at)
    end = at + _INT.size + _INT.unpack(_take(path, file, _INT.size))[0]
    if end > limit:
        raise _cut(path, f"sample {number} does not end before the index")
    stored, texts = None, {}
    for content, mime in schema:
        (length,) = _INT.unpack(_take(path, file, _INT.size))
        at = file.tell()
        if at + length > end:
            raise _cut(path, f"the columns of sample {number} are longer than it")
        if content == "speech" and stored is None and mime.startswith(_AUDIO):
            stored = Stored(os.path.abspath(path), f"#{number}", at, length, mime == MOZILLA_OPUS)  # noqa: PTH100
        elif mime == _TEXT:
            try:
                texts[content] = file.read(length).decode()
            except UnicodeDecodeError:
                raise _cut(path, f"the {content} of sample {number} is not UTF-8") from None
        file.seek(at + length)
    assert stored
    transcript = unicodedata.normalize("NFC", texts.pop("transcript", "")).strip()
    return Utterance(
        stored.name, str(stored), stored.size, transcript, str(path), number, tuple(texts.items()), stored
    )  # fmt: skip


def _take(path: str | Path, file: IO[bytes], size: int) -> bytes:
    data = file.read(size)
    if len(data) < size:
        raise _cut(path, f"it ends at byte {file.tell()}, in the middle of a number or text")
    return data


def _cut(path: str | Path, proof: str) -> DataError:
    return DataError(f"{path} is a sample database that is cut short or damaged: {proof}; copy or make it again")


class SdbWriter:
    """Writes a database to an open file, sample by sample; a context manager that completes it.

    Args:
        file: open for writing bytes, able to seek, empty.
        mime_type: of the audio.
        columns: of text: "transcript", and names of others.
    """

    def __init__(self, file: IO[bytes], mime_type: str, columns: Sequence[str]):
        self._file, self._columns, self._offsets = file, columns, list[int]()
        schema = [{"content": "speech", "mime-type": mime_type}]
        schema += [{"content": column, "mime-type": _TEXT} for column in columns]
        header = json.dumps({"schema": schema}).encode()
        file.write(MAGIC + _LONG.pack(len(header)) + header)
        self._begin = file.tell()
        file.write(bytes(_TWO_LONGS.size))

    def __enter__(self) -> SdbWriter:
        return self

    def __exit__(self, kind: Any, *_: object) -> None:
        if kind is None:
            self._complete()

    def add(self, audio: bytes, texts: dict[str, str]) -> None:
        """Write a sample: its audio, and a text for each column, "" where `texts` lacks it."""
        self._offsets.append(self._file.tell())
        values = [audio, *(texts.get(column, "").encode() for column in self._columns)]
        columns = b"".join(_INT.pack(len(value)) + value for value in values)
        self._file.write(_INT.pack(len(columns)) + columns)

    def _complete(self) -> None:
        index, count = self._file.tell(), len(self._offsets)
        self._file.write(_TWO_LONGS.pack((count + 1) * _LONG.size, count) + struct.pack(f">{count}Q", *self._offsets))
        self._file.seek(self._begin)
        self._file.write(_TWO_LONGS.pack(index - self._begin - _LONG.size, count))
