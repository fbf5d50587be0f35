#!/usr/bin/env python3
"""Imports version 1 of Common Voice, 500 hours of English sentences read aloud by volunteers: 12 GB."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from util.importing import Archive, Clip, Corpus, columns_of, root_of, run_import

MIRRORS = (
    "https://common-voice-data-download.s3.amazonaws.com",
    "https://s3.us-east-2.amazonaws.com/common-voice-data-download",
)
VALID = ("valid-train", "valid-dev", "valid-test")  # others confirmed that the sentence is said
OTHER = ("other-train", "other-dev", "other-test")  # too few have listened
SETS = (*VALID, *OTHER, "invalid")


def add_options(parser: Any) -> None:
    """Add what only this corpus has."""
    parser.add_argument("--sets", metavar="SET", nargs="+", choices=SETS, default=[*VALID, *OTHER],
        help=f"which to import, of {', '.join(SETS)} (all but the last)")  # fmt: skip


def find_clips(folders: Sequence[Path], options: Any) -> Iterator[Clip]:
    """Yield the rows of cv-<set>.csv, whose clips lie in the folder cv-<set>."""
    root = root_of(folders[0], "cv-*.csv")
    for split in options.sets:
        for name, text in columns_of(root / f"cv-{split}.csv", "filename", "text", separator=","):
            yield Clip(root / f"cv-{split}" / Path(name).name, text or None, split)


CORPUS = Corpus(
    key="cv",
    title="Common Voice 1",
    language="en",
    licence="CC0",
    archives=[Archive("cv_corpus_v1.tar.gz", MIRRORS, holds="cv-valid-train")],
    splits=lambda options: options.sets,
    longest_s=10,
    add_options=add_options,
)

if __name__ == "__main__":
    sys.exit(run_import(CORPUS, find_clips, argparse.ArgumentParser(description=__doc__)))
