#!/usr/bin/env python3
"""Imports THCHS-30, 33 hours of Mandarin read by 40 people: 6.4 GB."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from util.importing import Archive, Clip, Corpus, openslr, root_of, run_import
from util.pairing import by_name, read_transcript

SPLITS = ("train", "dev", "test")


def find_clips(folders: Sequence[Path], _: Any) -> Iterator[Clip]:
    """Yield the utterances: split/speaker_number.wav; the .wav.trn beside says where in data/ the true one is.

    The first line of a transcript has the words, the next ones syllables and phones.
    """
    root = root_of(folders[0], "train")
    for split in SPLITS:
        for audio, beside in by_name(root / split, ".wav.trn"):
            is_link = beside and beside.startswith("../data/")
            text = read_transcript(root / "data" / f"{audio.name}.trn") if is_link else beside
            yield Clip(audio, text and text.split("\n")[0], split, speaker=audio.stem.split("_")[0])


CORPUS = Corpus(
    key="thchs30",
    title="THCHS-30",
    language="zh",
    licence="Apache 2.0",
    archives=[Archive("data_thchs30.tgz", openslr(18), checksum="2d2252bde5c8429929e1841d4cb95e90")],
    joined=True,
)

if __name__ == "__main__":
    sys.exit(run_import(CORPUS, find_clips, argparse.ArgumentParser(description=__doc__)))
