"""What the side-by-side programs share: running both trainers, watching them, reading their logs.

Times are wall seconds; memory is bytes inside and MiB in print.
"""

from __future__ import annotations

import argparse
import atexit
import contextlib
import csv
import importlib.metadata
import json
import os
import platform
import re
import shutil
import string
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from timed import ROOT, BenchmarkError, Run, check, run_timed

SAMPLE_RATE = 16000
MIB = 2**20


def add_arguments(parser: argparse.ArgumentParser, coqui: bool = True) -> None:
    """Add the arguments every program here has: whom to run and where to work."""
    parser.add_argument(
        "--python",
        default=sys.executable,
        help="Python that runs DeepSpeech.py (default: this one)",
    )
    parser.add_argument(
        "--deepspeech",
        type=Path,
        default=ROOT / "DeepSpeech.py",
        help="the trainer to measure (default: the one of this checkout)",
    )
    parser.add_argument(
        "--work",
        type=Path,
        help="folder for corpora, checkpoints and logs, kept afterwards (default: a temporary one)",
    )
    if coqui:
        parser.add_argument(
            "--coqui-python",
            default=os.environ.get("COQUI_PYTHON"),
            help="Python of the environment made by setup_predecessors.sh (default: $COQUI_PYTHON)",
        )


def work_folder(args: argparse.Namespace) -> Path:
    """Return an existing folder for the run's files; a temporary one goes when the program ends."""
    if args.work is not None:
        folder = Path(args.work).resolve()
        folder.mkdir(parents=True, exist_ok=True)
        return folder
    folder = Path(tempfile.mkdtemp(prefix="deepspeech-bench-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


def need_coqui(args: argparse.Namespace) -> str:
    """Return the predecessor's interpreter or raise BenchmarkError if none was named."""
    if not args.coqui_python or not Path(args.coqui_python).exists():
        raise BenchmarkError(
            f"the predecessor's Python is {args.coqui_python or 'not given'}; make it with "
            "benchmarks/setup_predecessors.sh DIR and name it with --coqui-python or COQUI_PYTHON"
        )
    return str(args.coqui_python)


def fresh(folder: Path) -> Path:
    """Return the folder, empty."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder


def write_alphabet(folder: Path) -> Path:
    """Write the alphabet both trainers use: space, a to z, apostrophe."""
    path = folder / "alphabet.txt"
    path.write_text("\n".join([" ", *string.ascii_lowercase, "'"]) + "\n")
    return path


def run_ours(args: argparse.Namespace, flags: Mapping[str, Any], log: Path, **how: Any) -> Run:
    """Run DeepSpeech.py on the CPU; True and False become --flag and --noflag."""
    command = [args.python, str(args.deepspeech), "--noshow_progressbar", *our_flags(flags)]
    return check(run_timed(command, log, {"CUDA_VISIBLE_DEVICES": ""}, **how), "DeepSpeech.py")


def our_flags(flags: Mapping[str, Any]) -> list[str]:
    """Return the command line for a mapping of flags; one whose value is a list is given several times."""
    words = []
    for name, value in flags.items():
        if isinstance(value, list):
            words += [f"--{name}={item}" for item in value]
            continue
        words.append(f"--{'no' if value is False else ''}{name}")
        if not isinstance(value, bool):
            words.append(str(value))
    return words


def run_coqui(
    args: argparse.Namespace,
    flags: Mapping[str, Any],
    log: Path,
    module: str = "train",
    **how: Any,
) -> Run:
    """Run a program of coqui_stt_training on the CPU; True and False become true and false."""
    python = need_coqui(args)
    command = [python, "-u", "-m", f"coqui_stt_training.{module}", "--show_progressbar", "false"]
    for name, value in flags.items():
        values = value if isinstance(value, list) else [str(value).lower() if isinstance(value, bool) else str(value)]
        command += [f"--{name}", *values]
    env = {
        "CUDA_VISIBLE_DEVICES": "",
        "TF_CPP_MIN_LOG_LEVEL": "3",
        "PYTHONWARNINGS": "ignore",
        "PATH": f"{Path(python).parent}{os.pathsep}{os.environ['PATH']}",
    }
    return check(run_timed(command, log, env, **how), f"coqui_stt_training.{module}")


def our_events(checkpoint_dir: Path, kind: str) -> list[dict[str, Any]]:
    """Return the events of one kind ("epoch", "validation", "test") of metrics.jsonl, in order."""
    path = checkpoint_dir / "metrics.jsonl"
    if not path.exists():
        raise BenchmarkError(f"DeepSpeech.py wrote no {path.name} into its checkpoint folder")
    events = [json.loads(line) for line in path.read_text().splitlines()]
    return [event for event in events if event.get("event") == kind]


@dataclass(frozen=True)
class CoquiEpoch:
    """One epoch in Coqui's log: seconds of the training part, losses, and when it was over."""

    epoch: int
    seconds: float
    loss: float
    dev_loss: float | None
    finished_s: float


def coqui_epochs(run: Run) -> list[CoquiEpoch]:
    """Read the epochs of the real training (not of the memory rehearsal before it) from the log.

    The seconds run from "Training epoch" to "Finished training epoch": steps and input, without the
    checkpoint that is written afterwards.
    """
    epochs: dict[int, CoquiEpoch] = {}
    began = 0.0
    for when, text in run.lines:
        if "STARTING Optimization" in text:
            epochs = {}
        elif re.search(r"\bTraining epoch \d+", text):
            began = when
        elif match := re.search(r"Finished training epoch (\d+) - loss: (\S+)", text):
            number = int(match[1])
            epochs[number] = CoquiEpoch(number, when - began, float(match[2]), None, when)
        elif match := re.search(r"Finished validating epoch (\d+) on .* - loss: (\S+)", text):
            last = epochs[int(match[1])]
            epochs[last.epoch] = CoquiEpoch(last.epoch, last.seconds, last.loss, float(match[2]), when)
    return list(epochs.values())


def coqui_test(run: Run) -> tuple[float, float]:
    """Return WER and CER of Coqui's test report as fractions."""
    for _, text in run.lines:
        if match := re.search(r"^Test on .* - WER: ([\d.]+), CER: ([\d.]+)", text):
            return float(match[1]), float(match[2])
    raise BenchmarkError("Coqui printed no test report")


def read_csv(path: Path) -> list[dict[str, str]]:
    """Return the rows of a training CSV, file names made absolute."""
    with path.open(newline="", encoding="utf-8-sig") as file:
        rows = list(csv.DictReader(file))
    for row in rows:
        row["wav_filename"] = str((path.parent / row["wav_filename"]).resolve())
    return rows


def write_csv(path: Path, rows: Sequence[Mapping[str, str]]) -> Path:
    """Write a training CSV and return its path."""
    with path.open("w", newline="", encoding="utf-8") as file:
        names = ["wav_filename", "wav_filesize", "transcript"]
        writer = csv.DictWriter(file, names, extrasaction="ignore")
        writer.writeheader()
        writer.writerows(rows)
    return path


def sample_counts(path: Path) -> list[int]:
    """Return the length in samples of every utterance of a CSV."""
    import soundfile  # noqa: PLC0415 - --help must not wait for it

    return [soundfile.info(row["wav_filename"]).frames for row in read_csv(path)]


def facts(args: argparse.Namespace) -> dict[str, Any]:
    """Return what a reader must know about the machine and the programs to place a number."""
    cpuinfo = Path("/proc/cpuinfo").read_text()
    model = re.search(r"model name\s*:\s*(.*)", cpuinfo)
    revision = subprocess.run(
        ["git", "-C", str(Path(args.deepspeech).parent), "describe", "--always", "--dirty"],
        capture_output=True,
        text=True,
        check=False,
    )
    found: dict[str, Any] = {
        "cpu": model[1] if model else platform.machine(),
        "cores": len(os.sched_getaffinity(0)),
        "load": round(os.getloadavg()[0], 2),
        "python": platform.python_version(),
        "revision": revision.stdout.strip() or "unknown",
    }
    for package in ("tensorflow", "tensorflow-cpu", "numpy"):
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            found[package] = importlib.metadata.version(package)
    if getattr(args, "coqui_python", None) and not getattr(args, "skip_coqui", False):
        script = (
            "import pkg_resources as p;"
            "print(*(p.get_distribution(n).version for n in ('coqui-stt-training', 'tensorflow')))"
        )
        answer = subprocess.check_output([need_coqui(args), "-W", "ignore", "-c", script], text=True)
        found["coqui"], found["coqui_tensorflow"] = answer.split()
    return found


def run_worker(python: str | Path, worker: Path, job: Mapping[str, Any], who: str) -> dict[str, Any]:
    """Run a worker program in another interpreter: the job goes in as JSON, the answer comes out as JSON."""
    run = subprocess.run([python, worker], input=json.dumps(job), capture_output=True, text=True, check=False)
    if run.returncode:
        tail = "\n".join(run.stderr.splitlines()[-8:])
        raise BenchmarkError(f"{who} ended with exit status {run.returncode}; it said:\n{tail}")
    answer: dict[str, Any] = json.loads(run.stdout)
    return answer


def emit(**measurement: Any) -> None:
    """Print one measurement as one JSON line."""
    print(json.dumps(measurement), flush=True)


def print_table(rows: Sequence[Mapping[str, Any]]) -> None:
    """Print rows of equal keys as an aligned table."""
    names = list(rows[0])
    cells = [[_cell(row[name]) for name in names] for row in rows]
    widths = [max(len(name), *(len(row[i]) for row in cells)) for i, name in enumerate(names)]
    print()
    for line in [names, *cells]:
        print("  ".join(cell.rjust(width) for cell, width in zip(line, widths, strict=True)).rstrip())
    print()


def _cell(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.4g}" if abs(value) < 1000 else f"{value:.0f}"
    return "-" if value is None else str(value)


def main_of(measure: Callable[[argparse.Namespace], None], args: argparse.Namespace) -> None:
    """Print the machine's facts, measure, and leave with one sentence if that was impossible."""
    try:
        emit(facts=facts(args))
        measure(args)
    except BenchmarkError as error:
        sys.exit(f"{Path(sys.argv[0]).name}: {error}")
    except KeyboardInterrupt:
        sys.exit(130)
