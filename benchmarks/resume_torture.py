#!/usr/bin/env python3
"""Kill training runs at random moments, resume them, and compare the final weights bit for bit.

One run is left alone. Then --kill runs are ended with SIGKILL and --term runs with SIGTERM, each
one to three times at moments drawn from a seeded generator over the length of the first run, and
every time the same command starts it again until it reaches the end. Checkpoints are saved inside
epochs too, so that kills hit saves. After every start all checkpoints in the folder are read whole;
one that cannot be is counted. At the end every tensor of the last checkpoint must have the same
type, shape and bytes as in the run that was left alone, and the training state the same values
except those that measure time.

    benchmarks/resume_torture.py --kill 20 --term 5 --seed 1

The exit status is 0 only if every run was equal and every checkpoint readable.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import random
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import common
from make_corpus import make_corpus
from timed import ROOT, BenchmarkError

STATE = "deepspeech/state"
CLOCKS = re.compile("elapsed|seconds|wall|time|date")
MAX_STARTS = 12  # of one run, before it is called stuck


def command_of(args: argparse.Namespace, work: Path, folder: Path) -> list[str]:
    """Return the one command that starts and resumes a run."""
    flags = {
        "alphabet_config_path": work / "alphabet.txt",
        "train_files": work / "train.csv",
        "dev_files": work / "dev.csv",
        "checkpoint_dir": folder,
        "n_hidden": 64,
        "train_batch_size": 1,
        "dev_batch_size": 2,
        "epochs": args.epochs,
        "learning_rate": 0.001,
        "dropout_rate": 0.1,  # its random numbers must be resumed as well
        "random_seed": 7,
        "checkpoint_secs": args.checkpoint_secs,
    }
    flag_words = common.our_flags(flags)
    return [args.python, str(args.deepspeech), "--noshow_progressbar", *flag_words, *args.extra]


def start(command: list[str], log: Path, after_s: float | None, number: int) -> int:
    """Run the command, signal its group `after_s` seconds in; return its exit status."""
    with log.open("a") as file:
        child = subprocess.Popen(
            command,
            stdout=file,
            stderr=subprocess.STDOUT,
            cwd=ROOT,
            env={**os.environ, "CUDA_VISIBLE_DEVICES": ""},
            start_new_session=True,
        )
        try:
            with contextlib.suppress(subprocess.TimeoutExpired):
                return child.wait(timeout=after_s)
            with contextlib.suppress(ProcessLookupError):
                os.killpg(child.pid, number)
            return child.wait(timeout=60)
        finally:
            if child.poll() is None:
                os.killpg(child.pid, signal.SIGKILL)
                child.wait()


def read_tensors(prefix: Path) -> dict[str, Any]:
    """Return every tensor of a checkpoint by name."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    import tensorflow as tf  # noqa: PLC0415 - --help must not wait for it

    reader = tf.train.load_checkpoint(str(prefix))
    return {name: reader.get_tensor(name) for name in reader.get_variable_to_shape_map()}


def prefixes(folder: Path, kind: str) -> list[Path]:
    """Return the checkpoints of a kind, oldest first."""
    found = [p.with_suffix("") for p in folder.glob(f"{kind}-*.index")]
    return sorted(found, key=lambda p: int(p.name.rsplit("-", 1)[1]))


def count_unreadable(folder: Path) -> int:
    """Return how many checkpoints in the folder cannot be read to the last byte."""
    bad = 0
    for prefix in prefixes(folder, "train") + prefixes(folder, "best_dev"):
        try:
            json.loads(read_tensors(prefix)[STATE])
        except Exception as error:  # whatever is wrong with it, it is unreadable
            print(f"unreadable: {prefix}: {error}", file=sys.stderr)
            bad += 1
    return bad


def without_clocks(value: Any) -> Any:
    """Return a JSON value without the entries that measure time."""
    if isinstance(value, dict):
        return {k: without_clocks(v) for k, v in value.items() if not CLOCKS.search(k)}
    return [without_clocks(v) for v in value] if isinstance(value, list) else value


