"""Augmenting utterances as they are read: what is drawn for each, its samples changed, numbers for the graph.

Everything random is a function of the seed, the epoch, the position of the utterance in its set and the place of the
augmentation on the command line: not of the batch, the thread or the worker. So a resumed run draws what an
uninterrupted one does.
"""

from __future__ import annotations

import bisect
import collections
import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from util.audio import as_float, quantize
from util.augmentation import DOMAINS, Augmentation, parse_augmentations
from util.ctc import frames_needed
from util.data_check import Sample
from util.features import FeatureSet
from util.progress import Console
from util.spectral import MOVES, SpectralChange, arrange, make_numbers

Pcm = NDArray[np.int16]
Labels = NDArray[np.int32]
Numbers = NDArray[np.float32]


class Augmenter:
    """Augments the utterances of a training set.

    Attributes:
        augmentations: all of them with their places on the command line, in the order in which they act.
        slots: those of the graph, with their places in the numbers of an utterance.
        n_numbers: how many numbers an utterance has for the graph.
    """

    def __init__(self, augmentations: Sequence[Augmentation], features: FeatureSet, seed: int):
        """Begin; looks into the sources of noise.

        Raises:
            DataError: a source has no recordings.
        """
        self.augmentations = sorted(enumerate(augmentations), key=lambda placed: _turn(placed[1]))
        self.slots = arrange([each for _, each in self.augmentations if each.is_in_graph])
        self.n_numbers = sum(slot.count for slot in self.slots)
        self._features, self._seed = features, seed % 2**64
        sources = dict.fromkeys(each.source for each in augmentations if each.source)
        self._sources = {path: _effects().NoiseSource(path) for path in sources}
        self._costs, self._has_told = _Costs(each.name for _, each in self.augmentations if not each.is_in_graph), False

    @classmethod
    def from_flags(
        cls, values: Mapping[str, Any], features: FeatureSet, sets: Sequence[Any], console: Console
    ) -> Augmenter:
        """Make the augmenter that flags ask for, and announce it.

        Args:
            values: of all flags by name.
            features: the feature set.
            sets: those to train on (feeding.Corpus); without any it does nothing.
            console: told of it.
        """
        texts = values["augment"] if sets else []
        augmenter = cls(parse_augmentations(texts), features, values["random_seed"])
        augmenter.announce([sample for data in sets for sample in data.samples], console)
        return augmenter

    def in_graph(self, numbers: Any) -> SpectralChange:
        """Return what happens in the graph to a batch with these numbers, float32 [batch, n_numbers]."""
        return SpectralChange(self.slots, self._features, numbers)

    def in_epoch(self, epoch: int, n_epochs: int, plan: Sequence[Sequence[int]]) -> EpochChange:
        """Return how every utterance is changed in an epoch.

        Args:
            epoch: counted from 0.
            n_epochs: of the whole training, in which the clock goes from 0 to 1.
            plan: the positions of all batches of the epoch.
        """
        clocks = np.zeros(1 + max((max(members) for members in plan), default=0))
        for number, members in enumerate(plan):
            clocks[members] = (epoch + number / len(plan)) / n_epochs
        return EpochChange(self, epoch, clocks)

    def at_longest(self) -> EpochChange:
        """Return how utterances become as long, and take as much work, as they can."""
        return EpochChange(self, 0, None)

    def random(self, epoch: int, position: int, place: int) -> np.random.Generator:
        """Return the Generator for what the augmentation at a place of the command line does to an utterance."""
        return np.random.default_rng([self._seed, epoch, position, place])

    def augment(
        self, samples: Pcm, labels: Labels, epoch: int, position: int, clock: float | None
    ) -> tuple[Pcm, Numbers]:
        """Augment an utterance.

        Args:
            samples: int16 [n], at the sample rate of the features.
            labels: int32 [labels], for which it must remain long enough.
            epoch: counted from 0.
            position: of the utterance in its set.
            clock: how much of the training is done, 0 to 1; None: make it as long as it can become.

        Returns:
            int16 [m] and float32 [n_numbers].
        """
        if not (self.augmentations and len(samples)):
            return samples, np.zeros(self.n_numbers, np.float32)
        sound = _Sound(samples, self._features, max(1, frames_needed(labels.tolist())))
        slots, numbers = iter(self.slots), np.zeros(self.n_numbers, np.float32)
        seconds: dict[str, float] = collections.defaultdict(float)
        for place, augmentation in self.augmentations:
            slot = next(slots) if augmentation.is_in_graph else None
            random = self.random(epoch, position, place)
            values = augmentation.draw(random, clock) if clock is not None else augmentation.longest()
            if values is None:
                continue
            if slot:
                row = make_numbers(slot, values, random, sound.n_frames, sound.needed, self._features)
                numbers[slot.first : slot.first + slot.count] = row
                sound.n_frames += int(row[0]) if augmentation.name == "tempo" else 0
            else:
                source = {"source": self._sources[augmentation.source]} if augmentation.source else {}
                began = time.thread_time()
                sound.apply(augmentation.name, values | source, random)
                seconds[augmentation.name] += time.thread_time() - began
        self._costs.add(seconds)
        return sound.pcm(), numbers

    def announce(self, samples: Sequence[Sample], console: Console) -> None:
        """Say which augmentations there are, and where transcripts limit speed and tempo."""
        if not self.augmentations:
            return
        parts = (f"{each.name} (p {each.p:g}, {each.domain})" for _, each in self.augmentations)
        console.say(f"Training batches are augmented: {', '.join(parts)}.")
        fastest, names = 1.0, []
        for _, each in self.augmentations:
            if "factor" in each.values and each.values["factor"].high > 1:
                fastest *= each.values["factor"].high
                names.append(each.name)
        limited = sum(_is_limited(sample, fastest) for sample in samples) if names else 0
        if limited:
            console.say(
                f"Augmentation {' and '.join(dict.fromkeys(names))} is limited for {limited} of {len(samples)}"
                " utterances: faster, they would be too short for their transcripts."
            )

    def tell_costs(self, console: Console) -> None:
        """Say, once, what the augmentation of an utterance takes."""
        if self.augmentations and not self._has_told:
            self._has_told = True
            in_graph = dict.fromkeys(slot.augmentation.name for slot in self.slots)
            costs = {"per utterance": self._costs.describe(), "within the training step": list(in_graph)}
            clauses = [f"{where} {', '.join(names)}" for where, names in costs.items() if names]
            console.say(f"Augmentation costs {'; '.join(clauses)}.")


