#!/usr/bin/env python3
"""Imports German Distant Speech (TUDA, version 2): 36 hours of German, recorded by several microphones at once."""

from __future__ import annotations

import argparse
import re
import sys
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from util.importing import Archive, Clip, Corpus, read_xml, run_import

MIRRORS = ("http://ltdata1.informatik.uni-hamburg.de/kaldi_tuda_de", "http://speech.tools/kaldi_tuda_de",
           "http://www.repository.voxforge1.org/downloads/de")  # fmt: skip
MICROPHONES = ("Kinect-Beam", "Kinect-RAW", "Microsoft-Kinect-Raw", "Realtek", "Samson", "Yamaha")
SPLITS = ("train", "dev", "test")
CO2 = re.compile("co2", re.IGNORECASE)


def add_options(parser: Any) -> None:
    """Add what only this corpus has."""
    parser.add_argument("--microphones", metavar="NAME", nargs="+", choices=MICROPHONES, default=[*MICROPHONES],
        help=f"whose recordings to import, of {', '.join(MICROPHONES)} (all)")  # fmt: skip


def find_clips(folders: Sequence[Path], options: Any) -> Iterator[Clip]:
    """Yield the recordings: <split>/<time>.xml says what was read, <time>_<microphone>.wav are its recordings."""
    recordings: dict[Path, list[str]] = defaultdict(list)
    for file in folders[0].rglob("*"):
        if file.suffix in {".xml", ".wav"} and file.parent.name in SPLITS:
            time, _, microphone = file.stem.partition("_")
            recordings[file.with_name(f"{time}.xml")] += [microphone] if microphone else []
    for about, microphones in sorted(recordings.items()):
        root = read_xml(about)
        text = None if root is None else root.findtext("cleaned_sentence")
        speaker = "" if root is None else root.findtext("speaker_id") or ""
        for microphone in sorted(microphones) or options.microphones[:1]:
            if microphone in options.microphones:
                audio = about.with_name(f"{about.stem}_{microphone}.wav")
                yield Clip(audio, text and CO2.sub("C O zwei", text), about.parent.name, speaker.strip())


CORPUS = Corpus(
    key="tuda-v2",
    title="German Distant Speech (TUDA, version 2)",
    language="de",
    licence="CC BY",
    archives=[Archive("german-speechdata-package-v2.tar.gz", MIRRORS)],
    splits=SPLITS,
    longest_s=10,
    seconds_per_character=0.03,
    add_options=add_options,
)

if __name__ == "__main__":
    sys.exit(run_import(CORPUS, find_clips, argparse.ArgumentParser(description=__doc__)))
