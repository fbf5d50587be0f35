"""From CSV rows to padded batches: the check before training, and the reading ahead."""

from __future__ import annotations

import collections
import dataclasses
import functools
import hashlib
import itertools
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from util import tf
from util.audio import AudioInfo, read_audio, read_info
from util.augmentation import Change
from util.corpus import Fault, Utterance, summarize_faults, write_faults
from util.data_check import Overlap, Sample, check, find_leaks
from util.errors import AudioError, DataError
from util.features import FeatureSet
from util.files import make_directory
from util.progress import Console
from util.sample_sets import read_set
from util.stored import Audio
from util.text import Alphabet
from util.threads import READERS, in_threads

BATCHES_AHEAD = 3  # read while the network trains
SILENCE = (
    np.zeros([1, 16000], np.int16), np.array([16000], np.int32), np.zeros([1, 4000], np.int32),
    np.array([4000], np.int32),
)  # fmt: skip


@dataclasses.dataclass(frozen=True, slots=True)
class Batch:
    """Utterances padded to one length.

    Attributes:
        members: positions of the utterances in the set.
        samples: int16 [batch, samples].
        n_samples: int32 [batch].
        labels: int32 [batch, labels].
        label_len: int32 [batch].
        numbers: float32 [batch, numbers], what the graph augments each utterance by; most batches have none.
        errors: a sentence for each utterance that could not be read and is not in the batch.
        waited_s: seconds for which the batch was waited for.
    """

    members: list[int]
    samples: NDArray[np.int16]
    n_samples: NDArray[np.int32]
    labels: NDArray[np.int32]
    label_len: NDArray[np.int32]
    numbers: NDArray[np.float32]
    errors: list[str]
    waited_s: float = 0.0

    @property
    def tensors(self) -> tuple[NDArray[Any], ...]:
        """What the steps of a model take: samples, n_samples, labels, label_len, numbers.

        For an empty batch that is silence with a transcript far too long for it, whose loss is therefore infinite and
        counts nowhere: no step has to know of empty batches.
        """
        if not self.members:
            return *SILENCE, np.zeros([1, self.numbers.shape[1]], np.float32)
        return self.samples, self.n_samples, self.labels, self.label_len, self.numbers


@dataclasses.dataclass(frozen=True)
class Corpus:
    """The utterances of some files: those fit for use, and the faults of the others.

    Attributes:
        name: the files as given.
        samples: in the order of the files.
        sample_rate: Hz, at which the audio is read.
        faults: rows left out.
        converted: how many utterances had another sample rate (Hz) or were not mono, by what they were.
    """

    name: str
    sample_rate: int
    samples: list[Sample]
    faults: list[Fault]
    converted: collections.Counter[str]

    @property
    def duration_s(self) -> float:
        """Seconds of audio in `samples`."""
        return sum(sample.duration_s for sample in self.samples)

    @functools.cached_property
    def n_frames(self) -> list[int]:
        """Feature vectors of every sample."""
        return [sample.n_frames for sample in self.samples]

    @functools.cached_property
    def fingerprint(self) -> str:
        """A digest that changes when an utterance, its transcript or the order changes."""
        digest = hashlib.sha256()
        for sample in self.samples:
            utterance = sample.utterance
            digest.update(f"{utterance.wav_filename}\0{utterance.transcript}\0{sample.n_frames}\n".encode())
        return digest.hexdigest()[:16]

    def describe(self) -> list[str]:
        """Return the lines that tell what the check found."""
        hours = self.duration_s / 3600
        lines = [f"{self.name}: {len(self.samples)} utterances, {hours:.2f} h"]
        lines += [f"  {count} {what}" for what, count in sorted(self.converted.items())]
        return lines + summarize_faults(self.faults, len(self.samples) + len(self.faults))


def batch_types() -> tuple[Any, ...]:
    """Return the types (TensorSpec) of `Batch.tensors`."""
    table, row = [None, None], [None]
    kinds = (table, tf.int16), (row, tf.int32), (table, tf.int32), (row, tf.int32), (table, tf.float32)
    return tuple(tf.TensorSpec(shape, kind) for shape, kind in kinds)


