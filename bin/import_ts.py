#!/usr/bin/env python3
"""Imports TrainingSpeech, 95 hours of French audio books."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from util.importing import Archive, Clip, Corpus, columns_of, run_import

MIRRORS = ("https://deepspeech-storage-mirror.s3.fr-par.scw.cloud",
           "https://s3.eu-west-3.amazonaws.com/audiocorp/releases")  # fmt: skip
SIGNS = str.maketrans(dict.fromkeys("°()[]*", " "))  # that stand around words which are read aloud


def find_clips(folders: Sequence[Path], options: Any) -> Iterator[Clip]:  # noqa: ARG001
    """Yield the utterances of data.csv: <chapter>_<number>.wav, of readers who are not told."""
    table = min(folders[0].rglob("data.csv"), default=folders[0] / "data.csv")
    listed = set()
    for path, text in columns_of(table, "path", "text", separator=","):
        audio = table.parent / path
        listed.add(audio)
        yield Clip(audio, text.translate(SIGNS), group=audio.stem.rpartition("_")[0])
    for audio in sorted({*table.parent.rglob("*.wav")} - listed):
        yield Clip(audio, None)


CORPUS = Corpus(
    key="ts",
    title="TrainingSpeech",
    language="fr",
    licence="not stated",
    archives=[Archive("2019-04-11_fr_FR.zip", MIRRORS)],
    longest_s=15,
)

if __name__ == "__main__":
    sys.exit(run_import(CORPUS, find_clips, argparse.ArgumentParser(description=__doc__)))
