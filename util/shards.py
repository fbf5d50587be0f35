"""Recordings and transcripts in tar files.

Either as WebDataset has them, pairs of KEY.wav (or another kind of audio) and KEY.txt or KEY.json, or as the tool of
0.9.3 wrote them, with a CSV among the recordings that it names.
"""

from __future__ import annotations

import io
import json
import os
import posixpath
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from util.audio_faults import ENDINGS
from util.corpus import Utterance, parse_csv, stored_utterance
from util.errors import DataError
from util.stored import Stored

_TRANSCRIPTS = ("transcript", "text")  # keys of a JSON text
_BLOCK = 512  # bytes, of which a tar file is made; its end is such a block of zeros


def is_tar(head: bytes) -> bool:
    """Tell whether a file that begins with these 512 bytes is a tar file."""
    if head and not any(head):
        return len(head) == _BLOCK  # an empty one
    try:
        tarfile.TarInfo.frombuf(head[:_BLOCK], "utf-8", "surrogateescape")
    except tarfile.HeaderError:
        return False
    return True


def read_tar(path: str | Path) -> list[Utterance]:
    """Read where the recordings of a tar file are, and what is said in them; not the audio.

    Raises:
        DataError: it is cut short or damaged, has no recordings, or a transcript in it is not text.
    """
    try:
        with tarfile.open(path, "r:") as tar:
            members = {posixpath.normpath(member.name): member for member in tar if member.isreg()}
            _check_end(path, tar)
            members = {name: one for name, one in members.items() if not posixpath.basename(name).startswith(".")}
            tables = [name for name, one in members.items() if name.lower().endswith(".csv") and _is_table(tar, one)]
            if len(tables) > 1:
                raise DataError(f"{path} has {len(tables)} CSV files ({', '.join(tables)}), expected one; unpack it")
            if tables:
                return list(_follow_table(path, tables[0], members, tar))
            return list(_pair(path, members, tar))
    except tarfile.TarError as error:
        raise _cut(path, str(error)) from None


def _check_end(path: str | Path, tar: tarfile.TarFile) -> None:
    """Make sure that the end is there: without it the library is silent."""
    end = tar.offset  # behind the last member
    with Path(path).open("rb") as raw:
        raw.seek(end)
        block = raw.read(_BLOCK)
    if block != bytes(_BLOCK):
        raise _cut(path, f"neither another file nor the end mark is at byte {end}")


def _is_table(tar: tarfile.TarFile, member: tarfile.TarInfo) -> bool:
    return b"wav_filename" in _read(tar, member).partition(b"\n")[0]


def _follow_table(
    path: str | Path, table: str, members: dict[str, tarfile.TarInfo], tar: tarfile.TarFile
) -> Iterator[Utterance]:
    """Yield what the rows of a CSV in a tar file name."""
    for row in parse_csv(f"{path}:{table}", _decode(f"{path}:{table}", _read(tar, members[table]))):
        name = posixpath.normpath(posixpath.join(posixpath.dirname(table), row.wav_filename))
        member = members.get(name)
        if not member:
            raise DataError(f"{path}:{table}:{row.line}: {row.wav_filename} is not in {path}; add it or remove the row")
        yield _stored(path, name, member, row.line, row.transcript, row.extra)


def _pair(path: str | Path, members: dict[str, tarfile.TarInfo], tar: tarfile.TarFile) -> Iterator[Utterance]:
    """Yield the recordings with the texts of the same names."""
    keys = {name: posixpath.splitext(name) for name in members}
    texts = {(key, ending.lower()): members[name] for name, (key, ending) in keys.items()}
    recordings = [name for name, (_, ending) in keys.items() if ending.lower() in ENDINGS]
    if not recordings:
        raise DataError(
            f"{path} is a tar file without recordings, expected pairs of KEY.txt and KEY with one of the endings "
            f"{' '.join(ENDINGS)}; make it again"
        )
    for number, name in enumerate(recordings):
        key = keys[name][0]
        transcript = ""
        extra: tuple[tuple[str, str], ...] = ()
        if described := texts.get((key, ".json")):
            transcript, extra = _parse_json(f"{path}:{key}.json", _read(tar, described))
        if text := texts.get((key, ".txt")):
            transcript = _decode(f"{path}:{key}.txt", _read(tar, text))
        yield _stored(path, name, members[name], number, transcript, extra)


def _stored(
    path: str | Path, name: str, member: tarfile.TarInfo, line: int, transcript: str, extra: tuple[tuple[str, str], ...]
) -> Utterance:
    stored = Stored(sys.intern(os.path.abspath(path)), f":{name}", member.offset_data, member.size)  # noqa: PTH100
    return stored_utterance(stored, path, line, transcript, extra)


def _read(tar: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    assert tar.fileobj
    tar.fileobj.seek(member.offset_data)
    return tar.fileobj.read(member.size)


def _decode(name: str, data: bytes) -> str:
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(f"{name}: the byte at position {error.start} is not UTF-8; save it as UTF-8 text") from None


def _parse_json(name: str, data: bytes) -> tuple[str, tuple[tuple[str, str], ...]]:
    """Return transcript and other texts and numbers of a JSON text."""
    try:
        found = json.loads(_decode(name, data))
    except ValueError as error:
        raise DataError(f"{name} is not JSON ({error}); write it again") from None
    if not isinstance(found, dict):
        raise DataError(f'{name} is not a JSON object, expected {{"transcript": "what is said"}}; write it again')
    transcript = next((found[key] for key in _TRANSCRIPTS if isinstance(found.get(key), str)), "")
    extra = tuple((key, str(value)) for key, value in found.items() if isinstance(value, str | int | float))
    return transcript, tuple(pair for pair in extra if pair[0] not in _TRANSCRIPTS)


def _cut(path: str | Path, proof: str) -> DataError:
    return DataError(f"{path} is a tar file that is cut short or damaged: {proof}; copy or make it again")


class ShardWriter:
    """Writes recordings and texts as WebDataset reads them to an open file; a context manager that completes it.

    Args:
        file: open for writing bytes, empty.
        compressed: by gzip.
    """

    def __init__(self, file: IO[bytes], compressed: bool = False):
        self._tar = tarfile.open(fileobj=file, mode="w:gz" if compressed else "w", format=tarfile.PAX_FORMAT)  # noqa: SIM115

    def __enter__(self) -> ShardWriter:
        return self

    def __exit__(self, *_: object) -> None:
        self._tar.close()

    def include(self, path: Path) -> None:
        """Add a file under its own name.

        Raises:
            OSError: it cannot be read.
        """
        self._tar.add(path, arcname=path.name, recursive=False)

    def add(self, key: str, suffix: str, audio: bytes, transcript: str | None, extra: dict[str, str]) -> None:
        """Write KEY and its audio, KEY.txt where there is a transcript, and KEY.json where there is more to tell."""
        files = {suffix: audio}
        if transcript is not None:
            files[".txt"] = transcript.encode()
        if extra:
            files[".json"] = json.dumps({"transcript": transcript, **extra}, ensure_ascii=False).encode()
        for ending, data in files.items():
            member = tarfile.TarInfo(f"{key}{ending}")
            member.size, member.mode = len(data), 0o644
            self._tar.addfile(member, io.BytesIO(data))
