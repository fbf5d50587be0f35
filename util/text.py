"""Transcripts and alphabets: which characters the network can write, and how they become labels."""

from __future__ import annotations

import struct
import unicodedata
from collections.abc import Iterable, Sequence
from pathlib import Path

from util.errors import DataError
from util.files import NEWLINE, read_utf8, write_atomically


def normalize(text: str) -> str:
    """Return `text` in Unicode normalisation form C, in which an umlaut is one character."""
    return unicodedata.normalize("NFC", text)


def describe_character(ch: str) -> str:
    """Return a character as a person can tell it from its look-alikes.

    Args:
        ch: one character.

    Returns:
        The character, its code point and its Unicode name, as in
        `'ä' (U+00E4 LATIN SMALL LETTER A WITH DIAERESIS)`.
    """
    name = unicodedata.name(ch, "a control character" if ord(ch) < 0xA0 else "a character unnamed")
    return f"{ch!r} (U+{ord(ch):04X} {name})"


class Alphabet:
    """The labels of a network, in order; the CTC blank comes after the last one.

    Immutable; two alphabets are equal when their labels are. A label may be longer than one
    character; encoding takes the longest label that fits, from left to right.

    Attributes:
        labels: the labels in the order of their ids, in NFC.

    Raises:
        DataError: there are no labels, one is empty, or one occurs twice.
    """

    __slots__ = ("_ids", "_labels", "_longest")

    def __init__(self, labels: Sequence[str]) -> None:
        self._labels = tuple(normalize(label) for label in labels)
        self._ids = {label: i for i, label in enumerate(self._labels)}
        if not self._labels or "" in self._ids:
            raise DataError(
                f"the alphabet {list(labels)!r} has {'an empty label' if labels else 'no labels'}, "
                "expected at least one label of one or more characters each"
            )
        if len(self._ids) < len(self._labels):
            twice = next(label for label in self._labels if self._labels.count(label) > 1)
            raise DataError(f"the alphabet has the label {twice!r} twice; remove one of the two")
        self._longest = max(map(len, self._labels))

    @property
    def labels(self) -> tuple[str, ...]:
        """The labels in the order of their ids."""
        return self._labels

    @property
    def blank(self) -> int:
        """The id of the CTC blank, one past the last label."""
        return len(self._labels)

    def __len__(self) -> int:
        return len(self._labels)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Alphabet) and self._labels == other._labels

    def __hash__(self) -> int:
        return hash(self._labels)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({len(self)} labels)"

    def encode(self, text: str) -> list[int]:
        """Return the label ids of `text`.

        Raises:
            DataError: `text` has characters outside the alphabet; the message describes each.
        """
        ids, missing = self._scan(text)
        if missing:
            raise DataError(
                f"{_shorten(text)} has {', '.join(map(describe_character, missing))}, which the "
                "alphabet does not; add to the alphabet or change the transcript"
            )
        return ids

    def decode(self, ids: Iterable[int]) -> str:
        """Return the text, in NFC, of label ids.

        Raises:
            ValueError: an id is not that of a label, for instance the blank.
        """
        return normalize("".join([self._labels[i] for i in self._checked(ids)]))

    def serialize(self) -> bytes:
        """Return the alphabet as model files hold it.

        That is the number of labels, then of each its id, its length in bytes and its UTF-8; numbers are u16, little
        endian.
        """
        labels = [self._bytes(i) for i in range(len(self))]
        entries = [struct.pack("<HH", i, len(label)) + label for i, label in enumerate(labels)]
        return struct.pack("<H", len(labels)) + b"".join(entries)

    def _bytes(self, label_id: int) -> bytes:
        return self._labels[label_id].encode()

    def missing(self, text: str) -> list[str]:
        """Return the characters of `text` that no label covers: each once, in their order."""
        return self._scan(text)[1]

    def _checked(self, ids: Iterable[int]) -> list[int]:
        checked = [int(i) for i in ids]
        for i in checked:
            if not 0 <= i < len(self._labels):
                raise ValueError(f"label id {i} is outside 0..{len(self._labels) - 1}")
        return checked

    def _scan(self, text: str) -> tuple[list[int], list[str]]:
        text = normalize(text)
        if self._longest == 1 and self._ids.keys() >= set(text):
            return [self._ids[ch] for ch in text], []  # nearly always, and several times faster
        ids: list[int] = []
        missing: dict[str, None] = {}
        start = 0
        while start < len(text):
            for length in range(min(self._longest, len(text) - start), 0, -1):
                label_id = self._ids.get(text[start : start + length])
                if label_id is not None:
                    ids.append(label_id)
                    start += length
                    break
            else:
                missing[text[start]] = None
                start += 1
        return ids, list(missing)


