"""Sample databases (SDB): recordings and transcripts in one file, as DeepSpeech 0.9.3 and Coqui STT have them.

All integers are big-endian. "SAMPLEDB"; uint64 length of a JSON text that names the columns; that text; uint64 length
of what follows until the index; uint64 number of samples; the samples; uint64 length of the index; uint64 number of
samples; for each of them uint64, where it begins. A sample is uint32 length of all of it, then each column behind its
uint32 length.
"""

from __future__ import annotations

import json
import os
import struct
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any

from util.corpus import Utterance, stored_utterance
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
        return _Reader(path, file).read_all()


class _Reader:
    """Reads a database, and says of what is wrong in which."""

    def __init__(self, path: str | Path, file: IO[bytes]):
        self._source, self._path, self._file = str(path), os.path.abspath(path), file  # noqa: PTH100
        self._size = file.seek(0, os.SEEK_END)
        file.seek(len(MAGIC))
        self._schema = self._read_schema()

    def read_all(self) -> list[Utterance]:
        begin = self._file.tell()
        length, count = _TWO_LONGS.unpack(self._take(_TWO_LONGS.size))
        index = begin + _LONG.size + length
        if length == 0 or index + _TWO_LONGS.size > self._size:
            raise self._cut("the index at its end is missing")
        self._file.seek(index)
        index_length, indexed = _TWO_LONGS.unpack(self._take(_TWO_LONGS.size))
        if indexed != count or index_length != (count + 1) * _LONG.size:
            raise self._cut(f"it has {count} samples and its index {indexed}")
        if index + _LONG.size + index_length > self._size:
            raise self._cut("the index at its end is not whole")
        offsets = struct.unpack(f">{count}Q", self._take(count * _LONG.size))
        return [self._read_sample(number, offset, index) for number, offset in enumerate(offsets)]

    def _read_schema(self) -> list[tuple[str, str]]:
        """Return content and mime type of the columns."""
        (length,) = _LONG.unpack(self._take(_LONG.size))
        if length > self._size:
            raise self._cut("its header does not end within it")
        try:
            columns = json.loads(self._take(length))["schema"]
            schema = [(str(column["content"]), str(column["mime-type"])) for column in columns]
        except (ValueError, KeyError, TypeError):
            raise self._cut("its header names no columns") from None
        if not any(_is_speech(column) for column in schema):
            found = ", ".join(f"{content} ({mime})" for content, mime in schema) or "none"
            raise DataError(f"{self._source} has no column of speech that is audio, found {found}; make it again")
        return schema

    def _read_sample(self, number: int, offset: int, limit: int) -> Utterance:
        """Read the sample at an offset, which ends before a limit, but not its audio."""
        if offset + _INT.size > limit:
            raise self._cut(f"sample {number} begins behind the last one")
        self._file.seek(offset)
        end = offset + _INT.size + _INT.unpack(self._take(_INT.size))[0]
        if end > limit:
            raise self._cut(f"sample {number} does not end before the index")
        stored, texts = None, {}
        for column in self._schema:
            (length,) = _INT.unpack(self._take(_INT.size))
            at = self._file.tell()
            if at + length > end:
                raise self._cut(f"the columns of sample {number} are longer than it")
            content, mime = column
            if mime == _TEXT:
                texts[content] = self._decode(self._take(length), f"the {content} of sample {number}")
            elif stored is None and _is_speech(column):
                stored = Stored(self._path, f"#{number}", at, length, mime == MOZILLA_OPUS)
            self._file.seek(at + length)
        assert stored  # the schema has it
        return stored_utterance(stored, self._source, number, texts.pop("transcript", ""), texts.items())

    def _decode(self, data: bytes, what: str) -> str:
        try:
            return data.decode()
        except UnicodeDecodeError:
            raise self._cut(f"{what} is not UTF-8") from None

    def _take(self, size: int) -> bytes:
        data = self._file.read(size)
        if len(data) < size:
            raise self._cut(f"it ends at byte {self._size}, in the middle of a number or text")
        return data

    def _cut(self, proof: str) -> DataError:
        return DataError(
            f"{self._source} is a sample database that is cut short or damaged: {proof}; copy or make it again"
        )


def _is_speech(column: tuple[str, str]) -> bool:
    content, mime = column
    return content == "speech" and mime.startswith(_AUDIO)


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
