"""A survey of data as a web page: one file with its drawings in it, and players for the clips that stand out."""

from __future__ import annotations

import unicodedata
from base64 import b64encode
from collections.abc import Iterable, Iterator, Sequence
from html import escape
from pathlib import Path
from urllib.parse import quote

import numpy as np
from numpy.typing import NDArray

from util import data_report
from util.corpus import Utterance
from util.data_report import MEASURES, Measure
from util.stored import open_audio
from util.survey import Row, Survey

_LISTED = 20  # clips in a list
_EMBEDDED = 1 << 20  # bytes of a clip from a database at most, for it becomes part of the page
_CHARACTERS = 500  # in the table
_BINS = 40
_WIDTH, _HEIGHT, _AXIS = 400, 110, 16  # of a histogram, in pixels; the axis is below
_STYLE = """
:root { color-scheme: light dark; }
body { font: 15px/1.45 system-ui, sans-serif; max-width: 76rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.5rem; } h2 { font-size: 1.2rem; margin-top: 2.5rem; } h3 { font-size: 1rem; margin-bottom: .3rem; }
table { border-collapse: collapse; width: 100%; }
th, td { text-align: left; vertical-align: top; padding: .2rem .8rem .2rem 0; border-bottom: 1px solid #8884; }
td.number, th.number { text-align: right; font-variant-numeric: tabular-nums; }
td.text { overflow-wrap: anywhere; }
audio { width: 15rem; height: 2rem; }
.plots { display: flex; flex-wrap: wrap; gap: .5rem 1.5rem; }
figure { margin: 0; } figcaption { font-size: .85rem; }
summary { cursor: pointer; font-weight: 600; margin: .4rem 0; }
"""
Cells = Sequence[tuple[str, str]]  # class and HTML of each


def render(survey: Survey, folder: Path) -> str:
    """Return the page.

    Args:
        survey: what was found.
        folder: where the page will be; recordings below it are linked relative to it, so that both can be moved.
    """
    parts = [
        *_head(survey),
        *_sets(survey),
        *_faults(survey, folder),
        *_leaks(survey, folder),
        *_findings(survey, folder),
        *_characters(survey),
        *_distributions(survey),
        *_extremes(survey, folder),
        "</body></html>\n",
    ]
    return "\n".join(parts)


def _head(survey: Survey) -> Iterator[str]:
    features = survey.features
    yield '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8"><title>Data check</title>'
    yield f"<style>{_STYLE}</style></head><body>"
    yield f"<h1>{escape(data_report.verdict(survey))}</h1>"
    yield (
        f"<p>Alphabet: {escape(survey.alphabet_name)}, {len(survey.alphabet)} labels. Features: {features.name},"
        f" {features.window_ms:g} ms every {features.step_ms:g} ms at {features.sample_rate} Hz."
        f" Silence: below {survey.silence_db:g} dBFS.</p>"
    )


def _sets(survey: Survey) -> Iterator[str]:
    table = []
    for name, rows in survey.by_split.items():
        usable = [row for row in rows if not row.fault]
        speakers = data_report.count_speakers(rows)
        table.append([
            _text(name), _text(", ".join(survey.splits[name])), _number(len(rows)), _number(len(usable)),
            _number(f"{sum(row.duration_s for row in usable) / 3600:.2f}"),
            _number("not told" if speakers is None else speakers), _text(data_report.describe_forms(rows)),
        ])  # fmt: skip
    yield "<h2>Sets</h2>"
    yield _table(["set", "files", "#rows", "#can be used", "#hours", "#speakers", "audio"], table)


def _faults(survey: Survey, folder: Path) -> Iterator[str]:
    kinds: dict[str, list[Row]] = {}
    for row in survey.rows:
        if row.fault:
            kinds.setdefault(row.fault.kind, []).append(row)
    if kinds:
        yield "<h2>What training leaves out</h2>"
    for kind, rows in sorted(kinds.items(), key=lambda item: -len(item[1])):
        yield _clips(kind, [(row, row.fault.reason) for row in rows if row.fault], "reason", folder)


