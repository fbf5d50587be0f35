#!/usr/bin/env python3
"""Imports African Accented French (SLR57), 22 hours recorded in Cameroon, Gabon and Niger."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from util.importing import Archive, Clip, Corpus, keyed_lines, openslr, run_import

TRANSCRIPTS = {  # of each split; for a recording in several of them the last is right
    "train": (
        "transcripts/train/yaounde/fn_text.txt",
        "transcripts/train/ca16_conv/transcripts.txt",
        "transcripts/train/ca16_read/conditioned.txt",
    ),
    "dev": (
        "speech/dev/niger_west_african_fr/niger_wav_file_name_transcript.tsv",
        "transcripts/dev/niger_west_african_fr/transcripts.txt",
    ),
    "devtest": ("transcripts/devtest/ca16_read/conditioned.txt",),
    "test": ("transcripts/test/ca16/prompts.txt",),
}


def find_clips(folders: Sequence[Path], options: Any) -> Iterator[Clip]:  # noqa: ARG001
    """Yield the utterances: speech/<split>/.../<speaker>/<name>.wav; transcripts have other folders, the same names."""
    root = next(iter(sorted(folders[0].rglob("transcripts"))), folders[0]).parent
    for split, tables in TRANSCRIPTS.items():
        texts: dict[str, str] = {}
        for table in tables:
            texts |= {_name(Path(key)): text.replace(" ' ", " ") for key, text in keyed_lines(root / table).items()}
        for audio in sorted(root.glob(f"speech/{split}/**/*.wav")):
            path = audio.relative_to(root)
            text = texts.pop(_name(path)) if _name(path) in texts else None
            yield Clip(audio, text, split, audio.parent.name, name=str(path.with_suffix("")))
        for missing, text in texts.items():
            yield Clip(root / "speech" / split / f"{missing}.wav", text, split)


def _name(path: Path) -> str:
    """Return what names a recording in any folder: of the Yaounde part, answers and read sentences share names."""
    stem = path.stem if path.suffix in {".wav", ".tdf"} else path.name
    return f"answers/{stem}" if "answers" in path.parts else stem


CORPUS = Corpus(
    key="slr57",
    title="African Accented French",
    language="fr",
    licence="Apache 2.0",
    archives=[Archive("African_Accented_French.tar.gz", openslr(57))],
    splits=[*TRANSCRIPTS],
    longest_s=15,
    seconds_per_character=0.03,
)

if __name__ == "__main__":
    sys.exit(run_import(CORPUS, find_clips, argparse.ArgumentParser(description=__doc__)))
