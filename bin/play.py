#!/usr/bin/env python3
"""Lists and plays the utterances of a CSV, sample database (SDB) or tar file, or an audio file.

  bin/play.py train.sdb --start 100 --number 5
  bin/play.py train.sdb --list
  bin/play.py train.sdb --start 17 --number 1 --pipe >17.wav

A line each: position, length, where it is, transcript. It plays with a program that is there: aplay, afplay, ffplay or
others.
"""

from __future__ import annotations

import argparse
import random
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TextIO

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

try:
    from util.audio import encode_audio, read_audio, read_info, read_stored
    from util.sample_augmenter import SampleAugmenter
except ModuleNotFoundError as error:
    sys.exit(f"play.py: {error}: run bin/make-env.sh, then `. .venv/bin/activate`, or see README.md.")
from util.audio_faults import ENDINGS
from util.commandline import report_errors
from util.corpus import Utterance
from util.errors import AudioError, DataError, UsageError
from util.progress import Console
from util.sample_sets import read_set

PLAYERS = {
    "aplay": ["-q"],
    "afplay": [],
    "pw-play": [],
    "paplay": [],
    "ffplay": ["-nodisp", "-autoexit", "-loglevel", "error"],
    "play": ["-q"],
}


def main() -> int:
    """Play as the command line says; returns the exit status."""
    console = Console()
    with report_errors(console) as outcome:
        outcome.status = run(make_parser().parse_args(), console)
    return outcome.status


def make_parser() -> argparse.ArgumentParser:
    """Define the options, with the names of 0.9.3's tool."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    add = parser.add_argument
    add("source", metavar="FILE", help="CSV, SDB, tar or audio file")
    add("--start", metavar="N", type=int, default=0, help="position of the first, from 0; -1 is the last one")
    add("--number", metavar="N", type=int, default=-1, help="how many (-1: all that follow)")
    add("--random", action="store_true", help="shuffle them first")
    add("--random_seed", metavar="SEED", type=int, default=4568, help="everything random comes from it (%(default)s)")
    add("--augment", metavar="NAME[KEY=VALUE,...]", action="append", default=[],
        help="change the sound, as in training; several times")  # fmt: skip
    add("--clock", metavar="C", type=float, default=0.5, help="how much of the training is done, 0 to 1 (%(default)s)")
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--list", action="store_true", help="list only")
    what.add_argument("--pipe", action="store_true", help="write one as a WAV file to standard output instead")
    add("--quiet", action="store_true", help="do not list")
    return parser


def run(options: argparse.Namespace, console: Console) -> int:
    """List and play; returns the exit status, 1 where a recording cannot be read."""
    chosen = choose(read(options.source), options)
    if options.pipe and len(chosen) != 1:
        raise UsageError(f"--pipe writes one recording, and {len(chosen)} are chosen: give --start N --number 1.")
    augment = SampleAugmenter(options.augment, options.random_seed, options.clock)
    player = [] if options.list or options.pipe else find_player()
    status = 0
    for number, utterance in chosen:
        try:
            if not options.quiet:
                show(number, utterance, sys.stderr if options.pipe else sys.stdout)
            if not options.list:
                samples, rate = read_stored(utterance.audio)
                if options.augment:
                    samples = augment(utterance, number, read_audio(utterance.audio, rate), rate)
                sound = encode_audio(".wav", samples, rate)
                sys.stdout.buffer.write(sound) if options.pipe else play(sound, player)
        except AudioError as error:
            console.warn(f"{error}.")
            status = 1
    return status


def read(source: str) -> list[Utterance]:
    """Return the utterances of a set, or the one that an audio file is."""
    if source.lower().endswith(ENDINGS):
        return [Utterance(source, str(Path(source).absolute()), 0, "", source, 0)]
    return read_set(source)


def choose(utterances: Sequence[Utterance], options: argparse.Namespace) -> list[tuple[int, Utterance]]:
    """Return the utterances to play, with their positions."""
    numbered = list(enumerate(utterances))
    start = options.start + (len(numbered) if options.start < 0 else 0)
    if not 0 <= start < max(1, len(numbered)):
        raise UsageError(f"--start is {options.start}, and {options.source} has {len(numbered)} utterances.")
    if options.number < -1:
        raise UsageError(f"--number is {options.number}, expected a number of utterances, or -1 for all.")
    if options.random:
        random.Random(options.random_seed).shuffle(numbered)
    return numbered[start:] if options.number < 0 else numbered[start : start + options.number]


def show(number: int, utterance: Utterance, stream: TextIO) -> None:
    """Write a line about an utterance."""
    where = utterance.place if utterance.stored else utterance.wav_filename
    length = f"{read_info(utterance.audio).duration_s:.2f} s"
    print(f"{number:6}  {length:>9}  {where}  {utterance.transcript}".rstrip(), file=stream, flush=True)


def find_player() -> list[str]:
    """Return a program that plays a file, and its options."""
    for name, options in PLAYERS.items():
        if path := shutil.which(name):
            return [path, *options]
    raise DataError(f"no program to play with was found ({', '.join(PLAYERS)}): install one, or use --list or --pipe")


def play(sound: bytes, player: Sequence[str]) -> None:
    """Play a WAV file and wait for its end."""
    with tempfile.NamedTemporaryFile(suffix=".wav") as file:
        file.write(sound)
        file.flush()
        done = subprocess.run([*player, file.name], stderr=subprocess.PIPE, text=True, errors="replace", check=False)
    if done.returncode:
        said = (done.stderr.strip().splitlines() or ["it does not say why"])[-1]
        raise DataError(f"{player[0]} cannot play: {said}; check the sound device, or use --list or --pipe")


if __name__ == "__main__":
    sys.exit(main())
