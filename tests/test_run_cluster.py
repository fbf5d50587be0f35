"""bin/run-cluster.sh: what its tasks are given, what it prints, how it ends; with tasks that only pretend."""

from __future__ import annotations

import fcntl
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from conftest import ROOT

SCRIPT = ROOT / "bin" / "run-cluster.sh"
OF_SEVERAL_PROGRAMS = ROOT / "bin" / "run-small-corpus.sh"
DEADLINE = 30  # seconds after which something that was waited for will not come; what passes takes a second

# Writes down in <folder>/<job><index> what it is given and what it is told, then does what the flag named as its job
# says: Python, with the functions below at hand. NEVER is the name of a file that does not come.
TASK = """
import json, os, signal, socket, subprocess, sys, time
from pathlib import Path

flags = dict(zip(sys.argv[1::2], sys.argv[2::2]))
job, index = flags["--job_name"], int(flags["--task_index"])
folder = Path(flags["--folder"])
told = []

def note(key, value):
    with (folder / f"{job}{index}").open("a") as file:
        file.write(json.dumps([key, value]) + "\\n")

def hear(number, _frame):
    told.append(number)
    note("told", signal.Signals(number).name)

def until(name):
    while not (folder / name).exists():
        time.sleep(0.02)

def until_told():
    while not told:
        time.sleep(0.02)

def have_child():
    child = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('child', flush=True)"
    child = subprocess.Popen([sys.executable, "-IS", "-c", child + "; time.sleep(600)"], stdout=subprocess.PIPE)
    child.stdout.readline()
    note("child", child.pid)

for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
    signal.signal(number, hear)
hosts = flags["--chief_host"] if job == "chief" else flags[f"--{job}_hosts"]
host, port = hosts.split(",")[index].split(":")
server = socket.create_server((host, int(port)))
note("argv", sys.argv[1:])
note("gpus", os.environ["CUDA_VISIBLE_DEVICES"])
note("cwd", str(Path.cwd()))
note("ready", os.getpid())
exec(flags.get(f"--{job}", ""))
"""


def wait_until(true: Callable[[], object], what: str) -> None:
    end = time.monotonic() + DEADLINE
    while not true():
        assert time.monotonic() < end, f"waited in vain until {what}"
        time.sleep(0.02)


def processes_of(session: int) -> list[int]:
    """The living processes of a session, in which all that a script started stays."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, _, _, its_session = stat.read_text().rpartition(")")[2].split()[:4]
        except OSError:
            continue
        if state not in "ZX" and int(its_session) == session:
            found.append(int(stat.parent.name))
    return found


class Cluster:
    """A running bin/run-cluster.sh; its output is in files, so that nothing waits for a reader."""

    def __init__(self, folder: Path, script: Path, *arguments: str, terminal: int | None = None) -> None:
        self.folder = folder
        self.out, self.err = folder / "out", folder / "err"

        def as_from_a_terminal() -> None:
            signal.signal(signal.SIGINT, signal.SIG_DFL)  # ignored where the tests run in the background of a script
            if terminal is not None:
                fcntl.ioctl(terminal, termios.TIOCSCTTY, 0)

        with self.out.open("wb") as out, self.err.open("wb") as err:
            self.process = subprocess.Popen(
                [script, *arguments],
                cwd=folder,
                stdin=terminal if terminal is not None else subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                start_new_session=True,
                preexec_fn=as_from_a_terminal,  # noqa: PLW1509 - no threads here
            )

    def notes(self, task: str, key: str) -> list[Any]:
        """What a task wrote down under a key."""
        path = self.folder / task
        lines = path.read_text().splitlines() if path.exists() else []
        return [value for its_key, value in map(json.loads, lines) if its_key == key]

    def wait_for(self, key: str, *tasks: str) -> None:
        """Returns once each of the tasks wrote something down under the key."""
        for task in tasks:
            wait_until(lambda task=task: self.notes(task, key), f"{task} notes {key!r}")  # type: ignore[misc]

    def allow(self, name: str) -> None:
        """Lets tasks go on that do until(name)."""
        (self.folder / name).touch()

    def end(self) -> int:
        """Waits for the script's end and tells its status; nothing may be left then."""
        status = self.process.wait(DEADLINE)
        wait_until(lambda: not processes_of(self.process.pid), "no process is left")
        return status

    def lines(self) -> list[str]:
        """What was printed on standard output so far."""
        return self.out.read_text().splitlines()


