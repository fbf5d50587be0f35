"""Recordings in a folder, and what is said in them: in text files of their names, or in one table."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from util.audio_faults import ENDINGS
from util.errors import DataError
from util.files import read_utf8
from util.tables import read_table
from util.text import normalize

TEXTS = (".txt", ".lab")
COLUMNS = {  # of a table, and what its header may call them
    "file": ("wav_filename", "path", "file", "filename", "file_name", "audio", "audio_filepath", "wav"),
    "transcript": ("transcript", "sentence", "text", "transcription"),
    "speaker": ("speaker", "speaker_id", "client_id"),
    "split": ("split", "set", "subset"),
}


class Said(NamedTuple):
    """What is said in a recording.

    Attributes:
        audio: the recording, which may be missing.
        transcript: None where there is none.
        speaker: "" where nothing tells.
        split: as a table has it, "" where nothing tells.
        fault: why there is no transcript, where more is known than that.
    """

    audio: Path
    transcript: str | None
    speaker: str = ""
    split: str = ""
    fault: str = ""


def list_files(root: Path, besides: Path) -> list[Path]:
    """Return the files below a folder in order, without hidden ones and those in a folder below it.

    Args:
        root: the folder.
        besides: the folder to leave out, unless `root` is in it.

    Raises:
        DataError: a name is not UTF-8.
    """
    files = [path for path in sorted(root.rglob("*")) if path.is_file()]
    if odd := [path for path in files if re.search("[\ud800-\udfff]", str(path))]:
        raise DataError(f"the name {odd[0].name!a} in {root} is not UTF-8; rename the file")
    if not root.is_relative_to(besides):
        files = [path for path in files if not path.is_relative_to(besides)]
    return [path for path in files if not any(part.startswith(".") for part in path.relative_to(root).parts)]


def pair(files: Sequence[Path]) -> list[Said]:
    """Return the recordings with the texts of the same names; texts without a recording name one that is missing.

    Args:
        files: recordings, texts and others.
    """
    alike: dict[Path, list[Path]] = {}
    for path in files:
        alike.setdefault(path.with_suffix(""), []).append(path)
    said = []
    for stem, paths in alike.items():
        texts = [path for ending in TEXTS for path in paths if path.suffix.lower() == ending]
        audio = [path for path in paths if path.suffix.lower() in ENDINGS]
        if texts and not audio:  # it is of another kind, or missing
            audio = [path for path in paths if path not in texts] or [stem.with_name(f"{stem.name}.wav")]
        transcript, fault = _read(texts[0]) if texts else (None, "")
        said += [Said(path, transcript, fault=fault) for path in audio]
    return said


def _read(text: Path) -> tuple[str | None, str]:
    """Return the transcript, or what is wrong with it: that shall not keep others from being imported."""
    try:
        return read_utf8(text, "a transcript"), ""
    except DataError as error:
        return None, str(error)


def look_up(table: Path, root: Path, files: Sequence[Path]) -> list[Said]:
    """Return what a table says of recordings, and the recordings that it does not list.

    Args:
        table: has COLUMNS. A file name is a path from the table, or the end of one path below `root`; the ending of an
            audio file may be missing.
        root: the folder.
        files: what is in it.

    Raises:
        DataError: the table cannot be read; a row lacks a file, speaker or split, means several files or one outside
            the folder, or contradicts an earlier row.
    """
    ends, there = _ends(root, files), set(files)
    said: dict[Path, Said] = {}
    for line, row in read_table(table, COLUMNS):
        where = f"{table}:{line}:"
        if empty := [key for key in row if not row[key] and key != "transcript"]:
            raise DataError(f"{where} the {empty[0]} is empty; fill it in or remove the row")
        name = row["file"].replace("\\", "/")
        from_table = Path(os.path.normpath(table.absolute().parent / name))
        found = [from_table] if from_table in there else ends.get(normalize(str(PurePosixPath(name))), [])
        if len(found) > 1:
            raise DataError(f"{where} {name} may be {found[0]} or {found[1]}; write more of its path")
        audio = found[0] if found else Path(os.path.normpath(root / name))
        if not audio.is_relative_to(root):
            raise DataError(f"{where} {name} lies outside {root}, expected recordings in it; mend the row")
        one = Said(audio, row["transcript"], row.get("speaker", ""), row.get("split", ""))
        if said.setdefault(audio, one) != one:
            raise DataError(f"{where} an earlier row says something else of {name}; remove one of the two")
    unlisted = [path for path in files if path.suffix.lower() in ENDINGS and path not in said]
    return [*said.values(), *(Said(path, None, fault=f"{table} does not list it") for path in unlisted)]


def _ends(root: Path, files: Sequence[Path]) -> dict[str, list[Path]]:
    """Return the files that each end of a path may mean."""
    ends: dict[str, list[Path]] = {}
    for path in files:
        parts = path.relative_to(root).parts
        names = ["/".join(parts[i:]) for i in range(len(parts))]
        if path.suffix.lower() in ENDINGS:
            names += [name.removesuffix(path.suffix) for name in names]
        for name in names:
            ends.setdefault(normalize(name), []).append(path)
    return ends
