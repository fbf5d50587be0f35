#!/usr/bin/env python3
"""Measure what a second worker brings, and predict what more of them would.

Every task that computes has one core: its process is kept on it, with one thread for an operation.
In turn, several rounds:

    single  a process on its own
    pair    two of them at the same time that know nothing of each other: the machine's ceiling, since
            two cores share memory and perhaps more, whatever a program does
    sync    a cluster of two workers in step
    ps      two workers with a parameter server and a chief, which may use both cores

All train the same network on the same utterances, cut to one length, 16 of them for each worker and
step. Throughput is audio seconds over the seconds of an epoch, the median of all epochs but the first
of every run, which compiles; `ratio` is to `single`, `of_ceiling` that ratio over the one of `pair`.
Communication is what a step takes longer than one of `pair`, with its waiting and copying; bytes are
counted, not measured: what a worker sends in a ring all-reduce, or what goes to and from it with
parameter servers.

From these seconds and bytes follows a bandwidth, and from that the efficiency of more workers:

    sync  step = compute + 2 (n-1)/n P / bandwidth + hops latency
    ps    step = compute + (2 P + audio) / bandwidth + hops latency, but no less than a server needs for
          2 P / servers of each worker, or the chief for the audio of all of them

with P the bytes of the weights, for machines that each compute as fast as `single`; nothing is assumed
to overlap. The model is checked once: `sync` with --check_n_hidden, predicted from its own `pair` and
the bandwidth of --n_hidden.

    benchmarks/cluster_speed.py --rounds 3

Efficiencies are given for two kinds of machines: `here` have the bandwidths measured, one for sync and
one for ps (none where communication was too short to tell), `ethernet` the one of the arguments. Needs
two cores that have nothing else to do, and espeak-ng; the three rounds take about 20 minutes on them.
"""

from __future__ import annotations

import argparse
import contextlib
import math
import os
import signal
import socket
import statistics
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import common
from make_corpus import make_corpus
from resume_torture import prefixes
from timed import ROOT, BenchmarkError

sys.path.insert(0, str(ROOT))
from util import tf

MODES = ("single", "pair", "sync", "ps")
N_WORKERS = 2
WORKERS_PREDICTED = (2, 4, 8, 64, 512)
REDUCTIONS = 2  # one after the other in a step: the number of utterances counted, then the gradients
WEIGHTS = ("/weights", "/kernel", "/bias")  # ends of their names in a checkpoint
EXTRA_EPOCHS = 4  # of a pair, so that neither is alone before both have been timed


@dataclass(frozen=True)
class Task:
    """A process to run.

    Attributes:
        name: of its log.
        flags: of DeepSpeech.py.
        core: that it is kept on; None: any.
    """

    name: str
    flags: dict[str, Any]
    core: int | None


@dataclass(frozen=True)
class Network:
    """What a step of one worker costs.

    Attributes:
        compute_s: seconds without any communication.
        weight_bytes: of all weights.
        audio_bytes: of the audio of one batch.
    """

    compute_s: float
    weight_bytes: float
    audio_bytes: float

    def sync_traffic(self, n_workers: int) -> float:
        """Return the bytes that each worker sends in a ring all-reduce (and as many come in meanwhile)."""
        return 2 * (n_workers - 1) / n_workers * self.weight_bytes

    @property
    def ps_traffic(self) -> float:
        """The bytes to and from a worker with parameter servers: weights, audio, gradients."""
        return 2 * self.weight_bytes + self.audio_bytes


@dataclass(frozen=True)
class Link:
    """Bytes per second and seconds of the way from one machine to another."""

    bandwidth: float
    latency: float

    def predict_sync(self, network: Network, n_workers: int) -> float:
        """Return the seconds of a step of workers in step."""
        hops = REDUCTIONS * 2 * (n_workers - 1)
        return network.compute_s + network.sync_traffic(n_workers) / self.bandwidth + hops * self.latency

    def predict_ps(self, network: Network, n_workers: int, n_servers: int) -> float:
        """Return the seconds of a step of each worker with parameter servers."""
        hops = 4  # there and back: for the weights, and with the gradients
        worker = network.compute_s + network.ps_traffic / self.bandwidth + hops * self.latency
        server = n_workers * 2 * network.weight_bytes / n_servers / self.bandwidth
        chief = n_workers * network.audio_bytes / self.bandwidth
        return max(worker, server, chief)


def pinned(command: Sequence[str], core: int | None) -> list[str]:
    """Return the command kept on a core; the kernel kills it should this program be killed."""
    words = ["setpriv", "--pdeathsig", "KILL"]
    return [*words, *([] if core is None else ["taskset", "--cpu-list", str(core)]), *command]


