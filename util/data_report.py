"""A survey of data, told in lines of text and as JSON."""

from __future__ import annotations

import json
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from util.corpus import Utterance, summarize_faults
from util.data_check import Overlap, speaker
from util.survey import Character, Finding, Row, Survey
from util.text import ByteAlphabet, describe_character

FORMAT = 1  # of the JSON; a change that breaks its readers raises it
QUANTILES = {"least": 0, "p05": 5, "median": 50, "p95": 95, "most": 100}
_NAMED = 12  # characters that a line of text names


@dataclass(frozen=True)
class Measure:
    """Something measured of every row.

    Attributes:
        key: its name in the JSON.
        title: its name for people.
        unit: for people; "%" shows shares times 100.
        value: of a row; None where the row has none.
        low: what people call the rows with the least of it; "" where those are fine.
        high: what people call the rows with the most of it.
    """

    key: str
    title: str
    unit: str
    value: Callable[[Row], float | None]
    low: str = ""
    high: str = ""

    @property
    def is_share(self) -> bool:
        """Whether it is a share from 0 to 1."""
        return self.unit == "%"

    def show(self, value: float) -> str:
        """Return a value for people, without its unit."""
        value = 100 * value if self.is_share else value
        digits = 1 if abs(value) >= 100 or self.unit == "dBFS" else 2
        return f"{round(value, digits) or 0:.{digits}f}"  # no -0.0

    def of(self, rows: Sequence[Row]) -> list[float]:
        """Return the values of all rows that have one."""
        return [value for row in rows if (value := self.value(row)) is not None]


def _of_sound(name: str) -> Callable[[Row], float | None]:
    return lambda row: getattr(row.sound, name) if row.sound else None


MEASURES = (
    Measure("duration_s", "duration", "s", lambda row: row.duration_s or None, "shortest", "longest"),
    Measure("characters_per_second", "characters per second", "", lambda row: row.characters_per_second or None,
            "fewest characters per second", "most characters per second"),
    Measure("level_db", "level of what is not silence", "dBFS", _of_sound("level_db"), "faintest"),
    Measure("clipped", "samples at full scale", "%", _of_sound("clipped"), high="most clipped"),
    Measure("silent", "silence", "%", _of_sound("silent"), high="most silence"),
    Measure("silence_before_s", "silence at the beginning", "s", _of_sound("silence_before_s"),
            high="longest silence at the beginning"),
    Measure("silence_after_s", "silence at the end", "s", _of_sound("silence_after_s"),
            high="longest silence at the end"),
)  # fmt: skip


def quantiles(values: Sequence[float]) -> dict[str, float]:
    """Return the least, the most, the median and what 5 % are below and above; nothing of nothing."""
    if not values:
        return {}
    return dict(zip(QUANTILES, np.percentile(values, list(QUANTILES.values())).tolist(), strict=True))


def describe(survey: Survey) -> list[str]:
    """Return the lines that tell what was found."""
    lines = []
    for name in survey.splits:
        lines += [*_describe_split(survey, name), ""]
    lines += [*_describe_characters(survey), ""]
    if survey.faults:
        lines += ["What training leaves out:"]
        lines += [f"  {line}" for line in summarize_faults(survey.faults, len(survey.rows))]
        lines += [""]
    if survey.overlaps:
        lines += ["Leaks:", *[f"  {overlap.describe()}" for overlap in survey.overlaps], ""]
    if survey.findings:
        lines += ["Worth a look:", *[f"  {line}" for line in _describe_findings(survey.findings)], ""]
    return [*lines, verdict(survey)]


def verdict(survey: Survey) -> str:
    """Return the sentence that sums it up."""
    if not survey.faults and not survey.overlaps:
        return f"Clean: training uses all {len(survey.rows)} rows."
    leaks = ", ".join(f"{overlap.names[0]} and {overlap.names[1]} share {overlap.count}" for overlap in survey.overlaps)
    return f"Training leaves out {len(survey.faults)} of {len(survey.rows)} rows" + (f"; {leaks}." if leaks else ".")


def _describe_split(survey: Survey, name: str) -> Iterator[str]:
    rows = survey.by_split[name]
    usable = [row for row in rows if not row.fault]
    files = ", ".join(survey.splits[name])
    speakers = count_speakers(rows)
    yield f"{name}: {files}" if files != name else name
    yield (
        f"  {len(usable)} of {len(rows)} rows can be used, {sum(row.duration_s for row in usable) / 3600:.2f} h,"
        f" {'speakers not told' if speakers is None else f'{speakers} speakers'}"
    )
    yield f"  {describe_forms(rows)}"
    yield f"  {'':<32}{'least':>9}{'5 %':>9}{'median':>9}{'95 %':>9}{'most':>9}"
    for measure in MEASURES:
        title = f"{measure.title}, {measure.unit}" if measure.unit else measure.title
        shown = quantiles(measure.of(rows)).values()
        yield f"  {title:<32}" + "".join(f"{measure.show(value):>9}" for value in shown)


def describe_forms(rows: Sequence[Row]) -> str:
    """Return the rates and channels of all rows, the most frequent first."""
    infos = [row.sound.info for row in rows if row.sound]
    forms = Counter(
        f"{info.sample_rate} Hz {'mono' if info.channels == 1 else f'in {info.channels} channels'}" for info in infos
    )
    return ", ".join(f"{count} x {form}" for form, count in forms.most_common()) or "no audio"


def count_speakers(rows: Sequence[Row]) -> int | None:
    """Return how many people speak; None where no row tells."""
    return len({speaker(row.utterance) for row in rows} - {""}) or None


