"""The command `deepspeech`: transcribes files, folders and standard input."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from deepspeech import Error, Metadata, Model, Stream, audio, output, version

EPILOG = """The transcript alone goes to standard output; where several recordings are transcribed each line begins
with the path and a tab, and with --json each is one line of JSON. Exit status: 0, 1 where something could
not be transcribed, 2 for a wrong command line."""
SUFFIXES = {"text": ".txt", "json": ".json", "srt": ".srt", "vtt": ".vtt"}


class CommandError(Exception):
    """What the user can mend; the message is one sentence."""


class Version(argparse.Action):
    """Prints the version as 0.9.3 does, with two spaces, which argparse's own action would not keep."""

    def __call__(self, *_: object) -> NoReturn:
        """Print it and end."""
        print(f"DeepSpeech  {version()}")
        sys.exit(0)


def main(argv: Sequence[str] | None = None) -> int:
    """Transcribe as the command line says; returns the exit status."""
    parser = make_parser()
    arguments = parser.parse_args(argv)
    check(parser, arguments)
    try:
        model = load_model(arguments, arguments.threads)
        if arguments.info:
            print(describe(model))
            return 0
        inputs = list(find_inputs(arguments.audio))
        targets = choose_targets(inputs, arguments) if arguments.output else [None] * len(inputs)
        return max(transcribe(model, *one, arguments) for one in zip(inputs, targets, strict=True))
    except (CommandError, Error) as error:
        complain(str(error))
        return 1
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # or Python complains when it ends
        return 1
    except KeyboardInterrupt:
        return 130


def make_parser() -> argparse.ArgumentParser:
    """Define the options."""
    parser = argparse.ArgumentParser(prog="deepspeech", description="Transcribe speech.", epilog=EPILOG)
    add = parser.add_argument
    add_model_options(parser)
    add(
        "--audio", nargs="+", action="extend", metavar="PATH",
        help="recordings of any format, rate and number of channels: files, folders, - for standard input",
    )  # fmt: skip
    add("--raw", type=positive, metavar="RATE", help="standard input has no header: 16-bit mono at RATE Hz")
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--extended", action="store_true", help="text put together from the labels of the metadata")
    form.add_argument("--json", action="store_true", help="JSON with the times of every word")
    form.add_argument("--srt", action="store_true", help="SubRip subtitles")
    form.add_argument("--vtt", action="store_true", help="WebVTT subtitles")
    add("--candidate_transcripts", type=positive, default=3, metavar="N", help="transcripts in JSON (%(default)s)")
    add(
        "--stream", type=positive, nargs="?", const=320, metavar="MS",
        help="feed MS milliseconds at a time (%(const)s) and show what is recognised so far on standard error",
    )  # fmt: skip
    add("--output", type=Path, metavar="DIR", help="write a file for each recording into this folder")
    add("--threads", type=positive, default=1, metavar="N", help="threads to work with (%(default)s)")
    add("--info", action="store_true", help="describe the model, and transcribe nothing")
    add("--version", action=Version, nargs=0, help="print the version")
    return parser


def add_model_options(parser: argparse.ArgumentParser) -> None:
    """Define what `load_model` asks for."""
    add = parser.add_argument
    add("--model", required=True, metavar="FILE", help="the acoustic model: .tflite, .pb or .pbmm")
    add("--scorer", metavar="FILE", help="language model and dictionary")
    add("--hot_words", type=parse_hot_words, default=[], metavar="WORD:BOOST,...", help="words or phrases to expect")
    add("--beam_width", type=int, metavar="N", help="prefixes the search follows at a time (the model's)")
    add("--lm_alpha", type=float, metavar="X", help="weight of the language model (the scorer's)")
    add("--lm_beta", type=float, metavar="X", help="worth of each word (the scorer's)")


def positive(text: str) -> int:
    """Read a whole number above 0."""
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{number} is not above 0")
    return number


