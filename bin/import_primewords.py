#!/usr/bin/env python3
"""Imports Primewords Chinese Corpus Set 1, 100 hours of Mandarin read by 296 people: 9 GB."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from util.errors import DataError
from util.files import read_utf8
from util.importing import Archive, Clip, Corpus, openslr, root_of, run_import
from util.pairing import by_list

LIST = "set1_transcript.json"


def find_clips(folders: Sequence[Path], _: Any) -> Iterator[Clip]:
    """Yield the utterances: audio_files/a/ab/abcd....wav, with one list of files, transcripts and speakers."""
    root = root_of(folders[0], LIST)
    entries = read_entries(root / LIST)
    texts = {name: str(entry["text"]) for name, entry in entries.items()}
    for audio, text in by_list(root.glob("audio_files/*/*/*.wav"), texts, root / "audio_files"):
        yield Clip(audio, text, speaker=str(entries.get(audio.stem, {}).get("user_id", "")))


def read_entries(path: Path) -> dict[str, dict[str, Any]]:
    """Return the entries of the list by the recordings' names without ending; of several, the first."""
    try:
        entries = json.loads(read_utf8(path, "a list in JSON"))
    except ValueError as error:
        raise DataError(f"{path}: {error}, expected a list in JSON; unpack the archive anew") from None
    listed = entries if isinstance(entries, list) else []
    whole = [entry for entry in listed if isinstance(entry, dict) and {"file", "text"} <= entry.keys()]
    return {str(entry["file"]).removesuffix(".wav"): entry for entry in reversed(whole)}


CORPUS = Corpus(
    key="primewords",
    title="Primewords Chinese Corpus Set 1",
    language="zh",
    licence="CC BY-NC-ND 4.0",
    archives=[Archive("primewords_md_2018_set1.tar.gz", openslr(47))],
    longest_s=15.0,
    joined=True,
)

if __name__ == "__main__":
    sys.exit(run_import(CORPUS, find_clips, argparse.ArgumentParser(description=__doc__)))
