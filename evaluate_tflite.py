#!/usr/bin/env python3
"""Tests an exported model on a CSV: what clients will say, rounded weights and all.

  ./evaluate_tflite.py --model output_graph.tflite --scorer my.scorer --csv test.csv

The report is that of DeepSpeech.py's test without the loss, which a model does not tell.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

try:
    import deepspeech
    from deepspeech import cli

    from util import metrics
except ImportError as error:
    sys.exit(f"evaluate_tflite.py: {error}: run bin/make-env.sh, then `. .venv/bin/activate`, or see README.md.")
from util.audio import read_audio
from util.commandline import report_errors
from util.corpus import Utterance
from util.errors import AudioError, DataError
from util.files import write_atomically
from util.progress import ERROR, Console
from util.sample_sets import read_set
from util.task import count_cores
from util.threads import in_threads

TOGETHER = 16  # utterances a thread hears at a time
NO_LOSS = float("nan")


def main() -> int:
    """Test as the command line says; returns the exit status."""
    parser = make_parser()
    arguments = parser.parse_args()
    cli.check_model_options(parser, arguments)
    console = Console()
    with report_errors(console) as outcome:
        try:
            outcome.status = run(arguments, console)
        except (cli.CommandError, deepspeech.Error) as error:
            raise DataError(str(error)) from error
    return outcome.status


def make_parser() -> argparse.ArgumentParser:
    """Define the options."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    cli.add_model_options(parser)
    add(
        "--csv",
        type=Path,
        required=True,
        metavar="FILE",
        help="what to test on: CSV (wav_filename,wav_filesize,transcript), SDB or tar",
    )
    add(
        "--proc", type=cli.positive, default=count_cores(), metavar="N", help="utterances at a time (one for each core)"
    )
    add(
        "--report_count",
        type=int,
        default=5,
        metavar="N",
        help="samples shown of the best, median, worst (%(default)s)",
    )
    add("--test_output_file", type=Path, metavar="FILE", help="write the result of every utterance as JSON")
    add("--dump", metavar="PREFIX", help="write the transcripts to PREFIX.txt and what was recognised to PREFIX.out")
    return parser


def run(arguments: argparse.Namespace, console: Console) -> int:
    """Transcribe, compare, report; returns the exit status."""
    utterances = read_set(arguments.csv)
    if not utterances:
        raise DataError(f"{arguments.csv} has no rows, expected utterances to test on")
    model = cli.load_model(arguments, threads=1)  # of each batch
    groups = [utterances[start : start + TOGETHER] for start in range(0, len(utterances), TOGETHER)]
    samples: list[metrics.Sample] = []
    with console.track(f"Testing {arguments.csv}", len(utterances)) as tracker:
        for heard, faults in in_threads(lambda group: transcribe(model, group), groups, arguments.proc):
            for fault in faults:
                console.say(fault, ERROR)
            samples += heard
            for _ in range(len(heard) + len(faults)):
                tracker.advance()
    if not samples:
        raise DataError(f"no recording of {arguments.csv} can be read, so there is nothing to report")
    print(*metrics.format_report(str(arguments.csv), samples, arguments.report_count), sep="\n")
    if arguments.test_output_file:
        metrics.write_samples_json(arguments.test_output_file, samples)
    if arguments.dump:
        write_atomically(f"{arguments.dump}.txt", "".join(f"{sample.reference}\n" for sample in samples))
        write_atomically(f"{arguments.dump}.out", "".join(f"{sample.hypothesis}\n" for sample in samples))
    return int(len(samples) < len(utterances))


def transcribe(model: deepspeech.Model, utterances: Sequence[Utterance]) -> tuple[list[metrics.Sample], list[str]]:
    """Return the utterances compared with their transcripts, and a sentence for each that cannot be read."""
    audio, faults = {}, []
    for utterance in utterances:
        try:
            audio[utterance] = read_audio(utterance.audio, model.sampleRate())
        except AudioError as error:
            faults.append(f"{utterance.place}: {error}")
    texts = [metadata.transcripts[0].text for metadata in model.sttBatch(list(audio.values()))] if audio else []
    heard = [metrics.score(u.path, u.transcript, text, NO_LOSS) for u, text in zip(audio, texts, strict=True)]
    return heard, faults


if __name__ == "__main__":
    sys.exit(main())
