"""Sets of utterances written sample by sample: as a sample database, tar files, or a CSV and a folder of audio."""

from __future__ import annotations

import io
import os
import re
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain, count, islice
from pathlib import Path
from typing import NamedTuple

import numpy as np
import soundfile
from numpy.typing import NDArray

from util.audio import encode_audio, read_audio, read_info, read_stored
from util.corpus import Utterance, write_csv
from util.errors import AudioError, DataError, UsageError
from util.files import replacing
from util.opus import from_ogg
from util.sdb import MOZILLA_OPUS, SdbWriter
from util.shards import ShardWriter
from util.stored import Audio, Stored, open_audio, read_bytes
from util.threads import in_threads

SUFFIXES = {"opus": ".opus", "wav": ".wav", "flac": ".flac"}  # of files, by the type of audio
_MIME_TYPES = {"opus": MOZILLA_OPUS, "wav": "audio/wav", "flac": "audio/flac"}
_TARS = (".tar", ".tar.gz", ".tgz")
_ENDINGS = (".csv", ".sdb", *_TARS)
_AT_ONCE = 256  # samples that may wait in memory to be written

Change = Callable[[int, NDArray[np.int16], int], NDArray[np.int16]]  # of a position in the set, samples, Hz


@dataclass(frozen=True)
class Form:
    """How a set is written.

    Attributes:
        audio_type: a key of SUFFIXES.
        bitrate: of Opus, in bits per second; None leaves it to the encoder.
        labeled: write transcripts.
        absolute_paths: in a CSV.
        shard_size: samples in a file, after which the next one begins; 0: all in one.
        include: files that go into every tar file, too.
    """

    audio_type: str = "wav"
    bitrate: int | None = None
    labeled: bool = True
    absolute_paths: bool = False
    shard_size: int = 0
    include: Sequence[Path] = ()


class _Encoded(NamedTuple):
    number: int
    utterance: Utterance
    audio: bytes


def check_target(target: Path, sources: Sequence[str], form: Form) -> None:
    """Make sure that a set can be written there, in that form.

    Raises:
        UsageError: it cannot, or would replace what must stay.
    """
    ending = _ending(target)
    if not ending:
        raise UsageError(f"The target is {target}, expected a name that ends in {', '.join(_ENDINGS)}.")
    if not target.absolute().parent.is_dir():
        raise UsageError(f"There is no folder {target.absolute().parent} for {target.name}: make it.")
    if form.bitrate is not None and form.audio_type != "opus":
        raise UsageError(f"--bitrate is for Opus, and --audio-type is {form.audio_type}: leave one of them out.")
    if form.include and ending not in _TARS:
        raise UsageError(f"--include is for tar files, and the target is {target}.")
    if form.shard_size and ending == ".csv":
        raise UsageError("--shard_size is for SDB and tar files: a CSV is never large.")
    folder = target.with_suffix("")
    if ending == ".csv" and folder.exists():
        raise UsageError(
            f"{folder} is there, where the audio files of {target} would go: remove it, or choose another name."
        )
    pattern = re.compile(rf"{re.escape(_stem(target))}-\d{{6,}}{re.escape(ending)}")
    old = (
        [path for path in target.absolute().parent.iterdir() if pattern.fullmatch(path.name)] if form.shard_size else []
    )
    if old:
        raise UsageError(
            f"{min(old)} is there, and might be taken for a part of this set: remove all {len(old)} such files."
        )
    if target.exists() and any(target.samefile(source) for source in [*map(Path, sources), *form.include]):
        raise UsageError(f"{target} is read and would be overwritten: choose another name.")


def write_set(
    target: Path,
    utterances: Sequence[Utterance],
    form: Form,
    workers: int,
    tell: Callable[[int, AudioError | None], None],
    change: Change | None = None,
) -> list[Path]:
    """Write utterances in their order; each file appears whole or not at all.

    Audio keeps its rate and channels, and Opus is not encoded again, but for Ogg Opus that goes
    into a database. Columns of a CSV besides the transcript are kept.

    Args:
        target: what to write, see `check_target`.
        utterances: what to write; those whose audio cannot be read are left out.
        form: how.
        workers: threads that encode.
        tell: called after each utterance with its position, and the reason where it is left out.
        change: makes int16 [samples] of each recording, mixed down to one channel, of others.

    Returns:
        The files: one, or a number of shards.

    Raises:
        DataError: something cannot be written.
    """
    boxed = _ending(target) == ".sdb"

    def encode(item: tuple[int, Utterance]) -> bytes | AudioError:
        number, utterance = item
        try:
            return _encode(utterance.audio, form, boxed, change and (lambda *sound: change(number, *sound)))
        except AudioError as error:
            return error

    def encode_all() -> Iterator[_Encoded]:
        written = count()
        results = in_threads(encode, enumerate(utterances), workers, _AT_ONCE)
        for number, (utterance, result) in enumerate(zip(utterances, results, strict=True)):
            tell(number, result if isinstance(result, AudioError) else None)
            if not isinstance(result, AudioError):
                yield _Encoded(next(written), utterance, result)

    write = {".sdb": _write_sdb, ".csv": _write_csv}.get(_ending(target), _write_tar)
    columns = list(dict.fromkeys(name for utterance in utterances for name, _ in utterance.extra))
    paths = []
    for path, samples in _deal(target, encode_all(), form.shard_size):
        write(path, samples, form, columns)
        paths.append(path)
    return paths


