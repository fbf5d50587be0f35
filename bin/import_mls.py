#!/usr/bin/env python3
"""Imports a language of Multilingual LibriSpeech, read aloud for LibriVox: 1.6 GB (Polish) to 651 GB (English)."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from util.errors import DataError
from util.importing import Archive, Clip, Corpus, keyed_lines, root_of, run_import

MIRRORS = ("https://dl.fbaipublicfiles.com/mls",)
LANGUAGES = {  # ISO 639-1 code, and MD5 of the archive of Opus and of FLAC, from md5sum.txt of openslr.org/94
    "dutch": ("nl", "96658c55ef85993a56cf2efbf6f83f57", "6b171a16baff0108efd320b1ad65b9d1"),
    "english": ("en", "60390221eec6f456611563b37f0b052c", "9d4249911e318c2b8dcfcfecb484d865"),
    "french": ("fr", "b4716b2fd4f67b07c17c6b2a6068641f", "4172e807697259bff9ad63661aecabf6"),
    "german": ("de", "b24a9dfd3a8dd1aeabc1341982cc4775", "91ac982bf63869307f1b8950dfb7c776"),
    "italian": ("it", "ca5a74d7e97cc62635022719e0ef529d", "dc77f5805aecc7182aa20786032e5dc1"),
    "polish": ("pl", "21f83647876c61566c96fdc6298a7b65", "ce1a1278006cc373c9d1cb6dbfc03d47"),
    "portuguese": ("pt", "4dbd6cbdda61268e5d26c4117b0bf769", "12d54613fae75ae5fb1d55836408f3ee"),
    "spanish": ("es", "a2c4b0ff02a71f10ddb21beffbe640ce", "6c34698dd522dde28fdc43309e9cc1ac"),
}


def add_options(parser: Any) -> None:
    """Add what only this corpus has."""
    add = parser.add_argument
    add("-l", "--language", metavar="NAME", choices=LANGUAGES, required=True, help=f"one of {', '.join(LANGUAGES)}")
    add("--original", action="store_true", help="get the recordings as FLAC, four times as large as Opus")


def archives(options: Any) -> list[Archive]:
    """Return the archive of a language."""
    _, opus, flac = LANGUAGES[options.language]
    name, checksum = ("", flac) if options.original else ("_opus", opus)
    return [Archive(f"mls_{options.language}{name}.tar.gz", MIRRORS, checksum, holds="train/transcripts.txt")]


def find_clips(folders: Sequence[Path], options: Any) -> Iterator[Clip]:
    """Yield the utterances: audio/speaker/book/speaker_book_number.opus, with one transcript file a set."""
    root, ending = root_of(folders[0], "train"), ".flac" if options.original else ".opus"
    for split in ("train", "dev", "test"):
        table = root / split / "transcripts.txt"
        texts = dict(keyed_lines(table, "\t"))
        if not texts:
            raise DataError(f"{table} is missing or empty, expected a name and a transcript a line; unpack it again")
        for book in sorted(table.parent.glob("audio/*/*/")):
            for audio in sorted(book.glob(f"*{ending}")):
                yield Clip(audio, texts.pop(audio.stem, None), split, audio.stem.split("_")[0])
        for name, text in sorted(texts.items()):
            where = name.split("_")[:-1]
            yield Clip(table.parent.joinpath("audio", *where, name + ending), text, split, name.split("_")[0])


CORPUS = Corpus(
    key="mls",
    title="Multilingual LibriSpeech",
    language=lambda options: LANGUAGES[options.language][0],
    licence="CC BY 4.0",
    archives=archives,
    longest_s=15,
    seconds_per_character=0.03,
    add_options=add_options,
)

if __name__ == "__main__":
    sys.exit(run_import(CORPUS, find_clips, argparse.ArgumentParser(description=__doc__)))
