"""Long recordings cut where nobody speaks."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import webrtcvad
from numpy.typing import NDArray

_FRAME = 0.03  # s, the longest the detector takes
_RATES = (8000, 16000, 32000, 48000)  # Hz, those it takes
_AROUND = 10  # frames that decide together whether somebody speaks; so many are kept before and after speech
_BEGINS = 0.5  # share of them with speech above which a segment begins
_ENDS = 0.1  # and below which it ends


@dataclass(frozen=True)
class Segment:
    """A part of a recording in which somebody speaks.

    Attributes:
        start: number of its first sample.
        samples: int16 [samples].
    """

    start: int
    samples: NDArray[np.int16]


def split_at_silences(
    blocks: Iterable[NDArray[np.int16]], sample_rate: int, aggressiveness: int = 3, longest: float = 15.0
) -> Iterator[Segment]:
    """Yield the parts of a recording in which somebody speaks, in order and without overlap.

    The detector is WebRTC's. Speech that goes on for too long is cut in the quietest frame of the last third.

    Args:
        blocks: int16 [samples] each, one after the other.
        sample_rate: in Hz.
        aggressiveness: 0 to 3; higher takes less for speech.
        longest: seconds that a segment has at most, at least 1.
    """
    most = max(_AROUND + 2, int(longest / _FRAME))
    waiting: deque[NDArray[np.int16]] = deque(maxlen=_AROUND)  # silence before speech that may begin
    votes: deque[bool] = deque(maxlen=_AROUND)
    speech: list[NDArray[np.int16]] = []
    heard = 0  # samples
    for frame, voiced in _detect(_frames(blocks, int(_FRAME * sample_rate)), sample_rate, aggressiveness):
        heard += len(frame)
        votes.append(voiced)
        share = sum(votes) / _AROUND
        if not speech:
            waiting.append(frame)
            if share > _BEGINS:
                speech = list(waiting)
            continue
        speech.append(frame)
        if share < _ENDS:
            yield _join(speech, heard)
            speech = []
            waiting.clear()
        elif len(speech) >= most:
            cut = _quietest(speech, 2 * most // 3)
            rest = speech[cut:]
            yield _join(speech[:cut], heard - sum(map(len, rest)))
            speech = rest
    if speech:
        yield _join(speech, heard)


def _frames(blocks: Iterable[NDArray[np.int16]], length: int) -> Iterator[NDArray[np.int16]]:
    """Yield frames of one length, and what is left at the end."""
    rest = np.zeros(0, np.int16)
    for block in blocks:
        samples = np.concatenate([rest, block])
        whole = len(samples) // length * length
        yield from samples[:whole].reshape(-1, length)
        rest = samples[whole:]
    if len(rest):
        yield rest


def _detect(
    frames: Iterable[NDArray[np.int16]], sample_rate: int, aggressiveness: int
) -> Iterator[tuple[NDArray[np.int16], bool]]:
    """Yield every frame and whether it sounds like speech."""
    detector = webrtcvad.Vad(aggressiveness)
    rate = sample_rate if sample_rate in _RATES else 16000
    length = int(_FRAME * rate)
    for frame in frames:
        heard = frame
        if rate != sample_rate:  # good enough to tell speech from silence
            places = np.arange(length) * (sample_rate / rate)
            heard = np.interp(places, np.arange(len(frame)), frame).astype(np.int16)
        heard = np.pad(heard, (0, length - len(heard)))
        yield frame, detector.is_speech(heard.tobytes(), rate)


def _quietest(frames: list[NDArray[np.int16]], begin: int) -> int:
    """Return the number of the frame with the least energy from `begin` on."""
    energies = [float(np.square(frame, dtype=np.float64).mean()) for frame in frames[begin:]]
    return begin + int(np.argmin(energies))


def _join(frames: list[NDArray[np.int16]], end: int) -> Segment:
    samples = np.concatenate(frames)
    return Segment(end - len(samples), samples)
