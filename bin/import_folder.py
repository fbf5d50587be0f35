#!/usr/bin/env python3
"""Imports recordings of your own: --source is a folder of audio files and what is said in them, or an archive of one.

Beside each recording lies a text file of its name (.txt or .lab), or --table has a row for it. Splits are those of the
table, or of folders named train, dev and test; otherwise speakers are dealt out, and stay where they are when
recordings are added and all is imported again.
"""

from __future__ import annotations

import argparse
import os
import re
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from util.clips import DEALT
from util.errors import DataError, UsageError
from util.importing import Archive, Clip, Corpus, run_import
from util.recordings import Said, list_files, look_up, pair
from util.unpacking import ENDINGS

SPLITS = {name: name for name in DEALT} | {"training": "train", "testing": "test", "eval": "test"}
SPLITS |= dict.fromkeys(("valid", "validation", "val", "development"), "dev")


def add_options(parser: Any) -> None:
    """Add what only this importer has."""
    add = parser.add_argument
    add("--table", metavar="FILE", type=Path, help="has a file name and a transcript in each row, perhaps speaker and "
        "split too: in columns that a header names (path, sentence, client_id, split and the like), else in the first "
        "two; between them tabs, commas, semicolons or |")  # fmt: skip
    add("--speaker_from", metavar="HOW", help="folder: the one a recording is in (default where no table tells and "
        "there are several); prefix: its name up to the first - or _; none: not known; or a regular expression that "
        "finds the speaker in its path, as the first group if there is one")  # fmt: skip
    add("--language", metavar="CODE", default="en", help="ISO 639 code (%(default)s)")
    parser.set_defaults(splits=DEALT)


def archives(options: Any) -> list[Archive]:
    """Return the archive that --source is, if it is one; --source becomes the place where that lies."""
    place, name = os.path.split(options.source or "")
    if options.source and Path(options.source).is_dir():
        if Path(options.source).samefile(options.dir):
            raise UsageError(f"--source is {options.dir} too, expected another folder than the import goes to")
        return []
    if not name.endswith(ENDINGS):
        raise UsageError(f"--source is {options.source}, expected a folder of recordings or an archive of one")
    options.source = place or "."
    return [Archive(name)]


def find_clips(folders: Sequence[Path], options: Any) -> Iterator[Clip]:
    """Yield each recording with what is said in it, and each transcript whose recording is missing."""
    root = folders[0] if folders else Path(os.path.normpath(Path(options.source).absolute()))
    files = list_files(root, Path(os.path.normpath(options.dir.absolute())))
    if options.table:
        said = look_up(options.table if options.table.is_file() else root / options.table, root, files)
    else:
        said = pair(files)
    if not any(one.transcript is not None or one.fault for one in said):
        raise DataError(f"none of {len(said)} recordings in {root} has a .txt of its name; add these or name a --table")
    usable = {one.audio: one for one in said if one.transcript is not None and one.audio.is_file()}
    splits = named_splits(list(usable.values()), root)
    options.splits = sorted(set(splits.values())) or DEALT
    how = options.speaker_from or how_to_tell(list(usable.values()))
    for one in said:
        if one.audio in usable:
            speaker = speaker_of(one, root, how)
            name = one.audio.relative_to(root).as_posix()
            yield Clip(one.audio, one.transcript, splits.get(one.audio, ""), speaker, name=name)
        else:
            yield Clip(one.audio, one.transcript, fault=one.fault)


def named_splits(said: Sequence[Said], root: Path) -> dict[Path, str]:
    """Return the splits that the table names, or else the folders; nothing where these do not name all."""
    splits = {one.audio: SPLITS.get(one.split.lower(), one.split) for one in said if one.split}
    if odd := [split for split in splits.values() if not re.fullmatch(r"[\w-]+", split)]:
        raise DataError(f"the table has the split {odd[0]!r}, expected train, dev, test or another word; mend it")
    if splits:
        return splits
    for one in said:
        folders = one.audio.relative_to(root).parts[:-1]
        splits[one.audio] = next((SPLITS[name.lower()] for name in folders if name.lower() in SPLITS), "")
    return splits if "train" in splits.values() and "" not in splits.values() else {}


def how_to_tell(said: Sequence[Said]) -> str:
    """Return what tells who speaks where nobody says."""
    if any(one.speaker for one in said):
        return "table"
    return "folder" if len({one.audio.parent for one in said}) > 1 else "none"


def speaker_of(one: Said, root: Path, how: str) -> str:
    """Return who speaks, "" for unknown."""
    if how in {"table", "none"}:
        return one.speaker if how == "table" else ""
    if how == "folder":
        folder = one.audio.parent.name
        return "" if folder.lower() in SPLITS else folder
    path = one.audio.relative_to(root).as_posix()
    try:
        found = re.search(r"([^/_-]+)[_-][^/]*$" if how == "prefix" else how, path)
    except re.error as error:
        raise UsageError(f"--speaker_from {how} is no regular expression: {error}") from None
    speaker = found and (found[1] if found.re.groups else found[0])
    if not speaker:
        raise DataError(f"--speaker_from {how} finds no speaker in {path}; choose another, or none")
    return speaker


CORPUS = Corpus(
    key="folder",
    title="Your recordings",
    language=lambda options: options.language,
    licence="your own",
    archives=archives,
    splits=lambda options: options.splits,
    how_to_get="Name with --source a folder of recordings, or the archive of one.",
    add_options=add_options,
)

if __name__ == "__main__":
    sys.exit(run_import(CORPUS, find_clips, argparse.ArgumentParser(description=__doc__)))