@contextlib.contextmanager
def running(
    args: argparse.Namespace, tasks: Sequence[Task], work: Path
) -> Iterator[dict[str, subprocess.Popen[bytes]]]:
    """Run tasks, each with its output in a log named after it; none of them outlives the context."""
    children: dict[str, subprocess.Popen[bytes]] = {}
    try:
        for task in tasks:
            words = common.our_flags(task.flags)
            command = [args.python, str(args.deepspeech), "--noshow_progressbar", *words]
            with (work / f"{task.name}.log").open("wb") as log:
                children[task.name] = subprocess.Popen(
                    pinned(command, task.core),
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    cwd=ROOT,
                    env={**os.environ, "CUDA_VISIBLE_DEVICES": ""},
                    start_new_session=True,
                )
        yield children
    finally:
        for child in children.values():
            with contextlib.suppress(ProcessLookupError):
                os.killpg(child.pid, signal.SIGKILL)
        for child in children.values():
            child.wait()


def run_tasks(
    args: argparse.Namespace, tasks: Sequence[Task], work: Path, is_timed: Callable[[], bool], to_the_end: bool
) -> None:
    """Run tasks until all have ended; a failure after the last timed epoch is told, but costs no measurement.

    Args:
        args: of the program.
        tasks: to run.
        work: folder for their logs.
        is_timed: tells whether all epochs to be timed are over.
        to_the_end: if not, the tasks are ended when they are.

    Raises:
        BenchmarkError: a task failed before, or they do not come to an end.
    """
    end = time.monotonic() + args.timeout
    with running(args, tasks, work) as children:
        while to_the_end or not is_timed():
            statuses = {name: child.poll() for name, child in children.items()}
            if failed := [name for name, status in statuses.items() if status]:
                tail = "\n".join((work / f"{failed[0]}.log").read_text(errors="replace").splitlines()[-15:])
                said = f"{failed[0]} ended with exit status {statuses[failed[0]]}; it said:\n{tail}"
                if not is_timed():
                    raise BenchmarkError(said)
                common.emit(failed_after_the_last_epoch=said)
                return
            left = [name for name, status in statuses.items() if status is None]
            if not left:
                return
            if time.monotonic() > end:
                raise BenchmarkError(f"{', '.join(left)} did not end in time; see --timeout")
            time.sleep(0.1)


def free_addresses(count: int) -> list[str]:
    """Return addresses of ports that are free now; each is held until all are known, so that none comes twice."""
    with contextlib.ExitStack() as held:
        sockets = [held.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(count)]
        return [f"127.0.0.1:{port.getsockname()[1]}" for port in sockets]


def cluster_tasks(args: argparse.Namespace, mode: str, flags: dict[str, Any], cores: Sequence[int]) -> list[Task]:
    """Return the tasks of a cluster, workers one to a core."""
    workers, others = free_addresses(N_WORKERS), {}
    hosts: dict[str, Any] = {"worker_hosts": ",".join(workers)}
    if mode == "ps":
        others = dict(zip(("ps", "chief"), free_addresses(2), strict=True))
        hosts |= {"ps_hosts": others["ps"], "chief_host": others["chief"]}
    jobs = [("worker", index, core) for index, core in enumerate(cores)] + [(job, 0, None) for job in others]
    return [
        Task(f"{mode}-{job}{index}", flags | hosts | threads(args, core) | {"job_name": job, "task_index": index}, core)
        for job, index, core in jobs
    ]


def threads(args: argparse.Namespace, core: int | None) -> dict[str, int]:
    """Return the flags for the threads of a task on a core, or on all of them."""
    if core is None:
        return {}
    return {"inter_op_parallelism_threads": args.inter_op, "intra_op_parallelism_threads": 1}


def train(args: argparse.Namespace, mode: str, flags: dict[str, Any], cores: Sequence[int], work: Path) -> list[float]:
    """Train once in a mode and return the seconds of every epoch but the first."""
    cores = cores[:1] if mode == "single" else cores
    if mode in ("sync", "ps"):
        folders = [common.fresh(work / mode)]
        tasks = cluster_tasks(args, mode, flags | {"checkpoint_dir": folders[0]}, cores)
    else:
        folders = [common.fresh(work / f"{mode}{index}") for index in range(len(cores))]
        flags = flags | {"epochs": args.epochs + (EXTRA_EPOCHS if mode == "pair" else 0)}
        tasks = [
            Task(folder.name, flags | threads(args, core) | {"checkpoint_dir": folder}, core)
            for folder, core in zip(folders, cores, strict=True)
        ]

    def is_timed() -> bool:
        written = [folder for folder in folders if (folder / "metrics.jsonl").exists()]
        return written == folders and all(len(common.our_events(f, "epoch")) >= args.epochs for f in written)

    run_tasks(args, tasks, work, is_timed, to_the_end=mode != "pair")
    return [event["seconds"] for folder in folders for event in common.our_events(folder, "epoch")[1 : args.epochs]]


