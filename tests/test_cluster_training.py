"""DeepSpeech.py on a cluster: real processes on loopback, which are killed, stopped, restarted and started wrongly."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import ROOT, Csvs, Program

from util import tf

RUNS = int(os.environ.get("CLUSTER_RUNS", "2"))  # clean ends in a row; 20 before a release
SECONDS = 90  # within which anything here has ended
STEPS = 120  # of an epoch of the long set, with batches of two
SERVED = ("--epochs=3", "--train_batch_size=2", "--checkpoint_secs=1", "--checkpoint_dir=run")


def free_addresses(count: int) -> list[str]:
    with contextlib.ExitStack() as stack:
        probes = [stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(count)]
        return [f"127.0.0.1:{probe.getsockname()[1]}" for probe in probes]


class Tasks:
    """The processes of a cluster by name, as in `worker 1`; none outlives the `with`."""

    def __init__(self, program: Program, flags: tuple[object, ...], n_ps: int, n_workers: int, has_chief: bool):
        hosts = free_addresses(n_ps + n_workers + 1)
        self.address = {f"worker {index}": hosts[index] for index in range(n_workers)}
        self.address |= {f"ps {index}": hosts[n_workers + index] for index in range(n_ps)}
        self.address |= {"chief 0": hosts[-1]} if has_chief else {}
        names = {"worker_hosts": "worker", "ps_hosts": "ps", "chief_host": "chief"}
        lists = {flag: [a for name, a in self.address.items() if name.startswith(job)] for flag, job in names.items()}
        self.flags = [f"--{flag}={','.join(addresses)}" for flag, addresses in lists.items() if addresses]
        self.program, self.given = program, flags
        self.running: dict[str, subprocess.Popen[str]] = {}
        self.said: dict[str, str] = {}

    def start(self, name: str, *more: object) -> None:
        """Start a task of that name."""
        job, index = name.split()
        path = self.program.folder / f"{job}{index}-{time.monotonic_ns()}.log"
        self.said[name] = str(path)
        flags = *self.given, *self.flags, f"--job_name={job}", f"--task_index={index}", *more
        with path.open("w") as log:
            self.running[name] = self.program.start(*flags, stdout=log, stderr=log)

    def __enter__(self) -> Tasks:
        for name in self.address:
            self.start(name)
        return self

    def __exit__(self, *_: object) -> None:
        for process in self.running.values():
            process.kill()
            process.wait()

    def log(self, name: str) -> str:
        """Return what it has said so far."""
        return Path(self.said[name]).read_text()

    def ends(self, name: str, seconds: float = SECONDS) -> int:
        """Return the exit status of a task; whatever happens, nobody sees a traceback."""
        try:
            status = self.running[name].wait(seconds)
        except subprocess.TimeoutExpired:
            pytest.fail(f"{name} goes on: {self.log(name)}")
        assert "Traceback" not in self.log(name), self.log(name)
        return status

    def all_end(self) -> dict[str, int]:
        """Return the exit status of every task."""
        return {name: self.ends(name) for name in self.running}

    def await_checkpoint(self, folder: Path, chief: str) -> int:
        """Return the step of the first checkpoint."""
        while not (found := sorted(folder.glob("train-*.index"))):
            assert self.running[chief].poll() is None, self.log(chief)
            time.sleep(0.01)
        return int(re.sub(r"\D", "", found[0].name))


@pytest.fixture
def cluster(deepspeech: Program) -> Callable[..., Tasks]:
    def make(*flags: object, ps: int = 0, workers: int = 2, chief: bool = False) -> Tasks:
        return Tasks(deepspeech, flags, ps, workers, chief)

    return make


@pytest.fixture(scope="module")
def long_csv(csvs: Csvs) -> Path:
    path = csvs.train.with_name("long-cluster.csv")
    header, *rows = csvs.train.read_text().splitlines()
    path.write_text("\n".join([header, *rows * (STEPS * 2 // 6)]) + "\n")
    return path


def losses(folder: Path, event: str = "epoch") -> list[float]:
    events = map(json.loads, (folder / "metrics.jsonl").read_text("utf-8").splitlines())
    return [found["loss"] for found in events if found["event"] == event]


def weights(prefix: Path) -> dict[str, Any]:
    reader = tf.train.load_checkpoint(str(prefix))
    return {name: reader.get_tensor(name) for name in reader.get_variable_to_shape_map() if name != "deepspeech/state"}


def last_line(text: str) -> str:
    return text.strip().splitlines()[-1]


# -------------------------------------------------------------------------------------- same results


def test_two_workers_in_step_learn_what_one_process_learns_and_any_mode_goes_on(
    cluster: Callable[..., Tasks], deepspeech: Program, csvs: Csvs, tmp_path: Path
):
    """Batches of 4 dealt to two workers, the last one of 1: a worker then has nothing to do.

    Who reads an utterance has no part in how it is augmented.
    """
    augment = "--augment", "speed[factor=1~0.2]", "tempo[factor=1:1.2]", "time_mask[size=40]", "add[stddev=0.5]"
    steady = "--dropout_rate=0", *augment
    csv = csvs.train.with_name("odd.csv")
    header, *rows = csvs.train.read_text().splitlines()
    csv.write_text("\n".join([header, *(rows * 3)[:13]]) + "\n")
    flags = "--train_files", csv, "--dev_files", csvs.dev, "--epochs=5", "--max_grad_norm=50", *steady
    with cluster(*flags, "--train_batch_size=2", "--checkpoint_dir=two", "--test_files", csvs.test) as tasks:
        assert tasks.all_end() == {"worker 0": 0, "worker 1": 0}
        assert "Test on" in tasks.log("worker 0")
        assert "Epoch" not in tasks.log("worker 1"), "the chief speaks"
    one = deepspeech(*flags, "--train_batch_size=4", "--checkpoint_dir=one", "--test_files", csvs.test)
    assert one.returncode == 0, one.stderr
    for event in ("epoch", "validation", "test"):
        together, alone = losses(tmp_path / "two", event), losses(tmp_path / "one", event)
        assert len(together) == (1 if event == "test" else 5)
        np.testing.assert_allclose(together, alone, rtol=1e-4)
    for name, values in weights(tmp_path / "two" / "train-20").items():
        np.testing.assert_allclose(values, weights(tmp_path / "one" / "train-20")[name], atol=2e-4, err_msg=name)

    go_on = "--train_files", csv, "--checkpoint_dir=two", "--train_batch_size=2", *steady
    alone = deepspeech(*go_on, "--epochs=6")
    assert "Training from epoch 6, batch 1" in alone.stderr, alone.stderr
    with cluster(*go_on, "--epochs=7", ps=1, workers=1, chief=True) as tasks:
        assert tasks.ends("chief 0") == 0
        assert "Training from epoch 7, batch 1" in tasks.log("chief 0")
    with cluster(*go_on, "--epochs=8") as tasks:
        assert tasks.ends("worker 0") == 0
        assert "Training from epoch 8, batch 1" in tasks.log("worker 0")
    assert len(losses(tmp_path / "two")) == 8


def test_workers_draw_masks_of_their_own_and_the_same_every_time(
    cluster: Callable[..., Tasks], deepspeech: Program, csvs: Csvs, tmp_path: Path
):
    """Two workers with one and the same utterance have the loss of one process, unless their masks differ."""
    header, row, *_ = csvs.train.read_text().splitlines()
    single, double = csvs.train.with_name("single.csv"), csvs.train.with_name("double.csv")
    single.write_text(f"{header}\n{row}\n")
    double.write_text(f"{header}\n{row}\n{row}\n")
    flags = "--epochs=3", "--train_batch_size=1", "--dropout_rate=0.5"
    for folder in ("first", "second"):
        with cluster(*flags, "--train_files", double, f"--checkpoint_dir={folder}") as tasks:
            assert set(tasks.all_end().values()) == {0}
    for name, values in weights(tmp_path / "first" / "train-3").items():
        np.testing.assert_array_equal(values, weights(tmp_path / "second" / "train-3")[name], name)
    assert deepspeech(*flags, "--train_files", single, "--checkpoint_dir=alone").returncode == 0
    assert losses(tmp_path / "first")[0] != pytest.approx(losses(tmp_path / "alone")[0], rel=1e-4)


# ----------------------------------------------------------------------------------- tasks that are lost


def test_a_killed_worker_ends_the_others_and_the_same_command_goes_on_exactly(
    cluster: Callable[..., Tasks], long_csv: Path, tmp_path: Path
):
    flags = "--train_files", long_csv, "--epochs=2", "--dropout_rate=0.2", "--checkpoint_secs=1"
    with cluster(*flags, "--checkpoint_dir=whole") as tasks:
        assert set(tasks.all_end().values()) == {0}
    run = tmp_path / "run"
    for victim, other in (("worker 1", "worker 0"), ("worker 0", "worker 1")):
        with cluster(*flags, "--checkpoint_dir=run") as tasks:
            tasks.await_checkpoint(run, "worker 0")
            while tasks.log("worker 0").count("Training from") == 0:
                time.sleep(0.01)
            time.sleep(1)
            tasks.running[victim].kill()
            assert tasks.ends(other, 15) == 1, "within 15 s"
            said = last_line(tasks.log(other))
            assert said.startswith(f"Error: Lost {victim} ({tasks.address[victim]})"), said
            assert "same command" in said
    with cluster(*flags, "--checkpoint_dir=run") as tasks:
        assert set(tasks.all_end().values()) == {0}
        assert re.search(r"Training from epoch \d, batch \d", tasks.log("worker 0"))
    for name, values in weights(tmp_path / "whole" / f"train-{2 * STEPS}").items():
        np.testing.assert_array_equal(values, weights(run / f"train-{2 * STEPS}")[name], name)


def test_a_killed_worker_of_parameter_servers_is_replaced_and_may_come_back(
    cluster: Callable[..., Tasks], long_csv: Path, tmp_path: Path
):
    with cluster(*SERVED, "--train_files", long_csv, ps=2, chief=True) as tasks:
        tasks.await_checkpoint(tmp_path / "run", "chief 0")
        tasks.running["worker 1"].kill()
        tasks.running["worker 1"].wait()
        tasks.start("worker 1")
        assert tasks.ends("chief 0") == 0
        log = tasks.log("chief 0")
        assert f"Warning: worker 1 ({tasks.address['worker 1']}) is lost" in log
        assert f"Training is complete: 3 epochs, {3 * STEPS} steps" in log
        assert set(tasks.all_end().values()) == {0}
    assert len(losses(tmp_path / "run")) == 3


def test_a_killed_parameter_server_ends_training_and_the_same_command_goes_on(
    cluster: Callable[..., Tasks], long_csv: Path, tmp_path: Path
):
    with cluster(*SERVED, "--train_files", long_csv, ps=2) as tasks:
        step = tasks.await_checkpoint(tmp_path / "run", "worker 0")
        tasks.running["ps 1"].kill()
        assert tasks.ends("worker 0") == 1
        said = last_line(tasks.log("worker 0"))
        assert said.startswith(f"Error: Lost ps 1 ({tasks.address['ps 1']})"), said
        assert [tasks.ends(name) for name in ("worker 1", "ps 0")] == [0, 0]
    with cluster(*SERVED, "--train_files", long_csv, ps=2) as tasks:
        assert tasks.ends("worker 0") == 0
        found = re.search(r"Training from epoch (\d), batch (\d+)", tasks.log("worker 0"))
        assert found
        assert (int(found[1]) - 1) * STEPS + int(found[2]) - 1 >= step
        assert f"Training is complete: 3 epochs, {3 * STEPS} steps" in tasks.log("worker 0")


@pytest.mark.parametrize(("asked", "ps"), [("worker 1", 0), ("worker 0", 0), ("ps 0", 1), ("worker 1", 1)])
def test_a_task_that_is_asked_to_end_saves_and_ends_all(
    cluster: Callable[..., Tasks], long_csv: Path, tmp_path: Path, asked: str, ps: int
):
    flags = "--train_files", long_csv, "--epochs=90", "--checkpoint_secs=1", "--checkpoint_dir=run"
    with cluster(*flags, ps=ps, chief=bool(ps)) as tasks:
        chief = "chief 0" if ps else "worker 0"
        tasks.await_checkpoint(tmp_path / "run", chief)
        time.sleep(0.3)
        tasks.running[asked].send_signal(signal.SIGTERM)
        assert tasks.ends(chief) == 130
        assert "Stopped on request; saved in run" in tasks.log(chief)
        assert set(tasks.all_end().values()) == ({130, 0} if ps else {130})


# ------------------------------------------------------------------------------------- wrong beginnings


@pytest.mark.parametrize(
    ("missing", "ps", "who"),
    [("worker 1", 0, "worker 0"), ("worker 0", 0, "worker 1"), ("ps 0", 1, "chief 0"), ("chief 0", 1, "ps 0")],
)
def test_a_task_that_never_comes_up_is_named(
    cluster: Callable[..., Tasks], csvs: Csvs, missing: str, ps: int, who: str
):
    tasks = cluster("--train_files", csvs.train, "--cluster_timeout=3", ps=ps, chief=bool(ps))
    for name in tasks.address:
        if name != missing:
            tasks.start(name)
    try:
        assert tasks.ends(who) == 1
        said = last_line(tasks.log(who))
        assert said.startswith("Error: Waited 3 s for")
        assert missing in said
        assert tasks.address[missing] in said
    finally:
        tasks.__exit__()


def test_a_port_in_use_and_a_second_task_of_one_index_are_refused(cluster: Callable[..., Tasks], csvs: Csvs):
    tasks = cluster("--train_files", csvs.train)
    host, port = tasks.address["worker 1"].split(":")
    with socket.create_server((host, int(port))):
        tasks.start("worker 1")
        assert tasks.ends("worker 1") == 1
    said = last_line(tasks.log("worker 1"))
    assert re.fullmatch(
        rf"Error: Port {port} of {host}, where worker 1 should listen, is in use: .*--task_index.*", said
    )


def test_tasks_with_different_flags_are_refused(cluster: Callable[..., Tasks], csvs: Csvs):
    tasks = cluster("--train_files", csvs.train, "--checkpoint_dir=run", "--epochs=1")
    tasks.start("worker 0")
    tasks.start("worker 1", "--n_hidden=24", "--train_files", csvs.dev)
    try:
        assert tasks.all_end() == {"worker 0": 1, "worker 1": 1}
        assert any("--n_hidden" in last_line(tasks.log(name)) for name in tasks.running)
    finally:
        tasks.__exit__()


# --------------------------------------------------------------------------------------- clean ends


def processes(folder: Path) -> list[str]:
    """Return the command lines of processes that run in a folder."""
    found = []
    for entry in Path("/proc").iterdir():
        with contextlib.suppress(OSError):
            if entry.name.isdecimal() and (entry / "cwd").resolve() == folder.resolve():
                found.append((entry / "cmdline").read_text())
    return found


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="looks for processes in /proc")
@pytest.mark.parametrize("ps", [0, 1])
def test_the_end_is_clean_every_time(cluster: Callable[..., Tasks], csvs: Csvs, tmp_path: Path, ps: int):
    for number in range(RUNS):
        flags = "--train_files", csvs.train, "--epochs=1", f"--checkpoint_dir=run{number}", "--test_files", csvs.test
        with cluster(*flags, ps=ps, chief=bool(ps)) as tasks:
            assert set(tasks.all_end().values()) == {0}, number
            assert not processes(tmp_path)


# ------------------------------------------------------------------------------- several devices in one process

DEVICES = """
import json, sys
import numpy as np
from util import tf
cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
from util.cluster import Cluster
from util.task import Task
cluster = Cluster(tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"]), Task())
class Part:
    def __init__(self, *tensors): self.tensors = tensors
with cluster.strategy.scope():
    v = tf.Variable([0.0])
def step(x, y):
    total = cluster.sum(tf.reduce_sum(x))
    v.assign_add([total])
    return x * y, total, cluster.number()
step = cluster.replicate(step, [tf.TensorSpec([None], tf.float32)], [tf.TensorSpec([], tf.float32)])
parts = [Part(np.array(x, np.float32)) for x in ([1, 2], [3], [4], [])]
found = []
for batch, results in cluster.run(step, cluster.own([parts[:2], parts[2:]]), [(2.0,), (3.0,)]):
    found.append([[np.asarray(value).tolist() for value in result] for result in results])
print(json.dumps([cluster.n_parts, cluster.n_local, found, v.numpy().tolist()]))
"""


def test_two_devices_of_one_process_share_every_batch():
    done = subprocess.run([sys.executable, "-c", DEVICES], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    n_parts, n_local, found, variable = json.loads(last_line(done.stdout))
    assert (n_parts, n_local) == (2, 2)
    assert found == [[[[2, 4], 6, 0], [[6], 6, 1]], [[[12], 4, 0], [[], 4, 1]]]
    assert variable == [10]
