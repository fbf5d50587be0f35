"""A rehearsal of training: the batch that needs most memory, and how long an epoch takes."""

from __future__ import annotations

import resource
import time
from collections.abc import Callable, Sequence
from typing import Any

from util import feeding
from util.progress import Console, duration


def try_longest(
    train_step: Callable[..., Any], data: feeding.Corpus, plan: Sequence[Sequence[int]], console: Console
) -> str:
    """Train on the longest batch of an epoch.

    Args:
        train_step: takes `Batch.tensors` and `step`.
        data: the training set.
        plan: positions in it, batch by batch.
        console: told of unreadable files.

    Returns:
        A sentence about time and memory.
    """
    frames = [len(members) * max(data.n_frames[member] for member in members) for members in plan]
    batch = next(feeding.read_batches(data, [plan[frames.index(max(frames))]], console))
    for step in range(2):  # the first call compiles
        began = time.monotonic()
        train_step(*batch.tensors, step=step)[0].numpy()
    seconds = time.monotonic() - began
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20  # Linux counts KiB
    return (
        f"The longest batch ({len(batch.members)} utterances, {max(batch.n_samples) / data.sample_rate:.1f} s) takes"
        f" {duration(seconds)} and {peak:.1f} GiB of memory; an epoch of {len(plan)} batches takes about"
        f" {duration(seconds * sum(frames) / max(frames))}."
    )
