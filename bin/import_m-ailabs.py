#!/usr/bin/env python3
"""Imports M-AILABS, books read aloud in eight languages: 45 to 240 hours and 3.5 to 20 GiB, as --language says."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from util.importing import Archive, Clip, Corpus, keyed_lines, run_import

MIRRORS = [f"https://{host}/data/Training/stt_tts" for host in ("ics.tau-ceti.space", "data.solak.de", "www.caito.de")]
LANGUAGES = ("de_DE", "en_UK", "en_US", "es_ES", "fr_FR", "it_IT", "pl_PL", "ru_RU", "uk_UK")


def add_options(parser: Any) -> None:
    """Add what only this corpus has."""
    parser.add_argument("--language", choices=LANGUAGES, required=True, help="which to import")
    parser.add_argument(
        "--skiplist",
        metavar="NAME,NAME",
        default="",
        help="speakers and books to leave out, as their folders are named",
    )


def find_clips(folders: Sequence[Path], options: Any) -> Iterator[Clip]:
    """Yield the utterances: by_book/<female or male>/<speaker>/<book>, or by_book/mix/<book> of several speakers."""
    skipped = set(options.skiplist.split(","))
    for table in sorted(folders[0].rglob("metadata.csv")):
        voice, name, book = table.parts[-4:-1]
        speaker = name if voice in ("female", "male") else ""
        if skipped & {speaker, book} - {""}:
            continue
        texts = keyed_lines(table, "|")  # as written | as read aloud
        for stem in sorted({*texts, *(path.stem for path in table.parent.glob("wavs/*.wav"))}):
            text = texts[stem].rpartition("|")[2] if stem in texts else None
            yield Clip(table.parent / "wavs" / f"{stem}.wav", text, speaker=speaker, group=speaker or book)


CORPUS = Corpus(
    key="m-ailabs",
    title="M-AILABS",
    language=lambda options: str(options.language[:2]),
    licence="M-AILABS (BSD-like)",
    archives=lambda options: [Archive(f"{options.language}.tgz", MIRRORS, holds=f"{options.language}/by_book")],
    longest_s=15,
    seconds_per_character=0.03,
    add_options=add_options,
)

if __name__ == "__main__":
    sys.exit(run_import(CORPUS, find_clips, argparse.ArgumentParser(description=__doc__)))
