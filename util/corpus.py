"""The CSV files that name utterances and their transcripts, and the list of those at fault."""

from __future__ import annotations

import csv
import io
import os
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from util.errors import DataError
from util.files import read_utf8, write_atomically
from util.stored import Audio, Stored

_COLUMNS = ("wav_filename", "wav_filesize", "transcript")
EXPECTED = f"a CSV with the header {','.join(_COLUMNS)}"


@dataclass(frozen=True, slots=True)
class Utterance:
    """One row of a CSV, or one sample of a sample database or tar file.

    Attributes:
        wav_filename: as written in the CSV; "#17" is sample 17 of a database, ":a/b.wav" that of a tar file.
        path: absolute; a relative `wav_filename` starts at the CSV's folder. A stored recording has the name of the
            file that it is in before its `wav_filename`.
        wav_filesize: in bytes, 0 when the CSV does not say.
        transcript: in NFC, without white space around it; "" when there is no such column.
        source: the path, as given, of the file that names it.
        line: where the row starts in a CSV, from 1; the position in other files, from 0.
        extra: names and values of the other columns.
        stored: where the recording is, if not in a file of its own.
    """

    wav_filename: str
    path: str
    wav_filesize: int
    transcript: str
    source: str
    line: int
    extra: tuple[tuple[str, str], ...] = ()
    stored: Stored | None = None

    @property
    def audio(self) -> Audio:
        """What util/audio reads."""
        return self.stored or self.path

    @property
    def place(self) -> str:
        """Where it is named: b.csv:18, b.sdb#17 or b.tar:a/b.wav."""
        return f"{self.source}{self.wav_filename}" if self.stored else f"{self.source}:{self.line}"


@dataclass(frozen=True, slots=True)
class Fault:
    """Why an utterance cannot be used.

    Attributes:
        utterance: the one left out.
        kind: a few words that faults of the same kind share.
        reason: a sentence about this one.
    """

    utterance: Utterance
    kind: str
    reason: str


def read_csv(path: str | Path) -> list[Utterance]:
    """Read the rows of a CSV with the columns wav_filename, wav_filesize and transcript.

    Only the first column is required, their order is free, and others are carried as `extra`.
    UTF-8 with or without a byte order mark, any newlines. Every field is text: a transcript "null"
    is a word.

    Raises:
        DataError: the file is missing, a folder, empty, not UTF-8 or without the column
            wav_filename, or a row has too few or many fields, no file name, or a size that is not
            a number; the message has the file and line.
    """
    return parse_csv(path, read_utf8(path, EXPECTED))


def parse_csv(path: str | Path, content: str) -> list[Utterance]:
    """Read the rows of a CSV of which the content is known; see `read_csv`."""
    if not content.strip():
        raise DataError(f"{path} is empty, expected {EXPECTED}")
    header, rows = _parse(path, content)
    wav = header.index("wav_filename")
    size, text = (header.index(name) if name in header else None for name in _COLUMNS[1:])
    others = [i for i, name in enumerate(header) if name not in _COLUMNS]
    folder, source = Path(path).absolute().parent, str(path)
    utterances = []
    for line, row in rows:
        wav_filename = row[wav]
        if not wav_filename.strip():
            raise DataError(f"{path}:{line}: wav_filename is empty; name a file or remove the row")
        transcript = "" if text is None else _clean(row[text])
        utterances.append(
            Utterance(
                wav_filename=wav_filename,
                path=os.path.abspath(os.path.join(folder, wav_filename)),  # noqa: PTH100, PTH118
                wav_filesize=0 if size is None else _parse_filesize(path, line, row[size]),
                transcript=transcript,
                source=source,
                line=line,
                extra=tuple([(header[i], row[i]) for i in others]),
            )
        )
    return utterances


def stored_utterance(
    stored: Stored, source: str | Path, line: int, transcript: str, extra: Iterable[tuple[str, str]]
) -> Utterance:
    """Return the utterance of a recording that is in a larger file; see `Utterance`."""
    return Utterance(
        stored.name, str(stored), stored.size, _clean(transcript), str(source), line, tuple(extra), stored
    )  # fmt: skip


def _clean(transcript: str) -> str:
    return unicodedata.normalize("NFC", transcript).strip()


def write_csv(path: str | Path, utterances: Sequence[Utterance], relative: bool = True) -> None:
    """Write utterances as a CSV that `read_csv` reads back, atomically (UTF-8, LF).

    Names of files inside the CSV's folder are written relative to it unless `relative` is false, others absolute.

    Raises:
        DataError: the file cannot be written.
    """
    folder = os.path.join(os.path.dirname(os.path.abspath(path)), "") if relative else ""  # noqa: PTH100, PTH118, PTH120
    others = list(dict.fromkeys(name for u in utterances for name, _ in u.extra))
    _write_rows(
        path,
        [*_COLUMNS, *others],
        (
            [u.path.removeprefix(folder), u.wav_filesize, u.transcript]
            + [dict(u.extra).get(name, "") for name in others]
            for u in utterances
        ),
    )


