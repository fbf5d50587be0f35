"""Which rows can be used, and what sets that should be strangers have in common.

Training and bin/check_data.py decide by the same functions.
"""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from util.audio import AudioInfo, resampled_length
from util.corpus import Fault, Utterance
from util.ctc import frames_needed
from util.errors import AudioError, DataError
from util.features import FeatureSet
from util.stored import Audio, open_audio
from util.text import Alphabet

SPEAKER_COLUMNS = ("speaker", "client_id")  # of a CSV; client_id is Common Voice's name
OUTSIDE_ALPHABET = "character not in alphabet"  # the one kind of fault that another alphabet mends


@dataclass(frozen=True, slots=True)
class Sample:
    """An utterance that passed the check: its labels, int32 [labels], and its length in frames."""

    utterance: Utterance
    labels: NDArray[np.int32]
    n_frames: int
    duration_s: float


def check(
    utterance: Utterance, info: AudioInfo | AudioError, alphabet: Alphabet, features: FeatureSet
) -> Sample | Fault:
    """Decide whether an utterance is fit for use.

    It is when its audio can be read, its transcript is not empty and written in the alphabet, and it has at least as
    many frames as CTC needs for its labels.

    Args:
        utterance: a row.
        info: what its file holds, or why it cannot be read.
        alphabet: the labels of the network.
        features: the feature set; its sample rate and step decide the number of frames.
    """
    if isinstance(info, AudioError):
        return Fault(utterance, "unreadable audio", str(info))
    if not utterance.transcript:
        return Fault(utterance, "empty transcript", "The transcript is empty; write what is said.")
    try:
        labels = alphabet.encode(utterance.transcript)
    except DataError as error:
        return Fault(utterance, OUTSIDE_ALPHABET, str(error))
    n_frames = features.frames(resampled_length(info.n_samples, info.sample_rate, features.sample_rate))
    needed = frames_needed(labels)
    if n_frames < max(needed, 1):
        return Fault(
            utterance,
            "too short for its transcript",
            f"{info.duration_s:.2f} s of audio make {n_frames} frames of {features.step_ms:g} ms, the"
            f" transcript of {len(labels)} labels needs at least {needed}: cut the transcript to what"
            " is said, or leave the row out.",
        )
    return Sample(utterance, np.array(labels, np.int32), n_frames, info.duration_s)


@dataclass(frozen=True)
class Overlap:
    """What two sets share although they should not.

    Attributes:
        what: "recording" or "speaker".
        names: of the two sets.
        shared: what they share, by its key, with the rows of the first and of the second set.
    """

    what: str
    names: tuple[str, str]
    shared: dict[str, tuple[list[Utterance], list[Utterance]]]

    @property
    def count(self) -> str:
        """How many recordings or speakers, with the word."""
        return f"{len(self.shared)} {self.what}{'s' if len(self.shared) > 1 else ''}"

    def describe(self) -> str:
        """Return a sentence."""
        key, (first, second) = next(iter(self.shared.items()))
        name = f"{key!r}, " if self.what == "speaker" else ""
        return (
            f"{self.names[0]} and {self.names[1]} share {self.count}, the first is {name}"
            f"{first[0].place} and {second[0].place}: results look better than they are;"
            f" keep each {self.what} in one of the two"
        )


Groups = Mapping[str, Sequence[Utterance]]  # rows by what they share


def find_overlaps(what: str, sets: Mapping[str, Groups]) -> list[Overlap]:
    """Compare all pairs of sets.

    Args:
        what: "recording" or "speaker".
        sets: the rows of each, grouped by that; the key "" is nobody's.
    """
    found = []
    for (name, groups), (other, others) in itertools.combinations(sets.items(), 2):
        shared = {key: (list(groups[key]), list(others[key])) for key in groups if key and key in others}
        found += [Overlap(what, (name, other), shared)] if shared else []
    return found


def group(utterances: Iterable[Utterance], key: Callable[[Utterance], str]) -> dict[str, list[Utterance]]:
    """Return utterances by a key."""
    groups: dict[str, list[Utterance]] = {}
    for utterance in utterances:
        groups.setdefault(key(utterance), []).append(utterance)
    return groups


def speaker(utterance: Utterance) -> str:
    """Return who speaks, by a column of SPEAKER_COLUMNS; "" where the CSV does not tell."""
    columns = dict(utterance.extra)
    return next((value for name in SPEAKER_COLUMNS if (value := columns.get(name, "").strip())), "")


def find_leaks(sets: Mapping[str, Sequence[Sample]]) -> list[Overlap]:
    """Find recordings and speakers that are in several sets, without decoding audio.

    A recording is the same when it is the same file, or another with the same bytes. Files are compared only where
    length and transcript are equal, so that hardly any has to be read.

    Args:
        sets: by name.
    """
    looks: dict[tuple[float, str], set[tuple[str, Audio]]] = {}  # length and transcript: name of the set, recording
    for name, samples in sets.items():
        for sample in samples:
            looks.setdefault((sample.duration_s, sample.utterance.transcript), set()).add(
                (name, sample.utterance.audio)
            )
    doubtful = [alike for alike in looks.values() if all(len(set(values)) > 1 for values in zip(*alike, strict=True))]
    digests = {audio: _digest(audio) for alike in doubtful for _, audio in alike}
    utterances = {name: [sample.utterance for sample in samples] for name, samples in sets.items()}
    recordings = {name: group(rows, lambda row: digests.get(row.audio, row.path)) for name, rows in utterances.items()}
    speakers = {name: group(rows, speaker) for name, rows in utterances.items()}
    return find_overlaps("recording", recordings) + find_overlaps("speaker", speakers)


def _digest(audio: Audio) -> str:
    """Return a digest of a recording's bytes; its name where it cannot be read any more."""
    try:
        with open_audio(audio) as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except (OSError, AudioError):
        return str(audio)