def load_corpus(
    paths: Sequence[str],
    alphabet: Alphabet,
    features: FeatureSet,
    limit: int,
    console: Console,
) -> Corpus:
    """Read sets and sort out the rows that cannot be trained or tested on; `data_check.check` decides.

    Args:
        paths: CSV, SDB or tar files, which make one set.
        alphabet: the labels of the network.
        features: the feature set; its sample rate and step decide the number of frames.
        limit: look at the first rows only; 0: all.
        console: shows how far the check is and what it found.

    Raises:
        DataError: one of them cannot be read.
    """
    utterances = [utterance for path in paths for utterance in read_set(path)][: limit or None]
    corpus = Corpus(",".join(paths), features.sample_rate, [], [], collections.Counter())
    infos = in_threads(_info_or_error, utterances, READERS)
    with console.track(f"Checking {corpus.name}", len(utterances)) as tracker:
        for utterance, info in zip(utterances, infos, strict=True):
            found = check(utterance, info, alphabet, features)
            if isinstance(found, Fault):
                corpus.faults.append(found)
            elif isinstance(info, AudioInfo):
                corpus.samples.append(found)
                corpus.converted.update(_conversions(info, features.sample_rate))
            tracker.advance()
    for line in corpus.describe():
        console.say(line)
    return corpus


def load_sets(
    wanted: Mapping[str, tuple[Sequence[Sequence[str]], int]],
    alphabet: Alphabet,
    features: FeatureSet,
    console: Console,
    strict: bool,
    report: Path | None,
    is_chief: bool = True,
) -> dict[str, list[Corpus]]:
    """Read and check the sets of every purpose; see `load_corpus` and `report_faults`; warn of leaks.

    Args:
        wanted: for each purpose the files of every set, and its limit.
        alphabet: the labels of the network.
        features: the feature set.
        console: told what is found.
        strict: refuse any fault.
        report: the CSV for the faults; None: write nothing.
        is_chief: False leaves the search for leaks to the chief.
    """
    sets = {
        purpose: [load_corpus(paths, alphabet, features, limit, console) for paths in groups]
        for purpose, (groups, limit) in wanted.items()
    }
    report_faults([corpus for group in sets.values() for corpus in group], strict, report, console)
    for corpus in [*sets.get("dev", []), *sets.get("test", [])] if is_chief else []:
        for leak in _find_leaks(sets.get("train", []), corpus):
            console.warn(f"{leak.describe()} (bin/check_data.py lists all).")
    return sets


def _find_leaks(trained: Sequence[Corpus], corpus: Corpus) -> list[Overlap]:
    """Find what the training sets have in common with another, except files given for both: that is meant."""
    samples = [sample for train in trained for sample in train.samples]
    meant = {Path(source).resolve() for source in {sample.utterance.source for sample in samples}}
    sources = {sample.utterance.source for sample in corpus.samples}
    others = {source for source in sources if Path(source).resolve() not in meant}
    name = ",".join(train.name for train in trained)
    compared = [sample for sample in corpus.samples if sample.utterance.source in others]
    return find_leaks({name: samples, corpus.name: compared})


def report_faults(corpora: Sequence[Corpus], strict: bool, path: Path | None, console: Console) -> None:
    """Write the faults of all sets to a CSV and refuse what cannot be worked with.

    Args:
        corpora: all sets of a run.
        strict: refuse any fault.
        path: the CSV; None: write nothing.
        console: told of it.

    Raises:
        DataError: a set has no utterance fit for use, or `strict` and there is a fault.
    """
    faults = [fault for corpus in corpora for fault in corpus.faults]
    if faults and path:
        make_directory(path.parent)
        write_faults(path, faults)
        console.warn(f"{len(faults)} rows are left out; all of them with their reasons: {path}")
    if faults and strict:
        raise DataError(f"--strict_data: {len(faults)} rows cannot be used; mend or remove them.")
    for corpus in corpora:
        if not corpus.samples:
            raise DataError(f"{corpus.name} has no row that can be used ({len(corpus.faults)} at fault).")


