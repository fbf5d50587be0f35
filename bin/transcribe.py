#!/usr/bin/env python3
"""Transcribes long recordings, or folders of them, on all cores.

  bin/transcribe.py --model model.tflite --scorer my.scorer --src talks/ --dst transcripts/ --formats json srt

Recordings are cut where nobody speaks; times are those of the whole recording. Each one's files appear when
it is finished, and are not made again: the same command goes on where it was stopped. --checkpoint_dir in place
of --model takes the network of a run, with flags of DeepSpeech.py. doc/Transcribing.md tells more.
"""

from __future__ import annotations

import argparse
import json
import signal
import subprocess
import sys
import tempfile
import time
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

try:
    import deepspeech
    from deepspeech import audio, cli, output

    from util.segmentation import Segment, split_at_silences
except ImportError as error:
    sys.exit(f"transcribe.py: {error}: run bin/make-env.sh, then `. .venv/bin/activate`, or see README.md.")
from util.audio import read_info
from util.errors import AudioError, DataError, DeepSpeechError, UsageError
from util.files import make_directory, read_utf8, write_atomically
from util.progress import ERROR, Console, Tracker
from util.task import count_cores

FORMATS = ("json", "srt", "vtt", "txt", "tlog")
SUFFIXES = {".wav", ".flac", ".ogg", ".oga", ".opus", ".mp3"}


@dataclass
class Spoken:
    """A transcribed part of a recording, with times in seconds on the recording's clock."""

    start: float
    end: float
    text: str
    confidence: float
    words: list[deepspeech.WordMetadata]


@dataclass
class Recording:
    """A file to transcribe, the files to write by their format, and what has been transcribed so far."""

    path: Path
    targets: dict[str, Path]
    duration: float = 0.0
    spoken: list[Spoken] = field(default_factory=list)
    fault: str = ""


Task = tuple[Recording, Segment | None]  # None: the recording ends


