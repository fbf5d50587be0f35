#!/usr/bin/env python3
"""Imports Switchboard-1, 260 hours of telephone conversations, from the LDC's archive."""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from util.importing import Archive, Clip, Corpus, find_recordings, matching_lines, openslr, root_of, run_import

UTTERANCE = r"sw([0-9]{4})([AB])-\S+ +([0-9]+\.?[0-9]*) +([0-9]+\.?[0-9]*) +(.*)"
CALLERS = r"([0-9]{4}) *,[^,]*, *([0-9]+) *, *([0-9]+) *,.*"  # conversation, its state, callers A and B
TOO_LONG = {("2986A", 80.6385), ("2663A", 161.12025)}  # transcripts that the sound has no room for

# As the transcribers' manual has them; the order counts.
MARKS = [
    (re.compile(pattern, re.IGNORECASE), words)
    for pattern, words in (
        (r"\[(silence|noise|laughter|vocalized-noise)\]|<[be]_aside>", " "),
        (r"(?<!\S)(-?)\[laughter-(\S+)\](-?)(?!\S)", r"\1\2\3"),  # said while laughing
        (r"(?<!\S)\[([^\s/]+)/\S+\]", r"\1"),  # [what was said/what was meant]
        (r"(?<=[\w'])\[[^][\s]+\]|\[[^][\s]+\](?=[\w'])", "-"),  # the part of a word that was not said
        (r"\{(\S+)\}", r"\1"),  # a word made up
        (r"_[0-9]", ""),  # one of several ways to say a word
        ("&", " and "),
    )
]


def find_clips(folders: Sequence[Path], _options: Any) -> Iterator[Clip]:
    """Yield the utterances: sw02001.sph, with transcripts .../20/2001/sw2001A-ms98-a-trans.text of its two sides."""
    speech, text, table = folders
    callers = {
        f"{line[1]}{side}": line[2 + n] for line in matching_lines(table, CALLERS) for n, side in enumerate("AB")
    }
    discs = sorted(root_of(speech, "swb1_d1").glob("swb1_d*"))
    audio = {name: path for disc in discs for name, path in find_recordings(disc, ".sph", ".wav").items()}
    without_text = dict(audio)
    for path in sorted(root_of(text, "swb_ms98_transcriptions").glob("swb_ms98_transcriptions/*/*/*-trans.text")):
        for line in matching_lines(path, UTTERANCE):
            name, side, start, end = f"sw0{line[1]}", line[2], float(line[3]), float(line[4])
            without_text.pop(name, None)
            words = None if (line[1] + side, start) in TOO_LONG else clean(line[5])
            speaker = callers.get(line[1] + side, name + side)
            recording = audio.get(name, speech / f"{name}.sph")
            fault = "its transcript is known to be wrong"
            yield Clip(recording, words, "", speaker, start, end, "AB".index(side), fault=fault)
    yield from (Clip(path, None) for path in without_text.values())


def clean(text: str) -> str:
    """Return what was said of what was written down."""
    for pattern, words in MARKS:
        text = pattern.sub(words, text)
    return text


CORPUS = Corpus(
    key="swb",
    title="Switchboard-1 Release 2",
    language="en",
    licence="LDC User Agreement",
    archives=[
        Archive("swb1_LDC97S62.tgz", holds="swb1_d1"),
        Archive("switchboard_word_alignments.tar.gz", openslr(5), holds="swb_ms98_transcriptions"),
        Archive(
            "conv_tab.csv",
            ["https://catalog.ldc.upenn.edu/docs/LDC97S62"],
            "029b32739c05e2589564de84a38a65458959c375a2e829457df82b5b0db71165",  # SHA-256
        ),
    ],
    how_to_get="It is LDC97S62 at https://catalog.ldc.upenn.edu, not free: put swb1_LDC97S62.tgz, or the folders "
    "swb1_d1 to swb1_d4 unpacked from it, there, or say with --source where they are.",
)

if __name__ == "__main__":
    sys.exit(run_import(CORPUS, find_clips, argparse.ArgumentParser(description=__doc__)))
