#!/usr/bin/env python3
"""Combines and converts sets of utterances: CSVs, sample databases (SDB) and tar files, into one of these.

  bin/data_set_tool.py train.csv more.sdb train.sdb --audio-type opus --bitrate 24000
  bin/data_set_tool.py train.csv shards/train.tar --shard_size 1000

The last file is written, those before it are read. Recordings keep their rate and channels; those that cannot be read
are named and left out. doc/Data.md tells more.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from operator import attrgetter
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

try:
    import numpy as np
    from numpy.typing import NDArray

    from util.audio import read_info
    from util.sample_augmenter import SampleAugmenter
    from util.set_writer import SUFFIXES, Form, check_target, write_set
except ModuleNotFoundError as error:
    sys.exit(f"data_set_tool.py: {error}: run bin/make-env.sh, then `. .venv/bin/activate`, or see README.md.")
from util.commandline import report_errors
from util.corpus import Utterance
from util.errors import AudioError, DataError, UsageError
from util.progress import Console
from util.sample_sets import read_set
from util.stored import size_of
from util.task import count_cores
from util.threads import READERS, in_threads

SORTS = ("length", "size", "none")
SHOWN = 10  # recordings that are left out, by name


def main() -> int:
    """Write as the command line says; returns the exit status."""
    console = Console()
    with report_errors(console) as outcome:
        run(make_parser().parse_args(), console)
    return outcome.status


def make_parser() -> argparse.ArgumentParser:
    """Define the options; most have the names of 0.9.3's tool."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    add = parser.add_argument
    add("files", nargs="*", metavar="FILE", help="CSV, SDB or tar files to read, and as the last one that to write")
    add("--sources", nargs="+", metavar="FILE", default=[], help="files to read, as Coqui STT names them")
    add("--target", metavar="FILE", help="the file to write: .csv, .sdb, .tar, .tar.gz or .tgz")
    add("--audio-type", "--audio_type", choices=SUFFIXES, help="how to store audio (SDB: opus, others: wav)")
    add("--bitrate", metavar="N", type=int, help="of Opus, bits per second (the encoder's choice)")
    add("--workers", metavar="N", type=int, default=count_cores(), help="threads that encode (%(default)s here)")
    add("--unlabeled", action="store_true", help="write audio without transcripts, as for noise")
    add("--absolute-paths", "--absolute_paths", action="store_true", help="in a CSV")
    add(
        "--include",
        metavar="FILE",
        type=Path,
        action="append",
        default=[],
        help="add a file to the tar file; repeatable",
    )
    add("--augment", metavar="NAME[KEY=VALUE,...]", action="append", default=[],
        help="change the samples, as in training; several times")  # fmt: skip
    add("--clock", metavar="C", type=float, default=0.5, help="how much of the training is done, 0 to 1 (%(default)s)")
    add("--random_seed", metavar="SEED", type=int, default=4568, help="everything random comes from it (%(default)s)")
    add("--shard_size", metavar="N", type=int, default=0, help="begin another file after so many samples")
    add("--sort", choices=SORTS, default="length", help="shortest first, smallest first, or as they come (%(default)s)")
    add("--reverse", action="store_true", help="turn that order round")
    add("--limit", metavar="N", type=int, default=0, help="write only the first N of that order")
    return parser


def run(options: argparse.Namespace, console: Console) -> None:
    """Read, sort, write, and say what was written."""
    *sources, target = [*options.sources, *options.files, *filter(None, [options.target])] or [""]
    if not sources:
        raise UsageError("Name the files to read, and as the last one the file to write.")
    check(options)
    audio_type = options.audio_type or ("opus" if target.lower().endswith(".sdb") else "wav")
    form = Form(audio_type, options.bitrate, not options.unlabeled, options.absolute_paths, options.shard_size,
                options.include)  # fmt: skip
    check_target(Path(target), sources, form)
    augment = SampleAugmenter(options.augment, options.random_seed, options.clock)
    utterances = [utterance for source in sources for utterance in read_set(source)]
    if form.labeled and not any(utterance.transcript for utterance in utterances):
        raise DataError(f"{', '.join(sources)}: there is no transcript; give --unlabeled if that is meant")
    known = list(measure(utterances, console))
    if not known:
        raise DataError(
            f"{', '.join(sources)}: none of {len(utterances)} recordings can be read; {target} is not written"
        )
    chosen = choose(known, options)
    left_out: list[AudioError] = []
    seconds = dict(enumerate(one.duration_s for one in chosen))
    with console.track(f"Writing {target}", len(chosen)) as tracker:

        def tell(number: int, error: AudioError | None) -> None:
            if error:
                left_out.append(error)
                del seconds[number]
            tracker.advance()

        def change(number: int, samples: NDArray[np.int16], rate: int) -> NDArray[np.int16]:
            changed = augment(chosen[number].utterance, number, samples, rate)
            seconds[number] = len(changed) / rate
            return changed

        rows = [one.utterance for one in chosen]
        paths = write_set(Path(target), rows, form, options.workers, tell, change if options.augment else None)
    warn(left_out, console)
    hours = sum(seconds.values()) / 3600
    files = f"{paths[0]} to {paths[-1].name}" if len(paths) > 1 else target
    print(f"{files}: {len(chosen) - len(left_out)} utterances, {hours:.2f} h")


def check(options: argparse.Namespace) -> None:
    """Refuse values that an option cannot have."""
    for name, least in (("bitrate", 500), ("workers", 1), ("shard_size", 0), ("limit", 0)):
        if (value := getattr(options, name)) is not None and value < least:
            raise UsageError(f"--{name} is {value}, expected {least} or more.")
    for path in options.include:
        if not path.is_file():
            raise UsageError(f"--include names {path}, expected a file.")


class Measured(NamedTuple):
    """An utterance, the length of its audio in seconds, and its size in bytes."""

    utterance: Utterance
    duration_s: float
    size: int


def measure(utterances: Sequence[Utterance], console: Console) -> Iterator[Measured]:
    """Yield the utterances whose audio can be read, and name the others."""
    left_out = []
    with console.track("Looking at the audio", len(utterances)) as tracker:
        for utterance, found in zip(utterances, in_threads(_measure, utterances, READERS), strict=True):
            tracker.advance()
            if isinstance(found, AudioError):
                left_out.append(found)
            else:
                yield Measured(utterance, *found)
    warn(left_out, console)


def _measure(utterance: Utterance) -> tuple[float, int] | AudioError:
    try:
        size = size_of(utterance.audio)
        return read_info(utterance.audio).duration_s, size
    except AudioError as error:
        return error
    except OSError as error:
        return AudioError(f"cannot read {utterance.path}: {error.strerror}")


def choose(known: Sequence[Measured], options: argparse.Namespace) -> list[Measured]:
    """Return what is to be written, in its order; what is equal stays as it comes."""
    keys = {"length": attrgetter("duration_s"), "size": attrgetter("size")}
    ordered = sorted(known, key=keys[options.sort]) if options.sort in keys else list(known)
    if options.reverse:
        ordered = ordered[::-1]
    return ordered[: options.limit or None]


def warn(left_out: Sequence[AudioError], console: Console) -> None:
    """Say which recordings are left out."""
    for error in left_out[:SHOWN]:
        console.warn(f"{error}. It is left out.")
    if len(left_out) > SHOWN:
        console.warn(f"{len(left_out) - SHOWN} more are left out: bin/check_data.py names all.")


if __name__ == "__main__":
    sys.exit(main())
