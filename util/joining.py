"""Taking part: this machine's devices, or a task of a cluster that starts, waits for the others, and ends with them."""

from __future__ import annotations

import contextlib
import dataclasses
import logging
import os
import re
import signal
import socket
import threading
import time
from collections.abc import Iterator, Mapping
from typing import Any

from util import tf
from util.cluster import Cluster, ParameterServers, StopWord
from util.errors import ClusterError, TrainingError
from util.listening import listen_only_on
from util.progress import Console, StopRequest
from util.task import Task, count_cores, is_listening, split_address

POLL_SECONDS = 0.5  # between two looks at whether the chief is still there
SILENT_SECONDS = 10.0  # after which to say who is waited for
END_MS = 7 * 24 * 3600 * 1000  # in which the chief has tested and exported
PROBE_PAUSE = 0.1  # seconds between two looks at who is there
CLUSTER_THREADS = 4  # operations at a time, at least: one that waits for another task must not hold up its answer


@dataclasses.dataclass(frozen=True)
class DeviceSettings:
    """How a process computes, and takes part in a cluster.

    Attributes:
        inter_op: operations that run at a time; 0: as many as there are cores.
        intra_op: threads of one operation; 0: as many as there are cores.
        seed: seed of TensorFlow's stateful random operations.
        grow_gpu_memory: take GPU memory as it is needed instead of all of it.
        log_placement: log the device of every operation.
        timeout: seconds to wait for the other tasks.
        listen_host: interface to listen on instead of the host of the task's address; empty: that one.
    """

    inter_op: int = 0
    intra_op: int = 0
    seed: int = 0
    grow_gpu_memory: bool = False
    log_placement: bool = False
    timeout: float = 300.0
    listen_host: str = ""

    @classmethod
    def from_flags(cls, values: Mapping[str, Any]) -> DeviceSettings:
        """Take the settings from flags of these names."""
        names = "inter_op_parallelism_threads intra_op_parallelism_threads random_seed use_allow_growth log_placement"
        return cls(*(values[name] for name in [*names.split(), "cluster_timeout", "listen_host"]))

    def inter_op_threads(self, least: int) -> int:
        """Return operations that run at a time, `least` or more; 0: as many as there are cores."""
        return max(self.inter_op or count_cores(), least) if least else self.inter_op

    @property
    def server_config(self) -> Any:
        """TensorFlow's form of it for a server."""
        config = tf.compat.v1.ConfigProto(
            inter_op_parallelism_threads=self.inter_op_threads(CLUSTER_THREADS),
            intra_op_parallelism_threads=self.intra_op,
        )
        config.gpu_options.allow_growth = self.grow_gpu_memory
        return config


def start_devices(settings: DeviceSettings, least_inter_op: int = 0) -> str:
    """Set TensorFlow up for this process; the same command then gives the same numbers.

    Args:
        settings: of this process.
        least_inter_op: operations at a time, at least.

    Returns:
        What the run computes on, for people.
    """
    tf.config.threading.set_inter_op_parallelism_threads(settings.inter_op_threads(least_inter_op))
    tf.config.threading.set_intra_op_parallelism_threads(settings.intra_op)
    tf.config.experimental.enable_op_determinism()
    tf.random.set_seed(settings.seed)
    tf.debugging.set_log_device_placement(settings.log_placement)
    gpus = tf.config.list_physical_devices("GPU")
    for gpu in gpus:
        tf.config.experimental.set_memory_growth(gpu, settings.grow_gpu_memory)
    return f"TensorFlow {tf.__version__} on " + (f"{len(gpus)} GPU(s)" if gpus else f"{count_cores()} CPU core(s)")


def join_cluster(task: Task, settings: DeviceSettings, console: Console) -> Cluster:
    """Take part in a cluster once all its tasks are there, or use the devices of this machine.

    Args:
        task: the part.
        settings: of this process.
        console: told what it computes on, and whom it waits for.

    Raises:
        ClusterError: a task does not come up, or this one cannot listen.
    """
    if not task.hosts:
        console.say(start_devices(settings))
        gpus = tf.config.list_logical_devices("GPU")
        return Cluster(tf.distribute.MirroredStrategy() if len(gpus) > 1 else tf.distribute.get_strategy(), task)
    with task.listen(settings.listen_host):  # TensorFlow would wait for the others without end, deaf to signals
        _keep_to_address(task, settings, console)
        console.say(start_devices(settings, CLUSTER_THREADS))
        _await(dict(task.others()), settings, console)
    return _coordinate(task, settings, console) if task.is_asynchronous else _fall_in(task)


def _keep_to_address(task: Task, settings: DeviceSettings, console: Console) -> None:
    os.environ.pop("TF_CONFIG", None)  # it has been read, and would be again
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # a lost task is told in a sentence
    os.environ.setdefault("GRPC_FAIL_FAST", "use_caller")
    if not listen_only_on(settings.listen_host or split_address(task.address)[0]):
        console.warn("TensorFlow's server can be kept to one address on Linux only: here it listens on all of them.")


