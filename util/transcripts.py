"""What people wrote down made into what the network learns: cleaned, checked, or refused with the reason."""

from __future__ import annotations

import csv
import functools
import re
import runpy
import unicodedata
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

from util.errors import DataError, UsageError
from util.files import NEWLINE, read_utf8
from util.pairing import read_transcript
from util.text import Alphabet, describe_character, normalize

_FULL_WIDTH = {code: code - 0xFEE0 for code in range(0xFF01, 0xFF5F)}  # ASCII as wide as a Chinese character
_LATIN = "[a-z\u00df-\u024f']"
_SEAMS = re.compile(f"(?<!{_LATIN}) | (?!{_LATIN})|[\u00b7\u30fb]")  # dots stand between parts of foreign names
_APOSTROPHES = re.compile("[\u2018\u2019\u02bc\u00b4`]")
_GAPS = re.compile("[-_/\u2010-\u2015\u2212]")
_STOPS = re.compile('[."\u201a-\u201f\u00ab\u00bb\u2039\u203a]')  # nothing where they stood: a.m. is am
_PAUSES = re.compile("[,;:?!\u2026\u00bf\u00a1\u3001\u3002\u300a-\u300f\u0964\u061f\u060c\u061b]")
_MARKUP = re.compile(r"[()<>\[\]{}&*@#%+=|\\~^$\u20ac\u00a3]")
_INVISIBLE = re.compile("[\u200b-\u200f\u202a-\u202e\u2060\ufeff\u00ad]")
_LOST = re.compile("[\x00-\x08\x0e-\x1b\x7f-\x84\x86-\x9f\ufffd]")  # what another encoding looks like as UTF-8
_TURKIC = {"tr", "az", "crh", "tur", "aze", "azj"}  # languages in which the small I has no dot


class RefusedError(DataError):
    """A transcript that cannot be learned.

    Attributes:
        kind: a few words that transcripts refused for the same reason share.
    """

    def __init__(self, kind: str, reason: str):
        super().__init__(reason)
        self.kind = kind


@dataclass(frozen=True)
class Cleaning:
    """How transcripts are cleaned.

    Attributes:
        language: ISO 639 code.
        joined: the language writes no spaces between words; those that are there go, but for those between Latin words.
        to_ascii: write letters with accents as plain ones, and drop what is not ASCII then.
        alphabet: refuse transcripts with characters it lacks; None takes all.
        validate: cleans in place of the rules here: returns the text, or None to refuse it.
    """

    language: str
    joined: bool = False
    to_ascii: bool = False
    alphabet: Alphabet | None = None
    validate: Callable[[str], str | None] | None = None

    def __call__(self, text: str) -> str:
        """Return the transcript in NFC: small letters, words parted by one space, no punctuation.

        Raises:
            RefusedError: nothing is left, or it holds digits (as words they would be several, and nobody knows which),
                markup, a character that the alphabet lacks, or one that another encoding leaves.
        """
        if _LOST.search(text):
            raise RefusedError("damaged transcript", f"a character was lost, expected UTF-8: {text[:60]!r}")
        text = normalize(_INVISIBLE.sub("", text))
        if self.to_ascii:
            text = unicodedata.normalize("NFKD", _APOSTROPHES.sub("'", text)).encode("ascii", "ignore").decode()
        cleaned = self._validate(text) if self.validate else self._apply_rules(text)
        if not cleaned:
            raise RefusedError("transcript empty", f"nothing is left of the transcript {text[:60]!r}")
        missing = self.alphabet.missing(cleaned) if self.alphabet else []
        if missing:
            raise RefusedError("character outside the alphabet", f"the alphabet lacks {describe_character(missing[0])}")
        return cleaned

    def _validate(self, text: str) -> str:
        assert self.validate
        validated = self.validate(text)
        if validated is None:
            raise RefusedError("transcript refused", f"validate_label refuses {text[:60]!r}")
        return normalize(validated)

    def _apply_rules(self, text: str) -> str:
        text = _APOSTROPHES.sub("'", text.translate(_FULL_WIDTH))
        text = _PAUSES.sub(" ", _STOPS.sub("", _GAPS.sub(" ", text)))
        if digit := next(filter(str.isdigit, text), None):
            raise RefusedError("digits", f"the transcript has {digit!r}, expected numbers as words: {text[:60]!r}")
        if found := _MARKUP.search(text):
            raise RefusedError("markup", f"the transcript has {found[0]!r}, expected words only: {text[:60]!r}")
        if self.language in _TURKIC:
            text = text.replace("I", "\u0131").replace("\u0130", "i")
        text = " ".join(normalize(text.lower()).split())
        return _SEAMS.sub("", text) if self.joined else text