def _ending(target: Path) -> str:
    return next((ending for ending in _ENDINGS if target.name.lower().endswith(ending)), "")


def _stem(target: Path) -> str:
    return target.name[: -len(_ending(target))]


def _deal(target: Path, samples: Iterator[_Encoded], size: int) -> Iterator[tuple[Path, Iterator[_Encoded]]]:
    """Yield the samples of each file."""
    if not size:
        yield target, samples
        return
    for number in count():
        first = next(samples, None)
        if first is None:
            return
        name = f"{_stem(target)}-{number:06d}{target.name[-len(_ending(target)) :]}"
        yield target.with_name(name), chain([first], islice(samples, size - 1))


def _encode(audio: Audio, form: Form, boxed: bool, change: Callable[..., NDArray[np.int16]] | None) -> bytes:
    """Return a recording in another form; `boxed` is Opus in Mozilla's wrapping, instead of Ogg."""
    if change:
        rate = read_info(audio).sample_rate
        samples = change(read_audio(audio, rate), rate)
    elif form.audio_type == "opus" and form.bitrate is None and (kept := _keep_opus(audio, boxed)):
        return kept
    else:
        samples, rate = read_stored(audio)
    encoded = encode_audio(SUFFIXES[form.audio_type], samples, rate, form.bitrate)
    if form.audio_type != "opus" or not boxed:
        return encoded
    with soundfile.SoundFile(io.BytesIO(encoded)) as file:
        return from_ogg(encoded, file.frames, file.samplerate, file.channels)


def _keep_opus(audio: Audio, boxed: bool) -> bytes:
    """Return a recording that is Opus as it is, b"" for others: encoded again it would lose."""
    read_info(audio)  # a damaged one is not passed on
    is_boxed = isinstance(audio, Stored) and audio.is_mozilla_opus
    if boxed:
        return read_bytes(audio) if is_boxed else b""
    with open_audio(audio) as file:
        head = file.read(36)
        return head + file.read() if head.startswith(b"OggS") and head.endswith(b"OpusHead") else b""


def _texts(utterance: Utterance, labeled: bool) -> dict[str, str]:
    return ({"transcript": utterance.transcript} if labeled else {}) | dict(utterance.extra)


def _write_sdb(path: Path, samples: Iterator[_Encoded], form: Form, columns: Sequence[str]) -> None:
    columns = [*(["transcript"] if form.labeled else []), *columns]
    with replacing(path) as file, SdbWriter(file, _MIME_TYPES[form.audio_type], columns) as writer:
        for sample in samples:
            writer.add(sample.audio, _texts(sample.utterance, form.labeled))


def _write_tar(path: Path, samples: Iterator[_Encoded], form: Form, _columns: Sequence[str]) -> None:
    with replacing(path) as file, ShardWriter(file, compressed=not path.name.lower().endswith(".tar")) as writer:
        for included in form.include:
            writer.include(included)
        for number, utterance, audio in samples:
            transcript = utterance.transcript if form.labeled else None
            writer.add(f"sample{number:08d}", SUFFIXES[form.audio_type], audio, transcript, dict(utterance.extra))


def _write_csv(path: Path, samples: Iterator[_Encoded], form: Form, _columns: Sequence[str]) -> None:
    folder = path.absolute().with_suffix("")
    beside = folder.with_name(f".{folder.name}.{os.getpid()}.tmp")
    rows = []
    try:
        beside.mkdir()
        for number, utterance, audio in samples:
            name = f"sample{number:08d}{SUFFIXES[form.audio_type]}"
            (beside / name).write_bytes(audio)
            transcript = utterance.transcript if form.labeled else ""
            rows.append(replace(utterance, path=str(folder / name), wav_filesize=len(audio), transcript=transcript))
        beside.rename(folder)
    except OSError as error:
        raise DataError(f"cannot write {folder}: {error.strerror or error}") from None
    finally:
        shutil.rmtree(beside, ignore_errors=True)
    write_csv(path, rows, relative=not form.absolute_paths)