Start = Callable[..., Cluster]


@pytest.fixture
def start(tmp_path) -> Iterator[Start]:
    """A function that starts a cluster: its p:w:g, and what which job pretends to do."""
    (tmp_path / "task.py").write_text(TASK)
    started = []

    def start(*spec: str, script: Path = SCRIPT, terminal: int | None = None, **does: str) -> Cluster:
        folder = tmp_path / f"cluster{len(started)}"
        folder.mkdir()
        command = f"{sys.executable} -IS {tmp_path / 'task.py'}"
        acts = [word for job, act in does.items() for word in (f"--{job}", act)]
        cluster = Cluster(folder, script, "--script", command, *spec, "--folder", str(folder), *acts, terminal=terminal)
        started.append(cluster)
        return cluster

    yield start
    for cluster in started:
        for pid in processes_of(cluster.process.pid):
            os.kill(pid, signal.SIGKILL)
        cluster.process.wait()


@pytest.fixture
def impatient(tmp_path) -> Path:
    """The script with less patience: 1 and 3 seconds."""
    text = SCRIPT.read_text()
    for old, new in (("\npatience=15 ", "\npatience=1 "), ("\nmercy=5 ", "\nmercy=3 ")):
        assert old in text
        text = text.replace(old, new)
    script = tmp_path / "run-cluster.sh"
    script.write_text(text)
    script.chmod(0o755)
    return script


ALL = ("ps0", "worker0", "worker1", "chief0")


@pytest.mark.parametrize(
    ("spec", "gpus"),
    [
        ([], {"ps0": "", "worker0": "", "worker1": "", "chief0": ""}),
        (["2:1:0"], {"ps0": "", "ps1": "", "worker0": "", "chief0": ""}),
        (["1:3:2"], {"ps0": "", "worker0": "0,1", "worker1": "2,3", "worker2": "4,5", "chief0": ""}),
        (["0:2:1"], {"worker0": "0", "worker1": "1"}),
        (["0:1:0"], {"worker0": ""}),
    ],
    ids=str,
)
def test_every_task_gets_its_flags_and_devices(start, spec, gpus):
    cluster = start(*spec, note="two  words", path="a/../b*")
    assert cluster.end() == 0
    workers = sum(task.startswith("worker") for task in gpus)
    servers = sum(task.startswith("ps") for task in gpus)
    seen = set()
    for task, its_gpus in gpus.items():
        (argv,) = cluster.notes(task, "argv")
        job, index = task[:-1], task[-1]
        flags = dict(zip(argv[::2], argv[1::2], strict=True))
        hosts = [flags["--worker_hosts"]] + ([flags["--ps_hosts"], flags["--chief_host"]] if servers else [])
        expected = ["--worker_hosts", hosts[0]]
        expected += ["--ps_hosts", hosts[1], "--chief_host", hosts[2]] if servers else []
        expected += ["--job_name", job, "--task_index", index]
        assert argv == [*expected, "--folder", str(cluster.folder), "--note", "two  words", "--path", "a/../b*"]
        assert [len(of_job.split(",")) for of_job in hosts] == [workers, servers, 1][: len(hosts)]
        seen.add(",".join(hosts))
        assert cluster.notes(task, "gpus") == [its_gpus]
        assert cluster.notes(task, "cwd") == [str(cluster.folder)]
    (addresses,) = seen  # the same for all
    assert all(re.fullmatch(r"127\.0\.0\.1:\d+", address) for address in addresses.split(","))
    assert len(set(addresses.split(","))) == workers + servers + bool(servers)
    assert len(list(cluster.folder.glob("*[0-9]"))) == len(gpus)
    assert cluster.err.read_text() == ""


def test_two_clusters_at_once_have_other_ports(start):
    def addresses(cluster: Cluster) -> set[str]:
        cluster.wait_for("ready", *ALL)  # each listens at its address
        (argv,) = cluster.notes("ps0", "argv")
        return set(",".join(argv[1:6:2]).split(","))

    clusters = [start(ps="until('go')", worker="until('go')", chief="until('go')") for _ in range(2)]
    first, second = map(addresses, clusters)
    assert len(first) == len(second) == 4
    assert first.isdisjoint(second)
    for cluster in clusters:
        cluster.allow("go")
        assert cluster.end() == 0


