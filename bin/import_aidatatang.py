#!/usr/bin/env python3
"""Imports aidatatang_200zh, 200 hours of Mandarin read by 600 people, from the archive that you have: 18 GB."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from util.importing import Archive, Clip, Corpus, keyed_lines, root_of, run_import
from util.pairing import by_list

TRANSCRIPTS = "transcript/aidatatang_200_zh_transcript.txt"


def find_clips(folders: Sequence[Path], _: Any) -> Iterator[Clip]:
    """Yield the utterances: corpus/split/speaker/name.wav, with one list of transcripts for all."""
    root = root_of(folders[0], TRANSCRIPTS)
    texts = keyed_lines(root / TRANSCRIPTS)
    for audio, text in by_list(root.glob("corpus/*/*/*.wav"), texts, root / "corpus"):
        yield Clip(audio, text, split=audio.parts[-3], speaker=audio.parts[-2])


CORPUS = Corpus(
    key="aidatatang",
    title="aidatatang_200zh",
    language="zh",
    licence="CC BY-NC-ND 4.0",
    archives=[
        Archive(
            "aidatatang_200zh.tgz",
            checksum="6e0f4f39cd5f667a7ee53c397c8d0949",
            nested=True,  # an archive of each speaker
        )
    ],
    how_to_get="Its owner, Datatang, had it taken off openslr.org/62; put the archive there if you have it.",
    longest_s=10.0,
    joined=True,
)

if __name__ == "__main__":
    sys.exit(run_import(CORPUS, find_clips, argparse.ArgumentParser(description=__doc__)))