@functools.lru_cache(64)
def keyed_lines(path: Path, separator: str | None = None) -> Mapping[str, str]:
    """Return the transcripts of a file whose lines are a key, a separator and a text; nothing for a missing file.

    Args:
        path: a UTF-8 file.
        separator: None is white space.

    Raises:
        DataError: the file is not UTF-8.
    """
    if not path.is_file():
        return {}
    lines = NEWLINE.split(read_utf8(path, "a transcript on each line"))
    parts = (line.strip().split(separator, 1) for line in lines)
    return {part[0]: part[1].strip() for part in parts if len(part) == 2}


def matching_lines(path: Path, pattern: str) -> Iterator[re.Match[str]]:
    """Yield the match of each line of a file that is as a pattern says; other lines are passed over.

    Args:
        path: a file in UTF-8, where what is not becomes U+FFFD; a missing one has no lines.
        pattern: regular expression of a line without the white space around it.

    Raises:
        DataError: the file cannot be read.
    """
    try:
        lines = NEWLINE.split(read_transcript(path) or "")
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror}; expected a transcript on each line") from None
    yield from filter(None, (re.fullmatch(pattern, line.strip()) for line in lines))


def columns_of(path: Path, *columns: str, separator: str = "\t") -> Iterator[tuple[str, ...]]:
    """Yield some columns of a table with a header; rows that have more or fewer fields than it are passed over.

    Args:
        path: a file in UTF-8; what is not becomes U+FFFD.
        columns: as the header names them.
        separator: a tab, with quotes as part of the text, or a comma, with quotes around fields.

    Raises:
        DataError: the file cannot be read, or its header lacks a column.
    """
    try:
        with path.open(encoding="utf-8-sig", errors="replace", newline="") as file:
            unquoted = csv.reader(file, delimiter=separator, quoting=csv.QUOTE_NONE)
            rows = unquoted if separator == "\t" else csv.reader(file, delimiter=separator)
            header = next(rows, [])
            if missing := [name for name in columns if name not in header]:
                raise DataError(f"{path}:1: no column {missing[0]}, found {header}; it is not the table of the corpus")
            places = [header.index(name) for name in columns]
            for row in rows:
                if len(row) == len(header):
                    yield tuple(row[place] for place in places)
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror}; expected a table with {', '.join(columns)}") from None
    except csv.Error as error:
        raise DataError(f"{path}:{rows.line_num}: {error}; get the file again") from None


def read_xml(path: Path) -> ElementTree.Element | None:
    """Return the root of an XML file; None where there is no such file or it is not well-formed."""
    try:
        return ElementTree.parse(path).getroot()
    except (OSError, ElementTree.ParseError):
        return None


def load_validator(path: Path) -> Callable[[str], str | None]:
    """Return validate_label(text) of a Python file, as importers of DeepSpeech 0.9 take one.

    Raises:
        UsageError: the file cannot be read or run, or has no such function.
    """
    try:
        validate = runpy.run_path(str(path)).get("validate_label")
    except Exception as error:
        raise UsageError(f"--validate_label_locale {path}: {error}; expected a Python file") from error
    if not callable(validate):
        raise UsageError(f"--validate_label_locale {path} has no function validate_label(text); add it")
    result: Callable[[str], str | None] = validate
    return result
