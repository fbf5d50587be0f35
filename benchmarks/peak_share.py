#!/usr/bin/env python3
"""Report which share of the machine's float32 matrix peak our training step reaches.

The peak is the best of many TensorFlow products of 4096x2048 by 2048x2048 on all cores, measured
before and after the training runs, each time in a process of its own, which leaves nothing behind.

The arithmetic of a step is counted from the geometry, on the frames that hold speech (padding is
our loss, not our work). With H = n_hidden, I = 494 inputs (19 frames of 26 cepstra), L = labels
and blank, D = 2 directions or 1:

    multiply-adds per frame, forward
      layer 1   I*H           layer 2  H*H         layer 3  H*D*H
      LSTM      D*(D*H*4H + H*4H)                  (D times: input D*H and state H into 4 gates)
      layer 5   D*H*H         layer 6  H*L
    training  3 x each (forward, gradient of the weights, gradient of the input), but 2 x layer 1,
              whose input needs no gradient
    floating-point operations = 2 x multiply-adds

Elementwise work, features, CTC and Adam count as time, not as work, so the share is that of the
whole step. The step time is the epoch time of a corpus that is one batch: input waits are in it.

    benchmarks/peak_share.py --n_hidden 512 2048
"""

from __future__ import annotations

import argparse
import json
import math
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import common
from make_corpus import make_corpus
from timed import BenchmarkError

BATCH = 16
N_INPUT = 26 * 19
N_OUTPUT = 28 + 1  # the alphabet of common.write_alphabet and the blank
GEMM = (4096, 2048, 2048)


def measure_peak(seconds: float = 3.0) -> float:
    """Return the best rate in FLOP/s of a large float32 product in this process."""
    import tensorflow as tf  # noqa: PLC0415 - only the child needs it

    m, k, n = GEMM
    left, right = tf.random.normal([m, k]), tf.random.normal([k, n])
    multiply = tf.function(tf.matmul).get_concrete_function(left, right)
    multiply(left, right).numpy()
    best, end = math.inf, time.perf_counter() + seconds
    while time.perf_counter() < end:
        started = time.perf_counter()
        multiply(left, right)
        best = min(best, time.perf_counter() - started)
    return 2.0 * m * k * n / best


def peak_in_child(python: str) -> float:
    """Measure the peak in a fresh process."""
    command = [python, str(Path(__file__).resolve()), "--peak_only"]
    answer = subprocess.run(
        command,
        check=True,
        text=True,
        stdout=subprocess.PIPE,
        env={**os.environ, "CUDA_VISIBLE_DEVICES": "", "TF_CPP_MIN_LOG_LEVEL": "3"},
    )
    return float(json.loads(answer.stdout.splitlines()[-1])["flops"])


def frame_count(n_samples: int, bidirectional: bool) -> int:
    """Return the 20 ms frames of an utterance, by the definition of the shape's features.

    Classic features (bidirectional): 25 ms windows every 10 ms, the last one padded, of which every
    second is kept. Streaming features: whole 32 ms windows every 20 ms.
    """
    if bidirectional:
        return math.ceil((1 + math.ceil(max(0, n_samples - 400) / 160)) / 2)
    return 1 + (n_samples - 512) // 320


def step_flops(n_hidden: int, n_frames: int, bidirectional: bool) -> float:
    """Return the floating-point operations of one training step over `n_frames` frames in all."""
    directions = 2 if bidirectional else 1
    wide = directions * n_hidden
    layers = n_hidden * n_hidden + n_hidden * wide  # 2 and 3
    lstm = directions * (wide * 4 * n_hidden + n_hidden * 4 * n_hidden)
    top = wide * n_hidden + n_hidden * N_OUTPUT  # 5 and 6
    return 2.0 * n_frames * (2 * N_INPUT * n_hidden + 3 * (layers + lstm + top))


def time_step(args: argparse.Namespace, work: Path, csv: Path, n_hidden: int, bidirectional: bool) -> dict[str, Any]:
    """Train a few epochs of one step each; return the seconds of a step and the input wait."""
    folder = common.fresh(work / "checkpoints")
    flags = {
        "alphabet_config_path": common.write_alphabet(work),
        "train_files": csv,
        "train_batch_size": BATCH,
        "n_hidden": n_hidden,
        "bidirectional": bidirectional,
        "epochs": args.epochs,
        "learning_rate": 0.001,
        "dropout_rate": args.dropout_rate,
        "max_to_keep": 1,
        "checkpoint_dir": folder,
    }
    run = common.run_ours(args, flags, work / "ours.log")
    events = common.our_events(folder, "epoch")
    if len({event["step"] for event in events}) < 2 or events[-1]["step"] != len(events):
        raise BenchmarkError("an epoch was not one step, so its time is not a step's time")
    seconds = [event["seconds"] for event in events[1:]]
    return {
        "best_s": min(seconds),
        "median_s": statistics.median(seconds),
        "input_wait": statistics.median(event["input_wait"] for event in events[1:]),
        "rss_mib": round(run.peak_rss / common.MIB),
    }


def measure(args: argparse.Namespace) -> None:
    """Measure the peak, every shape and size, the peak again; print shares of the better peak."""
    work = common.work_folder(args)
    csv = common.write_csv(work / "train.csv", common.read_csv(make_corpus(work / "corpus", BATCH, (3.8, 4.7))))
    samples = common.sample_counts(csv)
    peaks = [peak_in_child(args.python)]
    rows = []
    for n_hidden in args.n_hidden:
        for bidirectional in (True, False):
            step = time_step(args, work, csv, n_hidden, bidirectional)
            frames = sum(frame_count(n, bidirectional) for n in samples)
            work_done = step_flops(n_hidden, frames, bidirectional)
            rows.append(
                {
                    "n_hidden": n_hidden,
                    "bidirectional": bidirectional,
                    "frames": frames,
                    "gflop": work_done / 1e9,
                    **step,
                    "audio_per_s": sum(samples) / common.SAMPLE_RATE / step["median_s"],
                }
            )
    peaks.append(peak_in_child(args.python))
    for row in rows:
        row["share_median"] = row["gflop"] * 1e9 / row["median_s"] / max(peaks)
        row["share_best"] = row["gflop"] * 1e9 / row["best_s"] / max(peaks)
        common.emit(benchmark="peak_share", batch=BATCH, **row)
    common.emit(benchmark="peak_share", peak_gflops=[round(peak / 1e9, 1) for peak in peaks])
    common.print_table(rows)


def main() -> None:
    """Read the arguments and measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--n_hidden", type=int, nargs="+", default=[512, 2048])
    parser.add_argument("--epochs", type=int, default=8, help="steps; the first is not timed")
    parser.add_argument("--dropout_rate", type=float, default=0.0)
    parser.add_argument("--peak_only", action="store_true", help="measure the matrix peak and stop")
    common.add_arguments(parser, coqui=False)
    args = parser.parse_args()
    if args.peak_only:
        common.emit(flops=measure_peak())
        sys.exit(0)
    common.main_of(measure, args)


if __name__ == "__main__":
    main()
