#!/usr/bin/env python3
"""Lists the characters of transcripts: what an alphabet for them needs.

  bin/check_characters.py -csv train.csv,dev.csv,test.csv
  bin/check_characters.py -csv train.csv,dev.csv,test.csv -alpha > alphabet.txt

With -alpha they are written as DeepSpeech.py reads an alphabet.
"""

from __future__ import annotations

import argparse
import sys
import unicodedata
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

try:
    from util.sample_sets import read_set
except ModuleNotFoundError as error:
    sys.exit(f"check_characters.py: {error}: run bin/make-env.sh, then `. .venv/bin/activate`, or see README.md.")
from util.commandline import report_errors
from util.corpus import Utterance
from util.errors import DataError
from util.progress import Console
from util.text import describe_character, format_alphabet


def main() -> int:
    """Print the characters; returns the exit status."""
    arguments = make_parser().parse_args()
    with report_errors(Console()) as outcome:
        utterances = [row for path in arguments.csv_files.split(",") if path for row in read_set(path)]
        if not arguments.disable_unicode_variants:
            for utterance in utterances:
                check_variants(utterance)
        counts = Counter(character for utterance in utterances for character in utterance.transcript)
        if arguments.alphabet_format:
            sys.stdout.write(format_alphabet(sorted(counts)))
        else:
            for character, count in sorted(counts.items()):
                print(f"{count:8} {describe_character(character)}")
    return outcome.status


def make_parser() -> argparse.ArgumentParser:
    """Define the options."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("-csv", "--csv-files", required=True, metavar="CSV,...", help="CSV, SDB or tar files, comma separated")
    add("-alpha", "--alphabet-format", action="store_true", help="print an alphabet.txt")
    add(
        "-unicode", "--disable-unicode-variants", action="store_true",
        help="accept characters that Unicode's NFKC writes as others, such as ligatures",
    )  # fmt: skip
    return parser


def check_variants(utterance: Utterance) -> None:
    """Refuse (DataError) a transcript with a character that is a variant of others."""
    for character in utterance.transcript:
        plain = unicodedata.normalize("NFKC", character)
        if plain != character:
            raise DataError(
                f"{utterance.place}: the transcript has {describe_character(character)}, a variant of"
                f" {plain!r}: write it so, for instance with NFKC, or accept such characters with -unicode."
            )


if __name__ == "__main__":
    sys.exit(main())
