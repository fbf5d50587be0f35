#!/usr/bin/env python3
"""Imports Att-HACK (SLR88): 100 French phrases, each spoken by 20 actors, friendly, distant, dominant and seductive."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from util.importing import Archive, Clip, Corpus, openslr, run_import
from util.pairing import read_transcript

ROOT = "Volumes/CLEM_HDD/IRCAM/Open_SLR"  # in the archives


def find_clips(folders: Sequence[Path], options: Any) -> Iterator[Clip]:  # noqa: ARG001
    """Yield the utterances: <speaker>_<attitude>_<phrase>_<version>.wav, and a .txt of the same name elsewhere."""
    texts = {path.stem: path for path in folders[0].rglob("[FM]??_*.txt")}
    audios = {path.stem: path for path in folders[1].rglob("[FM]??_*.wav")}
    for stem in sorted({*texts, *audios}):
        text = read_transcript(texts[stem]) if stem in texts else None
        yield Clip(audios.get(stem, folders[1] / f"{stem}.wav"), text, speaker=stem.partition("_")[0])


CORPUS = Corpus(
    key="atthack",
    title="Att-HACK",
    language="fr",
    licence="CC BY-NC-ND 4.0",
    archives=[Archive(f"{name}.tgz", openslr(88), holds=f"{ROOT}/{name}") for name in ("txt", "wav")],
    longest_s=10,
    seconds_per_character=0.03,
)

if __name__ == "__main__":
    sys.exit(run_import(CORPUS, find_clips, argparse.ArgumentParser(description=__doc__)))
