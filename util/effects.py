"""What augmentation does to the samples of an utterance: noise, echoes, rooms, telephones, speed.

Every effect is a pure function `effect(samples, sample_rate, random, **values)`. Samples are float32 [n] from -1 to 1,
one channel, n > 0, and stay as they are; the result is such samples too. The rate is in Hz. `random` is the Generator
that decides what the values leave open. All effects but `speed` keep the length. Where a result would go beyond full
scale it is made quieter as a whole, only `volume` clips.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import soxr
from numpy.typing import NDArray

from util.audio import AudioInfo, as_float, opus_rate, read_info, read_part, resampled_length
from util.audio_faults import ENDINGS
from util.errors import DataError
from util.opus import RATES as OPUS_RATES
from util.sample_sets import read_set
from util.stored import Audio
from util.threads import READERS, in_threads

Samples = NDArray[np.float32]
Random = np.random.Generator

FULL_SCALE_DBFS = 3.0103  # of the peak 1.0 in 0.9.3, where 0 dBFS is the mean power of a full-scale sine
COMBS = (17, 19, 23, 29, 31)  # ratios of the echoes' delays: multiples of primes seldom meet
_INAUDIBLE_DB = 100.0  # below the direct sound; later echoes are left out
_LEAST_BLOCK = 4096  # samples that are convolved at a time

_SETS = (".csv", ".sdb", ".tar")  # endings of what lists recordings or holds them
_KEPT_BYTES = 128 << 20  # of a source in memory: 70 minutes at 16 kHz
_LONGEST_ROOM_S = 10.0  # of an impulse response

_OPUS_FRAME_MS = "60"  # the longest: the least overhead at low bit rates, and what Mozilla's sample databases have
_OPUS_COMPLEXITY = "5"  # of 10: a telephone's rather than a studio's


class NoiseSource:
    """Recordings from which effects take excerpts or impulse responses.

    What is taken depends on the recordings and the Generator alone, and threads may share a source. Recordings stay in
    memory once read, unless all of them together are too long: then only what is taken is read.
    """

    def __init__(self, path: str | Path):
        """Look into every recording.

        Args:
            path: a CSV, SDB or tar file as for training (transcripts do not count), a folder with recordings in it or
                below, or one recording.

        Raises:
            DataError: the source is missing or has no recordings, or one of them cannot be read.
        """
        self._files = list_recordings(Path(path))
        self._infos: list[AudioInfo] = list(in_threads(read_info, self._files, READERS))
        self._ends_s = np.cumsum([info.duration_s for info in self._infos])
        self._kept: dict[tuple[int, int | None, int], NDArray[np.int16]] = {}

    def excerpt(self, n_samples: int, sample_rate: int, random: Random) -> Samples:
        """Take sound from a random place; recordings that are too short are joined, a single one is repeated.

        Returns:
            float32 [n_samples], -1 to 1.

        Raises:
            AudioError: a recording has become unreadable.
        """
        parts: list[Samples] = []
        missing = n_samples
        while missing > 0:
            file = int(np.searchsorted(self._ends_s, random.random() * self._ends_s[-1], side="right"))
            info = self._infos[file]
            length = resampled_length(info.n_samples, info.sample_rate, sample_rate)
            start = int(random.integers(max(0, length - missing) + 1))
            part = self._read(file, start, min(length, missing), sample_rate)
            if length < sample_rate:  # a second at a time: there are sources of one click
                part = np.resize(part, min(missing, length * math.ceil(sample_rate / length)))
            parts.append(part)
            missing -= len(part)
        return np.concatenate(parts)

    def impulse_response(self, sample_rate: int, random: Random) -> Samples:
        """Take the beginning of one channel of a random recording.

        Channels are not averaged: microphones apart from each other hear different rooms.

        Returns:
            float32 [samples], -1 to 1, of 10 s at most.

        Raises:
            AudioError: the recording has become unreadable.
        """
        file = int(random.integers(len(self._files)))
        channel = int(random.integers(self._infos[file].channels))
        return as_float(self._load(file, channel, sample_rate)[: int(_LONGEST_ROOM_S * sample_rate)])

    def _read(self, file: int, start: int, count: int, sample_rate: int) -> Samples:
        """Read float32 [count] from the sample `start` on, both at `sample_rate`."""
        if self._fits(sample_rate):
            return as_float(self._load(file, None, sample_rate)[start : start + count])
        end_s = min(self._infos[file].duration_s, (start + count) / sample_rate)
        part = as_float(read_part(self._files[file], sample_rate, start / sample_rate, end_s, None))
        return _to_length(part, count)

    def _load(self, file: int, channel: int | None, sample_rate: int) -> NDArray[np.int16]:
        """Return a recording; None: the mean of its channels."""
        key = file, channel, sample_rate
        samples = self._kept.get(key)
        if samples is None:
            samples = read_part(self._files[file], sample_rate, 0.0, math.inf, channel)
            if self._fits(sample_rate):
                self._kept[key] = samples
        return samples

    def _fits(self, sample_rate: int) -> bool:
        """Whether all recordings may stay in memory."""
        return bool(self._ends_s[-1] * sample_rate * np.dtype(np.int16).itemsize <= _KEPT_BYTES)


def list_recordings(path: Path) -> list[Audio]:
    """Return the recordings of a set or of a folder, in a lasting order, or one alone.

    Raises:
        DataError: there is no such CSV, folder or recording, or it has no recordings.
    """
    if path.is_dir():
        found: list[Audio] = [str(file) for file in sorted(path.rglob("*")) if file.suffix.lower() in ENDINGS]
        expected = f"files that end in {', '.join(sorted(ENDINGS))}"
    elif path.suffix.lower() in _SETS:
        found = [utterance.audio for utterance in read_set(path)]
        expected = "rows with a wav_filename"
    elif path.exists():
        return [str(path)]
    else:
        raise DataError(f"cannot find {path}, expected a CSV, SDB or tar, a folder or a recording; correct the name")
    if not found:
        raise DataError(f"{path} has no recordings, expected {expected}; name another source")
    return found


def speed(samples: Samples, sample_rate: int, random: Random, factor: float) -> Samples:
    """Play faster, or slower where `factor` < 1; pitch and formants go along (Ko et al. 2015, Audio Augmentation).

    Returns:
        float32 [speed_length(n, factor)].
    """
    faster: Samples = soxr.resample(samples, sample_rate * factor, sample_rate, quality="HQ")
    return _within_scale(_to_length(faster, speed_length(len(samples), factor)))


def speed_length(n_samples: int, factor: float) -> int:
    """Return how many samples `speed` makes of `n_samples`: the nearest whole number to n / factor, at least 1."""
    return max(1, math.floor(n_samples / factor + 0.5))


def overlay(
    samples: Samples, sample_rate: int, random: Random, source: NoiseSource, snr: float, layers: int = 1
) -> Samples:
    """Mix in excerpts of a source.

    Args:
        samples: of the speech.
        sample_rate: in Hz.
        random: chooses the excerpts.
        source: of the noise.
        snr: mean power of the whole utterance over that of the sum of all layers, in dB. (In 0.9.3 it is the ratio of
            the peaks.)
        layers: excerpts that sound together.
    """
    noise = np.zeros_like(samples)
    for _ in range(layers):
        noise += source.excerpt(len(samples), sample_rate, random)
    level = _rms(noise)
    if level == 0:
        return samples
    return _within_scale(samples + noise * np.float32(_rms(samples) / level * _ratio(-snr)))


def reverb(samples: Samples, sample_rate: int, random: Random, delay: float, decay: float) -> Samples:
    """Add the echoes of five comb filters side by side, at the level of the dry sound.

    Args:
        samples: of the speech.
        sample_rate: in Hz.
        random: not used.
        delay: of the first comb's echo, in ms; the others' are longer by the ratios of `COMBS`.
        decay: of every comb from one echo to the next, in dB.
    """
    steps = [max(1, round(delay / 1000 * sample_rate * prime / COMBS[0])) for prime in COMBS]
    n_echoes = math.ceil(_INAUDIBLE_DB / decay) if decay > 0 else len(samples)
    response = np.zeros(min(len(samples), n_echoes * steps[-1] + 1), np.float32)
    response[0] = 1 + len(COMBS)  # the dry sound, and the beginning of every comb
    for step in steps:
        echoes = np.arange(1, min(n_echoes, (len(response) - 1) // step) + 1)
        response[echoes * step] += _ratio(-max(0.0, decay)) ** echoes
    return _at_level(_convolve(samples, response)[: len(samples)], samples)


def rir(samples: Samples, sample_rate: int, random: Random, source: NoiseSource) -> Samples:
    """Speak in a room whose impulse response was recorded (Ko et al. 2017, doi:10.1109/ICASSP.2017.7953152).

    The direct sound, the response's peak, stays where the speech was, and the level is that of the dry speech.

    Args:
        samples: of the speech.
        sample_rate: in Hz.
        random: chooses the response.
        source: of impulse responses.
    """
    response = source.impulse_response(sample_rate, random)
    direct = int(np.argmax(np.abs(response)))
    if response[direct] == 0:  # a recording of silence is no room
        return samples
    response = response[: direct + len(samples)]  # what comes later is cut off in any case
    return _at_level(_convolve(samples, response)[direct : direct + len(samples)], samples)


def resample(samples: Samples, sample_rate: int, random: Random, rate: float) -> Samples:
    """Remove what a recording at `rate` Hz could not hold."""
    if rate >= sample_rate:
        return samples
    narrow = soxr.resample(samples, sample_rate, rate, quality="HQ")
    wide: Samples = soxr.resample(narrow, rate, sample_rate, quality="HQ")
    return _within_scale(_to_length(wide, len(samples)))


def volume(samples: Samples, sample_rate: int, random: Random, dbfs: float = FULL_SCALE_DBFS) -> Samples:
    """Bring the peak to `dbfs`, where 3.0103 is full scale; what goes beyond is clipped."""
    peak = _peak(samples)
    if peak == 0:
        return samples
    louder: Samples = samples * np.float32(_ratio(dbfs - FULL_SCALE_DBFS) / peak)
    return louder.clip(-1, 1)


def codec(samples: Samples, sample_rate: int, random: Random, bitrate: int) -> Samples:
    """Send the speech through the Opus codec (RFC 6716) at `bitrate` bits per second, 500 to 256000; timing stays."""
    rate = opus_rate(sample_rate)
    sent = samples if rate == sample_rate else soxr.resample(samples, sample_rate, rate, quality="HQ")
    heard: Samples = soxr.resample(_through_opus(sent, rate, bitrate), OPUS_RATES[-1], sample_rate, quality="HQ")
    return _within_scale(_to_length(heard, len(samples)))


def _through_opus(samples: Samples, sample_rate: int, bitrate: int) -> Samples:
    """Encode and decode; the result is at 48 kHz, begins with the first sample and is at least as long."""
    import av  # noqa: PLC0415 - takes 0.3 s, for which other effects shall not wait

    encoder: Any = av.CodecContext.create("libopus", "w")
    encoder.sample_rate, encoder.layout, encoder.format, encoder.bit_rate = sample_rate, "mono", "flt", bitrate
    options = {"application": "voip", "frame_duration": _OPUS_FRAME_MS, "compression_level": _OPUS_COMPLEXITY}
    encoder.options = options
    encoder.open()
    decoder: Any = av.CodecContext.create("libopus", "r")
    decoder.sample_rate, decoder.layout = OPUS_RATES[-1], "mono"
    skipped = int.from_bytes(encoder.extradata[10:12], "little")  # the encoder's delay at 48 kHz: RFC 7845 section 5.1
    size = encoder.frame_size
    padded = np.pad(samples, (0, size + -len(samples) % size))  # one frame more, for the delay
    heard: list[NDArray[Any]] = []
    for start in range(0, len(padded), size):
        frame = av.AudioFrame.from_ndarray(padded[np.newaxis, start : start + size], format="flt", layout="mono")
        frame.sample_rate = sample_rate
        heard += [sound.to_ndarray()[0] for packet in encoder.encode(frame) for sound in decoder.decode(packet)]
    return as_float(np.concatenate(heard)[skipped:])


def time_mask(samples: Samples, sample_rate: int, random: Random, n: int, size: float) -> Samples:
    """Silence `n` random stretches of `size` ms; they may overlap."""
    masked = samples.copy()
    length = min(len(samples), max(1, round(size / 1000 * sample_rate)))
    for start in random.integers(len(samples) - length + 1, size=n):
        masked[start : start + length] = 0
    return masked


def dropout(samples: Samples, sample_rate: int, random: Random, rate: float) -> Samples:
    """Set each sample to zero with the probability `rate`."""
    return np.where(random.random(len(samples), np.float32) < rate, np.float32(0), samples)


def add(samples: Samples, sample_rate: int, random: Random, stddev: float) -> Samples:
    """Add white Gaussian noise whose standard deviation is `stddev`, where 1 is full scale."""
    return _within_scale(samples + np.float32(stddev) * random.standard_normal(len(samples), np.float32))


def multiply(samples: Samples, sample_rate: int, random: Random, stddev: float) -> Samples:
    """Multiply each sample by a number of its own, Gaussian with mean 1 and standard deviation `stddev`."""
    return _within_scale(samples * (1 + np.float32(stddev) * random.standard_normal(len(samples), np.float32)))


def _convolve(samples: Samples, response: Samples) -> Samples:
    """Return the convolution, float32 [n + length of the response - 1], and perhaps zeros behind it.

    In blocks that are added where they overlap (Stockham 1966, doi:10.1145/1464182.1464209): transforms of one length
    are computed side by side.
    """
    from scipy import fft  # noqa: PLC0415 - takes 0.3 s, for which --help shall not wait

    n_samples, n_response = len(samples), len(response)
    size = max(_LEAST_BLOCK, 1 << (2 * n_response - 1).bit_length())  # more than half of it are samples of a block
    step = size - n_response + 1
    if n_samples <= step:
        size, step = fft.next_fast_len(n_samples + n_response - 1, real=True), n_samples
    blocks = np.zeros([-(-n_samples // step), step], np.float32)
    blocks.ravel()[:n_samples] = samples
    convolved = fft.irfft(fft.rfft(blocks, size) * fft.rfft(response, size), size)
    if len(blocks) == 1:
        return np.asarray(convolved[0])
    joined = np.pad(convolved[:, :step], ((0, 1), (0, 0)))
    joined[1:, : size - step] += convolved[:, step:]
    return np.asarray(joined.ravel())


def _rms(samples: Samples) -> float:
    return math.sqrt(np.mean(np.square(samples)))


def _peak(samples: Samples) -> float:
    return max(float(samples.max()), -float(samples.min()))


def _ratio(decibels: float) -> float:
    """Return the ratio of amplitudes."""
    return float(10 ** (decibels / 20))


def _within_scale(samples: Samples) -> Samples:
    """Make sound that goes beyond full scale quieter."""
    return samples / np.float32(max(1.0, _peak(samples)))


def _at_level(samples: Samples, reference: Samples) -> Samples:
    """Give sound the mean power of a reference, as far as full scale allows."""
    level = _rms(samples)
    return _within_scale(samples * np.float32(_rms(reference) / level)) if level else samples


def _to_length(samples: Samples, length: int) -> Samples:
    """Cut off or append zeros: resampling may round to a sample more or less."""
    return np.pad(samples[:length], (0, max(0, length - len(samples))))