def parse_hot_words(text: str) -> list[tuple[str, float]]:
    """Read word:boost,word:boost."""
    pairs = []
    for pair in text.split(","):
        word, colon, boost = pair.rpartition(":")
        try:
            pairs.append((word, float(boost)))
        except ValueError:
            colon = ""
        if not (word and colon):
            raise argparse.ArgumentTypeError(f"{pair!r} is not written word:boost, as in latte:5")
    return pairs


def check(parser: argparse.ArgumentParser, arguments: argparse.Namespace) -> None:
    """End the program for what argparse cannot see."""
    if not arguments.audio and not arguments.info:
        parser.error("give --audio, what to transcribe, or --info")
    paths = arguments.audio or []
    if arguments.raw and audio.STDIN not in paths:
        parser.error("--raw is for standard input: give --audio -")
    if paths.count(audio.STDIN) > 1:
        parser.error("standard input is there once: give --audio - once")
    check_model_options(parser, arguments)
    if are_several(paths) and (arguments.srt or arguments.vtt) and not arguments.output:
        parser.error("subtitles of several recordings need a folder: give --output")


def are_several(paths: Sequence[str]) -> bool:
    """Tell whether there may be more than one recording, so that the output has to say which is which."""
    return len(paths) > 1 or any(Path(path).is_dir() for path in paths)


def check_model_options(parser: argparse.ArgumentParser, arguments: argparse.Namespace) -> None:
    """End the program where options of the model contradict each other."""
    if arguments.scorer is None and (arguments.lm_alpha, arguments.lm_beta) != (None, None):
        parser.error("--lm_alpha and --lm_beta are of a scorer: give --scorer")
    if arguments.beam_width is not None and arguments.beam_width < 0:
        parser.error(f"--beam_width is {arguments.beam_width}; expected 1 or more, or 0 for the model's")


def load_model(arguments: argparse.Namespace, threads: int) -> Model:
    """Load the model and set what the command line says."""
    model = Model(arguments.model)
    model.setThreads(threads)
    if arguments.beam_width:
        model.setBeamWidth(arguments.beam_width)
    if arguments.scorer:
        model.enableExternalScorer(arguments.scorer)
        set_weights(model, arguments)
    for word, boost in arguments.hot_words:
        model.addHotWord(word, boost)
    return model


def set_weights(model: Model, arguments: argparse.Namespace) -> None:
    """Set --lm_alpha and --lm_beta; where only one is given the other is that of the scorer."""
    alpha, beta = arguments.lm_alpha, arguments.lm_beta
    if alpha is None and beta is None:
        return
    own_alpha, own_beta = model.scorerAlphaBeta()
    alpha, beta = own_alpha if alpha is None else alpha, own_beta if beta is None else beta
    if model.setScorerAlphaBeta(alpha, beta):
        raise CommandError(f"--lm_alpha {alpha} and --lm_beta {beta} cannot be used: give two finite numbers")


def describe(model: Model) -> str:
    """Return what is known of a model, one line each."""
    info = model.info()
    labels = "the bytes of UTF-8" if info["bytes_output_mode"] else " ".join(map(repr, info["labels"]))
    network = "whole recordings, in both directions" if info["bidirectional"] else "audio as it arrives"
    language = "" if info["language"].startswith("<") else info["language"]  # a placeholder of old exporters
    lines = {
        "sample rate": f"{info['sample_rate']} Hz",
        "frame": f"{1000 * info['step_seconds']:g} ms",
        "network": f"{info['n_hidden']} units in a layer, hears {network}",
        "labels": f"{len(info['labels'])}: {labels}",
        "beam width": info["beam_width"],
        "language": language or "not told",
        "graph version": info["graph_version"],
    }
    return "\n".join(f"{name}: {value}" for name, value in lines.items())


