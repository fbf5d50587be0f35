#!/usr/bin/env python3
"""Imports VCTK, 44 hours of newspaper sentences read by 110 speakers with many accents of English: 12 GB."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from util.importing import Archive, Clip, Corpus, root_of, run_import
from util.pairing import read_transcript

HOSTS = "https://datashare.ed.ac.uk", "https://datashare.is.ed.ac.uk"
RELEASES = {
    "0.92": Archive(
        "VCTK-Corpus-0.92.zip",
        [f"{host}/bitstream/handle/10283/3443" for host in HOSTS],
        "f96258be9fdc2cbff6559541aae7ea4f59df3fcaf5cf963aae5ca647357e359c",  # SHA-256
        holds="wav48_silence_trimmed",
    ),
    "0.80": Archive("VCTK-Corpus.zip", [f"{host}/bitstream/handle/10283/2651" for host in HOSTS], holds="wav48"),
}
MICROPHONES = ("mic1", "mic2")


def add_options(parser: Any) -> None:
    """Add what only this corpus has."""
    add = parser.add_argument
    add("--release", choices=RELEASES, default="0.92", help="(%(default)s)")
    add("--microphone", choices=MICROPHONES, nargs="+", default=["mic1"],
        help="of release 0.92, which recorded each sentence with both (mic1)")  # fmt: skip


def find_clips(folders: Sequence[Path], options: Any) -> Iterator[Clip]:
    """Yield the utterances: <sound>/p225/p225_001_mic1.flac and txt/p225/p225_001.txt; p315 has no texts."""
    root = root_of(folders[0], "txt")
    sound = root / RELEASES[options.release].holds
    endings = [f"_{name}.flac" for name in options.microphone] if options.release == "0.92" else [".wav"]
    for speaker in sorted({folder.name for folder in (*sound.glob("*/"), *root.glob("txt/*/"))}):
        texts = root / "txt" / speaker
        told = {path.stem for path in texts.glob("*.txt")}
        for ending in endings:
            audio = {path.name.removesuffix(ending) for path in sound.glob(f"{speaker}/*{ending}")}
            for name in sorted(audio | told):
                text = read_transcript(texts / f"{name}.txt")
                yield Clip(sound / speaker / f"{name}{ending}", text, speaker=speaker)


CORPUS = Corpus(
    key="vctk",
    title="VCTK",
    language="en",
    licence="CC BY 4.0 (release 0.80: ODC-By 1.0)",
    archives=lambda options: [RELEASES[options.release]],
    longest_s=10,
    add_options=add_options,
)

if __name__ == "__main__":
    sys.exit(run_import(CORPUS, find_clips, argparse.ArgumentParser(description=__doc__)))