def test_lines_bear_names_and_are_printed_at_once(start):
    speak = "print(f'{job} speaks', flush=True); sys.stderr.write('no newline'); sys.stderr.flush(); until('go')"
    cluster = start(ps=speak, worker=speak, chief=speak)
    names = ["[chief   ]", "[ps     0]", "[worker 0]", "[worker 1]"]
    spoken = [f"{name} {name[1:7].strip()} speaks" for name in names]
    wait_until(lambda: sorted(cluster.lines()) == spoken, "all have spoken")
    cluster.allow("go")
    assert cluster.end() == 0
    assert sorted(cluster.lines()) == sorted(spoken + [f"{name} no newline" for name in names])
    assert cluster.out.read_bytes().endswith(b"\n")
    assert cluster.err.read_text() == ""


def test_names_are_aligned_for_more_than_ten(start):
    cluster = start("0:11:0", worker="print(index)")
    assert cluster.end() == 0
    assert sorted(cluster.lines()) == [f"[worker {index:2}] {index}" for index in range(11)]


def test_lines_do_not_mix(start):
    halves = (
        "[(sys.stdout.write(half), sys.stdout.flush()) for _ in range(40) for half in ('x' * 999, 'y' * 999 + '\\n')]"
    )
    cluster = start("0:3:0", worker=halves)
    assert cluster.end() == 0
    line = "x" * 999 + "y" * 999
    assert sorted(cluster.lines()) == [f"[worker {index}] {line}" for index in range(3) for _ in range(40)]


@pytest.mark.parametrize(
    ("spec", "does", "status"),
    [
        ("1:2:0", {"chief": "print('x'); sys.exit(7)"}, 7),
        ("0:2:0", {"worker": "index or sys.exit(5)"}, 5),
        ("1:1:0", {"chief": "os.kill(os.getpid(), signal.SIGKILL)"}, 137),
    ],
)
def test_exit_status_is_the_chiefs(start, spec, does, status):
    cluster = start(spec, **does)
    assert cluster.end() == status
    assert cluster.err.read_text() == ""


@pytest.mark.parametrize(
    ("act", "status"), [("sys.exit(3)", 3), ("os.kill(os.getpid(), 9)", 137), ("sys.exit(0)", None)]
)
def test_a_task_that_fails_is_named_and_the_chief_goes_on(start, act, status):
    cluster = start(ps="have_child(); until('NEVER')", worker=f"index and {act}; until('go')", chief="until('go')")
    cluster.wait_for("ready", *ALL)
    if status is None:
        wait_until(lambda: cluster.notes("worker1", "ready")[0] not in processes_of(cluster.process.pid), "it ended")
    else:
        wait_until(cluster.err.read_text, "the failure is told")
    cluster.wait_for("child", "ps0")
    os.kill(cluster.notes("ps0", "ready")[0], signal.SIGKILL)
    wait_until(lambda: "ps 0" in cluster.err.read_text(), "the other failure is told")
    wait_until(lambda: cluster.notes("ps0", "child")[0] not in processes_of(cluster.process.pid), "its child is gone")
    assert cluster.process.poll() is None
    cluster.allow("go")
    assert cluster.end() == 0
    told = [("worker 1", status)] * (status is not None) + [("ps 0", 137)]
    assert cluster.err.read_text().splitlines() == [
        f"bin/run-cluster.sh: {task} ended with status {its}, the others go on." for task, its in told
    ]
    assert cluster.notes("worker0", "told") == []


def press(cluster: Cluster, number: signal.Signals) -> None:
    cluster.process.send_signal(number)


def press_as_timeout_does(cluster: Cluster, number: signal.Signals) -> None:
    cluster.process.send_signal(number)
    os.killpg(cluster.process.pid, number)


