#!/usr/bin/env python3
"""Imports what you read aloud for Common Voice yourself: the takeout that its profile page offers."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from util.errors import DataError
from util.importing import Archive, Clip, Corpus, columns_of, place_of, run_import


def add_options(parser: Any) -> None:
    """Add what only this corpus has."""
    add = parser.add_argument
    add("--language", metavar="CODE", required=True, help="which recordings to import, as in the column locale")
    add("--files", metavar="NAME", nargs="+",
        help="takeout_NUMBER_metadata.txt and takeout_NUMBER_pt_0.zip and on (all that are there)")  # fmt: skip


def archives(options: Any) -> list[Archive]:
    """Return the table and the archives of clips."""
    there = (path.name for path in place_of(options).glob("takeout_*") if path.suffix in {".txt", ".zip"})
    names = options.files or sorted(there) or ["takeout_NUMBER_metadata.txt", "takeout_NUMBER_pt_0.zip"]
    return [Archive(name) for name in names]


def find_clips(folders: Sequence[Path], options: Any) -> Iterator[Clip]:
    """Yield the recordings, which are named after the sentence in the table."""
    rows = [
        row
        for table in folders
        if table.suffix == ".txt"
        for row in columns_of(table, "original_sentence_id", "sentence", "locale")
    ]
    texts = {name: sentence for name, sentence, locale in rows if locale == options.language}
    if not texts:
        found = ", ".join(sorted({locale for _, _, locale in rows})) or "nothing"
        raise DataError(f"--language is {options.language!r}, but the recordings are in {found}; choose one of these")
    others = {name for name, _, _ in rows} - texts.keys()
    audio = {path.stem: path for folder in folders for path in sorted(folder.rglob("*.mp3"))}
    for name in sorted((audio.keys() | texts.keys()) - others):
        yield Clip(audio.get(name, folders[-1] / f"{name}.mp3"), texts.get(name))


CORPUS = Corpus(
    key="cv_personal",
    title="Common Voice, your own recordings",
    language=lambda options: options.language.split("-")[0],
    licence="your own",
    archives=archives,
    how_to_get="Ask for your data in your profile at https://commonvoice.mozilla.org, and put the files that you get "
    "there: takeout_NUMBER_metadata.txt and all takeout_NUMBER_pt_*.zip.",
    longest_s=10,
    add_options=add_options,
)

if __name__ == "__main__":
    sys.exit(run_import(CORPUS, find_clips, argparse.ArgumentParser(description=__doc__)))
