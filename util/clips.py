"""The clips of a corpus: from whatever its importer finds to checked audio files, and into splits."""

from __future__ import annotations

import hashlib
import math
import os
import threading
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from util.audio import encode_audio, is_as_wanted, read_audio, read_info, read_part
from util.errors import AudioError, UnsupportedAudioError
from util.transcripts import RefusedError

DEALT = ("train", "dev", "test")  # the splits that are made where a corpus has none
_SHARE = 0.1  # of the speakers, that each of dev and test gets
_MOST = 2 * _SHARE  # of the clips, that a speaker in dev or test may have


@dataclass(frozen=True, slots=True)
class Clip:
    """One utterance as an importer finds it.

    Attributes:
        audio: the recording, or the longer one that it is a part of.
        transcript: as the corpus has it; None where it has none.
        split: the name of the set that the corpus puts it in; "" lets `deal` choose.
        speaker: who speaks; "" where the corpus does not tell.
        start_s: where it begins in the recording, in seconds.
        end_s: where it ends; infinity is the end of the recording.
        channel: of the recording, from 0; None averages all.
        name: of the converted file, a path without ending; "" makes one of the recording's.
        group: what `deal` keeps in one split, as a talk of several speakers; "" is the speaker.
        fault: why it has no transcript, where more is known than that.
    """

    audio: Path
    transcript: str | None
    split: str = ""
    speaker: str = ""
    start_s: float = 0.0
    end_s: float = math.inf
    channel: int | None = None
    name: str = ""
    group: str = ""
    fault: str = ""

    @property
    def is_whole(self) -> bool:
        """Whether it is all of the recording."""
        return self.start_s == 0.0 and math.isinf(self.end_s) and self.channel is None

    def file_name(self, root: Path) -> str:
        """Return the path of the converted file, without ending, for a recording below `root` or elsewhere."""
        if self.name:
            return self.name
        name = self.audio.relative_to(root) if self.audio.is_relative_to(root) else Path(self.audio.name)
        name = Path(name.name) if ".." in name.parts else name  # as a corpus may have it, to lead elsewhere
        parts = [str(name.with_suffix(""))]
        parts += [] if self.channel is None else [f"ch{self.channel}"]
        if self.start_s or math.isfinite(self.end_s):
            parts.append(f"{round(self.start_s * 100):07d}")
        if math.isfinite(self.end_s):
            parts.append(f"{round(self.end_s * 100):07d}")
        return "-".join(parts)


@dataclass(frozen=True, slots=True)
class Form:
    """What is kept, and how.

    Attributes:
        sample_rate: in Hz.
        ending: .wav or .flac.
        shortest_s: of a clip, in seconds.
        longest_s: of a clip, in seconds.
        seconds_per_character: a clip with less cannot hold its transcript.
    """

    sample_rate: int
    ending: str
    shortest_s: float
    longest_s: float
    seconds_per_character: float

    def check(self, duration_s: float, transcript: str) -> None:
        """Raise RefusedError for a clip that is too short or too long."""
        if duration_s < self.shortest_s:
            raise RefusedError("too short", f"{duration_s:.2f} s, expected {self.shortest_s:g} s or more")
        if duration_s > self.longest_s:
            raise RefusedError("too long", f"{duration_s:.2f} s, expected {self.longest_s:g} s or less")
        needed = len(transcript) * self.seconds_per_character
        if duration_s < needed:
            raise RefusedError(
                "too short for its transcript",
                f"{duration_s:.2f} s for {len(transcript)} characters, expected {needed:.2f} s",
            )


def find_recordings(folder: Path, *endings: str) -> dict[str, Path]:
    """Return the recordings anywhere below a folder, by name without ending.

    Args:
        folder: where to look.
        endings: in small letters; of several recordings with one name, the one whose ending stands last is taken.
    """
    paths = [path for path in sorted(folder.rglob("*")) if path.suffix.lower() in endings]
    return {path.stem: path for path in sorted(paths, key=lambda path: endings.index(path.suffix.lower()))}


def check_kind(path: Path) -> None:
    """Raise UnsupportedAudioError for a file that another program must convert first; other faults pass."""
    try:
        read_info(path)
    except UnsupportedAudioError:
        raise
    except AudioError:
        return


