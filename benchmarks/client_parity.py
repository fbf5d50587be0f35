#!/usr/bin/env python3
"""Compare what a model of the predecessors says in our client and in theirs.

Each transcribes the same recordings with the model, by default the Armenian one of Coqui STT inside armspeech 0.1.4,
without a scorer. A row is a pair of clients: in how many recordings the text differs, and the confidence (natural
logarithm of the score) by how much at most and in the middle. The predecessors are compared with each other too: what
they do not share is no part of the model.

    export PREDECESSORS=DIR     # see setup_predecessors.sh
    benchmarks/client_parity.py a.wav b.wav ..
"""

from __future__ import annotations

import argparse
import itertools
import os
import statistics
from pathlib import Path
from typing import Any

import common
from timed import BenchmarkError

WORKER = Path(__file__).resolve().parent / "inference_worker.py"
CLIENTS = {"ours": ("deepspeech", None), "stt 1.4.0": ("stt", "stt310"), "tflite 0.9.3": ("deepspeech", "dst39")}
ARMENIAN = Path("armspeech-0.1.4", "src", "model", "model.tflite")


def ask(args: argparse.Namespace, client: str, model: Path) -> list[Any]:
    """Return text, confidence and timesteps of every recording."""
    package, home = CLIENTS[client]
    python = Path(args.predecessors) / home / "bin" / "python" if home else args.python
    job = {"package": package, "model": str(model), "beam": args.beam, "scorer": None, "cores": [0]}
    found = common.run_worker(python, WORKER, {**job, "recordings": [str(path) for path in args.audio]}, client)
    recordings: list[Any] = found["recordings"]
    return recordings


def measure(args: argparse.Namespace) -> None:
    """Compare every two clients and print the table."""
    if args.predecessors is None:
        raise BenchmarkError(
            "the predecessors are not given; make them with benchmarks/setup_predecessors.sh DIR clients and name DIR "
            "with --predecessors or PREDECESSORS"
        )
    model = args.model or Path(args.predecessors) / ARMENIAN
    answers = {client: ask(args, client, model) for client in CLIENTS}
    rows = []
    for one, other in itertools.combinations(CLIENTS, 2):
        pairs = list(zip(answers[one], answers[other], strict=True))
        differences = [abs(a[1] - b[1]) for a, b in pairs]
        row = {"clients": f"{one}, {other}", "recordings": len(pairs), "texts": sum(a[0] != b[0] for a, b in pairs)}
        row |= {"timesteps": sum(a[2] != b[2] for a, b in pairs)}
        rows.append(row | {"greatest": max(differences), "median": statistics.median(differences)})
        common.emit(**rows[-1])
    common.print_table(rows)


def main() -> None:
    """Measure what the arguments ask for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    common.add_arguments(parser, coqui=False)
    parser.add_argument("--predecessors", type=Path, default=os.environ.get("PREDECESSORS"))
    parser.add_argument("--model", type=Path, help="a .tflite that the predecessors read (default: the Armenian one)")
    parser.add_argument("--beam", type=int, default=500)
    parser.add_argument("audio", type=Path, nargs="+", help="WAV files, 16 bits, mono, 16 kHz")
    common.main_of(measure, parser.parse_args())


if __name__ == "__main__":
    main()
