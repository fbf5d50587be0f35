#!/usr/bin/env python3
"""Imports LibriSpeech, 1000 hours of English read aloud for LibriVox: 61 GB, or less with --sets."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from util.importing import Archive, Clip, Corpus, keyed_lines, openslr, run_import

CHECKSUMS = {  # SHA-256 of the archives at openslr.org/12
    "train-clean-100": "d4ddd1d5a6ab303066f14971d768ee43278a5f2a0aa43dc716b0e64ecbbbf6e2",
    "train-clean-360": "146a56496217e96c14334a160df97fffedd6e0a04e66b9c5af0d40be3c792ecf",
    "train-other-500": "ddb22f27f96ec163645d53215559df6aa36515f26e01dd70798188350adcb6d2",
    "dev-clean": "76f87d090650617fca0cac8f88b9416e0ebf80350acb97b343a85fa903728ab3",
    "dev-other": "12661c48e8c3fe1de2c1caa4c3e135193bfb1811584f11f569dd12645aa84365",
    "test-clean": "39fde525e59672dc6d1551919b1478f724438a95aa55f874b576be21967e6c23",
    "test-other": "d09c181bba5cf717b3dee7d4d592af11a3ee3a09e08ae025c5506f6ebe961c29",
}


def add_options(parser: Any) -> None:
    """Add what only this corpus has."""
    parser.add_argument(
        "--sets", metavar="SET", nargs="+", choices=CHECKSUMS, default=[*CHECKSUMS], help="which to import (all)"
    )


def archives(options: Any) -> list[Archive]:
    """Return the archive of each set."""
    return [
        Archive(f"{name}.tar.gz", openslr(12), CHECKSUMS[name], holds=f"LibriSpeech/{name}") for name in options.sets
    ]


def find_clips(folders: Sequence[Path], options: Any) -> Iterator[Clip]:
    """Yield the utterances: speaker/chapter/speaker-chapter-number.flac, with one transcript file a chapter."""
    for folder, name in zip(folders, options.sets, strict=True):
        for audio in sorted(folder.glob(f"LibriSpeech/{name}/*/*/*.flac")):
            speaker, chapter, _ = audio.stem.split("-")
            texts = keyed_lines(audio.with_name(f"{speaker}-{chapter}.trans.txt"))
            yield Clip(audio, texts.get(audio.stem), name, speaker)


CORPUS = Corpus(
    key="librivox",
    title="LibriSpeech",
    language="en",
    licence="CC BY 4.0",
    archives=archives,
    splits=lambda options: options.sets,
    add_options=add_options,
)

if __name__ == "__main__":
    sys.exit(run_import(CORPUS, find_clips, argparse.ArgumentParser(description=__doc__)))
