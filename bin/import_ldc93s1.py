#!/usr/bin/env python3
"""Gets LDC93S1, the one sentence the Linguistic Data Consortium gives away, and writes its CSV.

The recording and its transcript come from the LDC, or with --source from another address or from
files you already have. Where the LDC gives no usable recording, one line says so and the synthetic
recording of the same sentence in data/smoke_test is taken. A finished import is left alone.
"""

from __future__ import annotations

import argparse
import sys
import wave
from pathlib import Path
from urllib.parse import unquote

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from util.commandline import report_errors
from util.corpus import Utterance, read_csv, write_csv
from util.download import download
from util.errors import DataError, UsageError
from util.files import locked, make_directory
from util.progress import Console

LDC = "https://catalog.ldc.upenn.edu/desc/addenda"
NAME = "LDC93S1"
BUNDLED = ROOT / "data" / "smoke_test" / "she_had_your_dark_suit.wav"


def main() -> int:
    """Import as the command line says; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dir", metavar="DIR", type=Path, help="where LDC93S1 and ldc93s1.csv go")
    parser.add_argument(
        "--source",
        metavar="URL|FOLDER|WAV",
        help=f"where {NAME}.wav and {NAME}.txt are; a WAV has its .txt beside it (default: {LDC})",
    )
    arguments = parser.parse_args()
    with report_errors(Console()) as outcome:
        make_directory(arguments.dir)
        try:
            with locked(arguments.dir):  # the tasks of a cluster come here together
                import_sentence(arguments.dir, arguments.source)
        except OSError as error:
            raise DataError(f"{error.filename}: {error.strerror}") from None
    return outcome.status


def import_sentence(folder: Path, source: str | None) -> None:
    """Get the sentence into `folder` and write its CSV."""
    table = folder / "ldc93s1.csv"
    address = locate(source) if source else f"{LDC}/{NAME}.wav"
    possible = {name_in(address)} if source else {f"{NAME}.wav", BUNDLED.name}
    if is_finished(table, possible):
        print(f"{table} is there already.")
        return
    try:
        wav = fetch(address, folder)
    except DataError as error:
        if source:
            raise
        print(f"LDC93S1 cannot be had from the LDC, data/smoke_test takes its place: {error}.")
        wav = fetch(BUNDLED.as_uri(), folder)
    transcript = read_transcript(wav.with_suffix(".txt"))
    size = wav.stat().st_size
    row = Utterance(wav.name, str(wav.absolute()), size, transcript, source=str(table), line=2)
    write_csv(table, [row])
    print(f"{table} lists {wav.name}: {transcript}")


def locate(source: str) -> str:
    """The address of the recording that --source means."""
    if "://" in source:
        return source if source.endswith(".wav") else f"{source.rstrip('/')}/{NAME}.wav"
    path = Path(source).resolve()
    if path.is_dir():
        path /= f"{NAME}.wav"
    if not path.is_file():
        raise UsageError(
            f"--source {source}: there is no file {path}; give a web address, a folder with "
            f"{NAME}.wav and {NAME}.txt, or a WAV file with its .txt beside it"
        )
    return path.as_uri()


def name_in(address: str) -> str:
    """The file name at the end of an address."""
    return unquote(address.rpartition("/")[2])


def is_finished(table: Path, names: set[str]) -> bool:
    """Whether the CSV lists one of these recordings, and that is there as listed."""
    try:
        rows = read_csv(table)
    except DataError:
        return False
    return (
        len(rows) == 1
        and rows[0].wav_filename in names
        and (Path(rows[0].path).is_file() and Path(rows[0].path).stat().st_size == rows[0].wav_filesize)
    )


def fetch(address: str, folder: Path) -> Path:
    """Get the recording and the transcript beside it into `folder`; returns the recording."""
    wav = folder / name_in(address)
    download(address, wav, check=check_wav)
    download(address.removesuffix(".wav") + ".txt", wav.with_suffix(".txt"), check=read_transcript)
    return wav


def check_wav(path: Path) -> None:
    """Raise DataError unless a file is a whole recording."""
    try:
        with wave.open(str(path)) as recording:
            frames, width = recording.getnframes(), recording.getsampwidth()
            whole = len(recording.readframes(frames)) == frames * width * recording.getnchannels()
    except (wave.Error, EOFError):
        raise DataError("is no WAV file of PCM samples") from None
    if not frames or not whole:
        raise DataError("is a WAV file with samples missing")


def read_transcript(path: Path) -> str:
    """The sentence in a transcript of the LDC, "first_sample last_sample Sentence."."""
    line = path.read_text(encoding="utf-8", errors="replace").strip()
    words = line.split(maxsplit=2)
    if len(words) < 3 or not (words[0].isdecimal() and words[1].isdecimal()) or "\n" in line:
        raise DataError(f"expected the first sample, the last sample and the sentence on one line, found {line[:60]!r}")
    return words[2].lower().replace(".", "")


if __name__ == "__main__":
    sys.exit(main())