def _leaks(survey: Survey, folder: Path) -> Iterator[str]:
    if survey.overlaps:
        yield "<h2>Leaks</h2>"
    heard = {id(row.utterance): row for row in survey.rows}
    for overlap in survey.overlaps:
        table = []
        for key, both in list(overlap.shared.items())[:_LISTED]:
            name = key if overlap.what == "speaker" else both[0][0].transcript
            places = [_text(_places(utterances)) for utterances in both]
            table.append([_text(name), *places, _player(heard[id(both[0][0])], folder)])
        title = f"{' and '.join(overlap.names)} share {overlap.count}"
        yield _details(title, _table([overlap.what, *overlap.names, ""], table), len(overlap.shared))


def _places(utterances: Sequence[Utterance]) -> str:
    more = f" and {len(utterances) - 3} more" if len(utterances) > 3 else ""
    return ", ".join(utterance.place for utterance in utterances[:3]) + more


def _findings(survey: Survey, folder: Path) -> Iterator[str]:
    kinds: dict[str, list[tuple[Row, str]]] = {}
    for finding in survey.findings:
        kinds.setdefault(finding.kind, []).append((finding.row, finding.reason))
    if kinds:
        yield "<h2>Worth a look</h2>"
    for kind, found in kinds.items():
        yield _clips(kind, found, "what", folder)


def _characters(survey: Survey) -> Iterator[str]:
    missing = [character for character in survey.characters if not character.covered]
    covered = [character for character in survey.characters if character.covered]
    table = [
        [
            _text(character.character),
            _text(data_report.code_point(character.character)),
            _text(unicodedata.name(character.character, "")),
            _number(character.count),
            _text("yes" if character.covered else "no"),
            _place(character.first),
        ]
        for character in [*missing, *covered][:_CHARACTERS]
    ]
    yield f"<h2>Characters</h2><p>{len(survey.characters)} in transcripts, {len(missing)} not in the alphabet."
    if unused := data_report.unused_labels(survey):
        yield f"Labels that nothing trains: {escape(', '.join(map(repr, unused)))}."
    yield "</p>"
    header = ["character", "code point", "name", "#count", "in the alphabet", "first"]
    title = "Characters, those that the alphabet lacks first" if missing else "Characters, all in the alphabet"
    yield _details(title, _table(header, table), len(survey.characters), bool(missing), _CHARACTERS)


def _distributions(survey: Survey) -> Iterator[str]:
    yield "<h2>Distributions</h2><p>Clips, by set. The outermost bars hold what is beyond them, too.</p>"
    for measure in MEASURES:
        edges = _edges(measure.of(survey.rows))
        unit = f", {measure.unit}" if measure.unit else ""
        yield f'<h3>{escape(measure.title.capitalize())}{unit}</h3><div class="plots">'
        for name, rows in survey.by_split.items():
            values = measure.of(rows)
            median = f", median {measure.show(float(np.median(values)))}" if values else ""
            caption = f"<figcaption>{escape(name)}: {len(values)} clips{median}</figcaption>"
            yield f"<figure>{_histogram(values, edges, measure)}{caption}</figure>"
        yield "</div>"


def _extremes(survey: Survey, folder: Path) -> Iterator[str]:
    yield "<h2>Extremes</h2>"
    for measure in MEASURES:
        measured = [(value, row) for row in survey.rows if (value := measure.value(row)) is not None]
        unit = f", {measure.unit}" if measure.unit else ""
        for title, sign in ((measure.low, 1), (measure.high, -1)):
            if title:
                worst = sorted(measured, key=lambda pair, sign=sign: sign * pair[0])[:_LISTED]  # type: ignore[misc]
                shown = [(row, measure.show(value)) for value, row in worst if value or not measure.is_share]
                yield _clips(title, shown, f"{measure.title}{unit}", folder, len(shown), False) if shown else ""


def _clips(
    title: str, found: Sequence[tuple[Row, str]], what: str, folder: Path, count: int | None = None, opened: bool = True
) -> str:
    """Return a list of clips: where, what was said, what is the matter, and a player."""
    table = [
        [
            _place(row.utterance),
            _text(row.utterance.wav_filename),
            _text(row.utterance.transcript),
            _text(what),
            _player(row, folder),
        ]
        for row, what in found[:_LISTED]
    ]
    return _details(title, _table(["row", "file", "transcript", what, ""], table), count or len(found), opened)


