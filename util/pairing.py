"""Recordings and their transcripts brought together, in order, whichever of the two may be missing."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

Pair = tuple[Path, str | None]  # a recording, and its transcript where there is one


def by_list(recordings: Iterable[Path], texts: Mapping[str, str], folder: Path) -> Iterator[Pair]:
    """Yield recordings with the transcripts of one list, and then what is on the list only.

    Args:
        recordings: WAV files of different names.
        texts: transcripts by the names of the recordings, without ending.
        folder: where the recordings are said to be that are on the list only.
    """
    left = dict(texts)
    for audio in sorted(recordings):
        yield audio, left.pop(audio.stem, None)
    for name in sorted(left):
        yield folder / f"{name}.wav", left[name]


def by_name(folder: Path, ending: str) -> Iterator[Pair]:
    """Yield the recordings of a folder with the transcripts beside them, and of transcripts alone the recordings too.

    Args:
        folder: has WAV files.
        ending: of a transcript's name where the recording's ends in .wav.
    """
    texts = (path.with_name(f"{path.name.removesuffix(ending)}.wav") for path in folder.glob(f"*{ending}"))
    for audio in sorted({*folder.glob("*.wav"), *texts}):
        yield audio, read_transcript(audio.with_name(f"{audio.stem}{ending}"))


def read_transcript(path: Path) -> str | None:
    """Return what a file of one transcript holds; None where it is missing.

    Bytes that are not UTF-8 become U+FFFD, for which `Cleaning` refuses this one transcript.
    """
    return path.read_bytes().decode("utf-8-sig", "replace") if path.is_file() else None