@pytest.mark.parametrize(
    ("how", "number"),
    [
        (press, signal.SIGINT),
        (press, signal.SIGTERM),
        (press, signal.SIGHUP),
        (press_as_timeout_does, signal.SIGTERM),
    ],
)
def test_a_signal_lets_all_save_and_end(start, how, number):
    save = "until_told(); print('saving'); until('saved'); print('saved'); sys.exit({})"
    cluster = start(ps=save.format(130), worker=save.format(130), chief=save.format(130))
    cluster.wait_for("ready", *ALL)
    how(cluster, number)
    cluster.wait_for("told", *ALL)
    assert cluster.process.poll() is None
    cluster.allow("saved")
    assert cluster.end() == 130
    assert [cluster.notes(task, "told") for task in ALL] == [["SIGTERM"]] * 4
    assert sum(line.endswith("] saved") for line in cluster.lines()) == 4
    assert cluster.err.read_text() == ""


def test_ctrl_c_on_a_terminal_reaches_the_tasks_once_and_as_term(start):
    screen, terminal = os.openpty()
    cluster = start("0:2:0", terminal=terminal, worker="until_told(); until('saved'); sys.exit(130)")
    cluster.wait_for("ready", "worker0", "worker1")
    os.write(screen, b"\x03")
    cluster.wait_for("told", "worker0", "worker1")
    cluster.allow("saved")
    assert cluster.end() == 130
    assert [cluster.notes(task, "told") for task in ("worker0", "worker1")] == [["SIGTERM"]] * 2
    os.close(screen)
    os.close(terminal)


def test_the_second_signal_kills(start):
    cluster = start(ps="until('NEVER')", worker="have_child(); until('NEVER')", chief="until('NEVER')")
    cluster.wait_for("ready", *ALL)
    cluster.wait_for("child", "worker0", "worker1")
    press(cluster, signal.SIGINT)
    cluster.wait_for("told", *ALL)
    press(cluster, signal.SIGINT)
    assert cluster.end() == 137
    assert [cluster.notes(task, "told") for task in ALL] == [["SIGTERM"]] * 4


def test_after_the_chief_the_others_may_end_by_themselves(start):
    cluster = start(ps="until('go'); note('left', 0)", worker="until('go'); note('left', 0)", chief="sys.exit(4)")
    cluster.wait_for("ready", *ALL)
    wait_until(lambda: cluster.notes("chief0", "ready")[0] not in processes_of(cluster.process.pid), "the chief ended")
    time.sleep(1)  # in which the script notices that, and does nothing for 15 s
    cluster.allow("go")
    assert cluster.end() == 4
    assert [cluster.notes(task, "told") for task in ALL] == [[]] * 4
    assert [cluster.notes(task, "left") for task in ALL] == [[0]] * 3 + [[]]


def test_who_outlives_the_chief_is_told_to_end_and_then_killed(start, impatient):
    ready = "until('go'); sys.exit(6)"
    cluster = start(
        script=impatient, ps="until_told(); note('left', 0)", worker="have_child(); until('NEVER')", chief=ready
    )
    cluster.wait_for("ready", *ALL)
    cluster.wait_for("child", "worker0", "worker1")
    cluster.allow("go")
    assert cluster.end() == 6
    assert [cluster.notes(task, "told") for task in ALL] == [["SIGTERM"]] * 3 + [[]]
    assert cluster.notes("ps0", "left") == [0]
    assert cluster.err.read_text() == ""


def test_nothing_is_left_when_the_script_itself_fails(start, tmp_path):
    text = SCRIPT.read_text()
    assert text.count("\n  pause\n  [[ $how") == 1
    script = tmp_path / "run-cluster.sh"
    script.write_text(text.replace("\n  pause\n  [[ $how", "\n  sleep 0.5; false\n  [[ $how"))
    script.chmod(0o755)
    cluster = start(script=script, ps="until('NEVER')", worker="until('NEVER')", chief="until('NEVER')")
    assert cluster.end() == 1
    assert [cluster.notes(task, "told") for task in ALL] == [[]] * 4


