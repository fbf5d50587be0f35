#!/usr/bin/env python3
"""Compare training throughput with Coqui STT 1.4.0: audio seconds per wall second.

Both trainers get the same CSV, the same geometry (one direction, so --nobidirectional here), the
same batch size, no dropout and learning rate 0.001, and run in turn in one session. The first epoch
of every run is left out: it holds graph building and warming up. Both clocks stop before the
checkpoint at the end of the epoch is written. `loss_*` is the training loss of the last epoch,
after the same number of epochs in both, and so shows whether the speed was bought with learning.
`bfloat16` is ours with --automatic_mixed_precision, and `gain` what that is worth.

    export COQUI_PYTHON=DIR/train37/bin/python
    benchmarks/train_speed.py --config 512,16 --config 512,1
"""

from __future__ import annotations

import argparse
import statistics
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import common
from make_corpus import make_corpus
from timed import BenchmarkError, Run

CONFIGS = ((512, 16), (2048, 16), (512, 1), (2048, 1))
WHO = ("ours", "bfloat16", "coqui")


@dataclass
class Tally:
    """What one trainer did over all its runs of one configuration."""

    epoch_s: list[float] = field(default_factory=list)
    loss: float = float("nan")
    peak_pss: int = 0
    peak_rss: int = 0

    def add(self, run: Run, epoch_s: list[float], loss: float) -> None:
        """Take in one run, its epochs after the first and its last training loss."""
        if len(epoch_s) < 2:
            raise BenchmarkError("the run has fewer than two epochs, so none to time")
        self.epoch_s += epoch_s[1:]
        self.loss = loss
        self.peak_pss = max(self.peak_pss, run.peak_pss)
        self.peak_rss = max(self.peak_rss, run.peak_rss)


def parse_config(text: str) -> tuple[int, int]:
    """Read "n_hidden,batch"."""
    n_hidden, batch = (int(part) for part in text.split(","))
    return n_hidden, batch


def corpus_for(work: Path, config: tuple[int, int]) -> Path:
    """Make the CSV of a configuration: a batch of 16, or a few utterances where steps are slow."""
    n_hidden, batch = config
    if batch == 1 and n_hidden >= 2048:
        path = make_corpus(work / "corpus-one", 1, (2.85, 2.95))
    else:
        path = make_corpus(work / "corpus", 16, (3.8, 4.7))
    rows = common.read_csv(path)[: 16 if batch > 1 else 4]
    return common.write_csv(work / f"train-{n_hidden}-{batch}.csv", rows)


def flags_for(config: tuple[int, int], csv: Path, work: Path, epochs: int) -> dict[str, Any]:
    """Return the flags both trainers understand."""
    n_hidden, batch = config
    return {
        "alphabet_config_path": common.write_alphabet(work),
        "train_files": csv,
        "train_batch_size": batch,
        "n_hidden": n_hidden,
        "epochs": epochs,
        "learning_rate": 0.001,
        "dropout_rate": 0,
        "max_to_keep": 1,
    }


def run_ours(args: argparse.Namespace, work: Path, flags: dict[str, Any], tally: Tally) -> None:
    """Train once with DeepSpeech.py."""
    folder = common.fresh(work / "ours")
    ours = {**flags, "bidirectional": False, "checkpoint_dir": folder}
    run = common.run_ours(args, ours, work / "ours.log")
    epochs = common.our_events(folder, "epoch")
    tally.add(run, [e["seconds"] for e in epochs], epochs[-1]["loss"])


def run_coqui(args: argparse.Namespace, work: Path, flags: dict[str, Any], tally: Tally) -> None:
    """Train once with Coqui, without the rehearsal before the first epoch (it is not timed)."""
    folder = common.fresh(work / "coqui")
    theirs = {**flags, "checkpoint_dir": folder, "load_train": "init", "skip_batch_test": True}
    run = common.run_coqui(args, theirs, work / "coqui.log", last_line="FINISHED optimization")
    epochs = common.coqui_epochs(run)
    tally.add(run, [e.seconds for e in epochs], epochs[-1].loss)


def measure_config(args: argparse.Namespace, work: Path, config: tuple[int, int]) -> dict[str, Any]:
    """Run both trainers in turn on one configuration and return its row."""
    csv = corpus_for(work, config)
    audio_s = sum(common.sample_counts(csv)) / common.SAMPLE_RATE
    flags = flags_for(config, csv, work, args.epochs)
    tallies = {name: Tally() for name in WHO}
    for _ in range(args.rounds):
        if "ours" in args.only:
            run_ours(args, work, flags, tallies["ours"])
        if "bfloat16" in args.only:
            run_ours(args, work, {**flags, "automatic_mixed_precision": True}, tallies["bfloat16"])
        if "coqui" in args.only:
            run_coqui(args, work, flags, tallies["coqui"])
    row: dict[str, Any] = {"n_hidden": config[0], "batch": config[1], "ratio": None, "gain": None}
    for name, tally in tallies.items():
        ran = bool(tally.epoch_s)
        median = audio_s / statistics.median(tally.epoch_s) if ran else None
        row |= {
            f"{name}_median": median,
            f"{name}_best": audio_s / min(tally.epoch_s) if ran else None,
            f"{name}_pss_mib": round(tally.peak_pss / common.MIB) if ran else None,
            f"{name}_rss_mib": round(tally.peak_rss / common.MIB) if ran else None,
            f"loss_{name}": tally.loss if ran else None,
        }
    if row["ours_median"] and row["coqui_median"]:
        row["ratio"] = row["ours_median"] / row["coqui_median"]
    if row["ours_median"] and row["bfloat16_median"]:
        row["gain"] = row["bfloat16_median"] / row["ours_median"]
    return row | {"audio_s": audio_s, "epochs": args.epochs, "rounds": args.rounds}


def measure(args: argparse.Namespace) -> None:
    """Measure every configuration asked for; one JSON line each, a table at the end."""
    if "coqui" in args.only:
        common.need_coqui(args)
    work = common.work_folder(args)
    rows = []
    for config in args.config or CONFIGS:
        rows.append(measure_config(args, work, config))
        common.emit(benchmark="train_speed", **rows[-1])
    common.print_table(rows)


def main() -> None:
    """Read the arguments and measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--config",
        type=parse_config,
        action="append",
        metavar="N_HIDDEN,BATCH",
        help="a configuration; may be given several times (default: 512,16 2048,16 512,1 2048,1)",
    )
    parser.add_argument("--epochs", type=int, default=5, help="per run; the first is not timed")
    parser.add_argument("--rounds", type=int, default=2, help="runs of each trainer, in turn")
    parser.add_argument(
        "--only",
        choices=WHO,
        nargs="+",
        default=["ours", "coqui"],
        help="whom to run",
    )
    common.add_arguments(parser)
    common.main_of(measure, parser.parse_args())


if __name__ == "__main__":
    main()
