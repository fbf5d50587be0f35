#!/usr/bin/env python3
"""Measure what augmentation costs in training throughput: audio seconds of the corpus per wall second.

DeepSpeech.py trains with and without AUGMENTATIONS, and Coqui STT 1.4.0 with the same ones, in turn in
one session: the same CSV, one direction, no dropout, the same batch size. Coqui has no `speed`; the
nearest it has, `tempo` of the same range, takes its place there. Every augmentation acts on every
utterance. The first epoch of every run is left out, and both clocks stop before the checkpoint at the
end of the epoch is written, as in train_speed.py.

`kept` is our throughput with augmentation over ours without, `ratio` ours over Coqui's, both with it.
`bfloat16` is ours with augmentation and --automatic_mixed_precision, `gain` what that is worth.

    export COQUI_PYTHON=DIR/train37/bin/python
    benchmarks/augmentation_speed.py
    benchmarks/augmentation_speed.py --only plain augmented --csv train.csv
"""

from __future__ import annotations

import argparse
import statistics
from pathlib import Path
from typing import Any

import common
from make_corpus import make_corpus
from train_speed import Tally, run_coqui, run_ours

OURS = (
    "overlay[source={noise},snr=15~10]",
    "reverb[delay=20~10,decay=10~3]",
    "speed[factor=1~0.1]",
    "time_mask[n=2,size=60~40]",
    "frequency_mask[n=2,size=3~2]",
)
COQUI = tuple(spec.replace("speed", "tempo") for spec in OURS)
WHO = ("plain", "augmented", "bfloat16", "coqui")


def make_noise(folder: Path) -> Path:
    """Write ten seconds each of six noises, between white and brown, and return their CSV."""
    import numpy as np  # noqa: PLC0415 - --help must not wait for these
    import soundfile  # noqa: PLC0415

    folder.mkdir(parents=True, exist_ok=True)
    rows = []
    for number in range(6):
        white = np.random.default_rng(number).standard_normal(10 * common.SAMPLE_RATE)
        falling = np.arange(1, len(white) // 2 + 2) ** (-number / 5)  # amplitude over frequency
        coloured = np.fft.irfft(np.fft.rfft(white) * falling)
        path = folder / f"noise{number}.wav"
        soundfile.write(path, 0.3 * coloured / abs(coloured).max(), common.SAMPLE_RATE, subtype="PCM_16")
        rows.append({"wav_filename": str(path), "wav_filesize": str(path.stat().st_size), "transcript": "noise"})
    return common.write_csv(folder / "noise.csv", rows)


def measure(args: argparse.Namespace) -> None:
    """Run everybody in turn; one JSON line and a table."""
    if "coqui" in args.only:
        common.need_coqui(args)
    work = common.work_folder(args)
    csv = args.csv or make_corpus(work / "corpus", args.batch * args.steps, (3.8, 4.7))
    csv = common.write_csv(work / "train.csv", common.read_csv(csv)[: args.batch * args.steps])
    audio_s = sum(common.sample_counts(csv)) / common.SAMPLE_RATE
    flags = {
        "alphabet_config_path": common.write_alphabet(work),
        "train_files": csv,
        "train_batch_size": args.batch,
        "n_hidden": args.n_hidden,
        "epochs": args.epochs,
        "learning_rate": 0.0001,
        "dropout_rate": 0,
        "max_to_keep": 1,
    }
    noise = make_noise(work / "noise")
    ours, coqui = ([spec.format(noise=noise) for spec in specs] for specs in (OURS, COQUI))
    tallies = {who: Tally() for who in WHO if who in args.only}
    for _ in range(args.rounds):
        for who, tally in tallies.items():
            if who == "coqui":
                run_coqui(args, work, {**flags, "augment": coqui}, tally)
            else:
                own = {"augment": [] if who == "plain" else ours, "automatic_mixed_precision": who == "bfloat16"}
                run_ours(args, work, flags | own, tally)
    median = {who: audio_s / statistics.median(tally.epoch_s) for who, tally in tallies.items()}
    row: dict[str, Any] = {"kept": None, "ratio": None, "gain": None}
    if {"plain", "augmented"} <= median.keys():
        row["kept"] = median["augmented"] / median["plain"]
    if {"coqui", "augmented"} <= median.keys():
        row["ratio"] = median["augmented"] / median["coqui"]
    if {"bfloat16", "augmented"} <= median.keys():
        row["gain"] = median["bfloat16"] / median["augmented"]
    for who in WHO:
        row[f"{who}_median"] = median.get(who)
        row[f"{who}_best"] = audio_s / min(tallies[who].epoch_s) if who in tallies else None
    row |= {"n_hidden": args.n_hidden, "batch": args.batch, "audio_s": audio_s}
    common.emit(benchmark="augmentation_speed", **row, epochs=args.epochs, rounds=args.rounds)
    common.print_table([row])


def main() -> None:
    """Read the arguments and measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--n_hidden", type=int, default=512)
    parser.add_argument("--batch", type=int, default=16, help="utterances in a batch")
    parser.add_argument("--steps", type=int, default=8, help="batches in an epoch, with another one's reading beside")
    parser.add_argument("--epochs", type=int, default=5, help="per run; the first is not timed")
    parser.add_argument("--rounds", type=int, default=3, help="runs of each, in turn")
    parser.add_argument("--csv", type=Path, help="speech to train on (default: made by make_corpus.py)")
    parser.add_argument("--only", choices=WHO, nargs="+", default=WHO, help="whom to run")
    common.add_arguments(parser)
    common.main_of(measure, parser.parse_args())


if __name__ == "__main__":
    main()