class EpochChange:
    """How the utterances of an epoch are changed; a `feeding.Change`."""

    def __init__(self, augmenter: Augmenter, epoch: int, clocks: NDArray[np.float64] | None):
        self.n_numbers = augmenter.n_numbers
        self._augmenter, self._epoch, self._clocks = augmenter, epoch, clocks

    def __call__(self, position: int, samples: Pcm, labels: Labels) -> tuple[Pcm, Numbers]:
        """Augment an utterance; see `Augmenter.augment`."""
        clock = None if self._clocks is None else float(self._clocks[position])
        return self._augmenter.augment(samples, labels, self._epoch, position, clock)

    def tell_costs(self, console: Console) -> None:
        """Say, once, what the augmentation of an utterance takes."""
        self._augmenter.tell_costs(console)


def _turn(augmentation: Augmentation) -> tuple[int, bool]:
    """Return the sort key of the order in which augmentations act: by domain, within it as on the command line.

    What moves the spectrum comes before what changes it: the one acts on energies, the other on their logarithms.
    """
    return DOMAINS.index(augmentation.domain), augmentation.name not in MOVES


def _is_limited(sample: Sample, fastest: float) -> bool:
    """Whether an utterance at this factor would have too few frames."""
    n_frames = sample.n_frames / fastest
    return n_frames < 2 * len(sample.labels) and n_frames < frames_needed(sample.labels.tolist())


class _Sound:
    """An utterance under augmentation.

    Attributes:
        needed: frames that it must keep.
        n_frames: of its features, by now.
    """

    def __init__(self, pcm: Pcm, features: FeatureSet, needed: int):
        self._pcm, self._features = pcm, features
        self._samples: NDArray[np.float32] | None = None  # from the first effect on
        self.needed, self.n_frames = needed, features.frames(len(pcm))

    def apply(self, name: str, values: Mapping[str, Any], random: np.random.Generator) -> None:
        """Apply an effect; speed only as far as the utterance keeps the frames it needs."""
        samples = self._samples
        if samples is None:
            samples = as_float(self._pcm)
        if name == "speed":
            values = {"factor": self._limit(values["factor"], len(samples))}
        self._samples = getattr(_effects(), name)(samples, self._features.sample_rate, random, **values)
        self.n_frames = self._features.frames(len(self._samples))

    def _limit(self, factor: float, n_samples: int) -> float:
        frames = self._features.frames
        if frames(_effects().speed_length(n_samples, factor)) >= self.needed:
            return factor
        least = bisect.bisect_left(range(n_samples), self.needed, key=frames)
        return min(factor, max(1.0, n_samples / (least + 1)))  # one more: the length is rounded

    def pcm(self) -> Pcm:
        """Return int16 samples, exactly those of the beginning where nothing was applied."""
        return self._pcm if self._samples is None else quantize(self._samples)


class _Costs:
    """What effects take: processor time of the threads that read."""

    def __init__(self, names: Iterable[str]):
        self._lock, self._n_utterances = threading.Lock(), 0
        self._seconds = dict.fromkeys(names, 0.0)

    def add(self, seconds: Mapping[str, float]) -> None:
        """Count an utterance and what each effect took for it."""
        with self._lock:
            self._n_utterances += 1
            for name, spent in seconds.items():
                self._seconds[name] += spent

    def describe(self) -> list[str]:
        """Return the mean of each effect over all utterances."""
        n_utterances = max(self._n_utterances, 1)
        return [f"{name} {1000 * total / n_utterances:.2f} ms" for name, total in self._seconds.items()]


def _effects() -> Any:
    from util import effects  # noqa: PLC0415 - slow to import

    return effects