def even_corpus(work: Path, count: int) -> Path:
    """Make a corpus and cut it to the length of its shortest utterance, so that all batches are alike."""
    import soundfile  # noqa: PLC0415 - --help must not wait for it

    path = make_corpus(work / "corpus", count, (3.8, 4.7))
    n_samples = min(common.sample_counts(path))
    for row in common.read_csv(path):
        samples, rate = soundfile.read(row["wav_filename"], frames=n_samples, dtype="int16")
        soundfile.write(row["wav_filename"], samples, rate)
    return path


def flags_for(args: argparse.Namespace, n_hidden: int, csv: Path, work: Path) -> dict[str, Any]:
    """Return the flags of every task that trains this network."""
    return {
        "alphabet_config_path": common.write_alphabet(work),
        "train_files": csv,
        "train_batch_size": args.batch,
        "n_hidden": n_hidden,
        "epochs": args.epochs,
        "learning_rate": 0.001,
        "dropout_rate": 0,
        "checkpoint_secs": 0,
        "max_to_keep": 1,
    }


def count_weights(folder: Path) -> int:
    """Return how many numbers the weights in the last checkpoint of a folder are."""
    shapes = tf.train.load_checkpoint(str(prefixes(folder, "train")[-1])).get_variable_to_shape_map()
    return sum(math.prod(shape) for name, shape in shapes.items() if name.endswith(WEIGHTS))


Seconds = dict[tuple[int, str], list[float]]  # of epochs, by n_hidden and mode


def train_all(args: argparse.Namespace, csv: Path, work: Path) -> tuple[Seconds, dict[int, int]]:
    """Run everything in turn; return the seconds of epochs, and the number of weights by n_hidden."""
    cores = sorted(os.sched_getaffinity(0))[:N_WORKERS]
    seconds: Seconds = defaultdict(list)
    todo = [(args.n_hidden, mode) for mode in MODES]
    if args.check_n_hidden:
        todo += [(args.check_n_hidden, mode) for mode in MODES if mode != "ps"]
    weights: dict[int, int] = {}
    for number in range(args.rounds):
        turned = cores[::-1] if number % 2 else cores  # cores need not be equally fast
        for n_hidden, mode in todo:
            epochs = train(args, mode, flags_for(args, n_hidden, csv, work), turned, work)
            common.emit(benchmark="cluster_speed", round=number, n_hidden=n_hidden, mode=mode, epoch_s=epochs)
            seconds[n_hidden, mode] += epochs
            if mode == "single" and n_hidden not in weights:
                weights[n_hidden] = count_weights(work / "single0")
    return seconds, weights


def step_seconds(args: argparse.Namespace, seconds: Seconds, n_hidden: int) -> dict[str, float]:
    """Return the median seconds of a worker's step in every mode."""
    steps = {"single": 1, "pair": 1, "sync": N_WORKERS, "ps": N_WORKERS}
    return {
        mode: statistics.median(epochs) * args.batch * steps[mode] / args.utterances
        for (n, mode), epochs in seconds.items()
        if n == n_hidden
    }


def mode_rows(args: argparse.Namespace, step_s: dict[str, float], network: Network) -> list[dict[str, Any]]:
    """Return what was measured of every mode."""
    traffic = {"sync": network.sync_traffic(N_WORKERS), "ps": network.ps_traffic}
    batch_s = network.audio_bytes / 2 / common.SAMPLE_RATE
    rows = []
    for mode, step in step_s.items():
        ratio = step_s["single"] / step * (1 if mode == "single" else N_WORKERS)
        rows.append(
            {
                "mode": mode,
                "ratio": ratio,
                "of_ceiling": ratio / (N_WORKERS * step_s["single"] / step_s["pair"]) if mode in traffic else None,
                "audio_per_s": ratio * batch_s / step_s["single"],
                "step_s": step,
                "communication_s": step - step_s["pair"] if mode in traffic else None,
                "step_mb": traffic[mode] / 1e6 if mode in traffic else None,
                "n_hidden": args.n_hidden,
            }
        )
    return rows


def fit_link(seconds: float, latency: float, traffic: float, hops: int) -> Link | None:
    """Return the link over which this traffic takes these seconds; None where they are too few to tell."""
    left = seconds - hops * latency
    return Link(traffic / left, latency) if left > 0 else None


