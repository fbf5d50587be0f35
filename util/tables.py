"""Tables that people keep of their recordings, whatever parts the columns and whatever the header calls them."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from util.errors import DataError
from util.files import NEWLINE, read_utf8


def read_table(path: Path, columns: Mapping[str, Sequence[str]], need: int = 2) -> Iterator[tuple[int, dict[str, str]]]:
    """Yield the rows of a table in UTF-8, each with the number of its line.

    What parts the columns is the first comma, tab, semicolon or | in the file; with tabs and | quotes mean nothing. The
    first row is a header if one of the needed columns has one of its names there, in small letters or capitals; without
    a header the needed columns are the first ones.

    Args:
        path: of the table.
        columns: the names that a header may give each column, the better ones first.
        need: how many of them, from the first, every table must have.

    Yields:
        The line, and the fields that are there, by column.

    Raises:
        DataError: the file is missing, not UTF-8 or no table, a needed column is missing, or a row has more or fewer
            fields than the first.
    """
    content = read_utf8(path, "a table")
    first = NEWLINE.split(content.strip("\r\n"))[0]
    separator = re.search(r"[,\t;|]", first)
    lines = _split(path, content, separator[0]) if separator else []
    if not lines or len(lines[0][1]) < need:
        raise DataError(f"{path}:1: expected columns parted by commas, tabs, semicolons or |, found {first[:60]!r}")
    header = [name.lower() for name in lines[0][1]]
    place = {key: header.index(name) for key, names in columns.items() for name in names[::-1] if name in header}
    wanted = list(columns)[:need]
    if not place.keys() & set(wanted):
        place = {key: i for i, key in enumerate(wanted)}
    elif missing := [key for key in wanted if key not in place]:
        names = ", ".join(columns[missing[0]])
        raise DataError(f"{path}:{lines[0][0]}: no column has the {missing[0]} (expected {names}), found {header}")
    else:
        del lines[0]
    for line, row in lines:
        if len(row) != len(header):
            raise DataError(f"{path}:{line}: {len(row)} columns, expected {len(header)} as in the first row; mend it")
        yield line, {key: row[i] for key, i in place.items()}


def _split(path: Path, content: str, separator: str) -> list[tuple[int, list[str]]]:
    """Return the rows that are not blank, without white space around fields, and the line where each ends."""
    reader = csv.reader(
        io.StringIO(content, newline=""),
        delimiter=separator,
        quoting=csv.QUOTE_MINIMAL if separator in ",;" else csv.QUOTE_NONE,
        strict=True,
    )
    try:
        rows = [(reader.line_num, [field.strip() for field in row]) for row in reader]
    except csv.Error as error:
        raise DataError(f"{path}:{reader.line_num}: {error}; mend the quotes there") from None
    return [(line, row) for line, row in rows if any(row)]
