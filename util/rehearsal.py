"""A rehearsal of training: the batch that needs most memory, and how long an epoch takes."""

from __future__ import annotations

import resource
import time
from collections.abc import Callable, Sequence
from typing import Any

from util import feeding
from util.augmentation import Change
from util.cluster import Cluster
from util.planning import deal
from util.progress import Console, duration


def try_longest(
    cluster: Cluster,
    step: Callable[..., Any],
    data: feeding.Corpus,
    plan: Sequence[Sequence[int]],
    console: Console,
    change: Change | None = None,
) -> str:
    """Train on the longest batch of an epoch.

    Args:
        cluster: the devices.
        step: a training step; parts of a batch have its number and the learning rate in common.
        data: the training set.
        plan: positions in it, batch by batch.
        console: told of unreadable files.
        change: how utterances become as long as augmentation can make them.

    Returns:
        A sentence about time and memory.
    """
    frames = [len(members) * max(data.n_frames[member] for member in members) for members in plan]
    longest = deal(plan[frames.index(max(frames))], cluster.n_parts)
    batches = list(feeding.read_batches(data, cluster.own([longest]), console, change))
    for number in range(2):  # the first call compiles
        began = time.monotonic()
        list(cluster.run(step, batches, [(number, 0.0)]))
    seconds = time.monotonic() - began
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20  # Linux counts KiB
    members = [member for part in longest for member in part]
    audio_s = max(data.samples[member].duration_s for member in members)
    audio_s = max(audio_s, *(batch.n_samples.max(initial=0) / data.sample_rate for batch in batches))
    return (
        f"The longest batch ({len(members)} utterances, {audio_s:.1f} s) takes"
        f" {duration(seconds)} and {peak:.1f} GiB of memory; an epoch of {len(plan)} batches takes about"
        f" {duration(seconds * sum(frames) / max(frames))}."
    )
