"""The words of a language model: text is read and made ready for counting, and the words are chosen."""

from __future__ import annotations

import bz2
import gzip
import lzma
import re
import zlib
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, TextIO

from util.errors import DataError
from util.files import NEWLINE
from util.progress import Console
from util.sample_sets import is_box, read_set
from util.text import Alphabet, describe_character, normalize

_MIB = 1 << 20
_OPENERS: dict[bytes, Callable[[Any], Any]] = {b"\x1f\x8b": gzip.open, b"\xfd7zXZ\x00": lzma.open, b"BZh": bz2.open}
_OTHER_SPACES = re.compile(r"[^\S \n]|\0")  # KenLM would take some of them for parts of words
_EMPTY_LINES = re.compile(r"\s*\n\s*")
_SYMBOLS = re.compile(r"(?<!\S)(?:</?s>|<unk>|<UNK>)(?!\S)")  # what KenLM calls sentence ends and unknown words
_BETWEEN_CHARACTERS = re.compile(r"(?<=\S)(?=\S)")


@dataclass(frozen=True, slots=True)
class Text:
    """A text made ready for counting n-grams.

    Attributes:
        path: a file of one sentence per line, words between single spaces.
        counts: how often each word occurs.
        symbols: number of `<s>`, `</s>` and `<unk>` that were left out.
    """

    path: Path
    counts: Counter[str]
    symbols: int


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """The words a scorer may write.

    Attributes:
        words: the most frequent first.
        rare: number of words beyond the limit.
        unspellable: words that have characters outside the alphabet, the most frequent first.
        unspellable_share: the part of the running text they make up, 0 to 1.
    """

    words: list[str]
    rare: int
    unspellable: list[str]
    unspellable_share: float


def read_text(
    sources: Sequence[str | Path],
    path: Path,
    console: Console,
    lowercase: bool = False,
    into_characters: bool = False,
) -> Text:
    """Gather text in one file, normalised, and count its words.

    Args:
        sources: text files, also compressed by gzip, xz or bzip2, or CSVs with transcripts.
        path: the file to write.
        console: shows the progress.
        lowercase: change capital letters to small ones.
        into_characters: make each character a word.

    Raises:
        DataError: a source cannot be read or is not UTF-8, there is no text in any, or `path` cannot be written.
    """
    counts: Counter[str] = Counter()
    symbols = 0
    sizes = [_size(source) for source in sources]
    with _open_new(path) as out, console.track("Reading text", sum(sizes) // _MIB + 1) as tracker:
        megabytes = 0
        for source, before in zip(sources, _running_sum(sizes), strict=True):
            for raw_text, position in _read_lines(source):
                text, found = _clean(raw_text, lowercase, into_characters)
                symbols += found
                counts.update(text.split())
                out.write(text)
                while megabytes < (before + position) // _MIB:
                    megabytes += 1
                    tracker.advance(f"{len(counts)} words")
    if not counts:
        raise DataError(f"there are no words in {', '.join(map(str, sources))}; give text, one sentence per line")
    return Text(path, counts, symbols)


def choose_words(counts: Counter[str], alphabet: Alphabet | None, top_k: int) -> Vocabulary:
    """Choose the `top_k` most frequent words that the alphabet can write; None can write all."""
    words: list[str] = []
    unspellable: list[str] = []
    lost = rare = 0
    for word, count in counts.most_common():
        if alphabet and alphabet.missing(word):
            unspellable.append(word)
            lost += count
        elif len(words) < top_k:
            words.append(word)
        else:
            rare += 1
    return Vocabulary(words, rare, unspellable, lost / counts.total())


def describe_unspellable(words: Sequence[str], alphabet: Alphabet) -> str:
    """Say which words the alphabet cannot write, and why, from the first few of them."""
    parts = []
    for word in words[:3]:
        characters = " and ".join(describe_character(ch) for ch in alphabet.missing(word)[:2])
        parts.append(f"{word!r} has {characters}")
    return ", ".join(parts) + (", ..." if len(words) > 3 else "")


@contextmanager
def _open_new(path: Path) -> Iterator[TextIO]:
    try:
        with path.open("w", encoding="utf-8") as out:
            yield out
    except OSError as error:
        raise DataError(
            f"cannot write {path}: {error.strerror}; give a folder for temporary files where there is more room"
        ) from None


def _size(source: str | Path) -> int:
    try:
        return Path(source).stat().st_size
    except OSError as error:
        raise DataError(f"cannot read {source}: {error.strerror}; expected text") from None


def _running_sum(sizes: Sequence[int]) -> Iterator[int]:
    total = 0
    for size in sizes:
        yield total
        total += size


def _read_lines(source: str | Path) -> Iterator[tuple[str, int]]:
    """Yield whole lines, about a mebibyte at a time, with the position in the file behind them."""
    try:
        with Path(source).open("rb") as raw:
            start = raw.read(_MIB)
            raw.seek(0)
            header = start.partition(b"\n")[0].strip().removeprefix(b"\xef\xbb\xbf").split(b",")
            if {b"wav_filename", b"transcript"} <= set(header) or is_box(start):
                yield "\n".join(utterance.transcript for utterance in read_set(source)) + "\n", _size(source)
                return
            opener = next((opener for magic, opener in _OPENERS.items() if start.startswith(magic)), None)
            yield from _decode(source, raw, opener(raw) if opener else raw)
    except (OSError, EOFError, lzma.LZMAError, zlib.error) as error:
        reason = getattr(error, "strerror", None) or error
        raise DataError(f"cannot read {source}: {reason}; expected text, plain or compressed") from None


def _decode(source: str | Path, raw: IO[bytes], stream: IO[bytes]) -> Iterator[tuple[str, int]]:
    line = 1
    while data := stream.read(_MIB) + stream.readline():
        try:
            text = data.decode("utf-8-sig" if line == 1 else "utf-8")
        except UnicodeDecodeError as error:
            line += data.count(b"\n", 0, error.start)
            raise DataError(
                f"{source}:{line}: the byte 0x{data[error.start]:02X} is not UTF-8; save the file as UTF-8 text"
            ) from None
        yield text if text.endswith("\n") else text + "\n", raw.tell()
        line += data.count(b"\n")


def _clean(text: str, lowercase: bool, into_characters: bool) -> tuple[str, int]:
    """Return lines as KenLM wants them, and the number of special symbols taken out."""
    symbols = 0
    text = normalize(text.lower() if lowercase else text)
    text = _OTHER_SPACES.sub(" ", NEWLINE.sub("\n", text) if "\r" in text else text)
    if "<" in text:
        text, symbols = _SYMBOLS.subn("", text)
    if into_characters:
        text = _BETWEEN_CHARACTERS.sub(" ", text)
    text = _EMPTY_LINES.sub("\n", text).lstrip("\n ")
    return text, symbols
