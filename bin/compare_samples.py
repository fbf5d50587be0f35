#!/usr/bin/env python3
"""Tells whether two recordings sound the same; the exit status is 1 where they do not.

  bin/compare_samples.py before.wav after.wav --threshold -40

The difference is the root mean square of all samples' differences, in dB below a sine of full scale.
"""

from __future__ import annotations

import argparse
import math
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

try:
    import numpy as np

    from util.audio import read_stored
except ModuleNotFoundError as error:
    sys.exit(f"compare_samples.py: {error}: run bin/make-env.sh, then `. .venv/bin/activate`, or see README.md.")
from util.commandline import report_errors
from util.errors import DataError
from util.progress import Console

FULL_SCALE = 32768 / math.sqrt(2)  # root mean square of a sine


def main() -> int:
    """Compare; returns the exit status."""
    arguments = make_parser().parse_args()
    with report_errors(Console()) as outcome:
        level = difference_db(arguments.sample1, arguments.sample2)
        differ = level > arguments.threshold
        found = "not at all" if level == -math.inf else f"by {level:.2f} dB"
        verdict = f"{arguments.sample1} and {arguments.sample2} differ {found} ({arguments.threshold:g} dB is allowed)."
        if differ != arguments.if_differ:
            raise DataError(verdict)
        if not arguments.no_success_output:
            print(verdict, file=sys.stderr)
    return outcome.status


def make_parser() -> argparse.ArgumentParser:
    """Define the options."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("sample1", type=Path, metavar="FILE", help="a recording")
    add("sample2", type=Path, metavar="FILE", help="another of the same rate, channels and length")
    add("--threshold", type=float, default=-60.0, metavar="DB", help="above it recordings differ (%(default)g)")
    add("--if-differ", action="store_true", help="succeed where they differ, fail where they do not")
    add("--no-success-output", action="store_true", help="say nothing on success")
    return parser


def difference_db(path1: Path, path2: Path) -> float:
    """Return the level of the difference of two recordings, in dB; minus infinity where there is none.

    Raises:
        DataError: one cannot be read, or they are not of one rate, number of channels and length.
    """
    (samples1, rate1), (samples2, rate2) = read_stored(path1), read_stored(path2)
    shapes = [
        f"{samples.shape[0]} samples in {samples.shape[1]} channels at {rate} Hz"
        for samples, rate in ((samples1, rate1), (samples2, rate2))
    ]
    if shapes[0] != shapes[1]:
        raise DataError(f"{path1} has {shapes[0]}, {path2} {shapes[1]}: expected the same of both, convert one.")
    power = float(np.mean(np.square(samples1.astype(np.float64) - samples2)))
    return 10 * math.log10(power / FULL_SCALE**2) if power else -math.inf


if __name__ == "__main__":
    sys.exit(main())
