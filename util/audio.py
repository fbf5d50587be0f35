"""Audio files: their length, their samples at the rate the network wants, and what ails them."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
import soxr
from numpy.typing import NDArray

from util.audio_faults import SUPPORTED, check_end, cut_short, no_samples, not_audio, unsupported
from util.errors import AudioError
from util.files import write_atomically
from util.opus import RATES as OPUS_RATES
from util.stored import Audio, Stored, open_audio

_FORMATS = {"WAV", "WAVEX", "RF64", "FLAC", "OGG", "MP3", "NIST"}
_TOLERANCE = 0.1  # s that a transcript may reach beyond the end of its recording
_BLOCK = 1 << 20  # samples read at a time: nearly always the whole utterance
_LEAD = 24 * 1152  # samples: a frame of MP3 may need the bits of those before it, 24 at the lowest bit rates
_OPUS_BITRATES = 6000, 256000  # bits per second of a channel, from libsndfile's greatest to its least compression
_LONGEST = 3_600_000  # s; libsndfile gives a larger number for an unknown length


@dataclass(frozen=True, slots=True)
class AudioInfo:
    """What an audio file holds.

    Attributes:
        sample_rate: in Hz.
        channels: 1 is mono.
        n_samples: in each channel, at `sample_rate`.
    """

    sample_rate: int
    channels: int
    n_samples: int

    @property
    def duration_s(self) -> float:
        """The length in seconds."""
        return self.n_samples / self.sample_rate


def read_info(path: Audio) -> AudioInfo:
    """Read what a file holds, and make sure that its end is there.

    Decodes the last sample only, except where the format does not tell the length.

    Raises:
        AudioError: the file is missing, a folder, empty, not audio, of an unsupported format, cut
            short, or without samples.
    """
    with _open(path) as file:
        if _knows_length(path, file):
            n_samples = file.frames
            if n_samples:
                file.seek(n_samples - 1)
                if len(file.read(1)) != 1:
                    raise cut_short(path, f"its header promises {n_samples} samples")
        else:
            n_samples = sum(len(block) for block in _blocks(file, "int16"))
        if n_samples == 0:
            raise no_samples(path)
        return AudioInfo(file.samplerate, file.channels, n_samples)


def read_audio(path: Audio, sample_rate: int) -> NDArray[np.int16]:
    """Read a file as one channel at one rate.

    Channels are averaged, another rate is resampled (soxr, HQ), values beyond full scale are
    clipped. 16-bit mono at the right rate comes back as it is stored.

    Args:
        path: WAV (8, 16, 24, 32 bits, float), FLAC, OGG, MP3 or uncompressed SPHERE, a file or stored in one.
        sample_rate: wanted, in Hz.

    Returns:
        int16 [samples], `resampled_length(n_samples, file's rate, sample_rate)` of them.

    Raises:
        AudioError: as in `read_info`; also when a float file holds NaN or infinity.
    """
    with _open(path) as file:
        samples = _read_whole(path, file, "int16" if _is_exact(file, sample_rate) else "float32")
        return _as_pcm(path, samples, file.samplerate, sample_rate)


def read_stored(path: Audio) -> tuple[NDArray[np.int16], int]:
    """Read a file at its own rate with all its channels.

    Returns:
        int16 [samples, channels], values beyond full scale clipped, and the rate in Hz.

    Raises:
        AudioError: as in `read_audio`.
    """
    with _open(path) as file:
        samples = _read_whole(path, file, "int16" if file.subtype == "PCM_16" else "float32")
        _check_samples(path, samples)
        return samples if samples.dtype == np.int16 else quantize(samples), file.samplerate


def _read_whole(path: Audio, file: Any, dtype: str) -> NDArray[Any]:
    """Read dtype [samples, channels] to the end, which must be where the header says."""
    blocks = list(_blocks(file, dtype))
    samples: NDArray[Any] = blocks[0] if len(blocks) == 1 else np.concatenate(blocks or [np.zeros((0, 1), np.int16)])
    if _knows_length(path, file) and len(samples) != file.frames:
        raise cut_short(path, f"{len(samples)} of {file.frames} samples are there")
    return samples


def read_part(path: Audio, sample_rate: int, start_s: float, end_s: float, channel: int | None) -> NDArray[np.int16]:
    """Read a part of a file as `read_audio` reads the whole.

    Args:
        path: as there.
        sample_rate: wanted, in Hz.
        start_s: where the part begins, in seconds.
        end_s: where it ends; infinity is the end of the file.
        channel: the one to read, from 0; None averages all.

    Returns:
        int16 [samples].

    Raises:
        AudioError: as there; also when the part is no time span, the file ends before it does or has no such channel.
    """
    with _open(path) as file:
        if channel is not None and not 0 <= channel < file.channels:
            raise AudioError(f"{path} has {file.channels} channels, expected channel {channel}; it is another file")
        if not 0 <= start_s < end_s:  # nor where one of them is no number
            raise AudioError(f"{path}: from {start_s} s to {end_s} s is no part; correct where it begins or ends")
        dtype = "int16" if _is_exact(file, sample_rate) else "float32"
        whole = None if _knows_length(path, file) else _read_whole(path, file, dtype)
        n_samples = file.frames if whole is None else len(whole)
        length = n_samples / file.samplerate
        if start_s >= length or (math.isfinite(end_s) and end_s > length + _TOLERANCE):
            raise AudioError(f"{path} ends after {length:.2f} s, expected speech from {start_s:.2f} s to {end_s:.2f} s")
        first = round(start_s * file.samplerate)
        last = min(n_samples, round(min(end_s, length) * file.samplerate))
        if whole is None:
            before = min(first, _LEAD if file.format == "MP3" else 0)
            file.seek(first - before)
            samples = file.read(before + last - first, dtype=dtype, always_2d=True)[before:]
        else:
            samples = whole[first:last]
        if len(samples) != last - first:
            raise cut_short(path, f"nothing can be read behind sample {first + len(samples)}")
        if channel is not None:
            samples = samples[:, channel : channel + 1]
        return _as_pcm(path, samples, file.samplerate, sample_rate)


def is_as_wanted(path: Audio, sample_rate: int) -> bool:
    """Return whether a file is a WAV or FLAC of 16 bits, one channel and that rate: nothing to convert.

    Raises:
        AudioError: as `read_info`.
    """
    with _open(path) as file:
        return file.format in {"WAV", "FLAC"} and _is_exact(file, sample_rate)


def _is_exact(file: Any, sample_rate: int) -> bool:
    return bool((file.subtype, file.channels, file.samplerate) == ("PCM_16", 1, sample_rate))


def _as_pcm(path: Audio, samples: NDArray[Any], rate: int, sample_rate: int) -> NDArray[np.int16]:
    """Make int16 [samples] at `sample_rate` of int16 or float32 [samples, channels] at `rate`."""
    _check_samples(path, samples)
    if samples.dtype == np.int16:
        return samples[:, 0]
    np.clip(samples, -1.0, 1.0, out=samples)
    # The mean of one channel takes as long as to resample it.
    mono: NDArray[np.float32] = samples[:, 0] if samples.shape[1] == 1 else samples.mean(axis=1, dtype=np.float32)
    return quantize(mono if rate == sample_rate else _resample(mono, rate, sample_rate))


def _check_samples(path: Audio, samples: NDArray[Any]) -> None:
    """Make sure that there are samples and that they are numbers."""
    if len(samples) == 0:
        raise no_samples(path)
    if samples.dtype != np.int16 and not np.isfinite(samples).all():
        raise AudioError(
            f"{path} holds samples that are not numbers (NaN or infinity), expected values from "
            "-1 to 1; make the file again or leave it out"
        )


def as_float(pcm: NDArray[Any]) -> NDArray[np.float32]:
    """Make float32 from -1 to 1 of samples on the scale of int16."""
    return np.asarray(pcm, np.float32) / np.float32(32768)


def quantize(samples: NDArray[np.float32]) -> NDArray[np.int16]:
    """Make int16 of values from -1 to 1; those beyond are clipped."""
    scaled = samples * np.float32(32768.0)
    np.clip(np.rint(scaled, out=scaled), -32768, 32767, out=scaled)
    pcm: NDArray[np.int16] = scaled.astype(np.int16)
    return pcm


def resampled_length(n_samples: int, from_rate: int, to_rate: int) -> int:
    """Return how many samples `read_audio` makes of `n_samples` > 0 when it changes the rate.

    The nearest whole number to n_samples * to_rate / from_rate, and never 0.
    """
    if from_rate == to_rate:
        return n_samples
    return max(1, (2 * n_samples * to_rate + from_rate) // (2 * from_rate))


def write_audio(path: str | Path, samples: NDArray[np.int16], sample_rate: int) -> None:
    """Write 16-bit mono as WAV or FLAC, by the ending of the name; atomically.

    Args:
        path: where to, .wav or .flac; an existing file is replaced.
        samples: int16 [samples].
        sample_rate: in Hz.

    Raises:
        DataError: the file cannot be written.
        ValueError: `samples` is not one channel of int16.
    """
    if samples.ndim != 1:
        raise ValueError(f"expected int16 [samples], found {samples.dtype} {list(samples.shape)}")
    write_atomically(path, encode_audio(Path(path).suffix, samples, sample_rate))


def encode_audio(suffix: str, samples: NDArray[np.int16], sample_rate: int, bitrate: int | None = None) -> bytes:
    """Return the bytes of a file of 16 bits, or of Opus in Ogg.

    Opus knows few rates and not more than two channels: audio of another rate is resampled to the next higher one, more
    channels are averaged.

    Args:
        suffix: .wav, .flac or .opus.
        samples: int16 [samples] or [samples, channels].
        sample_rate: in Hz.
        bitrate: of Opus, in bits per second; None leaves it to the encoder.

    Raises:
        ValueError: `samples` is not int16 of one or two dimensions.
    """
    if samples.dtype != np.int16 or samples.ndim not in (1, 2):
        raise ValueError(
            f"expected int16 [samples] or [samples, channels], found {samples.dtype} {list(samples.shape)}"
        )
    file = BytesIO()
    if suffix != ".opus":
        soundfile.write(file, samples, sample_rate, format=suffix.removeprefix(".").upper(), subtype="PCM_16")
        return file.getvalue()
    n_channels = 1 if samples.ndim == 1 else samples.shape[1]
    if n_channels > 2:
        samples, n_channels = quantize(as_float(samples.mean(axis=1, dtype=np.float32))), 1
    rate = opus_rate(sample_rate)
    if rate != sample_rate:
        samples = soxr.resample(samples, sample_rate, rate, quality="HQ")
    least, most = _OPUS_BITRATES
    level = None if bitrate is None else min(1.0, max(0.0, (most - bitrate / n_channels) / (most - least)))
    soundfile.write(file, samples, rate, format="OGG", subtype="OPUS", compression_level=level)
    return file.getvalue()


def opus_rate(sample_rate: int) -> int:
    """Return the rate in Hz at which Opus holds audio of some rate: the next higher one that it knows."""
    return next((rate for rate in OPUS_RATES if rate >= sample_rate), OPUS_RATES[-1])


@contextmanager
def _open(path: Audio) -> Iterator[Any]:
    with ExitStack() as stack:
        try:
            raw = stack.enter_context(open_audio(path))
            size = raw.seek(0, os.SEEK_END)
            raw.seek(0)
            head = raw.read(64)
            if size:
                check_end(path, raw, head, size)
        except OSError as error:
            reason = "it is a folder" if isinstance(error, IsADirectoryError) else error.strerror
            raise AudioError(f"cannot read {path}: {reason}; expected a {SUPPORTED} file with speech") from None
        if size == 0:
            raise AudioError(f"{path} is empty (0 bytes), expected {SUPPORTED}; copy it again")
        raw.seek(0)
        opened = False
        try:
            with soundfile.SoundFile(raw if isinstance(path, Stored) else str(path)) as file:
                if file.format not in _FORMATS:
                    raise unsupported(path, file.format_info.split(" (")[0])
                if file.frames > _LONGEST * file.samplerate:
                    raise AudioError(
                        f"{path} does not say how long it is, as FLAC that was written into a pipe; "
                        "convert it again, from file to file"
                    )
                opened = True
                yield file
        except soundfile.SoundFileError:
            if opened:
                raise cut_short(path, "decoding stops before the end") from None
            raise not_audio(path, head) from None


def _knows_length(path: Audio, file: Any) -> bool:
    """Return False for an MP3 whose length is a guess."""
    if file.format != "MP3":
        return True
    # Without one of these headers the length is the bit rate of the first frame extrapolated.
    with open_audio(path) as raw:
        head = raw.read(10)
        if head[:3] == b"ID3":  # its length: four bytes of seven bits each
            tag = head[6] << 21 | head[7] << 14 | head[8] << 7 | head[9]
            raw.seek(10 + tag)
        first_frame = raw.read(256)
    return any(name in first_frame for name in (b"Xing", b"Info", b"VBRI"))


def _blocks(file: Any, dtype: str) -> Iterator[NDArray[Any]]:
    """Yield dtype [samples, channels] from the file's position until nothing comes."""
    while len(block := file.read(_BLOCK, dtype=dtype, always_2d=True)):
        yield block


def _resample(mono: NDArray[np.float32], rate: int, wanted: int) -> NDArray[np.float32]:
    resampled: NDArray[np.float32] = soxr.resample(mono, rate, wanted, quality="HQ")
    length = resampled_length(len(mono), rate, wanted)
    # soxr rounds the length of very short sounds differently.
    return np.pad(resampled[:length], (0, max(0, length - len(resampled))))
