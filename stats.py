#!/usr/bin/env python3
"""Says how much speech there is in CSV, SDB or tar files.

  ./stats.py -csv train.csv,dev.csv

Lengths are those of the recordings; of those that are not here they are reckoned from wav_filesize.
"""

from __future__ import annotations

import argparse
import statistics
import sys
from dataclasses import dataclass

try:
    from util.audio import read_info
except ModuleNotFoundError as error:
    sys.exit(f"stats.py: {error}: run bin/make-env.sh, then `. .venv/bin/activate`, or see README.md.")
from util.commandline import report_errors
from util.corpus import Utterance
from util.errors import AudioError, UsageError
from util.progress import Console
from util.sample_sets import read_set
from util.threads import READERS, in_threads

HEADER = 44  # bytes of a WAV before its samples


@dataclass(frozen=True)
class Length:
    """How long an utterance is, in seconds, and why that is reckoned from its size where it is."""

    seconds: float
    fault: str = ""


def main() -> int:
    """Print the numbers; returns the exit status."""
    arguments = make_parser().parse_args()
    console = Console()
    with report_errors(console) as outcome:
        report(arguments, console)
    return outcome.status


def make_parser() -> argparse.ArgumentParser:
    """Define the options."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("-csv", "--csv-files", required=True, metavar="CSV,...", help="CSV, SDB or tar files, comma separated")
    add("--sample-rate", type=int, default=16000, metavar="HZ", help="of recordings not here (%(default)s)")
    add("--channels", type=int, default=1, metavar="N", help="of recordings not here (%(default)s)")
    add("--bits-per-sample", type=int, default=16, metavar="N", help="of recordings not here (%(default)s)")
    return parser


def report(arguments: argparse.Namespace, console: Console) -> None:
    """Measure the utterances and print what there is."""
    for name in ("sample_rate", "channels", "bits_per_sample"):
        if getattr(arguments, name) < 1:
            raise UsageError(f"--{name.replace('_', '-')} is {getattr(arguments, name)}, expected 1 or more")
    utterances = [row for path in arguments.csv_files.split(",") if path for row in read_set(path)]
    bytes_per_second = arguments.sample_rate * arguments.channels * arguments.bits_per_sample / 8

    def measure(utterance: Utterance) -> Length:
        try:
            return Length(read_info(utterance.audio).duration_s)
        except AudioError as error:
            return Length(max(0, utterance.wav_filesize - HEADER) / bytes_per_second, str(error))

    lengths = []
    with console.track("Measuring", len(utterances)) as tracker:
        for length in in_threads(measure, utterances, READERS):
            lengths.append(length)
            tracker.advance()
    faults = [length.fault for length in lengths if length.fault]
    if faults:
        console.warn(f"the length of {len(faults)} of {len(lengths)} is reckoned from wav_filesize: {faults[0]}")
    seconds = [length.seconds for length in lengths]
    print("Total bytes:", sum(utterance.wav_filesize for utterance in utterances))
    print("Total files:", len(utterances))
    print("Total time:", clock(sum(seconds)))
    if seconds:
        print(f"Shortest: {min(seconds):.2f} s, median: {statistics.median(seconds):.2f} s,"
              f" mean: {statistics.fmean(seconds):.2f} s, longest: {max(seconds):.2f} s")  # fmt: skip


def clock(seconds: float) -> str:
    """Write a time span as 0.9.3 does: hours, minutes and seconds."""
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}"


if __name__ == "__main__":
    sys.exit(main())
