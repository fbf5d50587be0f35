#!/usr/bin/env python3
"""Imports TED-LIUM, English talks given at TED: release 1 (118 h, 21 GB), 2 (207 h, 35 GB) or 3 (452 h, 54 GB)."""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from util.importing import Archive, Clip, Corpus, matching_lines, openslr, root_of, run_import

RELEASES = {  # the archives at openslr.org with their SHA-256
    1: (7, "TEDLIUM_release1.tar.gz", "30301975fd8c5cac4040c261c0852f57cfa8adbbad2ce78e77e4986957445f27"),
    2: (19, "TEDLIUM_release2.tar.gz", "93281b5fcaaae5c88671c9d000b443cb3c7ea3499ad12010b3934ca41a7b9c58"),
    3: (51, "TEDLIUM_release-3.tgz", "ad1e454d14d1ad550bc2564c462d87c7a7ec83d4dc2b9210f22ab4973b9eccdb"),
}
SPLITS = {"train": "train", "dev": "dev", "test": "test"}
# The splits of release 3 that are called legacy: dev and test are those of releases 1 and 2, train is all the rest.
LEGACY = {"train": "data", "dev": "legacy/dev", "test": "legacy/test"}

UTTERANCE = r"\S+\s+\S+\s+(\S+)\s+([0-9]+\.?[0-9]*)\s+([0-9]+\.?[0-9]*)\s+(?:<\S*>)?\s*(.*)"
GAP = "ignore_time_segment_in_scoring"
NOISE = re.compile(r"<sil>|\{(breath|cough|noise|smack)\}|\([0-9]\)|\(\S*\)$", re.IGNORECASE)
FILLER = re.compile(r"\{(uh|um)\}", re.IGNORECASE)
SUFFIX = re.compile(r" '(?=(s|t|d|m|ll|re|ve)\b)")  # it 's


def add_options(parser: Any) -> None:
    """Add what only this corpus has."""
    parser.add_argument("--release", type=int, choices=RELEASES, default=2, help="of the corpus (%(default)s)")


def archives(options: Any) -> list[Archive]:
    """Return the archive of the release."""
    number, name, checksum = RELEASES[options.release]
    return [Archive(name, openslr(number), checksum)]


def find_clips(folders: Sequence[Path], options: Any) -> Iterator[Clip]:
    """Yield the utterances: split/stm/talk.stm says where in split/sph/talk.sph they are."""
    places = LEGACY if options.release == 3 else SPLITS
    root = root_of(folders[0], f"{places['train']}/stm")
    for split, place in places.items():
        for table in sorted(root.glob(f"{place}/stm/*.stm")):
            audio = table.parent.parent / "sph" / f"{table.stem}.sph"
            for line in matching_lines(table, UTTERANCE):
                if line[4] != GAP:
                    yield Clip(audio, clean(line[4]), split, line[1], float(line[2]), float(line[3]))


def clean(text: str) -> str:
    """Return what was said of what was written down."""
    return SUFFIX.sub("'", FILLER.sub(r"\1", NOISE.sub(" ", text)))


CORPUS = Corpus(
    key="ted",
    title="TED-LIUM",
    language="en",
    licence="CC BY-NC-ND 3.0",
    archives=archives,
    add_options=add_options,
)

if __name__ == "__main__":
    sys.exit(run_import(CORPUS, find_clips, argparse.ArgumentParser(description=__doc__)))
