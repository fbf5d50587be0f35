"""What the network says of a whole set, computed on all devices."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from util import metrics
from util.cluster import Cluster
from util.errors import DataError
from util.feeding import Batch, Corpus, read_batches
from util.planning import in_rounds
from util.progress import Console

Key = tuple[int, float]  # position of an utterance in its set, and its loss
Scored = tuple[Key, NDArray[Any]]  # ..and what the network says, [time, ..]
Rounds = Iterator[Iterator[Scored]]  # of all devices


def score_batches(
    cluster: Cluster, step: Callable[..., Any], corpus: Corpus, plan: Sequence[list[int]], console: Console
) -> Rounds:
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


def recognise(cluster: Cluster, step: Callable[..., Any], samples: NDArray[np.int16]) -> NDArray[np.float32]:
    """Return the probabilities, float32 [frames, n_labels + 1], of a recording, int16 [samples]."""
    length, label, one = (np.array(value, np.int32) for value in ([len(samples)], [[0]], [1]))
    batch = Batch([0], samples[np.newaxis], length, label, one, np.zeros([1, 0], np.float32), [])
    _, results = next(cluster.run(step, [batch] * cluster.n_local))
    probabilities: NDArray[np.float32] = results[0][1][0]
    return probabilities


SHARED_FLAGS = (
    "bidirectional n_hidden layer_norm relu_clip random_seed train_batch_size dev_batch_size test_batch_size"
    " batch_frames reverse_train reverse_dev reverse_test epochs validation_step learning_rate train test early_stop"
    " load_train augment"
)


def same_everywhere(
    values: Mapping[str, Any], labels: Sequence[str], sets: Mapping[str, Sequence[Corpus]]
) -> dict[str, str]:
    """Return, by name, what all tasks of a cluster have to be told alike: flags, alphabet, and the rows of the sets."""
    rows = {f"the rows of --{name}_files": str([data.fingerprint for data in group]) for name, group in sets.items()}
    return {f"--{name}": str(values[name]) for name in SHARED_FLAGS.split()} | {"the alphabet": str(labels)} | rows