def convert(clip: Clip, target: Path, form: Form) -> tuple[Path, float]:
    """Make the audio file of a clip, unless it is there or the recording will do as it is.

    Args:
        clip: its transcript cleaned.
        target: the file to make, without ending.
        form: what it shall be.

    Returns:
        The audio file, and its length in seconds.

    Raises:
        RefusedError: the recording is missing, or the clip too short or too long.
        AudioError: the recording cannot be read.
        OSError: the file cannot be written.
    """
    assert clip.transcript is not None
    if not clip.audio.is_file():
        raise RefusedError("no audio file", f"there is no {clip.audio}")
    samples = None
    if clip.is_whole and clip.audio.suffix == form.ending and is_as_wanted(clip.audio, form.sample_rate):
        path, duration_s = clip.audio, read_info(clip.audio).duration_s
    else:
        path = target.with_name(target.name + form.ending)
        duration_s = _finished(path, clip, form)
        if not duration_s:
            samples = _read(clip, form.sample_rate)
            duration_s = len(samples) / form.sample_rate
    form.check(duration_s, clip.transcript)
    if samples is not None:
        _write(path, encode_audio(form.ending, samples, form.sample_rate))
    return path, duration_s


def _finished(path: Path, clip: Clip, form: Form) -> float:
    """Return the length of a clip that was converted before, 0 where it must be converted now."""
    try:
        info = read_info(path)
    except AudioError:
        return 0.0
    is_current = info.sample_rate == form.sample_rate and path.stat().st_mtime >= clip.audio.stat().st_mtime
    return info.duration_s if is_current else 0.0


def _read(clip: Clip, sample_rate: int) -> NDArray[np.int16]:
    """Read int16 [samples] of a clip."""
    if clip.is_whole:
        return read_audio(clip.audio, sample_rate)
    return read_part(clip.audio, sample_rate, clip.start_s, clip.end_s, clip.channel)


def _write(path: Path, data: bytes) -> None:
    """Write a clip whole; it need not survive a power cut, since the next import would look at it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}.{os.getpid()}-{threading.get_ident()}.tmp")  # it may be in several splits
    beside.write_bytes(data)
    beside.replace(path)


def deal(clips: Sequence[Clip], before: Sequence[Clip] = ()) -> list[Clip]:
    """Put clips that have no split into train, dev and test, about 8:1:1 of the speakers.

    Nobody and no group is in two splits. Where both are unknown, or fewer than three, no sentence is in two splits. The
    choice depends on a hash of the name. Who was dealt before stays where they were, whoever comes in addition, unless
    a split would be empty.

    Args:
        clips: of one corpus; at least three groups of them for three splits.
        before: the clips of an earlier import, with the splits that they were dealt into.
    """
    loose = [clip for clip in clips if not clip.split]
    by_speaker = all(clip.group or clip.speaker for clip in loose) and len({_group(clip, True) for clip in loose}) > 2
    groups = Counter(_group(clip, by_speaker) for clip in loose)
    kept = _kept(before, by_speaker)
    big = {group for group, count in groups.items() if count > max(1, _MOST * len(loose))}
    split_of = {group: kept.get(group) or ("train" if group in big else _draw(group)) for group in groups}
    movable = sorted(groups, key=lambda group: (group in big, group in kept, split_of[group] != "train", _hash(group)))
    for split in DEALT if len(groups) > 2 else ():
        taken = Counter(split_of.values())
        if not taken[split]:
            split_of[next(group for group in movable if taken[split_of[group]] > 1)] = split
    return [clip if clip.split else replace(clip, split=split_of[_group(clip, by_speaker)]) for clip in clips]


def _kept(before: Sequence[Clip], by_speaker: bool) -> dict[str, str]:
    """Return the split of each group that was in one only; others were dealt by another rule."""
    splits: dict[str, set[str]] = {}
    for clip in before:
        splits.setdefault(_group(clip, by_speaker), set()).add(clip.split)
    return {group: min(found) for group, found in splits.items() if len(found) == 1}


def _group(clip: Clip, by_speaker: bool) -> str:
    return (clip.group or clip.speaker if by_speaker else clip.transcript) or ""


def _draw(group: str) -> str:
    place = _hash(group)
    return "test" if place < _SHARE else "dev" if place < 2 * _SHARE else "train"


def _hash(text: str) -> float:
    """Return a number from 0 to 1 that is the same everywhere."""
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") / 2**64
