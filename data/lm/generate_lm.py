#!/usr/bin/env python3
"""Makes a language model and its vocabulary from text, with the options of DeepSpeech 0.9.3.

  data/lm/generate_lm.py --input_txt corpus.txt --output_dir lm

writes lm/lm.binary and lm/vocab-500000.txt, which generate_scorer_package makes a scorer of. Text is
changed to small letters, as ever. bin/build_scorer.py does both in one step and leaves letters alone.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from util.commandline import report_errors
from util.errors import UsageError
from util.files import make_directory, publish, write_atomically
from util.language_model import HIGHEST_ORDER, Estimation, estimate_ngrams, parse_memory, parse_pruning, write_binary
from util.progress import Console
from util.words import choose_words, read_text


def main() -> int:
    """Make what the command line says; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--input_txt", required=True, nargs="+", metavar="FILE", help="text, also .gz .xz .bz2, or a CSV")
    add("--output_dir", required=True, type=Path, metavar="DIR", help="where lm.binary and the vocabulary go")
    add("--top_k", type=int, default=500_000, help="keep so many words, the most frequent (%(default)s)")
    add("--kenlm_bins", help="accepted for old command lines only: KenLM is built in")
    add("--arpa_order", type=int, default=5, choices=range(2, HIGHEST_ORDER + 1), help="of the n-grams (%(default)s)")
    add("--max_arpa_memory", default="1G", help="for buffers, as in 500M, 4G or 85%% (%(default)s)")
    add("--arpa_prune", default="0|0|1", help="leave out n-grams seen at most so often (%(default)s)")
    add("--binary_a_bits", type=int, default=255, help="of compressed pointers in a trie, at most (%(default)s)")
    add("--binary_q_bits", type=int, default=8, help="of probabilities in a trie, 0 for floats (%(default)s)")
    add("--binary_type", choices=("trie", "probing"), default="trie", help="(%(default)s)")
    add("--discount_fallback", action="store_true", help="take fixed discounts where the text is too small")
    arguments = parser.parse_args()
    console = Console()
    if arguments.kenlm_bins:
        console.say("--kenlm_bins is accepted for old command lines only: KenLM is built in.")
    with report_errors(console) as outcome:
        generate(arguments, console)
    return outcome.status


def generate(arguments: argparse.Namespace, console: Console) -> None:
    """Write the language model and the vocabulary."""
    if arguments.top_k < 1:
        raise UsageError(f"--top_k is {arguments.top_k}, expected at least 1")
    for flag, bits, highest in (
        ("--binary_a_bits", arguments.binary_a_bits, 255),
        ("--binary_q_bits", arguments.binary_q_bits, 25),
    ):
        if not 0 <= bits <= highest:
            raise UsageError(f"{flag} is {bits}, expected 0 to {highest}")
    options = Estimation(
        order=arguments.arpa_order,
        pruning=parse_pruning(arguments.arpa_prune, arguments.arpa_order),
        kind=arguments.binary_type,
        quantization_bits=arguments.binary_q_bits,
        pointer_bits=arguments.binary_a_bits,
        memory=parse_memory(arguments.max_arpa_memory),
        discount_fallback=arguments.discount_fallback,
    )
    output = arguments.output_dir
    make_directory(output)
    with tempfile.TemporaryDirectory(prefix=".lm-", dir=output) as folder:
        here = Path(folder)
        text = read_text(arguments.input_txt, here / "text", console, lowercase=True)
        words = choose_words(text.counts, None, arguments.top_k).words
        guessed = estimate_ngrams(text.path, len(text.counts), words, here / "arpa", options, console)
        if guessed:
            console.warn(f"fixed discounts are taken for order {', '.join(map(str, guessed))}.")
        console.say("Packing the n-grams.")
        write_binary(here / "arpa", here / "binary", options)
        publish(here / "binary", output / "lm.binary")
    vocabulary = output / f"vocab-{arguments.top_k}.txt"
    write_atomically(vocabulary, "\n".join(words) + "\n")
    console.say(f"{output / 'lm.binary'} has the n-grams and {vocabulary} the {len(words)} words.")


if __name__ == "__main__":
    sys.exit(main())