def differences(left: Path, right: Path) -> list[str]:
    """Return the names of what differs between the final checkpoints of two runs."""
    ends = [prefixes(folder, "train") for folder in (left, right)]
    if not all(ends) or ends[0][-1].name != ends[1][-1].name:
        return ["the last step: " + " and ".join(e[-1].name if e else "none" for e in ends)]
    one, other = (read_tensors(end[-1]) for end in ends)
    wrong = sorted(one.keys() ^ other.keys())
    states = [json.loads(tensors.pop(STATE)) for tensors in (one, other)]
    if without_clocks(states[0]) != without_clocks(states[1]):
        wrong.append(STATE)
    for name in sorted(one.keys() & other.keys()):
        a, b = one[name], other[name]
        if (a.dtype, a.shape, a.tobytes()) != (b.dtype, b.shape, b.tobytes()):
            wrong.append(name)
    return wrong


def torture(args: argparse.Namespace, work: Path, label: str, number: int, length_s: float) -> dict[str, Any]:
    """Start one run again and again until it ends; return what happened on the way."""
    rng = random.Random(f"{args.seed} {label}")
    folder, log = common.fresh(work / label), work / f"{label}.log"
    log.unlink(missing_ok=True)
    command = command_of(args, work, folder)
    moments = [rng.uniform(0.05, 0.95) * length_s for _ in range(rng.randint(1, args.max_kills))]
    statuses: list[int] = []
    unreadable = 0
    while len(statuses) < MAX_STARTS:
        # A moment past the end of a resumed run simply never comes.
        after_s = moments[len(statuses)] if len(statuses) < len(moments) else None
        statuses.append(start(command, log, after_s, number))
        unreadable += count_unreadable(folder)
        if statuses[-1] == 0 or statuses[-1] not in (-number, 130):
            break
    ended = statuses[-1] == 0
    wrong = differences(work / "alone", folder) if ended else ["it did not reach the end"]
    return {
        "run": label,
        "signals_s": [round(moment, 2) for moment in moments[: len(statuses)]],
        "statuses": statuses,
        "unreadable": unreadable,
        "equal": not wrong,
        "different": wrong[:5],
    }


def prepare(args: argparse.Namespace, work: Path) -> None:
    """Make the corpus and the alphabet."""
    common.write_alphabet(work)
    rows = common.read_csv(make_corpus(work / "corpus", args.utterances + 2, (1.0, 2.0)))
    common.write_csv(work / "train.csv", rows[:-2])
    common.write_csv(work / "dev.csv", rows[-2:])


def measure(args: argparse.Namespace) -> None:
    """Run once alone, then the tortured runs; print what differed."""
    work = common.work_folder(args)
    prepare(args, work)
    folder, log = common.fresh(work / "alone"), work / "alone.log"
    log.unlink(missing_ok=True)
    began = time.perf_counter()
    status = start(command_of(args, work, folder), log, None, signal.SIGKILL)
    length_s = time.perf_counter() - began
    if status != 0 or not prefixes(folder, "train"):
        tail = "\n".join(log.read_text().splitlines()[-15:])
        raise BenchmarkError(f"the run left alone ended with status {status}:\n{tail}")
    common.emit(benchmark="resume_torture", run="alone", seconds=round(length_s, 2))
    rows = []
    for name, number, count in (("kill", 9, args.kill), ("term", 15, args.term)):
        for i in range(count):
            rows.append(torture(args, work, f"{name}{i:02d}", number, length_s))
            common.emit(benchmark="resume_torture", **rows[-1])
    if not rows:
        return
    interrupted = sum(status != 0 for row in rows for status in row["statuses"])
    common.print_table(
        [
            {
                "runs": len(rows),
                "interruptions": interrupted,
                "runs_interrupted": sum(len(row["statuses"]) > 1 for row in rows),
                "unreadable_checkpoints": sum(row["unreadable"] for row in rows),
                "runs_equal": sum(row["equal"] for row in rows),
            }
        ]
    )
    if not all(row["equal"] and not row["unreadable"] for row in rows):
        raise BenchmarkError("a run differed or a checkpoint was unreadable; see above")


def main() -> None:
    """Read the arguments and measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kill", type=int, default=20, help="runs ended with SIGKILL")
    parser.add_argument("--term", type=int, default=5, help="runs ended with SIGTERM")
    parser.add_argument("--max-kills", type=int, default=3, help="interruptions of one run, at most")
    parser.add_argument("--seed", type=int, default=1, help="of the moments")
    parser.add_argument("--utterances", type=int, default=160)
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--checkpoint-secs", type=int, default=1, help="seconds between saves inside epochs")
    common.add_arguments(parser, coqui=False)
    parser.add_argument("extra", nargs="*", metavar="FLAG", help="further flags of DeepSpeech.py, after --")
    common.main_of(measure, parser.parse_args())


if __name__ == "__main__":
    main()