def _details(title: str, content: str, count: int, opened: bool = True, listed: int = _LISTED) -> str:
    shown = f"{count}, of which {listed} here" if count > listed else str(count)
    return f"<details{' open' if opened else ''}><summary>{escape(title)}: {shown}</summary>{content}</details>"


def _table(header: Sequence[str], rows: Iterable[Cells]) -> str:
    """Return a table; the name of a column of numbers begins with #."""
    kinds = [' class="number"' if name.startswith("#") else "" for name in header]
    names = "".join(
        f"<th{kind}>{escape(name.removeprefix('#'))}</th>" for kind, name in zip(kinds, header, strict=True)
    )
    lines = ["<tr>" + "".join(f'<td class="{kind}">{cell}</td>' for kind, cell in row) + "</tr>" for row in rows]
    return f"<table><tr>{names}</tr>\n{chr(10).join(lines)}</table>"


def _text(content: str) -> tuple[str, str]:
    return "text", escape(content)


def _place(utterance: Utterance) -> tuple[str, str]:
    """Return the name and line of a CSV; a pointer on it shows the path."""
    name = f"{Path(utterance.source).name}{utterance.place.removeprefix(utterance.source)}"
    return "text", f'<span title="{escape(utterance.place)}">{escape(name)}</span>'


def _number(content: object) -> tuple[str, str]:
    return "number", escape(str(content))


def _player(row: Row, folder: Path) -> tuple[str, str]:
    if not row.sound or (row.utterance.stored and row.utterance.wav_filesize > _EMBEDDED):
        return "", ""
    if row.utterance.stored:
        with open_audio(row.utterance.stored) as raw:
            address = f"data:;base64,{b64encode(raw.read()).decode()}"
    else:
        address = escape(_address(Path(row.utterance.path), folder))
    return "", f'<audio controls preload="none" src="{address}"></audio>'


def _address(path: Path, folder: Path) -> str:
    """Return the address of a file as seen from a folder."""
    folder = folder.absolute()
    return f"./{quote(path.relative_to(folder).as_posix())}" if path.is_relative_to(folder) else path.as_uri()


def _edges(values: Sequence[float]) -> NDArray[np.float64]:
    """Return the edges of the bars: around nearly all values, for a single wild one must not flatten the rest."""
    if not values:
        return np.linspace(0, 1, _BINS + 1)
    low, high = np.percentile(values, [0.5, 99.5])
    margin = (high - low) / 4
    low, high = max(min(values), low - margin), min(max(values), high + margin)
    return np.linspace(low, high if high > low else low + 1, _BINS + 1)


def _histogram(values: Sequence[float], edges: NDArray[np.float64], measure: Measure) -> str:
    counts, _ = np.histogram(np.clip(values, edges[0], edges[-1]), edges)
    width, most = _WIDTH / _BINS, max(1, int(counts.max()))
    bars = []
    for number, count in enumerate(map(int, counts)):
        if count:
            height = max(1.0, _HEIGHT * count / most)
            between = f"{measure.show(edges[number])} to {measure.show(edges[number + 1])}: {count}"
            bars.append(
                f'<rect x="{number * width:.1f}" y="{_HEIGHT - height:.1f}" width="{width - 1:.1f}"'
                f' height="{height:.1f}"><title>{between}</title></rect>'
            )
    anchors = zip(("start", "middle", "end"), (0, _BINS // 2, _BINS), strict=True)
    labels = [
        f'<text x="{number * width:g}" y="{_HEIGHT + _AXIS - 3}" text-anchor="{anchor}">'
        f"{measure.show(edges[number])}</text>"
        for anchor, number in anchors
    ]
    return (
        f'<svg width="{_WIDTH}" height="{_HEIGHT + _AXIS}" viewBox="0 0 {_WIDTH} {_HEIGHT + _AXIS}" role="img"'
        f' font-size="11" fill="currentColor"><g fill="#4682b4">{"".join(bars)}</g>'
        f'<path d="M0 {_HEIGHT}H{_WIDTH}" stroke="currentColor"/>{"".join(labels)}</svg>'
    )