def find_inputs(paths: Sequence[str]) -> Iterator[str]:
    """Yield what there is to transcribe: folders give their recordings, sorted by name."""
    for path in paths:
        if path == audio.STDIN or not Path(path).is_dir():
            yield path
            continue
        found = sorted(str(file) for file in Path(path).iterdir() if file.suffix.lower() in audio.SUFFIXES)
        if not found:
            raise CommandError(
                f"the folder {path} has no recordings in it: their names end with .wav, .flac, .mp3, ..."
            )
        yield from found


def choose_targets(inputs: Sequence[str], arguments: argparse.Namespace) -> list[Path | None]:
    """Return the file to write for each recording."""
    form = next((name for name in SUFFIXES if getattr(arguments, name, False)), "text")
    names = ["stdin" if path == audio.STDIN else Path(path).stem for path in inputs]
    targets: dict[Path, str] = {}
    for path, name in zip(inputs, names, strict=True):
        target = arguments.output / (name + SUFFIXES[form])
        if target in targets:
            raise CommandError(f"{targets[target]} and {path} would both be written to {target}: give them one by one")
        targets[target] = path
    try:
        arguments.output.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise CommandError(f"cannot make the folder {arguments.output}: {error.strerror}") from None
    return list(targets)


def transcribe(model: Model, path: str, target: Path | None, arguments: argparse.Namespace) -> int:
    """Transcribe one recording; returns 1 where that fails, so that the others can follow."""
    seconds = {"seconds": arguments.stream / 1000} if arguments.stream else {}
    try:
        if path == audio.STDIN and arguments.raw:
            blocks = audio.read_raw_blocks(sys.stdin.buffer, arguments.raw, model.sampleRate(), **seconds)
        else:
            blocks = audio.read_blocks(path, model.sampleRate(), **seconds)
        with model.createStream() as stream:
            metadata = recognise(stream, blocks, arguments)
        text = render(metadata, path if are_several(arguments.audio) and not target else None, arguments)
        if target:
            write(target, f"{text}\n")
        else:
            print(text, flush=True)
    except (audio.AudioError, Error, OSError) as error:
        if isinstance(error, BrokenPipeError):
            raise
        complain(str(error) if isinstance(error, audio.AudioError) else f"{path}: {error}")
        return 1
    return 0


def recognise(stream: Stream, blocks: Iterator[NDArray[np.int16]], arguments: argparse.Namespace) -> Metadata:
    """Feed the stream to its end, with --stream showing what has been recognised whenever that changes."""
    shown = ""
    with suppress(*[KeyboardInterrupt] if arguments.raw else []):  # which is how live audio ends
        for block in blocks:
            stream.feedAudioContent(block)
            if arguments.stream and (text := stream.intermediateDecode()) != shown:
                shown = text
                print(shown, file=sys.stderr, flush=True)
    return stream.finishStreamWithMetadata(arguments.candidate_transcripts if arguments.json else 1)


def render(metadata: Metadata, path: str | None, arguments: argparse.Namespace) -> str:
    """Return what is written of a recording.

    Args:
        metadata: its transcripts.
        path: where it is one of several: its path, to begin the line with.
        arguments: of the command line.
    """
    if arguments.json:
        transcripts: dict[str, Any] = {"transcripts": output.json_transcripts(metadata)}
        return json.dumps({"audio": path, **transcripts}) if path else json.dumps(transcripts, indent=2)
    best = metadata.transcripts[0]
    if arguments.srt:
        return output.format_srt(output.make_captions(best.words)).rstrip("\n")
    if arguments.vtt:
        return output.format_vtt(output.make_captions(best.words)).rstrip("\n")
    text = output.text_from_tokens(best) if arguments.extended else best.text
    return f"{path}\t{text}" if path else text


def write(target: Path, content: str) -> None:
    """Write a file as a whole or not at all."""
    beside = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    try:
        beside.write_text(content, encoding="utf-8")
        beside.replace(target)
    finally:
        beside.unlink(missing_ok=True)


def complain(sentence: str) -> None:
    """Write an error."""
    print(f"deepspeech: {sentence}", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
