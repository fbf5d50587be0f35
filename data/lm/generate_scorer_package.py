#!/usr/bin/env python3
r"""Makes a .scorer file of a language model and its vocabulary, with the options of DeepSpeech 0.9.3.

  data/lm/generate_scorer_package --alphabet data/alphabet.txt --lm lm/lm.binary \
      --vocab lm/vocab-500000.txt --package my.scorer --default_alpha 0.93 --default_beta 1.18

The language model is what generate_lm.py makes, or an ARPA file. bin/build_scorer.py does all of it in
one step.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from util.commandline import report_errors
from util.errors import DataError
from util.files import read_utf8
from util.language_model import Estimation, write_binary, write_scorer
from util.progress import Console
from util.text import Alphabet, ByteAlphabet, normalize, read_alphabet
from util.words import choose_words, describe_unspellable

SYMBOLS = {"<s>", "</s>", "<unk>"}


def main() -> int:
    """Make what the command line says; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--alphabet", metavar="FILE", help="the alphabet of the acoustic model; not needed for bytes")
    add("--checkpoint", metavar="DIR", help="a checkpoint folder of Coqui STT with alphabet.txt in it, instead")
    add("--lm", required=True, type=Path, metavar="FILE", help="the language model, from generate_lm.py or ARPA")
    add("--vocab", required=True, metavar="FILE", help="the words, separated by white space")
    add("--package", required=True, type=Path, metavar="FILE", help="the .scorer file to write")
    add("--default_alpha", required=True, type=float, help="weight of the language model")
    add("--default_beta", required=True, type=float, help="reward for each word")
    add(
        "--force_bytes_output_mode",
        choices=("true", "false", "1", "0"),
        type=str.lower,
        help="whether the acoustic model writes bytes of UTF-8 (default: if each word is one character)",
    )
    arguments = parser.parse_args()
    console = Console()
    with report_errors(console) as outcome:
        package(arguments, console)
    return outcome.status


def package(arguments: argparse.Namespace, console: Console) -> None:
    """Write the scorer."""
    words = Counter(normalize(read_utf8(arguments.vocab, "words separated by white space")).split())
    for symbol in SYMBOLS:
        words.pop(symbol, None)
    alphabet = choose_alphabet(arguments, all(len(word) == 1 for word in words), console)
    if not words:
        raise DataError(f"{arguments.vocab} has no words, expected some separated by white space")
    vocabulary = choose_words(words, alphabet, len(words))
    if vocabulary.unspellable:
        examples = describe_unspellable(vocabulary.unspellable, alphabet)
        found = f"{len(vocabulary.unspellable)} of {len(words)} words have characters outside the alphabet"
        if not vocabulary.words:
            raise DataError(f"{found}: {examples}; give the alphabet that belongs to {arguments.vocab}")
        console.warn(f"{found} and cannot be recognised: {examples}.")
    with tempfile.TemporaryDirectory(prefix=".scorer-", dir=arguments.package.absolute().parent) as folder:
        binary = arguments.lm
        with binary.open("rb") as file:
            if b"\\data\\" in file.read(1000):
                binary = Path(folder) / "binary"
                write_binary(arguments.lm, binary, Estimation())
        scorer = write_scorer(
            binary, vocabulary.words, alphabet, arguments.package, arguments.default_alpha, arguments.default_beta
        )
    console.say(f"{arguments.package}: {len(vocabulary.words)} words, {scorer.bytes} bytes.")


def choose_alphabet(arguments: argparse.Namespace, characters: bool, console: Console) -> Alphabet:
    """Read the alphabet, unless the words are spelled in bytes.

    Args:
        arguments: the command line.
        characters: whether each word is one character.
        console: is told when that decides.
    """
    forced = arguments.force_bytes_output_mode
    if forced is None and characters:
        console.say("Each word is one character: the scorer is for acoustic models that write bytes of UTF-8.")
    if forced in {"true", "1"} or (forced is None and characters):
        return ByteAlphabet()
    path = arguments.alphabet or (arguments.checkpoint and Path(arguments.checkpoint) / "alphabet.txt")
    if not path:
        raise DataError("there is no alphabet; give --alphabet, or --force_bytes_output_mode true if there is none")
    return read_alphabet(path)


if __name__ == "__main__":
    sys.exit(main())
