#!/usr/bin/env python3
"""Imports a language of Lingua Libre: words and phrases, mostly for Wiktionary, said by volunteers.

The three names of a language are those of its archive at https://lingualibre.org/datasets/, as in Q21-fra-French.zip.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from util.errors import UsageError
from util.files import NEWLINE, read_utf8
from util.importing import Archive, Clip, Corpus, root_of, run_import

MIRRORS = ("https://lingualibre.org/datasets", "https://lingualibre.fr/datasets")
QUALIFIER = re.compile(r" \([^()]*\)$")  # tells words apart that are written alike


def add_options(parser: Any) -> None:
    """Add what only this corpus has."""
    add = parser.add_argument
    add("--qId", metavar="N", type=int, required=True, help="of the language at Lingua Libre: 21 in Q21-fra-French")
    add("--iso639-3", metavar="CODE", required=True, help="of the language: fra in Q21-fra-French")
    add("--english-name", metavar="NAME", required=True, help="of the language: French in Q21-fra-French")
    add("--bogus-records", metavar="FILE", type=Path, help="leave out recordings whose path (speaker/word.ogg) begins "
        "with one of the regular expressions in a file, one a line")  # fmt: skip


def bogus(path: Path | None) -> list[re.Pattern[str]]:
    """Return the expressions in a file.

    Raises:
        UsageError: one is none.
    """
    lines = NEWLINE.split(read_utf8(path, "a regular expression a line")) if path else []
    try:
        return [re.compile(line.strip()) for line in lines if line.strip()]
    except re.error as error:
        raise UsageError(f"--bogus-records {path}: {error.pattern!r} is no regular expression: {error}") from None


def find_clips(folders: Sequence[Path], options: Any) -> Iterator[Clip]:
    """Yield the recordings: speaker/what is said.ogg, with a folder more for every / in it."""
    unwanted = bogus(options.bogus_records)
    root = root_of(folders[0], "*/*.ogg")
    for audio in sorted(root.rglob("*.ogg")):
        path = audio.relative_to(root)
        if not any(pattern.match(str(path)) for pattern in unwanted):
            said = "/".join(path.with_suffix("").parts[1:])
            yield Clip(audio, QUALIFIER.sub("", said) or None, speaker=path.parts[0])


CORPUS = Corpus(
    key="lingua_libre",
    title="Lingua Libre",
    language=lambda options: options.iso639_3,
    licence="CC BY-SA 4.0 or freer, as each speaker chose",
    archives=lambda options: [Archive(f"Q{options.qId}-{options.iso639_3}-{options.english_name}.zip", MIRRORS)],
    longest_s=10,
    add_options=add_options,
)

if __name__ == "__main__":
    sys.exit(run_import(CORPUS, find_clips, argparse.ArgumentParser(description=__doc__)))