def prediction_rows(name: str, network: Network, sync: Link | None, ps: Link | None) -> list[dict[str, Any]]:
    """Return the efficiency (1: n workers do n times the work of one) at every number of workers."""
    compute = network.compute_s
    return [
        {
            "machines": name,
            "workers": n,
            "sync": compute / sync.predict_sync(network, n) if sync else None,
            "ps_1_server": compute / ps.predict_ps(network, n, 1) if ps else None,
            "ps_as_many_servers": compute / ps.predict_ps(network, n, n) if ps else None,
            "sync_mb_per_s": sync.bandwidth / 1e6 if sync else None,
            "ps_mb_per_s": ps.bandwidth / 1e6 if ps else None,
        }
        for n in WORKERS_PREDICTED
    ]


def check_row(step_s: dict[str, float], n_hidden: int, network: Network, link: Link | None) -> dict[str, Any]:
    """Return the step of another network, predicted and measured; network's compute_s is that of `pair`."""
    predicted = link.predict_sync(network, N_WORKERS) if link else None
    return {
        "check_n_hidden": n_hidden,
        "predicted_step_s": predicted,
        "measured_step_s": step_s["sync"],
        "off_by": predicted / step_s["sync"] - 1 if predicted else None,
        "predicted_communication_s": predicted - network.compute_s if predicted else None,
        "measured_communication_s": step_s["sync"] - network.compute_s,
        "ratio": N_WORKERS * step_s["single"] / step_s["sync"],
    }


def measure(args: argparse.Namespace) -> None:
    """Measure, fit, predict and check; JSON lines, and a table of each kind."""
    if len(os.sched_getaffinity(0)) < N_WORKERS:
        raise BenchmarkError(f"there are fewer than {N_WORKERS} cores to keep workers on")
    work = common.work_folder(args)
    csv = even_corpus(work, args.utterances)
    audio_bytes = 2 * args.batch * min(common.sample_counts(csv))
    seconds, weights = train_all(args, csv, work)

    step_s = step_seconds(args, seconds, args.n_hidden)
    network = Network(step_s["single"], 4 * weights[args.n_hidden], audio_bytes)
    sync = fit_link(
        step_s["sync"] - step_s["pair"], args.latency, network.sync_traffic(N_WORKERS), REDUCTIONS * 2 * (N_WORKERS - 1)
    )
    ps = fit_link(step_s["ps"] - step_s["pair"], args.latency, network.ps_traffic, 4)
    ethernet = Link(args.bandwidth, args.latency)
    tables = [
        mode_rows(args, step_s, network),
        prediction_rows("here", network, sync, ps) + prediction_rows("ethernet", network, ethernet, ethernet),
    ]
    if args.check_n_hidden:
        other_s = step_seconds(args, seconds, args.check_n_hidden)
        other = Network(other_s["pair"], 4 * weights[args.check_n_hidden], audio_bytes)
        tables.append([check_row(other_s, args.check_n_hidden, other, sync)])
    for table in tables:
        for row in table:
            common.emit(benchmark="cluster_speed", **row)
    for table in tables:
        common.print_table(table)


def main() -> None:
    """Read the arguments and measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--n_hidden", type=int, default=512)
    parser.add_argument("--check_n_hidden", type=int, default=1024, help="the network to check with; 0: no check")
    parser.add_argument("--batch", type=int, default=16, help="utterances of a worker and step")
    parser.add_argument("--utterances", type=int, default=64, help="of an epoch")
    parser.add_argument("--epochs", type=int, default=3, help="per run; the first is not timed")
    parser.add_argument("--rounds", type=int, default=3, help="runs of each mode, in turn")
    parser.add_argument(
        "--inter_op",
        type=int,
        default=2,
        help="operations at a time of a task with one core (default 2: one may wait for another task)",
    )
    parser.add_argument("--bandwidth", type=float, default=1.25e9, help="bytes per second of `ethernet`: 10 Gbit/s")
    parser.add_argument("--latency", type=float, default=1e-4, help="seconds of a hop, of `here` too: 100 us")
    parser.add_argument("--timeout", type=float, default=1800, help="seconds that a run may take")
    common.add_arguments(parser, coqui=False)
    args = parser.parse_args()
    if args.epochs < 2 or args.rounds < 1 or args.utterances % (N_WORKERS * args.batch):
        parser.error("give 2 --epochs or more, and --utterances that are a multiple of twice the --batch")
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # ends the tasks too
    common.main_of(measure, args)


if __name__ == "__main__":
    main()