def main() -> int:
    """Transcribe as the command line says; returns the exit status."""
    parser = make_parser()
    arguments, others = parser.parse_known_args()
    arguments.others = others
    check(parser, arguments)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        return run(arguments, Console())
    except DeepSpeechError as error:
        print(f"{parser.prog}: {error}", file=sys.stderr)
        return error.exit_status
    except (cli.CommandError, deepspeech.Error) as error:
        print(f"{parser.prog}: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


def make_parser() -> argparse.ArgumentParser:
    """Define the options."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
        conflict_handler="resolve",
    )
    add = parser.add_argument
    cli.add_model_options(parser)
    add("--model", metavar="FILE", help="the acoustic model: .tflite, .pb or .pbmm")  # resolved: not required
    add("--checkpoint_dir", metavar="DIR", help="a run of DeepSpeech.py in place of --model")
    add("--scorer_path", dest="scorer", help=argparse.SUPPRESS)
    add("--src", type=Path, nargs="+", action="extend", required=True, metavar="PATH", help="recordings, or folders")
    add("--dst", type=Path, metavar="DIR", help="where to write (beside the recordings); for one recording also a file")
    add("--formats", nargs="+", choices=FORMATS, help="what to write (json; with --checkpoint_dir tlog, as in 0.9.3)")
    for name, meaning in (
        ("recursive", "look into the folders of folders"),
        ("force", "transcribe what has its files already"),
    ):
        add(f"--{name}", type=yes_or_no, nargs="?", const=True, default=False, metavar="BOOL", help=meaning)
        add(f"--no{name}", dest=name, action="store_false", help=argparse.SUPPRESS)
    add("--vad_aggressiveness", type=int, choices=range(4), default=3, help="higher: less is speech (%(default)s)")
    add("--longest_segment", type=float, default=15.0, metavar="S", help="cut longer speech (%(default)s seconds)")
    add("--batch_size", type=cli.positive, default=16, metavar="N", help="parts heard together (%(default)s)")
    add("--threads", type=cli.positive, metavar="N", help="batches at the same time (one for each core)")
    for retired in ("--outlier_duration_ms", "--outlier_batch_size"):
        add(retired, type=int, help=argparse.SUPPRESS)
    return parser


def yes_or_no(text: str) -> bool:
    """Read the value of a switch as 0.9.3 takes it."""
    try:
        return {"true": True, "1": True, "false": False, "0": False}[text.lower()]
    except KeyError:
        raise argparse.ArgumentTypeError(f"{text!r} is neither true nor false") from None


def check(parser: argparse.ArgumentParser, arguments: argparse.Namespace) -> None:
    """End the program for what argparse cannot see, and choose the formats."""
    cli.check_model_options(parser, arguments)
    if bool(arguments.model) == bool(arguments.checkpoint_dir):
        parser.error("give --model or --checkpoint_dir, where the network is, and not both")
    if arguments.model and arguments.others:
        parser.error(f"unrecognized arguments: {' '.join(arguments.others)}")
    arguments.formats = arguments.formats or (["json"] if arguments.model else ["tlog"])


def run(arguments: argparse.Namespace, console: Console) -> int:
    """Find the recordings, transcribe, write; returns the exit status."""
    if arguments.outlier_duration_ms or arguments.outlier_batch_size:
        console.warn("--outlier_duration_ms and --outlier_batch_size have no effect: see --longest_segment.")
    if arguments.longest_segment < 1:
        raise UsageError(f"--longest_segment is {arguments.longest_segment:g}, expected at least 1 second")
    recordings = find_recordings(arguments)
    wanted = [one for one in recordings if arguments.force or not all(map(Path.exists, one.targets.values()))]
    if len(wanted) < len(recordings):
        console.say(f"{len(recordings) - len(wanted)} of {len(recordings)} recordings have been transcribed before.")
    if not wanted:
        return 0
    model = load_model(arguments)
    for recording in wanted:
        measure(recording)
    seconds = sum(round(recording.duration) for recording in wanted)
    with console.track("Transcribing", seconds) as tracker:
        progress = Progress(tracker)
        batches = make_batches(read_tasks(wanted, model.sampleRate(), arguments), arguments.batch_size)
        for recording, segment, metadata in transcribe(model, batches, arguments.threads or count_cores()):
            if segment is None:
                finish(recording, console)
                progress.reach(recording, recording.duration)
            elif metadata is not None:
                recording.spoken.append(place(segment, metadata, model.sampleRate()))
                progress.reach(recording, recording.spoken[-1].end)
    failed = sum(bool(recording.fault) for recording in wanted)
    console.say(f"Transcribed {len(wanted) - failed} of {len(wanted)} recordings.")
    return int(failed > 0)


def load_model(arguments: argparse.Namespace) -> deepspeech.Model:
    """Load the model; DeepSpeech.py exports that of a checkpoint, and ends this program where it cannot."""
    if arguments.model:
        return cli.load_model(arguments, threads=1)  # of each batch
    with tempfile.TemporaryDirectory() as folder:
        flags = {"checkpoint_dir": arguments.checkpoint_dir, "export_dir": folder, "export_quantize": "false"}
        flags |= {"log_level": 2, "export_beam_width": 1024}  # as wide as the test
        only_export = ["--train_files=", "--test_files=", "--one_shot_infer="]
        command = [*arguments.others, *(f"--{name}={value}" for name, value in flags.items()), *only_export]
        status = subprocess.run([sys.executable, str(ROOT / "DeepSpeech.py"), *command], check=False).returncode
        if status:
            sys.exit(status)
        arguments.model = f"{folder}/output_graph.tflite"
        return cli.load_model(arguments, threads=1)


class Progress:
    """Moves the progress bar by seconds of sound."""

    def __init__(self, tracker: Tracker):
        self._tracker, self._began = tracker, time.monotonic()
        self._shown = 0  # seconds
        self._before = 0  # of the recordings that are done
        self._recording: Recording | None = None

    def reach(self, recording: Recording, position: float) -> None:
        """Show that a recording has been transcribed up to a position, in seconds."""
        if self._recording is not recording:
            self._before += round(self._recording.duration) if self._recording else 0
            self._recording = recording
        now = self._before + min(round(position), round(recording.duration))
        speed = now / max(time.monotonic() - self._began, 0.001)
        while self._shown < now:
            self._shown += 1
            self._tracker.advance(f"{speed:.1f} times as fast as speech")


def find_recordings(arguments: argparse.Namespace) -> list[Recording]:
    """List what there is to transcribe.

    Raises:
        UsageError: there is nothing, or two recordings would be written to one file.
    """
    recordings: list[Recording] = []
    taken: dict[Path, Path] = {}
    for source in arguments.src:
        for path, targets in list_source(source, arguments):
            for target in targets.values():
                if taken.setdefault(target, path) != path:
                    raise UsageError(f"{taken[target]} and {path} would both be written to {target}: rename one")
            recordings.append(Recording(path, targets))
    return recordings


def list_source(source: Path, arguments: argparse.Namespace) -> list[tuple[Path, dict[str, Path]]]:
    """Return the recordings of a file, folder or catalog, each with the file to write for each format."""
    if source.suffix == ".catalog":
        return read_catalog(source, arguments)
    paths = [source]
    if source.is_dir():
        every = source.rglob("*") if arguments.recursive else source.iterdir()
        paths = sorted(path for path in every if path.suffix.lower() in SUFFIXES)
        if not paths:
            raise UsageError(
                f"--src: {source} has no recordings in it ({', '.join(sorted(SUFFIXES))}); --recursive looks deeper"
            )
    return [(path, choose_targets(path, source, arguments)) for path in paths]


def read_catalog(source: Path, arguments: argparse.Namespace) -> list[tuple[Path, dict[str, Path]]]:
    """Read a catalog of DSAlign: a JSON list of objects that name `audio` and `tlog`, relative to the catalog.

    Raises:
        UsageError: it is used with --dst, or with other --formats.
        DataError: it cannot be read, or is something else.
    """
    if arguments.dst or arguments.formats not in (["json"], ["tlog"]):
        raise UsageError(f"{source} says what to write, .tlog files: leave out --dst and --formats")
    expected = 'a catalog, JSON as in [{"audio": "a.wav", "tlog": "a.tlog"}]'
    try:
        entries = json.loads(read_utf8(source, expected))
        return [(source.parent / entry["audio"], {"tlog": source.parent / entry["tlog"]}) for entry in entries]
    except (ValueError, KeyError, TypeError) as error:
        raise DataError(f"{source} is not {expected}: {error!r}") from None


def choose_targets(path: Path, source: Path, arguments: argparse.Namespace) -> dict[str, Path]:
    """Return the file to write for each format."""
    folder = path.parent
    if arguments.dst:
        single = len(arguments.src) == len(arguments.formats) == 1 and not source.is_dir()
        if single and arguments.dst.suffix and not arguments.dst.is_dir():
            return {arguments.formats[0]: arguments.dst}
        folder = arguments.dst / path.parent.relative_to(source if source.is_dir() else path.parent)
    return {form: folder / f"{path.stem}.{form}" for form in arguments.formats}


def measure(recording: Recording) -> None:
    """Note how long a recording is, or why it cannot be read."""
    try:
        recording.duration = read_info(recording.path).duration_s
    except AudioError as error:
        recording.fault = str(error)


def read_tasks(recordings: Iterable[Recording], sample_rate: int, arguments: argparse.Namespace) -> Iterator[Task]:
    """Yield the spoken parts of every recording, and its end."""
    for recording in recordings:
        if not recording.fault:
            blocks = audio.read_blocks(str(recording.path), sample_rate)
            try:
                for segment in split_at_silences(
                    blocks, sample_rate, arguments.vad_aggressiveness, arguments.longest_segment
                ):
                    yield recording, segment
            except audio.AudioError as error:
                recording.fault = str(error)
        yield recording, None


def make_batches(tasks: Iterable[Task], size: int) -> Iterator[list[Task]]:
    """Yield tasks in groups of `size` segments; ends of recordings are not counted."""
    batch: list[Task] = []
    segments = 0
    for task in tasks:
        batch.append(task)
        segments += task[1] is not None
        if segments == size:
            yield batch
            batch, segments = [], 0
    if batch:
        yield batch


def transcribe(
    model: deepspeech.Model, batches: Iterable[list[Task]], threads: int
) -> Iterator[tuple[Recording, Segment | None, deepspeech.Metadata | None]]:
    """Yield every task with its transcript, in order; few batches are in memory at a time."""
    with ThreadPoolExecutor(threads) as pool:
        running: deque[tuple[list[Task], Future[list[deepspeech.Metadata]]]] = deque()
        try:
            for batch in batches:
                samples = [segment.samples for _, segment in batch if segment]
                running.append((batch, pool.submit(model.sttBatch, samples)))
                if len(running) > 2 * threads:
                    yield from collect(*running.popleft())
            while running:
                yield from collect(*running.popleft())
        finally:
            pool.shutdown(cancel_futures=True)


def collect(
    batch: Sequence[Task], result: Future[list[deepspeech.Metadata]]
) -> Iterator[tuple[Recording, Segment | None, deepspeech.Metadata | None]]:
    """Yield the tasks of a batch with their transcripts; where it failed its recordings are marked."""
    try:
        transcripts = iter(result.result())
    except deepspeech.Error as error:
        for recording, segment in batch:
            if segment:
                recording.fault = f"{recording.path}: {error}"
        transcripts = iter(())
    for recording, segment in batch:
        yield recording, segment, next(transcripts, None) if segment else None


def place(segment: Segment, metadata: deepspeech.Metadata, sample_rate: int) -> Spoken:
    """Return the transcript of a segment on the recording's clock."""
    start = segment.start / sample_rate
    end = start + len(segment.samples) / sample_rate
    best = metadata.transcripts[0]
    return Spoken(start, end, best.text.strip(), best.confidence, output.shift(best.words, start))


def finish(recording: Recording, console: Console) -> None:
    """Write the files of a recording, or say why there are none."""
    try:
        if not recording.fault:
            for form, target in recording.targets.items():
                make_directory(target.parent)
                write_atomically(target, render(recording, form))
    except DataError as error:
        recording.fault = str(error)
    recording.spoken.clear()
    if recording.fault:
        console.say(recording.fault, ERROR)


def render(recording: Recording, form: str) -> str:
    """Return the content of a file."""
    spoken = [part for part in recording.spoken if part.text]
    captions = output.make_captions(word for part in spoken for word in part.words)
    if form == "srt":
        return output.format_srt(captions)
    if form == "vtt":
        return output.format_vtt(captions)
    if form == "txt":
        return "".join(f"{part.text}\n" for part in spoken)
    if form == "tlog":  # of 0.9.3: milliseconds
        log = [{"start": round(1000 * p.start), "end": round(1000 * p.end), "transcript": p.text} for p in spoken]
        return json.dumps(log, ensure_ascii=False) + "\n"
    content = {
        "audio": str(recording.path),
        "duration": round(recording.duration, 3),
        "transcripts": [
            {
                "confidence": sum(part.confidence for part in spoken),
                "words": output.json_words(word for part in spoken for word in part.words),
            }
        ],
        "segments": [
            {"start": round(p.start, 3), "end": round(p.end, 3), "transcript": p.text, "confidence": p.confidence}
            for p in spoken
        ],
    }
    return json.dumps(content, indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    sys.exit(main())