def _conversions(info: AudioInfo, sample_rate: int) -> Iterator[str]:
    if info.sample_rate != sample_rate:
        yield f"resampled from {info.sample_rate} to {sample_rate} Hz"
    if info.channels > 1:
        yield f"mixed down from {info.channels} channels"


def _info_or_error(utterance: Utterance) -> AudioInfo | AudioError:
    try:
        return read_info(utterance.audio)
    except AudioError as error:
        return error


def read_batches(
    corpus: Corpus, plan: Iterable[Sequence[int]], console: Console, change: Change | None = None
) -> Iterator[Batch]:
    """Read the batches of a plan in order, a few ahead of the one in use.

    A file that has become unreadable since the check is named and left out of its batch; a batch of
    which nothing can be read comes out empty.

    Args:
        corpus: the set.
        plan: positions in it, batch by batch.
        console: told of unreadable files.
        change: how utterances are augmented, if they are.
    """
    plan = iter(plan)
    with ThreadPoolExecutor(BATCHES_AHEAD) as pool:
        ahead = collections.deque(
            pool.submit(read_batch, corpus, members, change) for members in itertools.islice(plan, BATCHES_AHEAD)
        )
        try:
            while ahead:
                asked = time.monotonic()
                batch = ahead.popleft().result()
                batch = dataclasses.replace(batch, waited_s=time.monotonic() - asked)
                for error in batch.errors:
                    console.warn(f"{error}. It is left out of its batch.")
                yield batch
                for members in itertools.islice(plan, 1):
                    ahead.append(pool.submit(read_batch, corpus, members, change))
            if change:
                change.tell_costs(console)
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


def first_recordings(
    corpora: Sequence[Corpus], count: int, seconds: int, default: Path, features: FeatureSet
) -> dict[str, NDArray[np.int16]]:
    """Read the beginnings of the first recordings of sets, int16 [samples] by path; `default` where there are none."""
    heard = [sample.utterance.audio for corpus in corpora for sample in corpus.samples[:count]][:count] or [default]
    return {str(audio): read_recording(audio, features)[: seconds * features.sample_rate] for audio in heard}


def read_recording(audio: Audio, features: FeatureSet) -> NDArray[np.int16]:
    """Read the samples, int16 [samples], of one recording.

    Raises:
        AudioError: it cannot be read, or is too short for one feature vector.
    """
    samples = read_audio(audio, features.sample_rate)
    if not features.frames(len(samples)):
        raise AudioError(f"{audio} is shorter than one analysis window of {features.window_ms:g} ms.")
    return samples


def read_batch(corpus: Corpus, members: Sequence[int], change: Change | None = None) -> Batch:
    """Read, augment and pad one batch; see `read_batches`."""
    audio: list[NDArray[np.int16]] = []
    readable: list[int] = []
    errors: list[str] = []
    numbers = np.zeros([len(members), change.n_numbers if change else 0], np.float32)
    for member in members:
        sample = corpus.samples[member]
        try:
            samples = read_audio(sample.utterance.audio, corpus.sample_rate)
            if change:
                samples, numbers[len(readable)] = change(member, samples, sample.labels)
        except AudioError as error:
            errors.append(f"{sample.utterance.place}: {error}")
        else:
            audio.append(samples)
            readable.append(member)
    labels = [corpus.samples[member].labels for member in readable]
    padded = *_padded(audio, np.int16), *_padded(labels, np.int32)
    return Batch(readable, *padded, numbers[: len(readable)], errors)


def _padded(rows: Sequence[NDArray[Any]], dtype: type) -> tuple[NDArray[Any], NDArray[np.int32]]:
    """Stack rows of different lengths into a table filled up with zeros; return it and the lengths."""
    lengths = np.array([len(row) for row in rows], np.int32)
    table: NDArray[Any] = np.zeros([len(rows), max(lengths, default=0)], dtype)
    for line, row in zip(table, rows, strict=True):
        line[: len(row)] = row
    return table, lengths
