#!/usr/bin/env python3
"""Imports a language of Common Voice from version 2 on: sentences that volunteers read aloud.

DIR is the folder with the downloaded archive, or the unpacked one with train.tsv and the like.
"""

from __future__ import annotations

import argparse
import re
import sys
import unicodedata
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from util.errors import DataError, UsageError
from util.importing import Archive, Clip, Corpus, columns_of, place_of, root_of, run_import
from util.text import normalize
from util.unpacking import ENDINGS

NEEDED = {name: [name] for name in ("train", "dev", "test", "validated", "other")}
NEEDED |= {"train-all": ["validated", "dev", "test"]}  # the tables that each set is made of
LOCALE = r"[a-z]{2,3}(?:-[A-Za-z]+)*"
# Archives are named de.tar.gz up to version 6.1, cv-corpus-7.0-2021-07-21-de.tar.gz, mcv-scripted-de-v23.0.tar.gz.
NAME = re.compile(rf"(?:mcv-scripted-|cv-corpus-[\d.]+-(?:delta-)?[\d-]+-)?({LOCALE})(?:-v[\d.]+)?\.(?:tar|tgz|zip)")


def add_options(parser: Any) -> None:
    """Add what only this corpus has."""
    add = parser.add_argument
    add("--sets", metavar="SET", nargs="+", choices=NEEDED, default=[name for name in NEEDED if name != "other"],
        help=f"which to import, of {', '.join(NEEDED)} (all but other); train-all is validated without speakers and "
        "sentences of dev and test")  # fmt: skip
    add("--archive", metavar="NAME", help="of the archive (the only one there)")
    add("--language", metavar="CODE", help="ISO 639 code (as the archive, the tables or their folder tell)")
    add("--audio_dir", metavar="FOLDER", type=Path, help="where the clips are (clips, beside the tables)")
    add("--space_after_every_character", action="store_true", help="make every character a word")


def archives(options: Any) -> list[Archive]:
    """Return the archive, or where it lies unpacked."""
    name, place = archive_name(options), place_of(options)
    root = None if name else tables_in(place)
    return [Archive(name or "cv-corpus-VERSION-LANGUAGE.tar.gz", holds=str(root.relative_to(place)) if root else "")]


def archive_name(options: Any) -> str:
    """Return the name of the archive to import, "" where there is none.

    Raises:
        UsageError: there are several.
    """
    there = sorted(path.name for path in place_of(options).iterdir() if path.name.endswith(ENDINGS))
    names = [options.archive] if options.archive else there
    if len(names) > 1:
        raise UsageError(f"{place_of(options)} has the archives {', '.join(names)}; choose one by --archive")
    return "".join(names)


def tables_in(place: Path) -> Path | None:
    """Return the folder with the tables, if they lie unpacked."""
    with suppress(DataError):
        return root_of(place, "validated.tsv")
    return None


def language(options: Any) -> str:
    """Return what --language, the name of the archive, the column locale or the name of the folder says.

    Raises:
        UsageError: none of them does.
    """
    found = options.language
    if not found and (name := archive_name(options)):
        found = match[1] if (match := NAME.match(name)) else ""
    elif not found:
        root = tables_in(place_of(options))
        found = locale_of(root.absolute()) if root else "und"  # the archive will be missed next
    if not found:
        raise UsageError("neither the archive nor its tables tell their language; say it by --language")
    return str(found.split("-")[0])


def locale_of(root: Path) -> str:
    """Return what the tables say, or their folder; "" where neither does."""
    with suppress(DataError):
        for (locale,) in columns_of(root / "validated.tsv", "locale"):
            return locale
    return root.name if re.fullmatch(LOCALE, root.name) else ""


def find_clips(folders: Sequence[Path], options: Any) -> Iterator[Clip]:
    """Yield the rows of the tables, one table a set; old ones have names of clips without .mp3."""
    root = root_of(folders[0], "validated.tsv")
    there = {path.stem for path in root.glob("*.tsv")}
    for split in options.sets:
        if missing := [name for name in NEEDED[split] if name not in there]:
            raise DataError(f"{root} has no {missing[0]}.tsv, which {split} needs; choose others by --sets")
    clips = options.audio_dir or root / "clips"
    for split in options.sets:
        for name, sentence, speaker in rows_of(root, split):
            text = " ".join(normalize(sentence)) if options.space_after_every_character else sentence
            yield Clip(clips / f"{Path(name).name.removesuffix('.mp3')}.mp3", text or None, split, speaker)


def rows_of(root: Path, split: str) -> Iterator[tuple[str, ...]]:
    """Yield the path, sentence and speaker of each clip of a set."""
    rows = columns_of(root / f"{NEEDED[split][0]}.tsv", "path", "sentence", "client_id")
    if split == "train-all":
        held_out = [row for name in ("dev", "test") for row in rows_of(root, name)]
        sentences = {letters(sentence) for _, sentence, _ in held_out}
        speakers = {speaker for _, _, speaker in held_out if speaker}
        rows = (row for row in rows if row[2] not in speakers and letters(row[1]) not in sentences)
    yield from rows


def letters(sentence: str) -> str:
    """Return what a sentence has in common with itself written with other punctuation and capitals."""
    return "".join(ch for ch in normalize(sentence.lower()) if unicodedata.category(ch)[0] in "LMN")


CORPUS = Corpus(
    key="cv2",
    title="Common Voice",
    language=language,
    licence="CC0",
    archives=archives,
    splits=lambda options: options.sets,
    how_to_get="Download a language from https://datacollective.mozillafoundation.org (or, for earlier versions, "
    "https://commonvoice.mozilla.org/datasets), and put the archive there as it is.",
    longest_s=10,
    add_options=add_options,
)

if __name__ == "__main__":
    sys.exit(run_import(CORPUS, find_clips, argparse.ArgumentParser(description=__doc__)))
