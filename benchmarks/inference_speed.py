#!/usr/bin/env python3
"""Compare the native client with its predecessors: speed, first result, load time, memory, streams at once.

All transcribe the same recordings with the same weights (n_hidden 2048, streaming, untrained: speed does not depend on
the weights, and flat output is the hardest for a beam search), each in its own interpreter, in turn, `--rounds` times;
numbers are medians over the rounds. One process has one core, and one thread where that can be told. `ratio` is our
processor time divided by theirs. `cpu` and `wall` are seconds per second of audio, after the first second, which is
`first_s`. `bound` is how much longer our network takes than reading its weights would, at the speed that one core reads
memory of that size (beam 1).

    export PREDECESSORS=DIR     # see setup_predecessors.sh
    benchmarks/inference_speed.py --audio 10s.wav 60s.wav --scorer my.scorer
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import wave
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import common
from timed import ROOT, BenchmarkError

WORKER = Path(__file__).resolve().parent / "inference_worker.py"
SMOKE_TEST = ROOT / "data" / "smoke_test" / "she_had_your_dark_suit.wav"
N_HIDDEN, N_STEPS, FRAMES_PER_S = 2048, 16, 50
# engine: package, folder of its environment (ours: none), kind of model
ENGINES = {
    "ours int8": ("deepspeech", None, "int8/output_graph.tflite"),
    "stt 1.4.0 int8": ("stt", "stt310", "compat/output_graph.tflite"),
    "deepspeech-tflite 0.9.3 int8": ("deepspeech", "dst39", "compat/output_graph.tflite"),
    "ours float32": ("deepspeech", None, "float32/output_graph.tflite"),
    "deepspeech 0.9.3 float32": ("deepspeech", "ds39", "compat/output_graph.pb"),
}
PRECISIONS = ("int8", "float32")


def make_models(args: argparse.Namespace, work: Path) -> Path:
    """Export an untrained network in every form; return the folder."""
    folder = work / "models"
    forms: dict[str, dict[str, Any]] = {
        "int8": {},
        "float32": {"export_quantize": False},
        "compat": {"export_compat": "0.9.3", "export_graph": True},
    }
    csv = common.write_csv(work / "one.csv", [{"wav_filename": str(SMOKE_TEST), "wav_filesize": "", "transcript": "a"}])
    flags = {"bidirectional": False, "n_hidden": N_HIDDEN, "checkpoint_dir": work / "run", "n_steps": N_STEPS}
    if not (work / "run").exists():
        common.run_ours(args, {**flags, "train_files": csv, "epochs": 1, "learning_rate": 0.0}, work / "train.log")
    for name, extra in forms.items():
        if not (folder / name).exists():
            common.run_ours(args, {**flags, **extra, "export_dir": folder / name}, work / f"export_{name}.log")
    return folder


def ask(args: argparse.Namespace, models: Path, engine: str, **job: Any) -> dict[str, Any]:
    """Run one package in its own interpreter; see inference_worker.py for what comes back."""
    package, home, model = ENGINES[engine]
    python = Path(args.predecessors) / home / "bin" / "python" if home else args.python
    told = {
        "package": package,
        "model": str(models / model),
        "shares_model": home is None,  # TensorFlow Lite's interpreter is for one thread
        **{"streams": 0, "cores": [0], "rounds": 1, "scorer": None},
        **job,
    }
    return common.run_worker(python, WORKER, told, engine)


def seconds_of(path: str) -> float:
    """Return the length of a WAV file."""
    with wave.open(path) as file:
        return file.getnframes() / file.getframerate()


def read_bandwidths(footprints: Sequence[float]) -> list[float]:
    """Return how fast one core reads memory of each size (MiB), bytes per second."""
    compiler = shutil.which("c++") or shutil.which("g++")
    if compiler is None:
        raise BenchmarkError("there is no C++ compiler to measure the memory with")
    with tempfile.TemporaryDirectory() as folder:
        program = Path(folder) / "read_bandwidth"
        source = Path(__file__).resolve().parent / "read_bandwidth.cc"
        subprocess.run([compiler, "-O3", "-march=native", source, "-o", program], check=True)
        found = subprocess.check_output([program, *map(str, footprints)], text=True)
    return [float(line) * 1e9 for line in found.split()]


def least_cpu(bytes_per_weight: int) -> float:
    """Return the seconds it takes to read the weights that one second of audio needs.

    The recurrent matrix is read for every frame, the others once for every chunk of frames. What is read between two
    passes over a matrix decides where it comes from, so that is the footprint its speed is measured with.
    """
    n, windows = N_HIDDEN, 19 * 26
    recurrent = 4 * n * n * bytes_per_weight
    others = (windows * n + 3 * n * n + 4 * n * n + 29 * n) * bytes_per_weight
    recurrent_speed, others_speed = read_bandwidths([recurrent / 2**20, (recurrent + others) / 2**20])
    return FRAMES_PER_S * recurrent / recurrent_speed + FRAMES_PER_S / N_STEPS * others / others_speed


def measure_one(args: argparse.Namespace, models: Path, precision: str, **job: Any) -> Iterator[dict[str, Any]]:
    """Yield a row for every engine of a precision, ours first."""
    engines = [engine for engine in ENGINES if engine.endswith(precision)]
    answers: dict[str, list[dict[str, Any]]] = {engine: [] for engine in engines}
    for _ in range(args.rounds):
        for engine in engines:
            answers[engine].append(ask(args, models, engine, **job))
    cpu = {engine: statistics.median(min(a["cpu"]) for a in rounds) for engine, rounds in answers.items()}
    for engine, rounds in answers.items():
        yield {
            "ratio": cpu[engines[0]] / cpu[engine],
            "engine": engine,
            "audio_s": seconds_of(job["audio"]),
            "beam": job["beam"],
            "scorer": "yes" if job["scorer"] else "no",
            "cpu": cpu[engine],
            "wall": statistics.median(min(a["wall"]) for a in rounds),
            "first_s": statistics.median(a["first_s"] for a in rounds),
            "load_ms": statistics.median(a["load_s"] for a in rounds) * 1000,
            "peak_mib": max(a["peak_mib"] for a in rounds),
        }


def measure_streams(args: argparse.Namespace, models: Path) -> Iterator[dict[str, Any]]:
    """Yield a row for every int8 engine with several streams at once on two cores."""
    for engine in (name for name in ENGINES if name.endswith("int8")):
        job = {"audio": str(args.audio[0]), "beam": 500, "scorer": args.scorer and str(args.scorer)}
        answers = [
            ask(args, models, engine, streams=args.streams, cores=[0, 1], rounds=2, **job) for _ in range(args.rounds)
        ]
        latencies = sorted(latency for answer in answers for latency in answer["latencies"])
        yield {
            "engine": engine,
            "streams": args.streams,
            "audio_per_s": statistics.median(rate for answer in answers for rate in answer["audio_per_s"]),
            "p50_ms": statistics.median(latencies) * 1000,
            "p95_ms": latencies[min(len(latencies) - 1, int(0.95 * len(latencies)))] * 1000,
            "peak_mib": max(answer["peak_mib"] for answer in answers),
        }


def measure(args: argparse.Namespace) -> None:
    """Measure everything and print the tables."""
    if args.predecessors is None:
        raise BenchmarkError(
            "the predecessors are not given; make them with benchmarks/setup_predecessors.sh DIR clients and name DIR "
            "with --predecessors or PREDECESSORS"
        )
    models = make_models(args, common.work_folder(args).resolve())
    configs = [(1, None), (500, None), *([(500, str(args.scorer))] if args.scorer else [])]
    rows = []
    for precision, size in zip(PRECISIONS, (1, 4), strict=True):
        bound = least_cpu(size)
        for audio in args.audio:
            for beam, scorer in configs:
                job = {"audio": str(audio), "beam": beam, "scorer": scorer, "rounds": args.passes}
                for row in measure_one(args, models, precision, **job):
                    is_network = row["engine"].startswith("ours") and beam == 1
                    row["bound"] = row["cpu"] / bound if is_network else None
                    common.emit(**row)
                    rows.append(row)
    common.print_table(rows)
    streams = list(measure_streams(args, models))
    for row in streams:
        common.emit(**row)
    common.print_table(streams)


def main() -> None:
    """Measure what the arguments ask for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    common.add_arguments(parser, coqui=False)
    parser.add_argument("--predecessors", type=Path, default=os.environ.get("PREDECESSORS"))
    parser.add_argument("--audio", type=Path, nargs="+", required=True, help="WAV files, 16 bits, mono, 16 kHz")
    parser.add_argument("--scorer", type=Path, help="scorer of the English alphabet")
    parser.add_argument("--streams", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--passes", type=int, default=2, help="over a recording in every round; the better one counts")
    common.main_of(measure, parser.parse_args())


if __name__ == "__main__":
    sys.exit(main())
