#!/usr/bin/env python3
"""Make a small, repeatable speech corpus with the speech synthesiser espeak-ng.

Sentences come from a seeded generator and are kept only if they last as long as asked, so the same
arguments and the same espeak-ng give the same files byte for byte. Writes FOLDER/uNNN.wav (16 kHz,
mono, 16 bits) and FOLDER/corpus.csv.

    benchmarks/make_corpus.py FOLDER --count 16 --min-seconds 3.8 --max-seconds 4.7
"""

from __future__ import annotations

import argparse
import io
import random
import shutil
import subprocess
from pathlib import Path

from common import SAMPLE_RATE, emit, sample_counts, write_csv
from timed import BenchmarkError

WORDS = """
    apple anchor bottle branch bread candle carpet cheese clock cloud coffee copper corner cotton
    desert driver eagle earth engine feather fence field finger flower forest garden ginger glass
    hammer harbour honey iron island jacket jungle kettle ladder lemon letter marble meadow mirror
    needle number ocean orange paper pepper pilot planet pocket quarter rabbit ribbon river saddle
    sailor salmon shadow silver spring summer table thunder ticket tower tunnel valley velvet
    village violin water weather window winter yellow zebra
""".split()  # noqa: SIM905 - a list of words reads best as words
LINKS = "and with under over near from into beside after before without toward".split()  # noqa: SIM905
VOICES = ("en-us", "en-gb", "en-us+f2", "en-gb+m3", "en-us+f4", "en-gb+f3")
ESTIMATE_S = 0.36  # of one word with its link, to aim at the wanted length


def sentence(rng: random.Random, n_words: int) -> str:
    """Return a sentence of nouns joined by prepositions."""
    return " ".join(rng.choice(LINKS if i % 2 else WORDS) for i in range(n_words))


def speak(text: str, voice: str, words_per_minute: int) -> bytes:
    """Return a 16 kHz mono 16-bit WAV file of the text."""
    import soundfile  # noqa: PLC0415 - --help must not wait for these
    import soxr  # noqa: PLC0415

    spoken = subprocess.run(
        ["espeak-ng", "-v", voice, "-s", str(words_per_minute), "--stdout", text],
        check=True,
        capture_output=True,
    ).stdout
    samples, rate = soundfile.read(io.BytesIO(spoken), dtype="int16")
    file = io.BytesIO()
    soundfile.write(file, soxr.resample(samples, rate, SAMPLE_RATE), SAMPLE_RATE, format="WAV")
    return file.getvalue()


def make_corpus(folder: Path, count: int, seconds: tuple[float, float], seed: int = 1) -> Path:
    """Make a corpus of `count` utterances lasting between the two limits; return its CSV.

    Raises:
        BenchmarkError: espeak-ng is not installed, or no sentence comes out at the length asked.
    """
    if shutil.which("espeak-ng") is None:
        raise BenchmarkError("espeak-ng is not installed; it is the Debian package of that name")
    folder.mkdir(parents=True, exist_ok=True)
    rng = random.Random(seed)
    rows: list[dict[str, str]] = []
    for _ in range(60 * count):
        wanted = rng.uniform(*seconds)
        text = sentence(rng, max(1, round(wanted / ESTIMATE_S)))
        wav = speak(text, rng.choice(VOICES), rng.randrange(140, 190))
        if not seconds[0] <= (len(wav) - 44) / 2 / SAMPLE_RATE <= seconds[1]:
            continue
        path = folder / f"u{len(rows):03d}.wav"
        path.write_bytes(wav)
        rows.append({"wav_filename": path.name, "wav_filesize": str(len(wav)), "transcript": text})
        if len(rows) == count:
            return write_csv(folder / "corpus.csv", rows)
    raise BenchmarkError(
        f"only {len(rows)} of {count} sentences lasted {seconds[0]} to {seconds[1]} seconds; widen the limits"
    )


def main() -> None:
    """Make the corpus the arguments ask for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--count", type=int, default=16)
    parser.add_argument("--min-seconds", type=float, default=3.8)
    parser.add_argument("--max-seconds", type=float, default=4.7)
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    try:
        path = make_corpus(args.folder, args.count, (args.min_seconds, args.max_seconds), args.seed)
    except BenchmarkError as error:
        parser.exit(1, f"{parser.prog}: {error}\n")
    durations = [n / SAMPLE_RATE for n in sample_counts(path)]
    emit(
        csv=str(path),
        utterances=len(durations),
        audio_s=round(sum(durations), 2),
        shortest_s=round(min(durations), 2),
        longest_s=round(max(durations), 2),
    )


if __name__ == "__main__":
    main()
