#!/usr/bin/env python3
"""Imports TIMIT, five hours of American English read aloud, from the LDC's archive."""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from util.importing import Archive, Clip, Corpus, matching_lines, root_of, run_import

SENTENCE = re.compile("S[IX][0-9]+", re.IGNORECASE)  # SA1 and SA2 too were read by everybody, in both splits
TEXT = "[0-9]+ [0-9]+ (.+)"  # the first and last sample, and the sentence
TIMIT = "[tT][iI][mM][iI][tT]"
SPLITS = ("train", "test")


def find_clips(folders: Sequence[Path], _options: Any) -> Iterator[Clip]:
    """Yield the utterances: TIMIT/split/dialect/speaker/sentence.WAV with a .TXT; names may be in small letters."""
    found: dict[Path, dict[str, Path]] = {}
    for file in root_of(folders[0], TIMIT).glob(f"{TIMIT}/**/*.*"):
        found.setdefault(file.with_suffix(""), {})[file.suffix.lower()] = file
    for path, files in sorted(found.items()):
        split, speaker = path.parts[-4].lower(), path.parts[-2]
        if split in SPLITS and SENTENCE.fullmatch(path.name):
            audio = files.get(".wav", path.with_suffix(".WAV"))
            text = next(matching_lines(files[".txt"], TEXT), None) if ".txt" in files else None
            yield Clip(audio, text and text[1], split, speaker)


CORPUS = Corpus(
    key="timit",
    title="TIMIT",
    language="en",
    licence="LDC User Agreement",
    archives=[Archive("TIMIT-LDC93S1.tgz", holds="TIMIT")],
    splits=SPLITS,
    how_to_get="It is LDC93S1 at https://catalog.ldc.upenn.edu, not free: put TIMIT-LDC93S1.tgz, or the folder TIMIT "
    "unpacked from it, there, or say with --source where it is.",
)

if __name__ == "__main__":
    sys.exit(run_import(CORPUS, find_clips, argparse.ArgumentParser(description=__doc__)))