SPEC = "give three numbers below 100: parameter servers, workers (at least 1) and GPUs per worker."
COMMAND = "give a command, as in --script bin/run-ldc93s1.sh."


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        *(([spec], f"'{spec}' is not p:w:g: {SPEC}") for spec in ("2:x:0", "1:0:0", "1:2", "1:2:0:0", "1:100:0", "x")),
        (["--script"], f"--script is followed by '': {COMMAND}"),
        (["--script", "--epochs"], f"--script is followed by '--epochs': {COMMAND}"),
        (["--script", "   "], f"--script is followed by '   ': {COMMAND}"),
        (["--script", "no.sh -x"], "--script 'no.sh -x': 'no.sh' is no program: give one that can be run from /."),
        (
            ["--script", "/etc/passwd"],
            "--script '/etc/passwd': '/etc/passwd' is no program: give one that can be run from /.",
        ),
    ],
    ids=str,
)
def test_bad_arguments_are_one_sentence(arguments, sentence):
    done = subprocess.run([SCRIPT, *arguments], cwd="/", capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == f"bin/run-cluster.sh: {sentence}\n"


MAKE_ENV = """#!/usr/bin/env bash
[[ -z ${ENV_FAILS:-} ]] || exit 1
echo "made $*"
mkdir -p "ROOT/.venv/bin"
printf '#!/bin/sh\\nif [ "$1" = -c ]; then exec REAL "$@"; fi\\necho "python $1 $2"\\n' >"ROOT/.venv/bin/python"
chmod +x "ROOT/.venv/bin/python"
"""


@pytest.fixture
def checkout(tmp_path) -> Callable[..., tuple[int, list[str]]]:
    """A checkout whose environment takes no time to make."""
    (tmp_path / "bin").mkdir()
    shutil.copy(SCRIPT, tmp_path / "bin")
    make_env = tmp_path / "bin" / "make-env.sh"
    make_env.write_text(MAKE_ENV.replace("ROOT", str(tmp_path)).replace("REAL", sys.executable))
    for script in (tmp_path / "bin" / "run-it.sh", tmp_path / "bin" / "other.sh", tmp_path / "run-it.sh"):
        script.write_text(f"#!/bin/sh\necho {script.name} $1\n")
        script.chmod(0o755)
    make_env.chmod(0o755)

    def run(*arguments: str, **env: str) -> tuple[int, list[str]]:
        done = subprocess.run(
            [tmp_path / "bin" / "run-cluster.sh", *arguments],
            cwd=tmp_path,
            env={**os.environ, **env},
            capture_output=True,
            text=True,
            check=False,
        )
        return done.returncode, done.stdout.splitlines()

    return run


def test_by_default_the_trainer_runs_in_an_environment_that_is_made_before(checkout, tmp_path):
    status, lines = checkout("0:2:0")
    trainer = f"python -u {tmp_path}/DeepSpeech.py"
    assert status == 0
    assert lines[0] == "made requirements.txt"
    assert sorted(lines[1:]) == [f"[worker 0] {trainer}", f"[worker 1] {trainer}"]
    assert checkout("0:2:0", ENV_FAILS="1") == (1, [])


@pytest.mark.parametrize(
    ("script", "makes"), [("bin/run-it.sh", True), ("bin/other.sh", False), ("./run-it.sh", False)]
)
def test_the_environment_is_made_for_scripts_that_need_it(checkout, script, makes):
    made = ["made requirements.txt"] if makes else []
    assert checkout("--script", script, "0:1:0") == (0, [*made, f"[worker 0] {Path(script).name} --worker_hosts"])


@pytest.mark.parametrize(
    "script",
    sorted({*ROOT.glob("bin/run-*.sh")} - {SCRIPT, OF_SEVERAL_PROGRAMS}),
    ids=lambda script: script.name,
)
def test_ready_made_scripts_become_the_trainer(checkout, tmp_path, script):
    checkout()
    for name in (script.name, "scenario.sh"):
        shutil.copy(ROOT / "bin" / name, tmp_path / "bin")
    (tmp_path / ".venv" / "bin" / "python").write_text('#!/bin/sh\necho "$$ $@"\n')
    (tmp_path / "bin" / "make-env.sh").write_text("#!/bin/sh\n")
    process = subprocess.Popen([tmp_path / "bin" / script.name], stdout=subprocess.PIPE, text=True)
    last = process.communicate(timeout=DEADLINE)[0].splitlines()[-1]
    assert last.startswith(f"{process.pid} -u {tmp_path}/DeepSpeech.py ")  # signals reach it
