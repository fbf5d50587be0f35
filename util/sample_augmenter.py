"""Augmenting utterances outside of training: for sets that are written, and for the ear."""

from __future__ import annotations

import functools
import threading
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from util.augmentation import parse_augmentations
from util.augmenter import Augmenter
from util.corpus import Utterance
from util.errors import UsageError
from util.features import FeatureSet

_WINDOW_MS, _STEP_MS = 25, 20  # of the features, by which an utterance keeps the frames that its transcript needs


class SampleAugmenter:
    """Augments recordings at their own sample rate; threads may share it."""

    def __init__(self, texts: Sequence[str], seed: int, clock: float):
        """Parse the values of --augment.

        Args:
            texts: those.
            seed: everything random comes from it.
            clock: how much of the training is done, 0 to 1, which value ranges depend on.

        Raises:
            UsageError: one is wrong, or changes what the network sees instead of samples.
        """
        if not 0 <= clock <= 1:
            raise UsageError(f"--clock is {clock:g}, expected a part of the training, from 0 to 1.")
        self._augmentations = parse_augmentations(texts)
        for text, augmentation in zip(texts, self._augmentations, strict=True):
            if augmentation.is_in_graph:
                raise UsageError(
                    f"--augment '{text}' changes the {augmentation.domain}, which training computes, not the samples: "
                    "leave it out here, and look at it with bin/preview_augment.py."
                )
        self._seed, self._clock, self._lock = seed, clock, threading.Lock()
        self._at_rate = functools.cache(self._make)

    def __call__(
        self, utterance: Utterance, number: int, samples: NDArray[np.int16], sample_rate: int
    ) -> NDArray[np.int16]:
        """Augment an utterance.

        Args:
            utterance: the one; speed leaves it long enough for its transcript.
            number: its place, by which its values are drawn.
            samples: int16 [samples].
            sample_rate: in Hz.

        Returns:
            int16 [samples].

        Raises:
            DataError: the source of an augmentation has no recordings.
        """
        with self._lock:
            augmenter = self._at_rate(sample_rate)
        characters = np.array([ord(character) for character in utterance.transcript], np.int32)
        return augmenter.augment(samples, characters, 0, number, self._clock)[0]

    def _make(self, sample_rate: int) -> Augmenter:
        return Augmenter(self._augmentations, FeatureSet("classic", sample_rate, _WINDOW_MS, _STEP_MS), self._seed)
