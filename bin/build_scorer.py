#!/usr/bin/env python3
"""Builds a .scorer file, the language model of the beam search, from text.

  bin/build_scorer.py --text corpus.txt --alphabet data/alphabet.txt --output my.scorer

Text has one sentence per line, written as the transcripts are: what the alphabet cannot write cannot
be recognised, and words that have such characters are reported. Sets of utterances (CSV, SDB, tar) may
be given as text, too. doc/Scorer.md tells more.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from util.commandline import report_errors
from util.errors import DataError, UsageError
from util.language_model import (
    HIGHEST_ORDER,
    Estimation,
    Scorer,
    estimate_ngrams,
    parse_memory,
    parse_pruning,
    write_binary,
    write_scorer,
)
from util.progress import ERROR, Console
from util.text import Alphabet, ByteAlphabet, read_alphabet
from util.words import Vocabulary, choose_words, describe_unspellable, read_text

PRUNED_FROM = 1_000_000  # words of text, where singletons begin to cost more room than they are worth
LARGE_TEXT_PRUNING = "0,0,1"


def main() -> int:
    """Build as the command line says; returns the exit status."""
    arguments = make_parser().parse_args()
    console = Console()
    try:
        with report_errors(console) as outcome:
            build(arguments, console)
        return outcome.status
    except ModuleNotFoundError as error:
        console.say(f"{error}: run `. .venv/bin/activate`, or see README.md.", ERROR)
        return 1


def make_parser() -> argparse.ArgumentParser:
    """Define the options."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add(
        "--text",
        nargs="+",
        action="extend",
        required=True,
        metavar="FILE",
        help="text, also .gz .xz .bz2, or a CSV, SDB or tar file",
    )
    add("--output", type=Path, required=True, metavar="FILE", help="the .scorer file to write")
    labels = parser.add_mutually_exclusive_group(required=True)
    labels.add_argument("--alphabet", metavar="FILE", help="the alphabet of the acoustic model")
    labels.add_argument("--bytes_output_mode", action="store_true", help="the acoustic model writes bytes of UTF-8")
    add("--lowercase", action="store_true", help="change capital letters to small ones")
    add("--top_k", type=int, default=500_000, help="keep so many words, the most frequent (%(default)s)")
    add("--order", type=int, default=5, choices=range(2, HIGHEST_ORDER + 1), help="of the n-grams (%(default)s)")
    add(
        "--prune",
        metavar="0,0,1",
        help="leave out n-grams seen at most so often, for each order "
        f"({LARGE_TEXT_PRUNING} from {PRUNED_FROM:,} words of text on, 0 below)",
    )
    add("--lm_type", choices=("trie", "probing"), default="trie", help="probing: faster and larger (%(default)s)")
    add("--quantization_bits", type=int, default=8, help="of a trie's probabilities, 0 to 25, 0: none (%(default)s)")
    add("--default_alpha", type=float, default=0.931289039105002, help="weight of the language model (%(default)s)")
    add("--default_beta", type=float, default=1.1834137581510284, help="reward for each word (%(default)s)")
    add("--memory", default="1G", help="for buffers, as in 500M, 4G or 50%% (%(default)s)")
    add("--temp_dir", type=Path, help="for temporary files, 10 to 25 times the text's size (the output's folder)")
    return parser


def build(arguments: argparse.Namespace, console: Console) -> None:
    """Read the text, estimate, and write the scorer."""
    memory = parse_memory(arguments.memory)
    pruning = parse_pruning(arguments.prune, arguments.order) if arguments.prune else None
    check(arguments)
    in_bytes = arguments.bytes_output_mode
    alphabet = ByteAlphabet() if in_bytes else read_alphabet(arguments.alphabet)
    with tempfile.TemporaryDirectory(prefix=".scorer-", dir=arguments.temp_dir or arguments.output.parent) as folder:
        here = Path(folder)
        text = read_text(arguments.text, here / "text", console, arguments.lowercase, in_bytes)
        vocabulary = choose_words(text.counts, alphabet, arguments.top_k)
        tell_words(vocabulary, alphabet, text.symbols, console)
        if pruning is None:
            pruning = parse_pruning(LARGE_TEXT_PRUNING if text.counts.total() >= PRUNED_FROM else "0", arguments.order)
        options = Estimation(arguments.order, pruning, arguments.lm_type, arguments.quantization_bits, memory=memory)
        types = len(text.counts)
        text.counts.clear()
        guessed = estimate_ngrams(text.path, types, vocabulary.words, here / "arpa", options, console)
        if guessed:
            orders = ", ".join(map(str, guessed))
            console.warn(f"the text is too small to tell the discounts of order {orders}; fixed ones are taken.")
        console.say("Packing the n-grams.")
        write_binary(here / "arpa", here / "binary", options)
        alpha, beta = arguments.default_alpha, arguments.default_beta
        scorer = write_scorer(here / "binary", vocabulary.words, alphabet, arguments.output, alpha, beta)
    summarize(arguments, scorer, len(vocabulary.words), alphabet, console)


def check(arguments: argparse.Namespace) -> None:
    """Raise UsageError for what argparse cannot see."""
    if arguments.top_k < 1:
        raise UsageError(f"--top_k is {arguments.top_k}, expected at least 1")
    if not 0 <= arguments.quantization_bits <= 25:
        raise UsageError(f"--quantization_bits is {arguments.quantization_bits}, expected 0 to 25")
    for flag, folder in (("--output", arguments.output.parent), ("--temp_dir", arguments.temp_dir)):
        if folder and not folder.is_dir():
            raise UsageError(f"{flag}: there is no folder {folder}; make it, or choose another")


def tell_words(vocabulary: Vocabulary, alphabet: Alphabet, symbols: int, console: Console) -> None:
    """Report the words that are left out.

    Raises:
        DataError: no word is left.
    """
    if vocabulary.unspellable:
        examples = describe_unspellable(vocabulary.unspellable, alphabet)
        if not vocabulary.words:
            raise DataError(
                f"the alphabet can write none of the {len(vocabulary.unspellable)} words: {examples}; give the "
                "alphabet of the text's language, or --lowercase if it has small letters only"
            )
        console.warn(
            f"{len(vocabulary.unspellable)} words, {vocabulary.unspellable_share:.1%} of the text, have characters "
            f"outside the alphabet and cannot be recognised: {examples}."
        )
    if vocabulary.rare:
        console.say(f"{vocabulary.rare} words beyond the {len(vocabulary.words)} most frequent are left out.")
    if symbols:
        console.warn(f"{symbols} times <s>, </s> or <unk> in the text are left out.")


def summarize(arguments: argparse.Namespace, scorer: Scorer, words: int, alphabet: Alphabet, console: Console) -> None:
    """Say what was made."""
    ngrams = ", ".join(map(str, scorer.ngrams))
    spelled = "bytes" if arguments.bytes_output_mode else f"{len(alphabet)} labels of {arguments.alphabet}"
    console.say(
        f"{arguments.output}: {words} words, n-grams of order 1 to {len(scorer.ngrams)}: {ngrams}, "
        f"{scorer.bytes / 1e6:.1f} MB, {spelled}, alpha {arguments.default_alpha:g}, beta {arguments.default_beta:g}."
    )


if __name__ == "__main__":
    sys.exit(main())
