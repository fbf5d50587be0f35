"""Where steps are computed: the devices of this process, the workers of a cluster, parameter servers.

One interface for all, on tf.distribute: a step is a function of the parts of a batch, and running it on batches yields
the results in order. With several devices or workers in step every batch is dealt to them, and gradients are
summed over all of them; parameter servers give every worker whole batches of its own.
"""

from __future__ import annotations

import collections
import functools
import hashlib
import itertools
import json
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from util import tf
from util.errors import ClusterError
from util.task import Task

Tensor = Any
Variables = Mapping[str, Any]

POLL_SECONDS = 0.5  # between two looks at whether a task wants to end


class Cluster:
    """The devices of one process, on its own or in step with other workers.

    Attributes:
        strategy: TensorFlow's.
        is_chief: whether this process logs, saves, tests and exports.
        n_parts: parts that a batch is dealt into, one for each device of all workers.
        n_local: how many of them are this process's.
        in_flight: steps begun whose results have not been seen.
    """

    in_flight = 0

    def __init__(self, strategy: Any, task: Task):
        self.strategy, self.is_chief = strategy, task.is_chief
        self.n_parts = strategy.num_replicas_in_sync
        self.n_workers = len(task.hosts.get("worker", ())) or 1
        self.n_local = self.n_parts // self.n_workers
        self._first = task.index * self.n_local

    def own(self, rounds: Iterable[Sequence[Any]]) -> Iterator[Any]:
        """Return this process's parts of rounds that have one part for each device, one after the other."""
        return itertools.chain.from_iterable(parts[self._first : self._first + self.n_local] for parts in rounds)

    def replicate(self, step: Callable[..., Any], batch: Sequence[Any], common: Sequence[Any] = ()) -> Any:
        """Compile a step so that each device computes it on its own part.

        Args:
            step: takes the tensors of a part, then those that all parts have in common.
            batch: their types (TensorSpec) ..
            common: .. and theirs.

        Returns:
            A function from a list of parts and the common tensors to a list of results.
        """

        def call(parts: Sequence[Sequence[Tensor]], *common: Tensor) -> Any:
            def part_of(context: Any) -> Any:
                return parts[context.replica_id_in_sync_group - self._first]

            if self.n_local == 1:
                mine = parts[0]
            else:
                mine = self.strategy.experimental_distribute_values_from_function(part_of)
            results = self.strategy.run(lambda part: step(*part, *common), args=(mine,))
            return list(zip(*map(self.strategy.experimental_local_results, results), strict=True))

        return tf.function(call, input_signature=[[tuple(batch)] * self.n_local, *common])

    def run(
        self,
        step: Callable[..., Any],
        batches: Iterable[Any],
        common: Iterable[Sequence[Any]] = itertools.repeat(()),
        paused: Callable[[], bool] = bool,
    ) -> Iterator[tuple[list[Any], Any]]:
        """Run a step on this process's parts of every batch, in order.

        Args:
            step: from `replicate`.
            batches: parts, which have `tensors`, one after the other.
            common: what all parts of a batch have in common, batch by batch.
            paused: while it is true no step is begun before the results of all others have been seen.

        Yields:
            The parts of a batch, and the result of each.
        """
        groups = zip(*[iter(batches)] * self.n_local, strict=True)
        return self._compute(step, zip(map(list, groups), common, strict=False), paused)

    def _compute(
        self, step: Any, inputs: Iterable[Any], _paused: Callable[[], bool]
    ) -> Iterator[tuple[list[Any], Any]]:
        for parts, values in inputs:  # one after the other: nothing else is ever under way
            yield parts, _numbers(step([part.tensors for part in parts], *values))

    def sum(self, values: Any) -> Any:
        """Return tensors summed over all devices; to be called in a step."""
        if self.n_parts == 1:
            return values
        return tf.distribute.get_replica_context().all_reduce(tf.distribute.ReduceOp.SUM, values)

    def number(self) -> Any:
        """Return the number of the device; to be called in a step."""
        return tf.distribute.get_replica_context().replica_id_in_sync_group

    def gather(self, array: Any) -> Any:
        """Return an array with those of all workers joined along the first axis, in their order."""
        if self.n_workers == 1:
            return array
        array = np.asarray(array)
        parts = [array] + [array[:0]] * (self.n_local - 1)
        values = self.strategy.experimental_distribute_values_from_function(
            lambda context: tf.constant(parts[context.replica_id_in_sync_group - self._first])
        )
        return self.strategy.gather(values, axis=0).numpy()

    def any(self, wish: object) -> bool:
        """Tell whether any worker wishes something; all of them have to ask at the same place."""
        if self.n_workers == 1:
            return bool(wish)
        (count,), *_ = self._count_wishes([(float(bool(wish)),)] * self.n_local)
        return bool(count)

    @functools.cached_property
    def _count_wishes(self) -> Any:
        """Compiled, since it is asked after every step: `gather` takes 50 ms."""
        return self.replicate(lambda wish: (self.sum(tf.identity(wish)),), [tf.TensorSpec([], tf.float32)])

    def share(self, loaded: Mapping[str, Any] | None, variables: Variables) -> Any:
        """Give every worker what the chief has loaded: a JSON value, which is returned, and the variables."""
        if self.n_workers == 1:
            return loaded
        text = json.dumps(loaded).encode() if self.is_chief else b""
        text = self.gather(np.frombuffer(text, np.uint8).astype(np.int32)).astype(np.uint8).tobytes()
        if json.loads(text) is not None:
            self.copy_from_chief(variables)
        return json.loads(text)

    def copy_from_chief(self, variables: Variables) -> None:
        """Give every worker the chief's values of variables."""

        def spread() -> None:
            is_first = tf.cast(tf.equal(self.number(), 0), tf.float32)
            for variable in variables.values():
                variable.assign(self.sum(variable * is_first))

        if self.n_workers > 1:
            tf.function(lambda: self.strategy.run(spread))()

    def agree(self, what: Mapping[str, str]) -> None:
        """See that all workers were told the same.

        Raises:
            ClusterError: one was told something else.
        """
        digests = np.array([[_digest(value) for value in what.values()]], np.int64)
        for worker, row in enumerate(self.gather(digests)):
            differing = [name for name, same in zip(what, row == digests[0], strict=True) if not same]
            if differing:
                raise ClusterError(
                    f"Worker {worker} and worker 0 differ in {', '.join(differing)}: start all tasks with the same"
                    " flags and the same data."
                )


