#!/usr/bin/env python3
"""Imports Vystadial 2013, telephone calls: 18 hours of Czech (1.5 GB) or 45 hours of English (2.7 GB)."""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from util.importing import Archive, Clip, Corpus, openslr, root_of, run_import
from util.pairing import by_name

SPLITS = ("train", "dev", "test")
NOISE = re.compile("_[A-Z_]+_", re.IGNORECASE)  # _INHALE_, _LAUGH_, _EHM_HMM_, _NOISE_ and _SIL_


def add_options(parser: Any) -> None:
    """Add what only this corpus has."""
    parser.add_argument("--language", choices=("cs", "en"), default="cs", help="which to import (%(default)s)")


def archives(options: Any) -> list[Archive]:
    """Return the archive of the language."""
    return [Archive(f"data_voip_{options.language}.tgz", openslr(6))]


def find_clips(folders: Sequence[Path], options: Any) -> Iterator[Clip]:
    """Yield the utterances: split/name.wav, each with its .wav.trn. Nobody knows who called."""
    root = root_of(folders[0], "train")
    for split in SPLITS:
        for audio, text in by_name(root / split, ".wav.trn"):
            yield Clip(audio, text and NOISE.sub(" ", text), f"{options.language}-{split}")


CORPUS = Corpus(
    key="vystadial",
    title="Vystadial 2013",
    language=lambda options: options.language,
    licence="CC BY-SA 3.0",
    archives=archives,
    splits=lambda options: [f"{options.language}-{split}" for split in SPLITS],
    add_options=add_options,
)

if __name__ == "__main__":
    sys.exit(run_import(CORPUS, find_clips, argparse.ArgumentParser(description=__doc__)))
