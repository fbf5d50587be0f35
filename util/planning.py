"""How a set is cut into batches.

A plan is a pure function of lengths, seed and epoch, so that a position in training is two numbers,
(epoch, batch), and a resumed run sees exactly the batches that were still to come.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

WINDOW_BATCHES = 32  # batches among which utterances are sorted by length before they are cut


def plan_batches(
    n_frames: Sequence[int], batch_size: int, batch_frames: int = 0, parts: int = 1, *, descending: bool = False
) -> list[list[int]]:
    """Cut a set into batches in order of length, which is the order that pads least.

    Args:
        n_frames: length of every utterance.
        batch_size: utterances per part of a batch at most.
        batch_frames: frames per part at most, padding included; 0 for no such limit. A single
            utterance longer than it makes a part of its own.
        parts: parts that a batch is dealt into (see `deal`).
        descending: longest first.

    Returns:
        Positions of the utterances of each batch; every utterance is in exactly one.
    """
    order = np.argsort(np.asarray(n_frames, np.int64), kind="stable")
    return _cut(order[::-1] if descending else order, n_frames, batch_size, batch_frames, parts)


def plan_epoch(
    n_frames: Sequence[int], batch_size: int, batch_frames: int, seed: int | None, epoch: int, parts: int = 1
) -> list[list[int]]:
    """Plan a training epoch: shuffled, in batches of like length.

    The utterances are shuffled, sorted by length within windows of `WINDOW_BATCHES` batches, cut, and
    the batches shuffled: little padding, and different companions in every epoch. Without a seed the longest
    come first, in every epoch. Arguments and result
    as of `plan_batches`.
    """
    if seed is None:
        return plan_batches(n_frames, batch_size, batch_frames, parts, descending=True)
    random = np.random.default_rng([seed, epoch])
    order = random.permutation(len(n_frames))
    window = WINDOW_BATCHES * batch_size * parts
    batches: list[list[int]] = []
    for start in range(0, len(order), window):
        part = sorted(order[start : start + window].tolist(), key=lambda member: n_frames[member])
        batches += _cut(part, n_frames, batch_size, batch_frames, parts)
    return [batches[place] for place in random.permutation(len(batches))]


def digest(plan: Sequence[Sequence[int]], fingerprint: str) -> str:
    """Return a digest of the batches of an epoch and of the set, given by its fingerprint."""
    return hashlib.sha256(repr((fingerprint, plan)).encode()).hexdigest()[:16]


def deal(members: Sequence[int], parts: int) -> list[list[int]]:
    """Deal a batch out in turn: parts of like length, since a batch is sorted by length; some may be empty."""
    return [list(members[part::parts]) for part in range(parts)]


def in_rounds(batches: Sequence[list[int]], parts: int) -> list[list[list[int]]]:
    """Group batches so that each round has one for every part; the last round is filled up with empty ones."""
    filled = [*batches, *[[]] * (-len(batches) % parts)]
    return [filled[start : start + parts] for start in range(0, len(filled), parts)]


def _cut(
    order: Sequence[int] | NDArray[np.int64], n_frames: Sequence[int], size: int, budget: int, parts: int
) -> list[list[int]]:
    batches: list[list[int]] = []
    longest = 0
    for member in map(int, order):
        longest = max(longest, n_frames[member])
        full = not batches or len(batches[-1]) == size * parts
        if full or (budget and -(-(len(batches[-1]) + 1) // parts) * longest > budget):
            batches.append([])
            longest = n_frames[member]
        batches[-1].append(member)
    return batches