class ParameterServers(Cluster):
    """Workers that take whole batches in turn, and servers that hold the variables; this process coordinates them."""

    STEPS_AHEAD = 2  # begun for each worker

    def __init__(self, task: Task, chief: tuple[tuple[str, int], str], own_server: Any):
        spec = tf.train.ClusterSpec(task.hosts)
        resolver = tf.distribute.cluster_resolver.SimpleClusterResolver(
            spec, task_type="chief", task_id=0, rpc_layer="grpc"
        )
        self.strategy = tf.distribute.ParameterServerStrategy(resolver)
        self.is_chief, self.n_parts, self.n_workers, self.n_local, self._first = True, 1, 1, 1, 0
        self._ahead = self.STEPS_AHEAD * len(task.hosts["worker"])
        self._coordinator = tf.distribute.coordinator.ClusterCoordinator(self.strategy)
        self._own_server = own_server  # it lives as long as this
        self._stop_word = StopWord(*chief)

    def replicate(self, step: Callable[..., Any], batch: Sequence[Any], common: Sequence[Any] = ()) -> Any:
        """Compile a step; see `Cluster.replicate`."""
        return tf.function(lambda part, *common: step(*part, *common), input_signature=[tuple(batch), *common])

    def _compute(self, step: Any, inputs: Iterable[Any], paused: Callable[[], bool]) -> Iterator[tuple[list[Any], Any]]:
        pending: collections.deque[Any] = collections.deque()

        def results() -> tuple[list[Any], Any]:
            parts, begun = pending.popleft()
            numbers = [begun.fetch()]
            self.in_flight = len(pending)
            return parts, numbers

        for parts, values in inputs:
            while pending and (len(pending) >= self._ahead or paused()):
                yield results()
            with tf.device("/job:chief/replica:0/task:0/device:CPU:0"):  # workers fetch them from here
                part, *sent = tf.nest.map_structure(tf.constant, (parts[0].tensors, *values))
            pending.append((parts, self._coordinator.schedule(step, args=(part, *sent))))
            self.in_flight = len(pending)
        while pending:
            yield results()

    def number(self) -> Any:
        """Return 0: a step has one part."""
        return 0

    def any(self, wish: object) -> bool:
        """Tell whether this process or, with the stop word, any other wishes to end."""
        return bool(wish) or self._stop_word.is_said()


class StopWord:
    """What a task that has been asked to end tells the chief: a queue on the chief's server."""

    def __init__(self, chief: tuple[str, int], address: str):
        device = f"/job:{chief[0]}/replica:0/task:{chief[1]}/device:CPU:0"
        graph = tf.Graph()
        with graph.as_default(), tf.device(device):
            queue = tf.queue.FIFOQueue(1000, tf.int32, shapes=[[]], shared_name="deepspeech/stop")
            self._say, self._size = queue.enqueue(0), queue.size()
        config = tf.compat.v1.ConfigProto(device_filters=[device])  # whoever else is gone does not matter
        self._session = tf.compat.v1.Session(f"grpc://{address}", graph=graph, config=config)
        self._asked_at, self._is_said = 0.0, False

    def say(self) -> None:
        """Tell the chief."""
        self._session.run(self._say)

    def is_said(self) -> bool:
        """Tell whether any task has said it; looks now and then."""
        if not self._is_said and time.monotonic() - self._asked_at > POLL_SECONDS:
            self._is_said = bool(self._session.run(self._size))
            self._asked_at = time.monotonic()
        return self._is_said


def _numbers(results: Any) -> Any:
    """Return tensors of any structure as NumPy arrays."""
    return tf.nest.map_structure(lambda tensor: tensor.numpy(), results)


def _digest(text: str) -> int:
    """Return 63 bits that stand for a text."""
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1
