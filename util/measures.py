"""How a recording sounds in numbers, and which numbers stand out."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from util.audio import AudioInfo

SILENCE_DB = -50.0  # dBFS; frames that are weaker are silence
_FRAME = 0.02  # s
_FULL_SCALE = 32767  # both ends of it: programs that scale by this number clip at -32767
_FLOOR_DB = -100.0  # of a level, for digital silence has none
_DEVIATION = 1.4826  # median absolute deviations of a normal distribution that make a standard deviation
_LEAST_SPREAD = 0.02  # of logarithms: values that are nearly all the same make nothing an outlier by less


@dataclass(frozen=True, slots=True)
class Sound:
    """How a recording sounds.

    Attributes:
        info: rate, channels, length.
        digest: of its samples; copies have the same whatever file holds them, if that keeps every bit.
        level_db: root mean square of the frames that are not silence (of all where there are no others), dBFS.
        clipped: share of samples at full scale, 0 to 1.
        silent: share of frames that are silence, 0 to 1.
        silence_before_s: seconds of silence before the first frame that is not.
        silence_after_s: seconds of silence behind the last one.
    """

    info: AudioInfo
    digest: bytes
    level_db: float
    clipped: float
    silent: float
    silence_before_s: float
    silence_after_s: float


def measure(samples: NDArray[np.int16], sample_rate: int, silence_db: float = SILENCE_DB) -> Sound:
    """Measure a recording.

    Args:
        samples: int16 [samples, channels], at least one.
        sample_rate: in Hz.
        silence_db: dBFS; frames of 20 ms whose root mean square, without the constant part, is less are silence.
    """
    info = AudioInfo(sample_rate, samples.shape[1], len(samples))
    digest = hashlib.sha256(f"{sample_rate} {samples.shape[1]}".encode())
    digest.update(np.ascontiguousarray(samples).data)
    clipped = np.count_nonzero((samples >= _FULL_SCALE) | (samples <= -_FULL_SCALE)) / samples.size
    power = _powers(samples, sample_rate)
    loud = np.flatnonzero(power >= 10 ** (silence_db / 10))
    before, after = (loud[0], len(power) - 1 - loud[-1]) if len(loud) else (len(power), len(power))
    frame_s = info.duration_s / len(power)
    return Sound(
        info=info,
        digest=digest.digest()[:16],
        level_db=_decibels(float(np.mean(power[loud] if len(loud) else power))),
        clipped=clipped,
        silent=1 - len(loud) / len(power),
        silence_before_s=float(before) * frame_s,
        silence_after_s=float(after) * frame_s,
    )


def _powers(samples: NDArray[np.int16], sample_rate: int) -> NDArray[np.float32]:
    """Return the mean square of every frame of 20 ms, full scale being 1, float32 [frames], at least one."""
    mono = samples[:, 0].astype(np.float32) if samples.shape[1] == 1 else samples.mean(axis=1, dtype=np.float32)
    mono -= mono.mean()
    length = min(len(mono), max(1, round(sample_rate * _FRAME)))
    frames = mono[: len(mono) // length * length].reshape(-1, length)  # [frames, samples]
    squares: NDArray[np.float32] = np.einsum("ij,ij->i", frames, frames)
    return squares / np.float32(length * 32768.0**2)


def _decibels(power: float) -> float:
    return max(_FLOOR_DB, 10 * float(np.log10(max(power, 1e-30))))


def stand_out(values: Sequence[float]) -> NDArray[np.float64]:
    """Return how far each of some positive numbers is from the others, float64 [values].

    That is the difference of its logarithm from the median, in standard deviations as the median of all differences
    suggests them (Iglewicz and Hoaglin 1993): a few wild numbers do not hide each other. Negative is less.
    """
    if not len(values):
        return np.zeros(0)
    logs = np.log(np.asarray(values, np.float64))
    differences = logs - np.median(logs)
    spread = max(_LEAST_SPREAD, _DEVIATION * float(np.median(np.abs(differences))))
    return np.asarray(differences / spread)
