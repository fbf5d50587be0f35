#!/usr/bin/env python3
"""Compare what both trainers learn from real speech in the same minutes.

DeepSpeech.py trains with the recipe (RECIPE below, or the flags after `--`) and is interrupted when
the minutes are over, if it has not stopped by itself. Coqui STT 1.4.0 then trains for the same
minutes with the same n_hidden, batch size, learning rate, dropout and epochs; its best checkpoint
on the dev set is tested afterwards, outside the budget, with its own decoder without a scorer. It
has no greedy decoder; the small beam favours it a little. Ours is decoded greedily each epoch.

Writes a curve: program, epoch, seconds since the run's start, dev loss, WER, CER. The losses of two
front-ends and geometries are not comparable; the error rates are.

    benchmarks/learning.py --train train.csv --dev dev.csv --minutes 60 --curve learning.csv
    benchmarks/learning.py ... --skip-coqui -- --n_hidden 384 --learning_rate 0.0003
"""

from __future__ import annotations

import argparse
import csv
import itertools
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import common
from timed import BenchmarkError, check, run_timed

RECIPE = (  # that of doc/Training.md
    "--n_hidden 256 --layer_norm --train_batch_size 8 --epochs 60 --dropout_rate 0.3 --dropout_rate3 0"
    " --dropout_rate4 0.4 --dropout_rate5 0.4 --learning_rate 0.001 --lr_schedule cosine --warmup_steps 200"
    " --max_grad_norm 200 --best_metric wer"
)
SHARED = ("n_hidden", "train_batch_size", "learning_rate", "dropout_rate", "epochs")


def shared_flags(recipe: Sequence[str]) -> dict[str, str]:
    """Return those flags of the recipe that Coqui has too, with the same meaning."""
    flags = {}
    words = [part for word in recipe for part in word.split("=", 1)]
    for name, value in itertools.pairwise(words):
        if name.lstrip("-") in SHARED:
            flags[name.lstrip("-")] = value
    return flags


def learn_ours(args: argparse.Namespace, work: Path, data: dict[str, Any]) -> list[dict[str, Any]]:
    """Train with the recipe; return the curve from the metrics it wrote."""
    folder = common.fresh(work / "ours")
    command = [args.python, str(args.deepspeech), "--noshow_progressbar"]
    command += common.our_flags({**data, "dev_batch_size": 16, "checkpoint_dir": folder})
    run = run_timed(
        [*command, *args.recipe],
        work / "ours.log",
        {"CUDA_VISIBLE_DEVICES": ""},
        budget_s=60 * args.minutes,
    )
    check(run, "DeepSpeech.py")
    return [
        {
            "program": "ours",
            "epoch": event["epoch"],
            "seconds": event["elapsed"],
            "dev_loss": event["loss"],
            "wer": event["wer"],
            "cer": event["cer"],
        }
        for event in common.our_events(folder, "validation")
    ]


def learn_coqui(args: argparse.Namespace, work: Path, data: dict[str, Any]) -> list[dict[str, Any]]:
    """Train Coqui as long; return its curve, error rates in the row of its best checkpoint."""
    folder = common.fresh(work / "coqui")
    flags = {**data, "checkpoint_dir": folder, **shared_flags(args.recipe), "dev_batch_size": 16}
    flags |= {"load_train": "init", "max_to_keep": 1}
    flags |= shared_flags(shlex.split(args.coqui_flags))
    run = common.run_coqui(
        args,
        flags,
        work / "coqui.log",
        budget_s=60 * args.minutes,
        last_line="FINISHED optimization",
    )
    validated = [epoch for epoch in common.coqui_epochs(run) if epoch.dev_loss is not None]
    if not validated:
        raise BenchmarkError("Coqui finished no epoch in the minutes given")
    curve: list[dict[str, Any]] = [
        {
            "program": "coqui",
            "epoch": epoch.epoch + 1,  # it counts from 0
            "seconds": round(epoch.finished_s, 2),
            "dev_loss": epoch.dev_loss,
            "wer": None,
            "cer": None,
        }
        for epoch in validated
    ]
    test = {
        "alphabet_config_path": data["alphabet_config_path"],
        "test_files": data["dev_files"],
        "test_batch_size": 16,
        "n_hidden": flags["n_hidden"],
        "checkpoint_dir": folder,
        "load_evaluate": "best",
        "export_beam_width": args.coqui_beam,  # the flag its test run really reads
    }
    tested = common.run_coqui(args, test, work / "coqui-test.log", "evaluate")
    best = min(curve, key=lambda row: row["dev_loss"])
    best["wer"], best["cer"] = common.coqui_test(tested)
    return curve


def summary(program: str, curve: list[dict[str, Any]]) -> dict[str, Any]:
    """Return one program's row: its epochs, error rates at the lowest dev loss and WER."""
    decoded = [row for row in curve if row["wer"] is not None]
    finite = [row for row in decoded if row["dev_loss"] is not None] or decoded
    by_loss = min(finite, key=lambda row: row["dev_loss"] or 0.0)
    by_wer = min(decoded, key=lambda row: row["wer"])
    return {
        "program": program,
        "epochs": len(curve),
        "minutes": curve[-1]["seconds"] / 60,
        "best_loss_epoch": by_loss["epoch"],
        "wer_at_best_loss": by_loss["wer"],
        "cer_at_best_loss": by_loss["cer"],
        "best_wer_epoch": by_wer["epoch"],
        "best_wer": by_wer["wer"],
        "cer_at_best_wer": by_wer["cer"],
    }


def measure(args: argparse.Namespace) -> None:
    """Train both, one after the other; write the curve and print what each had learnt."""
    if not args.skip_coqui:
        common.need_coqui(args)
    work = common.work_folder(args)
    data = {
        "alphabet_config_path": common.write_alphabet(work),
        "train_files": common.write_csv(work / "train.csv", common.read_csv(args.train)),
        "dev_files": common.write_csv(work / "dev.csv", common.read_csv(args.dev)),
    }
    curves = {}
    if not args.skip_ours:
        curves["ours"] = learn_ours(args, work, data)
    if not args.skip_coqui:
        curves["coqui"] = learn_coqui(args, work, data)
    rows = [row for curve in curves.values() for row in curve]
    if not rows:
        raise BenchmarkError("no epoch was validated in the minutes given")
    with args.curve.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    table = [summary(program, curve) for program, curve in curves.items() if curve]
    for row in table:
        common.emit(benchmark="learning", budget_minutes=args.minutes, recipe=args.recipe, **row)
    common.print_table(table)


def main() -> None:
    """Read the arguments and measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--train", type=Path, required=True, help="CSV to train on")
    parser.add_argument("--dev", type=Path, required=True, help="CSV to validate and report on")
    parser.add_argument("--minutes", type=float, default=60, help="wall time each trainer gets")
    parser.add_argument("--curve", type=Path, default=Path("learning.csv"), help="CSV to write")
    parser.add_argument("--skip-coqui", action="store_true", help="train ours only")
    parser.add_argument("--skip-ours", action="store_true", help="train Coqui only")
    parser.add_argument("--coqui-beam", type=int, default=10, help="beam width of its test")
    parser.add_argument("--coqui-flags", default="", help="what Coqui should do otherwise, such as '--epochs 30'")
    common.add_arguments(parser)
    words = sys.argv[1:]
    cut = words.index("--") if "--" in words else len(words)
    args = parser.parse_args(words[:cut])
    args.recipe = words[cut + 1 :] or shlex.split(RECIPE)
    common.main_of(measure, args)


if __name__ == "__main__":
    main()
