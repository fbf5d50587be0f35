#!/usr/bin/env python3
"""Compare the time of the one-sentence demo, command to transcript, with Coqui STT 1.4.0.

Both trainers learn one utterance by heart (n_hidden 100, 200 epochs, batch 1, one direction) and
test on it, each as one command from a cold process, in turn. The time is that of the whole process:
imports, data check, training, checkpoints, test, exit. The word error rate of every run is printed
beside its time; only a run that ends at 0 has done the demo.

    export COQUI_PYTHON=DIR/train37/bin/python
    benchmarks/demo_time.py --audio LDC93S1.wav
"""

from __future__ import annotations

import argparse
import statistics
from pathlib import Path
from typing import Any

import common
from timed import BenchmarkError

SENTENCE = "she had your dark suit in greasy wash water all year"


def demo_csv(args: argparse.Namespace, work: Path) -> Path:
    """Return a CSV with absolute paths, from the CSV given or from a recording of the sentence."""
    if args.csv is not None:
        return common.write_csv(work / "demo.csv", common.read_csv(args.csv))
    if not args.audio.exists():
        raise BenchmarkError(f"the recording {args.audio} does not exist")
    row = {
        "wav_filename": str(args.audio.resolve()),
        "wav_filesize": str(args.audio.stat().st_size),
        "transcript": SENTENCE,
    }
    return common.write_csv(work / "demo.csv", [row])


def run_both(args: argparse.Namespace, work: Path, flags: dict[str, Any]) -> list[dict[str, Any]]:
    """Run both trainers `rounds` times in turn; return one row per run."""
    rows = []
    for number in range(args.rounds):
        for name in ("ours", "coqui"):
            folder = common.fresh(work / name)
            given = {**flags, "checkpoint_dir": folder}
            log = work / f"{name}-{number}.log"
            if name == "ours":
                run = common.run_ours(args, {**given, "bidirectional": False}, log)
                wer = common.our_events(folder, "test")[-1]["wer"]
            else:
                run = common.run_coqui(args, given, log)
                wer, _ = common.coqui_test(run)
            rows.append(
                {
                    "program": name,
                    "round": number,
                    "wall_s": run.wall_s,
                    "cpu_s": run.cpu_s,
                    "wer": wer,
                    "pss_mib": round(run.peak_pss / common.MIB),
                    "rss_mib": round(run.peak_rss / common.MIB),
                }
            )
            common.emit(benchmark="demo_time", **rows[-1])
    return rows


def measure(args: argparse.Namespace) -> None:
    """Run the demo of both in turn; print every run and the ratio of the medians."""
    common.need_coqui(args)
    work = common.work_folder(args)
    csv = demo_csv(args, work)
    flags = {
        "alphabet_config_path": common.write_alphabet(work),
        "train_files": csv,
        "test_files": csv,
        "train_batch_size": 1,
        "test_batch_size": 1,
        "n_hidden": 100,
        "epochs": args.epochs,
        "learning_rate": 0.001,
    }
    rows = run_both(args, work, flags)
    wall = {name: [row["wall_s"] for row in rows if row["program"] == name] for name in ("ours", "coqui")}
    median = {name: statistics.median(times) for name, times in wall.items()}
    common.print_table(rows)
    common.emit(
        benchmark="demo_time",
        share=round(median["ours"] / median["coqui"], 3),
        ours_median_s=median["ours"],
        coqui_median_s=median["coqui"],
        ours_best_s=min(wall["ours"]),
        coqui_best_s=min(wall["coqui"]),
    )


def main() -> None:
    """Read the arguments and measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    data = parser.add_mutually_exclusive_group(required=True)
    data.add_argument("--audio", type=Path, help=f'recording of "{SENTENCE}"')
    data.add_argument("--csv", type=Path, help="training CSV of one utterance")
    parser.add_argument("--epochs", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=3, help="runs of each trainer, in turn")
    common.add_arguments(parser)
    common.main_of(measure, parser.parse_args())


if __name__ == "__main__":
    main()