def _describe_characters(survey: Survey) -> Iterator[str]:
    missing = [character for character in survey.characters if not character.covered]
    yield (
        f"Characters: {len(survey.characters)} in transcripts, {len(missing)} of them not in {survey.alphabet_name}"
        f" ({len(survey.alphabet)} labels)"
    )
    for character in missing[:_NAMED]:
        yield f"  {describe_character(character.character)} {character.count} x, first {character.first.place}"
    if missing[_NAMED:]:
        yield f"  and {len(missing) - _NAMED} more"
    if unused := unused_labels(survey):
        named = [f"{label!r}" for label in unused[:_NAMED]]
        yield f"  {len(unused)} labels that nothing trains: {', '.join(named)}{' ...' if unused[_NAMED:] else ''}"


def unused_labels(survey: Survey) -> list[str]:
    """Return the labels that no row fit for use needs; nobody minds that with bytes."""
    return [] if isinstance(survey.alphabet, ByteAlphabet) else survey.unused_labels


def _describe_findings(findings: Sequence[Finding]) -> Iterator[str]:
    for kind, count in Counter(finding.kind for finding in findings).items():
        worst = next(finding for finding in findings if finding.kind == kind)
        yield f"{kind}: {count}, {'the worst ' if count > 1 else ''}{worst.row.utterance.place}: {worst.reason}"


def to_json(survey: Survey) -> str:
    """Return the survey as JSON (doc/Data.md tells what is in it), one line for every row and finding."""
    parts: dict[str, Any] = {
        "format": FORMAT,
        "clean": not survey.faults and not survey.overlaps,
        "checked_with": {
            "alphabet": survey.alphabet_name,
            "labels": len(survey.alphabet),
            "features": survey.features.name,
            "sample_rate": survey.features.sample_rate,
            "window_ms": survey.features.window_ms,
            "step_ms": survey.features.step_ms,
            "silence_db": survey.silence_db,
        },
        "splits": [_split_json(survey, name) for name in survey.splits],
        "faults": [
            {"split": row.split, **_place_json(row.utterance), "kind": row.fault.kind, "reason": row.fault.reason}
            for row in survey.rows
            if row.fault
        ],
        "leaks": list(map(_overlap_json, survey.overlaps)),
        "findings": [
            {"split": f.row.split, **_place_json(f.row.utterance), "kind": f.kind, "reason": f.reason}
            for f in survey.findings
        ],
        "characters": list(map(_character_json, survey.characters)),
        "unused_labels": unused_labels(survey),
        "rows": list(map(_row_json, survey.rows)),
    }
    return "{\n" + ",\n".join(f"{json.dumps(key)}: {_dump(part)}" for key, part in parts.items()) + "\n}\n"


def _dump(part: Any) -> str:
    """Write JSON, the entries of a list on a line each."""
    dump = json.JSONEncoder(ensure_ascii=False, allow_nan=False).encode
    if not isinstance(part, list) or not part:
        return dump(part)
    return "[\n " + ",\n ".join(map(dump, part)) + "\n]"


def _split_json(survey: Survey, name: str) -> dict[str, Any]:
    rows = survey.by_split[name]
    usable = [row for row in rows if not row.fault]
    heard = [row.sound.info for row in rows if row.sound]
    return {
        "name": name,
        "files": list(survey.splits[name]),
        "rows": len(rows),
        "usable": len(usable),
        "hours": round(sum(row.duration_s for row in rows) / 3600, 6),
        "usable_hours": round(sum(row.duration_s for row in usable) / 3600, 6),
        "speakers": count_speakers(rows),
        "sample_rates": dict(Counter(str(info.sample_rate) for info in heard).most_common()),
        "channels": dict(Counter(str(info.channels) for info in heard).most_common()),
        "faults": dict(Counter(row.fault.kind for row in rows if row.fault).most_common()),
        "measures": {
            measure.key: {key: round(value, 4) for key, value in quantiles(measure.of(rows)).items()}
            for measure in MEASURES
        },
    }


def _place_json(utterance: Utterance) -> dict[str, Any]:
    return {"source": utterance.source, "line": utterance.line, "wav_filename": utterance.wav_filename}


def _overlap_json(overlap: Overlap) -> dict[str, Any]:
    return {
        "what": overlap.what,
        "splits": list(overlap.names),
        "shared": [
            {"key": key, "rows": [[_place_json(utterance) for utterance in rows] for rows in both]}
            for key, both in overlap.shared.items()
        ],
    }


def _character_json(character: Character) -> dict[str, Any]:
    return {
        "character": character.character,
        "code_point": code_point(character.character),
        "name": unicodedata.name(character.character, ""),
        "count": character.count,
        "covered": character.covered,
        "first": _place_json(character.first),
    }


def code_point(ch: str) -> str:
    """Return U+ and the number of a character, as in U+00E4."""
    return f"U+{ord(ch):04X}"


def _row_json(row: Row) -> dict[str, Any]:
    measured = {measure.key: measure.value(row) for measure in MEASURES}
    return {
        "split": row.split,
        **_place_json(row.utterance),
        "transcript": row.utterance.transcript,
        "speaker": speaker(row.utterance) or None,
        "fault": row.fault.kind if row.fault else None,
        "sample_rate": row.sound.info.sample_rate if row.sound else None,
        "channels": row.sound.info.channels if row.sound else None,
        "digest": row.sound.digest.hex() if row.sound else None,
        **{key: None if value is None else round(value, 4) for key, value in measured.items()},
    }
