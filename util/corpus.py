"""The CSV files that name utterances and their transcripts, and the list of those at fault."""

from __future__ import annotations

import csv
import io
import os
import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from util.errors import DataError
from util.files import NEWLINE, read_utf8, write_atomically

_COLUMNS = ("wav_filename", "wav_filesize", "transcript")
_FIELD = r'(?:"[^"]*+(?:""[^"]*+)*+"|(?!")[^,\r\n]*+)'  # RFC 4180; a quote inside an unquoted field is a quote
_ROW = re.compile(rf"({_FIELD}(?:,{_FIELD})*+)(?:\r\n|\r|\n|\Z)")
_QUOTED = re.compile(r'(?<![^,])"[^"]*+(?:""[^"]*+)*+"')


@dataclass(frozen=True, slots=True)
class Utterance:
    """One row of a CSV.

    Attributes:
        wav_filename: as written in the CSV.
        path: absolute; a relative `wav_filename` starts at the CSV's folder.
        wav_filesize: in bytes, 0 when the CSV does not say.
        transcript: in NFC, without white space around it; "" when there is no such column.
        source: the CSV's path as given.
        line: where the row starts in it, from 1.
        extra: names and values of the other columns.
    """

    wav_filename: str
    path: str
    wav_filesize: int
    transcript: str
    source: str
    line: int
    extra: tuple[tuple[str, str], ...] = ()


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
    rows = _numbered_rows(path, _read_text(path))
    line, header = next(rows)
    header = [name.strip() for name in header]
    if "wav_filename" not in header:
        raise _wrong_header(path, line, header)
    for name in _COLUMNS:
        if header.count(name) > 1:
            raise DataError(f"{path}:{line}: the column {name} occurs twice; remove one of the two")
    wav = header.index("wav_filename")
    size, text = (header.index(name) if name in header else None for name in _COLUMNS[1:])
    others = [i for i, name in enumerate(header) if name not in _COLUMNS]
    folder, source = Path(path).absolute().parent, str(path)
    utterances = []
    for line, row in rows:
        if len(row) != len(header):
            raise DataError(
                f"{path}:{line}: the row has {len(row)} fields, expected {len(header)} as in the "
                "header; put quotes around a transcript that contains a comma"
            )
        wav_filename = row[wav]
        if not wav_filename.strip():
            raise DataError(f"{path}:{line}: wav_filename is empty; name a file or remove the row")
        transcript = "" if text is None else unicodedata.normalize("NFC", row[text]).strip()
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


def write_csv(path: str | Path, utterances: Sequence[Utterance]) -> None:
    """Write utterances as a CSV that `read_csv` reads back, atomically (UTF-8, LF).

    Names of files inside the CSV's folder are written relative to it, others absolute.

    Raises:
        DataError: the file cannot be written.
    """
    folder = os.path.join(os.path.dirname(os.path.abspath(path)), "")  # noqa: PTH100, PTH118, PTH120
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
        f"{group[0].utterance.source}:{group[0].utterance.line}: {group[0].reason}"
        for kind, group in sorted(kinds.items(), key=lambda item: -len(item[1]))
    ]


def write_faults(path: str | Path, faults: Sequence[Fault]) -> None:
    """Write faults as a CSV: source, line, wav_filename, kind, reason, transcript; atomically.

    Its folder is made if absent: the check comes before anything else is written there.

    Raises:
        DataError: the file cannot be written.
    """
    try:
        Path(path).parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DataError(f"cannot write {path}: {error.strerror}") from None
    _write_rows(
        path,
        ["source", "line", "wav_filename", "kind", "reason", "transcript"],
        (
            [u.source, u.line, u.wav_filename, fault.kind, fault.reason, u.transcript]
            for fault in faults
            for u in [fault.utterance]
        ),
    )


def _read_text(path: str | Path) -> str:
    expected = f"a CSV with the header {','.join(_COLUMNS)}"
    text = read_utf8(path, expected)
    if not text.strip():
        raise DataError(f"{path} is empty, expected {expected}")
    return text


def _numbered_rows(path: str | Path, text: str) -> Iterator[tuple[int, list[str]]]:
    """Yield each row that is not blank with the line where it starts."""
    import pandas  # noqa: PLC0415 - slow to import

    places = list(_find_rows(path, text))
    table = pandas.read_csv(
        io.StringIO(text, newline=""),
        header=None,
        names=range(max(n_fields for _, n_fields in places)),
        dtype=str,
        keep_default_na=False,
        skip_blank_lines=False,
    )
    for (line, n_fields), row in zip(places, table.to_numpy().tolist(), strict=True):
        if n_fields:
            yield line, row[:n_fields]


def _find_rows(path: str | Path, text: str) -> Iterator[tuple[int, int]]:
    """Yield the line where each row starts and its number of fields, 0 for a blank line.

    pandas tells neither, and takes a row that is too short for one with empty fields.
    """
    start, line = 0, 1
    while start < len(text):
        match = _ROW.match(text, start)
        if not match:
            raise DataError(
                f'{path}:{line}: the row is not CSV; write a " inside a quoted field as "" and close every quote'
            )
        row = match[1]
        yield line, _QUOTED.sub("", row).count(",") + 1 if row else 0
        start = match.end()
        line += 1 + (len(NEWLINE.findall(row)) if '"' in row else 0)


def _wrong_header(path: str | Path, line: int, header: Sequence[str]) -> DataError:
    found = ",".join(header)
    message = (
        f"{path}:{line}: the header is {found[:100]!r}, expected {','.join(_COLUMNS)} of which wav_filename is required"
    )
    for separator, name in ((";", "semicolons"), ("\t", "tabs")):
        if separator in found:
            return DataError(f"{message}; the columns are separated by {name}, use commas")
    return DataError(f"{message}; add the header")


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
