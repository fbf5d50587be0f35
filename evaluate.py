#!/usr/bin/env python3
"""Tests a network: DeepSpeech.py with the same flags, without its training and export.

  ./evaluate.py --checkpoint_dir run --test_files test.csv --scorer my.scorer --test_output_file results.json

Whatever the flags say, nothing is trained or exported.
"""

from __future__ import annotations

import argparse
import runpy
import sys
from pathlib import Path

PROGRAM = Path(__file__).resolve().parent / "DeepSpeech.py"
ONLY_TEST = ("--test", "--train_files=", "--nodry_run", "--one_shot_infer=")
NO_EXPORT = (
    *("--export_dir=", "--export_compat=", "--noremove_export"),
    *("--noexport_savedmodel", "--noexport_graph", "--noexport_zip"),
)


def main() -> None:
    """Run DeepSpeech.py in this process, with the options of this interpreter."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
        usage="%(prog)s --checkpoint_dir DIR --test_files CSV,... [flags of DeepSpeech.py]",
    )
    _, flags = parser.parse_known_args()
    if not any(flag.lstrip("-").startswith(("test_files", "flagfile")) for flag in flags):
        parser.error("give --test_files, the CSV files to test on")
    sys.argv = [str(PROGRAM), *flags, *ONLY_TEST, *NO_EXPORT]
    runpy.run_path(str(PROGRAM), run_name="__main__")


if __name__ == "__main__":
    main()
