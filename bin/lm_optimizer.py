#!/usr/bin/env python3
"""Finds the lm_alpha and lm_beta with which a network and a scorer make the fewest errors on a set.

  bin/lm_optimizer.py --scorer_path my.scorer --test_files dev.csv --checkpoint_dir run [flags of DeepSpeech.py]

The network hears the set once; then only the decoder works, trial by trial, on all cores. Ctrl-C ends
it with the best so far. Tune on a dev set: on the set that was tuned on, the error rate flatters.
"""

from __future__ import annotations

import argparse
import dataclasses
import itertools
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

try:
    from util import decoding, metrics
except ModuleNotFoundError:
    sys.exit("The Python packages are not installed here: run `. .venv/bin/activate`, or see README.md.")
from util.commandline import report_errors
from util.progress import Console, duration

AT_THE_EDGE = 0.9  # of the limits
TOGETHER = 256  # utterances padded to one length and decoded in one call


def main() -> int:
    """Run the program; returns the exit status."""
    arguments, others = parse(sys.argv[1:])
    console = Console()
    with report_errors(console) as outcome:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(arguments.probabilities_file or f"{folder}/probabilities.npz")
            if path.exists():
                console.say(f"{path} is there: the network does not run again.")
            elif status := listen(path, arguments, others):
                return status
            output = decoding.read_probabilities(path)
        outcome.status = tune(output, arguments, console)
    return outcome.status


def parse(argv: Sequence[str]) -> tuple[argparse.Namespace, list[str]]:
    """Read our own flags and those of the decoder; returns them, and the other flags of DeepSpeech.py."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    parser.add_argument("--n_trials", type=int, metavar="N", default=200, help="pairs to try (200)")
    parser.add_argument("--lm_alpha_max", type=float, metavar="X", default=5, help="largest lm_alpha to try (5)")
    parser.add_argument("--lm_beta_max", type=float, metavar="X", default=5, help="largest lm_beta to try (5)")
    parser.add_argument("--random_seed", type=int, metavar="N", help="the pairs come from it")
    parser.add_argument(
        "--probabilities_file",
        metavar="FILE",
        help="keep the network's output here (.npz), or take it from here if it is there",
    )
    for field in dataclasses.fields(decoding.BeamSettings):
        kind = next(kind for kind in (int, float, str) if kind.__name__ in str(field.type))
        names = ["--scorer_path", "--scorer"] if field.name == "scorer_path" else [f"--{field.name}"]
        parser.add_argument(
            *names, type=kind, required=field.name == "scorer_path", metavar="X", help="as for DeepSpeech.py"
        )
    arguments, others = parser.parse_known_args(argv)
    if arguments.n_trials < 1 or min(arguments.lm_alpha_max, arguments.lm_beta_max) <= 0:
        parser.error("--n_trials, --lm_alpha_max and --lm_beta_max have to be above 0")
    return arguments, others


def decoder_flags(arguments: argparse.Namespace) -> dict[str, Any]:
    """Return the flags that DeepSpeech.py knows too, as far as they were given."""
    names = [field.name for field in dataclasses.fields(decoding.BeamSettings)] + ["random_seed"]
    return {name: value for name in names if (value := getattr(arguments, name)) is not None}


def listen(path: Path, arguments: argparse.Namespace, others: Sequence[str]) -> int:
    """Let DeepSpeech.py write the network's output; returns its exit status."""
    shared = [f"--{name}={value}" for name, value in decoder_flags(arguments).items()]
    only_test = ["--train_files=", "--one_shot_infer=", "--report_count=0", f"--probabilities_file={path}"]
    command = [sys.executable, str(ROOT / "DeepSpeech.py"), *others, *shared, *only_test]
    return subprocess.run(command, check=False).returncode


