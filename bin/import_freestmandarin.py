#!/usr/bin/env python3
"""Imports the Free ST Chinese Mandarin Corpus, 110 hours of commands and chat by 855 people: 8 GB."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from util.importing import Archive, Clip, Corpus, openslr, root_of, run_import
from util.pairing import by_name


def find_clips(folders: Sequence[Path], _: Any) -> Iterator[Clip]:
    """Yield the utterances: <corpus><speaker><number>.wav, as in 20170001P00001A0001.wav, each with its .txt."""
    for audio, text in by_name(root_of(folders[0], "*.wav"), ".txt"):
        yield Clip(audio, text, speaker=audio.stem[8:15])


CORPUS = Corpus(
    key="freestmandarin",
    title="Free ST Chinese Mandarin Corpus",
    language="zh",
    licence="CC BY-NC-ND 4.0",
    archives=[Archive("ST-CMDS-20170001_1-OS.tar.gz", openslr(38))],
    longest_s=10.0,
    joined=True,
)

if __name__ == "__main__":
    sys.exit(run_import(CORPUS, find_clips, argparse.ArgumentParser(description=__doc__)))