class ByteAlphabet(Alphabet):
    """The alphabet of every language: the bytes 1 to 255 of UTF-8, the id being the byte less one.

    Its labels are names of bytes (`<0x41>`), since most bytes are not characters by themselves.
    """

    __slots__ = ()

    def __init__(self) -> None:
        super().__init__([f"<0x{byte:02X}>" for byte in range(1, 256)])

    def decode(self, ids: Iterable[int]) -> str:
        """Return the text, in NFC, of label ids; bytes that are not UTF-8 become U+FFFD.

        Raises:
            ValueError: an id is not that of a label, for instance the blank.
        """
        data = bytes(i + 1 for i in self._checked(ids))
        return normalize(data.decode("utf-8", errors="replace"))

    def _bytes(self, label_id: int) -> bytes:
        return bytes([label_id + 1])

    def _scan(self, text: str) -> tuple[list[int], list[str]]:
        text = normalize(text)
        # Byte 0 has no label, and half of a surrogate pair has no UTF-8.
        missing = [ch for ch in dict.fromkeys(text) if ch == "\0" or "\ud800" <= ch <= "\udfff"]
        return [byte - 1 for byte in text.encode("utf-8", errors="ignore") if byte], missing


def read_alphabet(path: str | Path) -> Alphabet:
    r"""Read an alphabet.txt of DeepSpeech or Coqui STT: one label on each line.

    UTF-8 with or without a byte order mark, any newlines, with or without a final one. A line that
    starts with `#` is a comment, `\#` is the label `#`, a line of one space is the space.

    Raises:
        DataError: the file is missing, is not UTF-8, has no labels, has one twice, or has an empty
            line between labels; the message has the file and line.
    """
    first_line: dict[str, int] = {}
    empty_line = 0
    for number, line in enumerate(NEWLINE.split(read_utf8(path, "a text file with one label on each line")), start=1):
        if line.startswith("#"):
            continue
        if not line:
            empty_line = empty_line or number
            continue
        if empty_line:
            raise DataError(
                f"{path}:{empty_line}: the line is empty, expected a label; write one space for "
                "the space label, or remove the line"
            )
        label = normalize(line[1:] if line.startswith("\\#") else line)
        if label in first_line:
            raise DataError(
                f"{path}:{number}: the label {label!r} is already on line {first_line[label]}; remove one of the two"
            )
        first_line[label] = number
    if not first_line:
        raise DataError(f"{path} has no labels, expected one character on each line")
    return Alphabet(list(first_line))


def write_alphabet(path: str | Path, labels: Iterable[str]) -> None:
    """Write an alphabet.txt that `read_alphabet` reads back, atomically.

    Raises:
        DataError: the file cannot be written.
    """
    write_atomically(path, format_alphabet(labels))


def format_alphabet(labels: Iterable[str]) -> str:
    """Return the text of an alphabet.txt."""
    return "".join(f"\\{label}\n" if label.startswith("#") else f"{label}\n" for label in labels)


def _shorten(text: str) -> str:
    return repr(text if len(text) <= 60 else text[:57] + "...")
