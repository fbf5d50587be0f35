"""Dropout (Srivastava et al. 2014) whose masks are a function of the seed and the step alone."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import Any

from util import tf

Tensor = Any


class Dropout:
    """The dropout of one training step; call it on the output of a layer, by the layer's name.

    A resumed run draws the same masks as one that was never interrupted.
    """

    MASKS = 16  # masks of one step at most; the seeds of two steps do not meet

    def __init__(self, rates: Mapping[str, float], seed: int, step: Tensor):
        """Begin.

        Args:
            rates: by layer.
            seed: of the run.
            step: int32, a number that no other step, or part of one, has.
        """
        self._rates, self._seed, self._step = rates, seed, step
        self._masks = itertools.count()

    def __call__(self, x: Tensor, layer: str) -> Tensor:
        """Zero a share of `x`, float32 of any shape, and scale up the rest."""
        rate = self._rates[layer]
        if not rate:
            return x
        seed = tf.stack([self._seed, self._step * self.MASKS + next(self._masks)])
        return tf.nn.experimental.stateless_dropout(x, rate, seed, rng_alg="philox")


def no_dropout(x: Tensor, _layer: str) -> Tensor:
    """Return `x` as it is: what stands for dropout in validation, test and use."""
    return x
