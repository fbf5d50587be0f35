"""Run a child process, note when it says what, and measure what it takes.

Peak memory is measured twice: `pss` is the sampled sum over the process tree with shared pages
counted once (it may miss a short spike), `rss` is the kernel's own maximum for the largest single
process (it misses nothing, but knows one process only).
"""

from __future__ import annotations

import contextlib
import math
import os
import re
import signal
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

# Coqui 1.4.0 now and then never leaves after its last line; it is ended this long afterwards.
EXIT_GRACE_S = 20.0


class BenchmarkError(Exception):
    """A measurement could not be made; the message says why in one sentence."""


@dataclass(frozen=True)
class Run:
    """One finished child process.

    Attributes:
        lines: (seconds since start, text) of every output line.
        returncode: Exit status; negative for a signal, as in subprocess.
        wall_s: Seconds from start to exit.
        cpu_s: User plus system seconds of the process and the children it waited for.
        peak_pss: Largest sampled memory of the process tree in bytes.
        peak_rss: Largest resident set of any one process in bytes.
        ended_by: "" for its own end, "budget" when its time was up, "hung" when it never left.
    """

    lines: list[tuple[float, str]]
    returncode: int
    wall_s: float
    cpu_s: float
    peak_pss: int
    peak_rss: int
    ended_by: str


def tree_pss(root: int) -> int:
    """Return the proportional set size in bytes of a process and all its descendants."""
    children: dict[int, list[int]] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):  # a process may end while we look
            parent = int(stat.read_text().rsplit(")", 1)[1].split()[1])
            children.setdefault(parent, []).append(int(stat.parent.name))
    total, waiting = 0, [root]
    while waiting:
        pid = waiting.pop()
        waiting += children.get(pid, [])
        with contextlib.suppress(OSError):
            rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
            total += 1024 * int(re.findall(r"^Pss:\s+(\d+)", rollup, re.MULTILINE)[0])
    return total


class _Watch(threading.Thread):
    """Sample the memory of a running child and end it when its time is over."""

    def __init__(self, child: subprocess.Popen[str], budget_s: float | None) -> None:
        super().__init__(daemon=True)
        self.child = child
        self.stop_at = math.inf if budget_s is None else time.perf_counter() + budget_s
        self.leave_by = math.inf  # after the interrupt
        self.last_word = math.inf  # when the line that should be the last was seen
        self.peak_pss = 0
        self.ended_by = ""
        self.over = threading.Event()

    def run(self) -> None:
        """Look twice a second until the child is gone."""
        while not self.over.wait(0.5):
            self.peak_pss = max(self.peak_pss, tree_pss(self.child.pid))
            now = time.perf_counter()
            if now > min(self.leave_by, self.last_word + EXIT_GRACE_S):
                self.ended_by = self.ended_by or "hung"
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(self.child.pid, signal.SIGKILL)
            elif now > self.stop_at:
                self.ended_by, self.stop_at, self.leave_by = "budget", math.inf, now + EXIT_GRACE_S
                # Only the parent: Coqui would wait forever for interrupted pool workers.
                with contextlib.suppress(ProcessLookupError):
                    os.kill(self.child.pid, signal.SIGINT)


def run_timed(
    command: Sequence[str],
    log: Path,
    env: Mapping[str, str] | None = None,
    budget_s: float | None = None,
    last_line: str | None = None,
) -> Run:
    """Run a command to its end and return what it said and what it took.

    Args:
        command: Program and arguments.
        log: File that receives the output, each line stamped with the seconds since start.
        env: Variables added to the environment.
        budget_s: After this many seconds the process is interrupted (SIGINT), then killed.
        last_line: Text; if no line follows it, the process must leave within EXIT_GRACE_S.
    """
    started = time.perf_counter()
    child = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        cwd=ROOT,
        env={**os.environ, **(env or {})},
        start_new_session=True,
    )
    watch = _Watch(child, budget_s)
    watch.start()
    lines = []
    assert child.stdout is not None
    with log.open("w") as file:
        for line in child.stdout:
            now = time.perf_counter() - started
            lines.append((now, line.rstrip("\n")))
            file.write(f"{now:9.3f} {line.rstrip()}\n")
            said = last_line is not None and last_line in line
            watch.last_word = time.perf_counter() if said else math.inf  # its rehearsal says it too
    # wait4 instead of wait: it reports this child alone, where RUSAGE_CHILDREN sums all so far.
    _, status, usage = os.wait4(child.pid, 0)
    wall = time.perf_counter() - started
    watch.over.set()
    watch.join()
    child.returncode = os.waitstatus_to_exitcode(status)
    return Run(
        lines=lines,
        returncode=child.returncode,
        wall_s=wall,
        cpu_s=usage.ru_utime + usage.ru_stime,
        peak_pss=watch.peak_pss,
        peak_rss=usage.ru_maxrss * 1024,
        ended_by=watch.ended_by,
    )


def check(run: Run, what: str) -> Run:
    """Return the run, or raise BenchmarkError with its last words if it failed by itself."""
    if run.returncode != 0 and not run.ended_by:
        tail = "\n".join(text for _, text in run.lines[-15:])
        raise BenchmarkError(f"{what} ended with exit status {run.returncode}; it said:\n{tail}")
    return run
