#!/usr/bin/env python3
"""Imports VoxForge, 100 hours of English that volunteers read aloud: 6000 small archives, 10 GB."""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import unquote

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from util.download import download
from util.errors import DataError
from util.files import read_utf8
from util.importing import Archive, Clip, Corpus, find_recordings, matching_lines, run_import

URL = "http://www.repository.voxforge1.org/downloads/SpeechCorpus/Trunk/Audio/Main/16kHz_16bit"
PROMPT = r"(?:\S*/)?(\S+)\s+(.*)"  # Aaron-20080318-kdl/mfc/b0019 WILL WE EVER FORGET IT
LINK = re.compile(r"""href=["'](?:[^"']*/)?(\w[^"'/]*\.tgz)["']""", re.IGNORECASE)


def archives(options: Any) -> list[Archive]:
    """Return what the web page of the corpus links, or what is in the folder given as source."""
    source = options.source or URL
    if "://" in source:
        listing = options.dir / "voxforge-listing.html"  # kept: whoever wants an archive left out removes its line
        download(f"{source.rstrip('/')}/", listing, check=names_in)
        names = names_in(listing)
    else:
        names = {path.name for path in Path(source).glob("*.tgz")}
        names |= {f"{path.relative_to(source).parts[0]}.tgz" for path in Path(source).glob("*/**/etc/PROMPTS")}
        if not names:
            raise DataError(f"{source} holds no archive of VoxForge, nor what one unpacks to; name another --source")
    return [Archive(name, [URL]) for name in sorted(names) if "/" not in name]


def names_in(listing: Path) -> set[str]:
    """Return the names of the archives that a web page links."""
    names = {unquote(name) for name in LINK.findall(read_utf8(listing, "a web page"))}
    if not names:
        raise DataError("links no .tgz, expected the list of VoxForge's archives")
    return names


def find_clips(folders: Sequence[Path], _options: Any) -> Iterator[Clip]:
    """Yield the recordings: wav/a0001.wav or flac/a0001.flac, with etc/PROMPTS for all of a folder."""
    for folder in folders:
        audio = find_recordings(folder, ".flac", ".wav")
        tables = sorted(folder.glob("**/etc/PROMPTS"))
        texts = {line[1]: line[2] for table in tables for line in matching_lines(table, PROMPT)}
        for name in sorted(audio.keys() | texts.keys()):
            yield Clip(audio.get(name, folder / f"{name}.wav"), texts.get(name), "", speaker_of(folder.name))


def speaker_of(name: str) -> str:
    """Return who made a submission, speaker-yyyymmdd-xyz; the anonymous ones of a day may all be of one person."""
    parts = re.fullmatch(r"((.+?)-[0-9]{8}).*", name)
    if not parts:
        return name
    return parts[1] if parts[2].lower() == "anonymous" else parts[2]


CORPUS = Corpus(
    key="voxforge",
    title="VoxForge",
    language="en",
    licence="GPL",
    archives=archives,
    longest_s=20,
    seconds_per_character=0.04375,
)

if __name__ == "__main__":
    sys.exit(run_import(CORPUS, find_clips, argparse.ArgumentParser(description=__doc__)))
