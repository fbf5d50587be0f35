#!/usr/bin/env python3
"""Imports Gram Vaani, messages in Hindi that callers left for others, from a CSV of links to them."""

from __future__ import annotations

import argparse
import csv
import io
import re
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from util.download import download
from util.errors import DataError
from util.files import read_utf8
from util.importing import Archive, Clip, Corpus, run_import
from util.progress import Console

LINK = re.compile(r"(?:https?|ftp)://\S+/([^/?#\s]+\.\w+)(?:[?#]\S*)?")


def find_clips(files: Sequence[Path], options: Any) -> Iterator[Clip]:
    """Yield the messages, each downloaded first unless it is there; one that cannot be had is missing."""
    messages = read_messages(files[0])
    failures: list[str] = []
    with Console().track("Getting recordings", len(messages)) as bar:
        for name, (link, text, caller) in messages.items():
            audio = options.dir.absolute() / "mp3" / name
            try:
                download(find_links(name, link, options.source), audio, timeout=10.0)
            except DataError as error:
                failures.append(str(error))
            bar.advance()
            yield Clip(audio, text, speaker=caller)
    if failures:
        Console().warn(f"{len(failures)} of {len(messages)} recordings are missing; the first: {failures[0]}")


def find_links(name: str, link: str, source: str | None) -> list[str]:
    """Return the addresses of a recording: in the source, where one is given, and as the CSV has it."""
    if not source:
        return [link]
    folder = source.rstrip("/") if "://" in source else Path(source).absolute().as_uri()
    return [f"{folder}/{name}", link]


def read_messages(path: Path) -> dict[str, tuple[str, str | None, str]]:
    """Return link, transcript and caller of each recording, by the name of its file; of several rows, the first.

    The columns of the CSV are piece, link, transcript with tags, transcript, tags, file, length and caller. Its header
    and other rows without a link are passed over.
    """
    rows = csv.reader(io.StringIO(read_utf8(path, "a CSV of links"), newline=""))
    messages: dict[str, tuple[str, str | None, str]] = {}
    try:
        for row in rows:
            if link := LINK.fullmatch(row[1].strip()) if len(row) >= 8 else None:
                messages.setdefault(link[1], (link[0], row[3].strip() or None, row[7].strip()))
    except csv.Error as error:
        raise DataError(f"{path}:{rows.line_num}: {error}; mend the quotes there") from None
    if not messages:
        raise DataError(f"{path} has no links, expected them in the second of eight columns; take the CSV as it came")
    return messages


CORPUS = Corpus(
    key="gram_vaani",
    title="Gram Vaani",
    language="hi",
    licence="by agreement with Gram Vaani",
    archives=[Archive("gram_vaani.csv")],
    how_to_get="Ask Gram Vaani (gramvaani.org) for the CSV of its recordings, and put it there under this name.",
    longest_s=10.0,
)

if __name__ == "__main__":
    sys.exit(run_import(CORPUS, find_clips, argparse.ArgumentParser(description=__doc__)))
