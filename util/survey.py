"""Everything that can be said about sets of utterances before anything is trained on them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from util.audio import read_stored
from util.corpus import Fault, Utterance
from util.data_check import Overlap, Sample, check, find_overlaps, group, speaker
from util.errors import AudioError
from util.features import FeatureSet
from util.measures import Sound, measure, stand_out
from util.progress import Console
from util.sample_sets import read_set
from util.stored import size_of
from util.task import count_cores
from util.text import Alphabet
from util.threads import in_threads

_OUTLIER = 5.0  # deviations from the median speed of speech
_ENOUGH = 10  # rows, with fewer nothing is an outlier
_CLIPPED = 0.001  # share of samples at full scale
_SILENT = 0.9  # share of frames
_LEAST_SPEECH = 0.2  # s
_LONG_SILENCE = 2.0  # s, at the beginning or at the end
_SHOWN = 40  # characters of a transcript that a sentence quotes


@dataclass(frozen=True)
class Row:
    """A row of a CSV, checked and heard.

    Attributes:
        split: the set that it belongs to.
        utterance: the row, with the size of the file as it is.
        sound: None where the audio cannot be read.
        found: what the check says: Sample or Fault.
    """

    split: str
    utterance: Utterance
    sound: Sound | None
    found: Sample | Fault

    @property
    def fault(self) -> Fault | None:
        """Why it cannot be used; None where it can."""
        return self.found if isinstance(self.found, Fault) else None

    @property
    def duration_s(self) -> float:
        """Length in seconds, 0 where the audio cannot be read."""
        return self.sound.info.duration_s if self.sound else 0.0

    @property
    def characters_per_second(self) -> float:
        """Characters of the transcript, spaces included, in a second; 0 where there are none or no audio."""
        return len(self.utterance.transcript) / self.duration_s if self.sound else 0.0

    @property
    def speech_s(self) -> float:
        """Seconds that are not silence."""
        return self.duration_s * (1 - self.sound.silent) if self.sound else 0.0


@dataclass(frozen=True)
class Finding:
    """A row that deserves a look, although training would take it.

    Attributes:
        row: the one.
        kind: a few words that findings of the same kind share.
        reason: what was found.
        weight: the larger, the worse, among those of the kind.
    """

    row: Row
    kind: str
    reason: str
    weight: float


@dataclass(frozen=True)
class Character:
    """A character of the transcripts.

    Attributes:
        character: the one.
        count: how often it occurs.
        covered: whether the alphabet has it.
        first: a row where it occurs.
    """

    character: str
    count: int
    covered: bool
    first: Utterance


@dataclass(frozen=True)
class Survey:
    """What was found.

    Attributes:
        splits: the CSV files of every set, by its name.
        rows: of all sets, in their order.
        alphabet: the labels by which rows were checked.
        alphabet_name: where it comes from.
        features: the features by which rows were checked.
        silence_db: the level in dBFS below which a frame is silence.
    """

    splits: Mapping[str, Sequence[str]]
    rows: Sequence[Row]
    alphabet: Alphabet
    alphabet_name: str
    features: FeatureSet
    silence_db: float

    @cached_property
    def by_split(self) -> dict[str, list[Row]]:
        """The rows of every set."""
        rows: dict[str, list[Row]] = {name: [] for name in self.splits}
        for row in self.rows:
            rows[row.split].append(row)
        return rows

    @cached_property
    def faults(self) -> list[Fault]:
        """Why rows cannot be used: what training would leave out."""
        return [row.fault for row in self.rows if row.fault]

    @cached_property
    def overlaps(self) -> list[Overlap]:
        """Recordings and speakers that several sets share."""
        rows = self.by_split.items()
        recordings = {name: group((r.utterance for r in of_split), self.identity) for name, of_split in rows}
        speakers = {name: group((r.utterance for r in of_split), speaker) for name, of_split in rows}
        return find_overlaps("recording", recordings) + find_overlaps("speaker", speakers)

    @cached_property
    def _digests(self) -> dict[str, str]:
        return {row.utterance.path: row.sound.digest.hex() for row in self.rows if row.sound}

    def identity(self, utterance: Utterance) -> str:
        """Return what recordings with the same samples share; "" where the audio cannot be read."""
        return self._digests.get(utterance.path, "")

    @cached_property
    def characters(self) -> list[Character]:
        """The characters of all transcripts, the most frequent first."""
        counts: Counter[str] = Counter()
        first: dict[str, Utterance] = {}
        missing: set[str] = set()
        for row in self.rows:
            text = row.utterance.transcript
            counts.update(text)
            for ch in set(text) - first.keys():
                first[ch] = row.utterance
            missing.update(self.alphabet.missing(text))
        return [Character(ch, count, ch not in missing, first[ch]) for ch, count in counts.most_common()]

    @cached_property
    def unused_labels(self) -> list[str]:
        """Labels of the alphabet that no row fit for use needs."""
        used: set[int] = set()
        for row in self.rows:
            used.update(row.found.labels.tolist() if isinstance(row.found, Sample) else [])
        return [label for number, label in enumerate(self.alphabet.labels) if number not in used]

    @cached_property
    def findings(self) -> list[Finding]:
        """What deserves a look, kind by kind, the worst first."""
        found = [*self._find_outliers(), *self._find_repeats(), *self._find_other_rates()]
        found += [finding for row in self.rows if row.sound for finding in _judge_sound(row, row.sound)]
        kinds = list(dict.fromkeys(finding.kind for finding in found))
        return sorted(found, key=lambda finding: (kinds.index(finding.kind), -finding.weight))

    @cached_property
    def speed_scores(self) -> dict[int, float]:
        """How far a row's characters per second are from the others', by position; see `measures.stand_out`."""
        said = [number for number, row in enumerate(self.rows) if row.characters_per_second]
        scores = stand_out([self.rows[number].characters_per_second for number in said])
        return dict(zip(said, scores.tolist(), strict=True))

    def _find_outliers(self) -> Iterable[Finding]:
        if len(self.speed_scores) < _ENOUGH:
            return
        for number, score in self.speed_scores.items():
            row = self.rows[number]
            if abs(score) > _OUTLIER:
                kind = "too many characters for its length" if score > 0 else "too few characters for its length"
                reason = f"{row.characters_per_second:.2g} characters per second: {_quote(row.utterance.transcript)}"
                yield Finding(row, kind, reason, abs(score))

    def _find_repeats(self) -> Iterable[Finding]:
        for rows in self.by_split.values():
            heard: dict[bytes, Row] = {}
            for row in rows:
                if not row.sound:
                    continue
                first = heard.setdefault(row.sound.digest, row)
                if first is not row:
                    same = first.utterance.transcript == row.utterance.transcript
                    kind = "recording repeated" if same else "recording repeated with another transcript"
                    text = "" if same else f", which says {_quote(first.utterance.transcript)}"
                    yield Finding(row, kind, f"the same samples as {first.utterance.place}{text}", 0.0)

    def _find_other_rates(self) -> Iterable[Finding]:
        rates = Counter(row.sound.info.sample_rate for row in self.rows if row.sound)
        if len(rates) > 1:
            usual = rates.most_common(1)[0][0]
            for row in self.rows:
                if row.sound and row.sound.info.sample_rate != usual:
                    reason = f"{row.sound.info.sample_rate} Hz, most have {usual} Hz"
                    yield Finding(row, "another sample rate than most", reason, -float(row.sound.info.sample_rate))


def _judge_sound(row: Row, sound: Sound) -> Iterable[Finding]:
    if sound.clipped > _CLIPPED:
        yield Finding(row, "clipped", f"{sound.clipped:.1%} of the samples are at full scale", sound.clipped)
    if row.speech_s < _LEAST_SPEECH:
        yield Finding(row, "nearly empty", f"{row.speech_s:.2f} s are not silence", -row.speech_s)
    elif sound.silent > _SILENT:
        yield Finding(row, "mostly silence", f"{sound.silent:.0%} silence", sound.silent)
    else:
        for where, seconds in (("beginning", sound.silence_before_s), ("end", sound.silence_after_s)):
            if seconds > _LONG_SILENCE:
                yield Finding(row, f"long silence at the {where}", f"{seconds:.1f} s", seconds)


def _quote(text: str) -> str:
    return repr(text if len(text) <= _SHOWN else f"{text[: _SHOWN - 3]}...")


def take_survey(
    splits: Mapping[str, Sequence[str]],
    alphabet: Alphabet,
    alphabet_name: str,
    features: FeatureSet,
    silence_db: float,
    console: Console,
) -> Survey:
    """Read sets and all audio that they name, on all cores.

    Args:
        splits: the CSV, SDB or tar files of every set, by its name.
        alphabet: the labels of the network.
        alphabet_name: where it comes from, for the report.
        features: the feature set.
        silence_db: the level in dBFS below which a frame is silence.
        console: shows how far it is.

    Raises:
        DataError: a set cannot be read.
    """
    listed = [(name, utterance) for name, paths in splits.items() for path in paths for utterance in read_set(path)]
    sounds = in_threads(lambda item: _hear(item[1], silence_db), listed, count_cores())
    rows = []
    with console.track("Listening", len(listed)) as tracker:
        for (name, utterance), (sound, size) in zip(listed, sounds, strict=True):
            info = sound if isinstance(sound, AudioError) else sound.info
            sized = replace(utterance, wav_filesize=size)
            heard = None if isinstance(sound, AudioError) else sound
            rows.append(Row(name, sized, heard, check(sized, info, alphabet, features)))
            tracker.advance()
    return Survey(splits, rows, alphabet, alphabet_name, features, silence_db)


def _hear(utterance: Utterance, silence_db: float) -> tuple[Sound | AudioError, int]:
    """Return how a recording sounds, or why it cannot be read, and its size in bytes."""
    try:
        return measure(*read_stored(utterance.audio), silence_db), size_of(utterance.audio)
    except AudioError as error:
        return error, 0
    except OSError as error:
        return AudioError(f"cannot read {utterance.path}: {error.strerror}"), 0