def summarize_faults(faults: Sequence[Fault], total: int) -> list[str]:
    """Return lines for the console: one for each kind of fault, the most frequent first.

    Args:
        faults: of any kinds and sources.
        total: number of utterances that were checked.
    """
    kinds: dict[str, list[Fault]] = {}
    for fault in faults:
        kinds.setdefault(fault.kind, []).append(fault)
    return [
        f"{kind}: {len(group)} of {total} utterances left out, the first is "
        f"{group[0].utterance.place}: {group[0].reason}"
        for kind, group in sorted(kinds.items(), key=lambda item: -len(item[1]))
    ]


def write_faults(path: str | Path, faults: Sequence[Fault]) -> None:
    """Write faults as a CSV: source, line, wav_filename, kind, reason, transcript; atomically.

    Raises:
        DataError: the file cannot be written.
    """
    _write_rows(
        path,
        ["source", "line", "wav_filename", "kind", "reason", "transcript"],
        (
            [u.source, u.line, u.wav_filename, fault.kind, fault.reason, u.transcript]
            for fault in faults
            for u in [fault.utterance]
        ),
    )


def _parse(path: str | Path, content: str) -> tuple[list[str], Iterator[tuple[int, tuple[str, ...]]]]:
    """Return the header, and each row that is not blank with the line where it starts."""
    import pandas  # noqa: PLC0415 - takes 0.4 s, for which --help shall not wait

    slowly = _numbered_rows(path, content)
    first, header = next(slowly)
    header = [name.strip() for name in header]
    _check_header(path, first, header)
    try:
        # This engine, unlike the faster one, tells a row too short from one with empty fields.
        frame = pandas.read_csv(
            io.StringIO(content.lstrip("\r\n"), newline=""),
            header=None,
            dtype=str,
            keep_default_na=False,
            skip_blank_lines=False,
            engine="python",
        )
    except pandas.errors.ParserError:
        raise _faulty_row(path, slowly, len(header)) from None
    missing = frame.isna()
    blank = missing.all(axis=1)
    if (missing.any(axis=1) & ~blank).any():
        raise _faulty_row(path, slowly, len(header))
    breaks = sum(frame[column].str.count(r"\r\n|\r|\n").fillna(0).astype(int) for column in frame)
    lines = first + (1 + breaks).cumsum().shift(fill_value=0)
    rows = frame[~blank].itertuples(index=False, name=None)
    numbered = zip(lines[~blank].tolist(), rows, strict=True)
    next(numbered)  # the header
    return header, numbered


def _faulty_row(path: str | Path, rows: Iterable[tuple[int, list[str]]], width: int) -> DataError:
    """Find the row that pandas stumbled over: it does not tell the line in the file."""
    for line, row in rows:
        if len(row) != width:
            return DataError(
                f"{path}:{line}: the row has {len(row)} fields, expected {width} as in the header; "
                "put quotes around a transcript that contains a comma"
            )
    return DataError(f"{path} is not CSV; separate fields by commas and put quotes around a field that has one")


def _numbered_rows(path: str | Path, content: str) -> Iterator[tuple[int, list[str]]]:
    """Yield each row that is not blank with the line where it starts."""
    reader = csv.reader(io.StringIO(content, newline=""), strict=True)
    while True:
        line = reader.line_num + 1
        try:
            row = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            raise DataError(
                f'{path}:{line}: the row is not CSV ({error}); write a " inside a quoted field '
                'as "" and close every quote'
            ) from None
        if row:
            yield line, row


def _check_header(path: str | Path, line: int, header: Sequence[str]) -> None:
    for name in _COLUMNS:
        if header.count(name) > 1:
            raise DataError(f"{path}:{line}: the column {name} occurs twice; remove one of the two")
    if "wav_filename" in header:
        return
    found = ",".join(header)
    message = (
        f"{path}:{line}: the header is {found[:100]!r}, expected {','.join(_COLUMNS)} of which wav_filename is required"
    )
    for separator, name in ((";", "semicolons"), ("\t", "tabs")):
        if separator in found:
            raise DataError(f"{message}; the columns are separated by {name}, use commas")
    raise DataError(f"{message}; add the header")


def _parse_filesize(path: str | Path, line: int, field: str) -> int:
    if not field.strip():
        return 0
    try:
        size = int(float(field))  # "32044.0" is what pandas makes of a column with gaps
    except (ValueError, OverflowError):
        size = -1
    if size < 0:
        raise DataError(
            f"{path}:{line}: wav_filesize is {field!r}, expected a number of bytes; "
            "put quotes around a transcript that contains a comma, or leave the field empty"
        )
    return size


def _write_rows(path: str | Path, header: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)
    write_atomically(path, text.getvalue())
