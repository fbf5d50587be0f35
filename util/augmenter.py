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
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from util.augmentation import DOMAINS, Augmentation, parse_augmentations
from util.ctc import frames_needed
from util.data_check import Sample
from util.features import FeatureSet
from util.progress import DEBUG, INFO, Console
from util.spectral import MOVES, SpectralChange, arrange, make_numbers

Pcm = NDArray[np.int16]
Numbers = NDArray[np.float32]
Change = Callable[[int, Pcm, NDArray[np.int32]], tuple[Pcm, Numbers]]


class Augmenter:
    """Augments the utterances of a training set.

    Attributes:
        augmentations: all of them with their places on the command line, in the order in which they act.
        slots: those of the graph, with their places in the numbers of an utterance.
        n_numbers: how many numbers an utterance has for the graph.
    """

    def __init__(self, augmentations: Sequence[Augmentation], features: FeatureSet, seed: int):
        """Begin; opens the sources of noise.

        Raises:
            DataError: a source has no recordings.
        """
        order = sorted(enumerate(augmentations), key=lambda numbered: _turn(numbered[1]))
        self.augmentations, self._features, self._seed = order, features, seed % 2**64
        self.slots = arrange([augmentation for _, augmentation in order if augmentation.is_in_graph])
        self.n_numbers = sum(slot.count for slot in self.slots)
        self._sources = {source: _effects().NoiseSource(source) for _, each in order if (source := each.source)}
        self._seconds: collections.Counter[str] = collections.Counter()
        self._n_utterances, self._lock, self._has_told = 0, threading.Lock(), False

    @classmethod
    def from_flags(cls, values: dict[str, Any], features: FeatureSet) -> Augmenter:
        """Make the augmenter that flags ask for."""
        return cls(parse_augmentations(values["augment"]), features, values["random_seed"])

    def in_graph(self, numbers: Any) -> SpectralChange:
        """Return what the graph does to a batch with these numbers, float32 [batch, n_numbers]."""
        return SpectralChange(self.slots, self._features, numbers)

    def in_epoch(self, epoch: int, n_epochs: int, plan: Sequence[Sequence[int]]) -> Change | None:
        """Return the change of every utterance in an epoch: of its position, samples and labels to samples and numbers.

        Args:
            epoch: counted from 0.
            n_epochs: of the whole training, by which the clock goes from 0 to 1.
            plan: the positions of every batch.
        """
        clocks = np.zeros(max((max(members) for members in plan), default=0) + 1)
        for number, members in enumerate(plan):
            clocks[members] = (epoch + number / len(plan)) / n_epochs

        def change(position: int, samples: Pcm, labels: NDArray[np.int32]) -> tuple[Pcm, Numbers]:
            return self.augment(samples, frames_needed(labels.tolist()), epoch, position, float(clocks[position]))

        return change if self.augmentations else None

    def at_longest(self, position: int, samples: Pcm, labels: NDArray[np.int32]) -> tuple[Pcm, Numbers]:
        """Change an utterance as in an epoch, but so that it becomes as long, and costs as much, as it can."""
        return self.augment(samples, frames_needed(labels.tolist()), 0, position, None)

    def augment(self, samples: Pcm, needed: int, epoch: int, position: int, clock: float | None) -> tuple[Pcm, Numbers]:
        """Augment an utterance.

        Args:
            samples: int16 [n], at the sample rate of the features.
            needed: frames that it must keep.
            epoch: counted from 0.
            position: of the utterance in its set.
            clock: how much of the training is done, 0 to 1; None: as long as it can become.

        Returns:
            int16 [m] and float32 [n_numbers].
        """
        numbers = np.zeros(self.n_numbers, np.float32)
        slots, n_frames = iter(self.slots), None
        sound = _Sound(samples, self._features, needed)
        for place, augmentation in self.augmentations:
            slot = next(slots) if augmentation.is_in_graph else None
            random = np.random.default_rng([self._seed, epoch, position, place])
            values = augmentation.longest() if clock is None else augmentation.draw(random, clock)
            if values is None:
                continue
            if slot:
                n_frames = sound.n_frames if n_frames is None else n_frames
                row = make_numbers(slot, values, random, n_frames, needed, self._features)
                numbers[slot.first : slot.first + slot.count] = row
                n_frames += int(row[0]) if augmentation.name == "tempo" else 0
            else:
                self._count_cost(augmentation.name, sound.apply, augmentation.name, random, values, self._sources.get(augmentation.source))
        with self._lock:
            self._n_utterances += 1
        return sound.pcm(), numbers
