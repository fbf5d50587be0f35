#!/usr/bin/env python3
"""Looks closely at data before anything is trained on it.

  bin/check_data.py --train_files train.csv --dev_files dev.csv --test_files test.csv --html check.html

Reads every recording and says which rows training would leave out and why, which recordings and speakers are in
several sets, and which clips stand out: clipped, silent, too long or too short for their transcript. Sets are CSV, SDB
or tar files; those without a flag are a set each. The exit status is 1 where rows are at fault or sets share something.
doc/Data.md tells more.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

try:
    from util.commandline import report_errors
    from util.data_fix import ALPHABET as FITTING
    from util.data_fix import plan_targets, write_cleaned
    from util.data_page import render
    from util.data_report import describe, to_json
except ModuleNotFoundError as error:
    sys.exit(f"check_data.py: {error}: run bin/make-env.sh, then `. .venv/bin/activate`, or see README.md.")
from util.errors import UsageError
from util.features import FeatureSet
from util.files import make_directory, write_atomically
from util.measures import SILENCE_DB
from util.progress import Console
from util.sample_sets import kind_of
from util.survey import take_survey
from util.text import ByteAlphabet, read_alphabet

ALPHABET = ROOT / "data" / "alphabet.txt"  # which training takes, too, where none is named
SPLITS = ("train", "dev", "test")


def main() -> int:
    """Check as the command line says; returns the exit status."""
    console = Console()
    with report_errors(console) as outcome:
        options = make_parser().parse_args()
        outcome.status = run(options, console)
    return outcome.status


def make_parser() -> argparse.ArgumentParser:
    """Define the options; those of DeepSpeech.py have its names."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("csv", nargs="*", metavar="CSV", help="sets of their own, or SDB and tar files")
    for purpose in SPLITS:
        add(f"--{purpose}_files", metavar="CSV,...", default="", help=f"the {purpose} set, comma separated")
    add("--alphabet_config_path", metavar="FILE", type=Path, help="labels of the network (data/alphabet.txt)")
    add("--bytes_output_mode", action="store_true", help="labels are UTF-8 bytes instead")
    add("--nobidirectional", action="store_true", help="the network will be one that can stream: other features")
    add("--audio_sample_rate", metavar="HZ", type=int, default=16000, help="of the network (%(default)s)")
    add("--feature_win_len", metavar="MS", type=float, help="analysis window (25, with --nobidirectional 32)")
    add("--feature_win_step", metavar="MS", type=float, default=20, help="distance of feature vectors (%(default)s)")
    add("--silence_level", metavar="DB", type=float, default=SILENCE_DB,
        help="what is weaker is silence, dBFS (%(default)g)")  # fmt: skip
    add("--json", metavar="FILE", type=Path, help="write all that was found")
    add("--html", metavar="FILE", type=Path, help="write a page with plots, and players for clips that stand out")
    add(
        "--fix", metavar="FOLDER", type=Path, help="write the CSVs without the rows at fault, and an alphabet that fits"
    )
    return parser


def run(options: argparse.Namespace, console: Console) -> int:
    """Check, print, write; returns the exit status."""
    splits = choose_splits(options)
    check_outputs(options, splits)
    features = choose_features(options)
    path = options.alphabet_config_path or ALPHABET
    alphabet = ByteAlphabet() if options.bytes_output_mode else read_alphabet(path)
    name = "the bytes of UTF-8" if options.bytes_output_mode else str(path).removeprefix(f"{ROOT}/")
    survey = take_survey(splits, alphabet, name, features, options.silence_level, console)
    print("\n".join(describe(survey)))
    if options.json:
        make_directory(options.json.parent)
        write_atomically(options.json, to_json(survey))
    if options.html:
        make_directory(options.html.parent)
        write_atomically(options.html, render(survey, options.html.parent))
    if options.fix:
        for line in write_cleaned(survey, options.fix, bool(options.alphabet_config_path or options.bytes_output_mode)):
            print(line)
    return int(bool(survey.faults or survey.overlaps))


def choose_splits(options: argparse.Namespace) -> dict[str, list[str]]:
    """Return the CSV files of every set, by its name."""
    given = {name: getattr(options, f"{name}_files").split(",") for name in SPLITS}
    splits = {name: [path for path in paths if path] for name, paths in given.items() if any(paths)}
    splits |= {f"./{path}" if path in SPLITS else path: [path] for path in options.csv}
    if not splits:
        raise UsageError("There is nothing to check: name CSV files, or give --train_files, --dev_files, --test_files.")
    return splits


def check_outputs(options: argparse.Namespace, splits: dict[str, list[str]]) -> None:
    """Refuse to write over what is read."""
    inputs = [Path(path) for paths in splits.values() for path in paths] + [options.alphabet_config_path or ALPHABET]
    outputs = [path for path in (options.json, options.html) if path]
    if options.fix:
        outputs += [*plan_targets(splits, options.fix).values(), options.fix / FITTING]
        for path in (path for paths in splits.values() for path in paths):
            if (kind := kind_of(path)) != "CSV":
                raise UsageError(f"--fix writes CSVs, and {path} is {kind}: make a CSV of it by bin/data_set_tool.py.")
    for output in outputs:
        if output.resolve() in {path.resolve() for path in inputs}:
            raise UsageError(f"{output} is read and would be overwritten: choose another name or folder.")


def choose_features(options: argparse.Namespace) -> FeatureSet:
    """Return the features of the network, as DeepSpeech.py chooses them."""
    for name in ("audio_sample_rate", "feature_win_len", "feature_win_step"):
        if (value := getattr(options, name)) is not None and value < 1:
            raise UsageError(f"--{name} is {value:g}, expected 1 or more.")
    window_and_step = options.feature_win_len, options.feature_win_step
    features = FeatureSet.of_network(not options.nobidirectional, options.audio_sample_rate, *window_and_step)
    features.check()
    return features


if __name__ == "__main__":
    sys.exit(main())
