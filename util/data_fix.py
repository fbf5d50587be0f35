"""Cleaned CSVs, and the alphabet that fits them."""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path

from util.corpus import write_csv
from util.data_check import Sample, check
from util.files import make_directory
from util.survey import Row, Survey
from util.text import Alphabet, ByteAlphabet, write_alphabet

ALPHABET = "alphabet.txt"

Targets = Mapping[tuple[str, str], Path]  # the cleaned form of a CSV, by set and CSV


def plan_targets(splits: Mapping[str, Sequence[str]], folder: Path) -> Targets:
    """Return where the cleaned CSVs of all sets go: under their own names, numbered where several have the same."""
    targets: dict[tuple[str, str], Path] = {}
    taken = {ALPHABET}
    for split, sources in splits.items():
        for source in map(Path, sources):
            numbered = (f"{source.stem}-{number}{source.suffix}" for number in range(2, len(taken) + 2))
            name = next(name for name in (source.name, *numbered) if name.casefold() not in taken)
            taken.add(name.casefold())
            targets[split, str(source)] = folder / name
    return targets


def write_cleaned(survey: Survey, folder: Path, keep_alphabet: bool) -> Iterator[str]:
    """Write every CSV without the rows at fault, and an alphabet; yield a line about each file.

    A recording that several sets share is kept in the last of them only: a test stays as it is, training loses it.

    Args:
        survey: what was found.
        folder: where to write.
        keep_alphabet: the survey's alphabet counts. Otherwise a new one has every character that occurs, and rows with
            characters that the survey's lacks are not at fault.

    Raises:
        DataError: a file cannot be written.
    """
    alphabet = survey.alphabet if keep_alphabet else _fitting_alphabet(survey.rows)
    fit = [row for row in survey.rows if row.sound and _is_fit(row, survey, alphabet)]
    home = {survey.identity(row.utterance): row.split for row in fit}  # the last one counts
    kept: dict[tuple[str, str], list[Row]] = {}
    for row in fit:
        if home[survey.identity(row.utterance)] == row.split:
            kept.setdefault((row.split, row.utterance.source), []).append(row)
    n_rows = Counter((row.split, row.utterance.source) for row in survey.rows)
    make_directory(folder)
    for (split, source), target in plan_targets(survey.splits, folder).items():
        rows = kept.get((split, source), [])
        write_csv(target, [row.utterance for row in rows])
        yield f"{target}: {len(rows)} of the {n_rows[split, source]} rows of {source}"
    if not isinstance(alphabet, ByteAlphabet):
        if not keep_alphabet:
            alphabet = _fitting_alphabet([row for rows in kept.values() for row in rows])
        write_alphabet(folder / ALPHABET, alphabet.labels)
        yield f"{folder / ALPHABET}: {len(alphabet)} labels"


def _is_fit(row: Row, survey: Survey, alphabet: Alphabet) -> bool:
    assert row.sound
    return isinstance(check(row.utterance, row.sound.info, alphabet, survey.features), Sample)


def _fitting_alphabet(rows: Collection[Row]) -> Alphabet:
    """Return the characters of all transcripts, but no control characters: those are slips."""
    characters: set[str] = set().union(*(row.utterance.transcript for row in rows))
    return Alphabet(sorted(ch for ch in characters if unicodedata.category(ch) != "Cc") or [" "])