def tune(output: decoding.AcousticOutput, arguments: argparse.Namespace, console: Console) -> int:
    """Try pairs of lm_alpha and lm_beta and print the best; returns the exit status."""
    flags = {**output.flags, **decoder_flags(arguments)}
    decoder = decoding.BeamDecoder(output.alphabet, decoding.BeamSettings.from_flags(flags))
    name, rate = (
        ("CER", metrics.character_error_rate) if flags["bytes_output_mode"] else ("WER", metrics.word_error_rate)
    )
    objective = make_objective(output, decoder, rate)
    limits = arguments.lm_alpha_max, arguments.lm_beta_max
    tried: dict[tuple[float, float], float] = {}
    began, first_at, status = time.monotonic(), 0.0, 0
    try:
        pairs = suggest(objective, (decoder.scorer.alpha, decoder.scorer.beta), limits, flags["random_seed"])
        with console.track("Tuning", arguments.n_trials) as tracker:
            for pair, error in itertools.islice(pairs, arguments.n_trials):
                tried[pair] = error
                if len(tried) == 1:
                    console.say(
                        f"{name} {error:.4f} with alpha {pair[0]:g} and beta {pair[1]:g}, where the search begins."
                    )
                    first_at = time.monotonic()
                elif len(tried) == 2:
                    seconds = (time.monotonic() - first_at) * arguments.n_trials
                    console.say(
                        f"{arguments.n_trials} pairs take about {duration(seconds)}; Ctrl-C prints the best so far."
                    )
                tracker.advance(f"best {name} {min(tried.values()):.4f}")
    except KeyboardInterrupt:
        status = 130
    if tried:
        best = min(tried, key=lambda pair: tried[pair])
        print(f"Best of {len(tried)} pairs in {duration(time.monotonic() - began)}: {name} {tried[best]:.6f} with")
        print(f"  --scorer_path {flags['scorer_path']} --lm_alpha {best[0]:g} --lm_beta {best[1]:g}")
        for flag, value, limit in zip(("--lm_alpha_max", "--lm_beta_max"), best, limits, strict=True):
            if value > AT_THE_EDGE * limit:
                console.warn(f"the best is at the edge of what was tried: a greater {flag} may find a better one.")
    return status


def make_objective(
    output: decoding.AcousticOutput, decoder: decoding.BeamDecoder, rate: Callable[[list[metrics.Sample]], float]
) -> Callable[[float, float], float]:
    """Return the function from lm_alpha and lm_beta to the error rate."""
    order = sorted(range(len(output.transcripts)), key=lambda place: len(output.probabilities[place]))
    groups = [order[start : start + TOGETHER] for start in range(0, len(order), TOGETHER)]
    batches = [decoding.pad([output.probabilities[place] for place in group]) for group in groups]

    def objective(alpha: float, beta: float) -> float:
        decoder.scorer.reset_params(alpha, beta)
        samples = []
        for group, batch in zip(groups, batches, strict=True):
            for place, text in zip(group, decoder.decode(*batch), strict=True):
                samples.append(metrics.score(output.wav_filenames[place], output.transcripts[place], text, 0.0))
        return rate(samples)

    return objective


def suggest(
    objective: Callable[[float, float], float], first: tuple[float, float], limits: tuple[float, float], seed: int
) -> Iterator[tuple[tuple[float, float], float]]:
    """Try one pair after the other, beginning with `first` (Bergstra et al. 2011, tree-structured Parzen estimator).

    Yields:
        A pair and its error rate.
    """
    import optuna  # noqa: PLC0415 - it takes a second, which --help need not wait for

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(sampler=optuna.samplers.TPESampler(seed=seed))
    study.enqueue_trial({"alpha": min(first[0], limits[0]), "beta": min(max(0.0, first[1]), limits[1])})
    while True:
        trial = study.ask()
        # rounded, so that the numbers printed give the rate printed
        alpha, beta = (
            round(trial.suggest_float(*span), 4) for span in (("alpha", 0, limits[0]), ("beta", 0, limits[1]))
        )
        error = objective(alpha, beta)
        study.tell(trial, error)
        yield (alpha, beta), error


if __name__ == "__main__":
    sys.exit(main())
