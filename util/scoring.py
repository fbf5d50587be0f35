"""What the network says of a whole set, computed on all devices."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from util import metrics
from util.cluster import Cluster
from util.errors import DataError
from util.feeding import Corpus, read_batches
from util.planning import in_rounds
from util.progress import Console

Key = tuple[int, float]  # position of an utterance in its set, and its loss
Scored = tuple[Key, NDArray[Any]]  # ..and what the network says, [time, ..]


def score_batches(
    cluster: Cluster, step: Callable[..., Any], corpus: Corpus, plan: Sequence[list[int]], console: Console
) -> Iterator[Iterator[Scored]]:
    """Run the batches of a plan through a step of the network, on all devices; every worker gets all results.

    Args:
        cluster: the devices.
        step: from `Cluster.replicate`; takes `Batch.tensors` and gives losses [batch], outputs [batch, time, ..] and
            lengths [batch].
        corpus: the set.
        plan: positions in it, batch by batch.
        console: shows how far it is, and is told of unreadable files.

    Yields:
        Round by round, the key of each utterance and its outputs [time, ..].
    """
    rounds = in_rounds(plan, cluster.n_parts)
    with console.track(f"Scoring {corpus.name}", len(rounds)) as tracker:
        for batches, results in cluster.run(step, read_batches(corpus, cluster.own(rounds), console)):
            members = [member for batch in batches for member in batch.members]
            rows = [
                (loss, length, output[:length])
                for batch, result in zip(batches, results, strict=True)
                for _, loss, output, length in zip(batch.members, *result, strict=False)
            ]
            losses, lengths, outputs = zip(*rows, strict=True) if rows else ((), (), (results[0][1][0, :0],))
            parts = (
                np.array(members, np.int32),
                np.array(losses, np.float32),
                np.array(lengths, np.int32),
                np.concatenate(outputs),
            )
            yield _scored(*map(cluster.gather, parts))
            tracker.advance()


def _scored(members: NDArray[Any], losses: NDArray[Any], lengths: NDArray[Any], flat: NDArray[Any]) -> Iterator[Scored]:
    outputs = np.split(flat, np.cumsum(lengths)[:-1])
    for member, loss, output in zip(members.tolist(), losses.tolist(), outputs, strict=False):
        yield (member, loss), output


def compare(data: Corpus, hypotheses: Mapping[Key, str]) -> list[metrics.Sample]:
    """Compare what was recognised in a set with what was said.

    Raises:
        DataError: nothing was recognised.
    """
    if not hypotheses:
        raise DataError(f"No audio file of {data.name} can be read any more.")
    found = [(data.samples[member].utterance, loss, hypotheses[member, loss]) for member, loss in sorted(hypotheses)]
    return [metrics.score(utterance.path, utterance.transcript, text, loss) for utterance, loss, text in found]
