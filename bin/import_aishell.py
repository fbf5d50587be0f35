#!/usr/bin/env python3
"""Imports AISHELL-1, 178 hours of Mandarin read by 400 people: 15 GB."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from util.importing import Archive, Clip, Corpus, keyed_lines, openslr, root_of, run_import
from util.pairing import by_list

TRANSCRIPTS = "transcript/aishell_transcript_v0.8.txt"


def find_clips(folders: Sequence[Path], _: Any) -> Iterator[Clip]:
    """Yield the utterances: wav/split/speaker/name.wav, with one list of transcripts for all."""
    root = root_of(folders[0], TRANSCRIPTS)
    texts = keyed_lines(root / TRANSCRIPTS)
    for audio, text in by_list(root.glob("wav/*/*/*.wav"), texts, root / "wav"):
        yield Clip(audio, text, split=audio.parts[-3], speaker=audio.parts[-2])


CORPUS = Corpus(
    key="aishell",
    title="AISHELL-1",
    language="zh",
    licence="Apache 2.0",
    archives=[
        Archive(
            "data_aishell.tgz",
            openslr(33),
            checksum="2f494334227864a8a8fec932999db9d8",
            nested=True,  # an archive of each speaker
        )
    ],
    longest_s=10.0,
    joined=True,
)

if __name__ == "__main__":
    sys.exit(run_import(CORPUS, find_clips, argparse.ArgumentParser(description=__doc__)))
