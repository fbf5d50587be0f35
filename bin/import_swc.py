#!/usr/bin/env python3
"""Imports the Spoken Wikipedia Corpora, articles read aloud in Dutch, English or German, as --language says."""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple
from xml.etree.ElementTree import Element

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from util.audio import read_info
from util.errors import AudioError
from util.importing import Archive, Clip, Corpus, read_xml, run_import

MIRRORS = ("https://www2.informatik.uni-hamburg.de/nats/pub/SWC", "http://ltdata1.informatik.uni-hamburg.de/kaldi_tuda_de",
           "http://speech.tools/kaldi_tuda_de")  # fmt: skip
LANGUAGES = {"dutch": "nl", "english": "en", "german": "de"}
THOUSANDS = {  # the corpus spells 2.000 as zwei Punkt null null null
    1: ("ein tausend", "tausend"),
    2: ("eine million", "millionen"),
    3: ("eine milliarde", "milliarden"),
}
THOUSANDS_SPELLED = re.compile(r"\b(eins )?punkt null null null( punkt null null null)?( punkt null null null)?\b")
YEARS_SPELLED = ((re.compile(r"\bein tausend (acht|neun) hundert\b"), r"\1zehnhundert"),  # and 1900 as ein Tausend ...
                 (re.compile(r"(zehnhundert \S+) er\b"), r"\1er"))  # fmt: skip


class Word(NamedTuple):
    """A word that was found in the recording, from one time to another in seconds."""

    start_s: float
    end_s: float
    text: str


def find_clips(folders: Sequence[Path], options: Any) -> Iterator[Clip]:
    """Yield the parts of sentences whose words were all found: <article>/aligned.swc, audio.ogg or audio1.ogg, ..."""
    for table in sorted(folders[0].rglob("aligned.swc")):
        article = table.parent.name
        audios = sorted(table.parent.glob("audio*.ogg"), key=lambda path: (len(path.name), path.name))
        root = read_xml(table)
        if root is None:
            yield from (Clip(audio, None, name=f"{article}/{audio.stem}") for audio in audios)
            continue
        reader = next((prop.get("value", "") for prop in root.iter("prop") if prop.get("key") == "reader.name"), "")
        starts = [*_starts(audios)] or [(0.0, table.with_name("audio.ogg"))]
        for words in _runs(root):
            for part in _cut(words, options.max_duration):
                start_s, audio = max(found for found in starts if found[0] <= part[0].start_s)
                text = " ".join(word.text for word in part)
                yield Clip(
                    audio,
                    _respelled(text) if options.language == "german" else text,
                    speaker=reader,
                    start_s=part[0].start_s - start_s,
                    end_s=part[-1].end_s - start_s,
                    name=f"{article}/{round(part[0].start_s * 1000):08d}-{round(part[-1].end_s * 1000):08d}",
                    group=reader or article,
                )


def _starts(audios: Sequence[Path]) -> Iterator[tuple[float, Path]]:
    """Yield when each file begins; times in the corpus go on from one file to the next."""
    start_s = 0.0
    for audio in audios:
        yield start_s, audio
        try:
            start_s += read_info(audio).duration_s
        except AudioError:
            return  # nobody knows when the next one begins


def _runs(node: Element) -> Iterator[list[Word]]:
    """Yield the words between those that were not found, sentence by sentence; what is ignored was not read."""
    if node.tag in {"s", "sectiontitle"}:
        run: list[Word] = []
        for note in node.iterfind("t/n"):
            if word := _word(note):
                run.append(word)
            elif run:
                yield run
                run = []
        if run:
            yield run
    elif node.tag != "ignored":
        for child in node:
            yield from _runs(child)


def _word(note: Element) -> Word | None:
    start, end, text = (note.get(key, "") for key in ("start", "end", "pronunciation"))
    return Word(int(start) / 1000, int(end) / 1000, text) if start.isdecimal() and end.isdecimal() else None


def _cut(words: list[Word], longest_s: float) -> Iterator[list[Word]]:
    """Cut at pauses, the longest first and then the middle one, until no part is too long."""
    if len(words) == 1 or words[-1].end_s - words[0].start_s <= longest_s:
        yield words
        return
    pauses = {i: words[i].start_s - words[i - 1].end_s for i in range(1, len(words))}
    cut = max(pauses, key=lambda i: (pauses[i], -abs(2 * i - len(words))))
    yield from _cut(words[:cut], longest_s)
    yield from _cut(words[cut:], longest_s)


def _respelled(text: str) -> str:
    """Return German numbers as people read them."""

    def thousands(found: re.Match[str]) -> str:
        return THOUSANDS[1 + bool(found[2]) + bool(found[3])][0 if found[1] else 1]

    text = THOUSANDS_SPELLED.sub(thousands, text.lower())
    for pattern, spelling in YEARS_SPELLED:
        text = pattern.sub(spelling, text)
    return text


CORPUS = Corpus(
    key="swc",
    title="Spoken Wikipedia Corpora",
    language=lambda options: LANGUAGES[options.language],
    licence="CC BY-SA",
    archives=lambda options: [Archive(f"SWC_{options.language.capitalize()}.tar", MIRRORS, holds=options.language)],
    longest_s=10,
    seconds_per_character=0.03,
    add_options=lambda parser: parser.add_argument(
        "--language", choices=LANGUAGES, required=True, help="which to import"
    ),
)

if __name__ == "__main__":
    sys.exit(run_import(CORPUS, find_clips, argparse.ArgumentParser(description=__doc__)))
