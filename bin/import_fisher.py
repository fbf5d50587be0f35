#!/usr/bin/env python3
"""Imports Fisher English, 2000 hours of telephone conversations, from the LDC's archives."""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from util.importing import Archive, Clip, Corpus, columns_of, find_recordings, matching_lines, root_of, run_import

PARTS = {"1": ("LDC2004S13", "LDC2004T19"), "2": ("LDC2005S13", "LDC2005T19")}  # speech and transcripts
UTTERANCE = r"([0-9]+\.?[0-9]*) +([0-9]+\.?[0-9]*) +([AB]): *(.*)"
NOISE = re.compile(r"\[(laugh|laughter|noise|cough|sigh|mn|breath|lipsmack|sneeze)\]")
# Transcripts that have more letters than the sound has room for, by call, start and end: what is really said,
# or None where that is no speech, or far more than an utterance.
CORRECTED = {
    "fe_03_00265-33.53-33.81": "correct",
    "fe_03_00991-527.39-528.3": "that's one of those",
    "fe_03_10282-344.42-344.84": "they don't want",
    "fe_03_10677-101.04-106.41": "uh my mine yeah the german shepherd pitbull mix he snores almost as loud as i do",
    "fe_03_00027-393.8-394.05": None,
    "fe_03_01326-307.42-307.93": None,
    "fe_03_11487-31.09-234.06": None,
}


def add_options(parser: Any) -> None:
    """Add what only this corpus has."""
    parser.add_argument("--parts", metavar="N", nargs="+", choices=PARTS, default=[*PARTS], help="1, 2 or both (both)")


def archives(options: Any) -> list[Archive]:
    """Return speech and transcripts of each part."""
    return [Archive(f"{name}.tgz") for part in options.parts for name in PARTS[part]]


def find_clips(folders: Sequence[Path], _options: Any) -> Iterator[Clip]:
    """Yield the utterances: disc/audio/000/fe_03_00001.sph, with data/trans/000/fe_03_00001.txt."""
    for speech, text in zip(folders[::2], folders[1::2], strict=True):
        # The LDC compresses the recordings; a .wav made of one, beside it or in its place, is taken.
        audio = find_recordings(speech, ".sph", ".wav")
        root = root_of(text, "data/trans")
        transcripts = {path.stem: path for path in sorted(root.glob("data/trans/*/fe_03_*.txt"))}
        pins = read_pins(root)
        for call in sorted(audio.keys() | transcripts.keys()):
            recording = audio.get(call, speech / f"{call}.sph")
            if call not in transcripts:
                yield Clip(recording, None)
                continue
            for line in matching_lines(transcripts[call], UTTERANCE):
                start, end, side = float(line[1]), float(line[2]), line[3]
                words = CORRECTED.get(f"{call}-{start}-{end}", NOISE.sub(" ", line[4]))
                speaker = pins.get(f"{call}{side}") or f"{call}{side}"
                fault = "its transcript is known to be wrong"
                yield Clip(recording, words, "", speaker, start, end, "AB".index(side), fault=fault)


def read_pins(folder: Path) -> dict[str, str]:
    """Return who was on each side of each call: a speaker called up to three times."""
    tables = folder.glob("doc/fe_03_p?_calldata.tbl")
    rows = [row for table in tables for row in columns_of(table, "CALL_ID", "APIN", "BPIN", separator=",")]
    return {f"fe_03_{call}{side}": pin for call, *pins in rows for side, pin in zip("AB", pins, strict=True)}


CORPUS = Corpus(
    key="fisher",
    title="Fisher English",
    language="en",
    licence="LDC User Agreement",
    archives=archives,
    how_to_get="Fisher is four corpora of https://catalog.ldc.upenn.edu, not free: LDC2004S13 and LDC2004T19 (part 1), "
    "LDC2005S13 and LDC2005T19 (part 2). Unpack each into a folder named so, or name its archive so, with .tgz behind, "
    "and put them there, or say with --source where they are.",
    add_options=add_options,
)

if __name__ == "__main__":
    sys.exit(run_import(CORPUS, find_clips, argparse.ArgumentParser(description=__doc__)))
