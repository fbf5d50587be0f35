#!/usr/bin/env python3
"""Imports the MAGICDATA Mandarin Chinese Read Speech Corpus, 755 hours by 1080 people: 56 GB."""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from util.importing import Archive, Clip, Corpus, columns_of, openslr, root_of, run_import
from util.pairing import by_list

SPLITS = ("train", "dev", "test")
NOISE = re.compile(r"\[\s*(FIL|SPK)\s*\]")  # fillers, and other sounds that speakers make


def find_clips(folders: Sequence[Path], _: Any) -> Iterator[Clip]:
    """Yield the utterances: split/speaker/name.wav, with a list of names, speakers and transcripts a split."""
    for folder, split in zip(folders, SPLITS, strict=True):
        root = root_of(folder, f"{split}/TRANS.txt") / split
        rows = columns_of(root / "TRANS.txt", "UtteranceID", "Transcription")
        texts = {name.removesuffix(".wav"): NOISE.sub(" ", text) for name, text in rows}
        for audio, text in by_list(root.glob("*/*.wav"), texts, root):
            yield Clip(audio, text, split, speaker=audio.parent.name)


CORPUS = Corpus(
    key="magicdata",
    title="MAGICDATA Mandarin Chinese Read Speech Corpus",
    language="zh",
    licence="CC BY-NC-ND 4.0",
    archives=[Archive(f"{split}_set.tar.gz", openslr(68), holds=f"{split}/TRANS.txt") for split in SPLITS],
    longest_s=10.0,
    joined=True,
)

if __name__ == "__main__":
    sys.exit(run_import(CORPUS, find_clips, argparse.ArgumentParser(description=__doc__)))