def _fall_in(task: Task) -> Cluster:
    resolver = tf.distribute.cluster_resolver.SimpleClusterResolver(
        tf.train.ClusterSpec(task.hosts), task_type=task.job, task_id=task.index, rpc_layer="grpc"
    )
    handler = signal.getsignal(signal.SIGTERM)
    strategy = tf.distribute.MultiWorkerMirroredStrategy(resolver)
    signal.signal(signal.SIGTERM, handler)  # TensorFlow has taken it to hear of preemption
    return Cluster(strategy, task)


def _coordinate(task: Task, settings: DeviceSettings, console: Console) -> Cluster:
    own_server, chief = None, (task.chief, task.chief_address)
    if task.job == "worker":  # the two jobs of this process need a server each
        own_server = _start_server(task, settings)
        host = split_address(task.address)[0]
        with contextlib.closing(socket.create_server((settings.listen_host or host, 0))) as probe:
            address = f"{host}:{probe.getsockname()[1]}"
        task = dataclasses.replace(task, hosts={**task.hosts, "chief": [address]})
    logger = logging.getLogger("tensorflow")
    logger.handlers = [_Losses(task, console)]
    logger.propagate = False
    return ParameterServers(task, chief, own_server)


class _Losses(logging.Handler):
    """Says in a line what TensorFlow logs of a lost worker in a page."""

    def __init__(self, task: Task, console: Console):
        super().__init__()
        self._task, self._console = task, console

    def emit(self, record: logging.LogRecord) -> None:
        if lost := re.search(r"Worker /job:worker/replica:0/task:(\d+) failed", record.getMessage()):
            address = self._task.hosts["worker"][int(lost[1])]
            self._console.warn(f"worker {lost[1]} ({address}) is lost: others do its open steps, and it may come back.")


def serve(task: Task, settings: DeviceSettings, console: Console) -> None:
    """Lend this process to the chief, as worker or parameter server, until the chief has ended.

    Args:
        task: worker or parameter server.
        settings: of this process.
        console: told of the chief's end.

    Raises:
        ClusterError: the chief does not come up, or this task cannot listen.
    """
    task.listen(settings.listen_host).close()
    _keep_to_address(task, settings, console)
    server = _start_server(task, settings)
    chief = " ".join(map(str, task.chief))
    console.say(f"{task.job} {task.index} serves {chief} ({task.chief_address}).")
    is_told = False
    with StopRequest() as stop:
        _await({chief: task.chief_address}, settings, console, stop)
        while is_listening(task.chief_address):
            if stop and not is_told:
                console.say(f"Asked to end: {chief} is told, saves, and ends the cluster.")
                StopWord(task.chief, task.chief_address).say()
                is_told = True
            time.sleep(POLL_SECONDS)
    del server
    console.say(f"{chief} has ended, and so does {task.job} {task.index}.")


def await_end(task: Task) -> None:
    """Let workers in step end together: until all have come here one may be receiving what another has sent."""
    if task.is_asynchronous or not list(task.others()):
        return
    context = tf.part("python.eager.context").context()

    def meet() -> None:
        with contextlib.suppress(tf.errors.OpError):  # one is lost: nobody needs the others any more
            context.wait_at_barrier("end", END_MS)

    waiting = threading.Thread(target=meet, daemon=True)
    waiting.start()
    with contextlib.suppress(KeyboardInterrupt):
        waiting.join()


def _start_server(task: Task, settings: DeviceSettings) -> Any:
    return tf.distribute.Server(
        tf.train.ClusterSpec(task.hosts),
        job_name=task.job,
        task_index=task.index,
        protocol="grpc",
        config=settings.server_config,
    )


def _await(whom: dict[str, str], settings: DeviceSettings, console: Console, stop: object = None) -> None:
    """Wait until somebody has answered at each of some addresses, or until stopped.

    Raises:
        ClusterError: that took too long.
    """
    began, is_said = time.monotonic(), False
    while not stop:
        whom = {name: address for name, address in whom.items() if not is_listening(address)}
        if not whom:
            return
        names = ", ".join(f"{name} ({address})" for name, address in whom.items())
        if time.monotonic() - began > settings.timeout:
            raise ClusterError(
                f"Waited {settings.timeout:g} s for {names}: start every task of the cluster, see that this host can"
                " reach that address, or wait longer with --cluster_timeout."
            )
        if not is_said and time.monotonic() - began > SILENT_SECONDS:
            console.say(f"Waiting for {names}.")
            is_said = True
        time.sleep(PROBE_PAUSE)


@contextlib.contextmanager
def explain_losses(task: Task) -> Iterator[None]:
    """Turn TensorFlow's error about a lost task into a sentence.

    Raises:
        ClusterError: a task has been lost.
        TrainingError: memory is not enough.
    """
    try:
        yield
    except tf.errors.ResourceExhaustedError as error:
        raise TrainingError(
            "Out of memory: lower --train_batch_size or --batch_frames; --dry_run tries the longest batch."
        ) from error
    except tf.errors.OpError as error:
        if not task.hosts or isinstance(error, tf.errors.InvalidArgumentError):
            raise
        named = re.search(r"/job:(\w+)/replica:\d+/task:(\d+)", str(error))
        lost = task.silent() or [" ".join(named.groups()) if named else "a task"]
        raise ClusterError(
            f"Lost {', '.join(lost)}: its own output says why. Start all tasks again with the same command; training"
            " goes on from the last checkpoint."
        ) from error
