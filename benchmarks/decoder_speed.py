#!/usr/bin/env python3
"""Compare the beam search with its predecessors and alternatives: time, word error rate, memory, on one core.

All decode the same probabilities with the same language model, each in its own interpreter, in turn, `--rounds`
times; times are medians over the rounds, in milliseconds for 10 s of audio (500 frames). `ratio` is their time divided
by ours without look-ahead. Peak memory is the process's largest resident set after loading and decoding, `extra` is
what of it came after Python, NumPy and the probabilities were there. Loading is not in the times.

    export PREDECESSORS=DIR     # see setup_predecessors.sh
    benchmarks/decoder_speed.py
    benchmarks/decoder_speed.py --probabilities dev.npz --text train.txt --beam 100 500
"""

from __future__ import annotations

import argparse
import statistics
import sys
from collections.abc import Sequence
from typing import Any

import common
import decoders
from decoders import Material, ask
from timed import ROOT

sys.path.insert(0, str(ROOT))
from util.metrics import score, word_error_rate

FRAMES = 500
ENGINES = ("ours", "look-ahead", "ds", "coqui", "flashlight", "pyctcdecode")
OTHERS_BEAM = {True: 500, False: 100}  # flashlight and pyctcdecode take minutes beyond, on speech and on other input
SPARE_BEAM = 500  # without a language model wider beams change no word, and take minutes


def wer(material: Material, texts: Sequence[str] | None) -> float | None:
    """Return the word error rate, None where nothing was said or decoded."""
    if not texts or not any(material.transcripts):
        return None
    pairs = zip(material.transcripts, texts, strict=False)
    return round(word_error_rate([score("", reference, text, 0.0) for reference, text in pairs]), 4)


def engines_for(args: argparse.Namespace, material: Material, beam: int, use_lm: bool) -> list[str]:
    """Return the decoders that can run in a configuration, ours first."""
    chosen = [engine for engine in ENGINES if engine in args.engine]
    if not use_lm:
        chosen = [engine for engine in chosen if engine != "look-ahead"]
    if beam > OTHERS_BEAM[any(material.transcripts)]:
        chosen = [engine for engine in chosen if engine not in ("flashlight", "pyctcdecode")]
    return chosen


def measure_config(args: argparse.Namespace, material: Material, beam: int, use_lm: bool) -> list[dict[str, Any]]:
    """Run all decoders in turn on one configuration and return their rows."""
    engines = engines_for(args, material, beam, use_lm)
    answers: dict[str, list[dict[str, Any]]] = {engine: [] for engine in engines}
    for turn in range(args.rounds):
        for engine in engines:
            texts = turn == 0 and any(material.transcripts) and (use_lm or beam <= SPARE_BEAM)
            job = {"beam": beam, "use_lm": use_lm, "timed": args.timed, "texts": texts, "count": args.count}
            answers[engine].append(ask(args, engine, material, **job))
    times = {
        engine: statistics.median(a["seconds"] / a["frames"] * FRAMES * 1000 for a in rounds)
        for engine, rounds in answers.items()
    }
    rows = []
    for engine, rounds in answers.items():
        row = {
            "ratio": times[engine] / times["ours"] if "ours" in times else None,
            "decoder": engine,
            "input": material.name,
            "lm": "yes" if use_lm else "no",
            "beam": beam,
            "ms": times[engine],
            "best_ms": min(a["seconds"] / a["frames"] * FRAMES * 1000 for a in rounds),
            "wer": wer(material, rounds[0].get("texts")),
            "peak_mib": max(a["peak_mib"] for a in rounds),
            "extra_mib": max(a["peak_mib"] - a["mib_before"] for a in rounds),
            "load_ms": statistics.median(a["load_s"] for a in rounds) * 1000,
        }
        common.emit(**row)
        rows.append(row)
    return rows


def measure_batch(args: argparse.Namespace, material: Material, beam: int, use_lm: bool) -> list[dict[str, Any]]:
    """Return how much faster two cores decode a batch than one."""
    engines = [
        engine for engine in engines_for(args, material, beam, use_lm) if engine not in ("flashlight", "pyctcdecode")
    ]
    rows = []
    for engine in engines:
        seconds: dict[int, list[float]] = {1: [], 2: []}
        for _ in range(args.rounds):
            for threads, found in seconds.items():
                job = {"beam": beam, "use_lm": use_lm, "timed": args.batch, "threads": threads}
                found.append(ask(args, engine, material, **job)["seconds"])
        one, two = statistics.median(seconds[1]), statistics.median(seconds[2])
        row = {"two_cores": one / two, "decoder": engine, "input": material.name, "lm": "yes" if use_lm else "no"}
        row |= {"beam": beam, "utterances": args.batch, "one_s": one, "two_s": two}
        common.emit(**row)
        rows.append(row)
    return rows


def greedy_rows(args: argparse.Namespace, material: Material) -> list[dict[str, Any]]:
    """Return the word error rate without any search."""
    if not any(material.transcripts):
        return []
    answer = ask(args, "greedy", material, beam=1, use_lm=False, texts=True, count=args.count)
    return [{"decoder": "greedy", "input": material.name, "wer": wer(material, answer["texts"])}]


def measure(args: argparse.Namespace) -> None:
    """Measure everything and print the tables."""
    found = decoders.materials(args, common.work_folder(args), count=40)
    chosen = [material for material in found if args.input is None or material.name in args.input]
    lms = [{"yes": True, "no": False}[word] for word in args.lm]
    rows = [
        row
        for material in chosen
        for use_lm in lms
        for beam in args.beam
        for row in measure_config(args, material, beam, use_lm)
    ]
    common.print_table(rows)
    if greedy := [row for material in chosen for row in greedy_rows(args, material)]:
        common.print_table(greedy)
    if not args.skip_batch:
        common.print_table([row for m in chosen for use_lm in lms for row in measure_batch(args, m, 500, use_lm)])


def main() -> None:
    """Measure what the arguments ask for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    decoders.add_arguments(parser)
    parser.add_argument("--input", nargs="*", help="only these of sharp, flat and the names of --probabilities")
    parser.add_argument("--beam", type=int, nargs="+", default=[100, 500, 1024])
    parser.add_argument("--lm", nargs="+", choices=["yes", "no"], default=["yes", "no"])
    parser.add_argument("--engine", nargs="+", choices=ENGINES, default=list(ENGINES))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--timed", type=int, default=4, help="utterances to time in every round")
    parser.add_argument("--count", type=int, default=40, help="utterances to count word errors in")
    parser.add_argument("--batch", type=int, default=16, help="utterances to decode on one and on two cores")
    parser.add_argument("--skip-batch", action="store_true")
    common.main_of(measure, parser.parse_args())


if __name__ == "__main__":
    main()
