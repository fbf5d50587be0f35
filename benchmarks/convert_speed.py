#!/usr/bin/env python3
"""Compare importing MP3s with the way Coqui STT's importers do it: one sox process for each clip.

Clips of 3 to 7 s are cut out of the speech in --audio (WAV or FLAC of any rate) and written as MP3 of 48 kHz, as Common
Voice has them. Theirs: a pool of as many processes as there are cores, in each for every clip pysox (which starts
sox) and then soxi for its length, as import_cv2.py of Coqui STT 1.4.0 does. Ours: the conversion of util/clips.py in
as many threads, as every importer has it. Of both only that is timed, without the start of Python; `import` is the
whole of bin/import_folder.py, with start, transcripts, splits and CSVs. In turn, several rounds; ratios are of medians.
In the end the two outputs of some clips are compared.

    python3 -m venv sox && sox/bin/pip install sox
    benchmarks/convert_speed.py --audio FOLDER --sox-python sox/bin/python --rounds 5

Needs the program sox with its MP3 format (Debian and Ubuntu: sox and libsox-fmt-mp3).
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import time
from pathlib import Path

import common
import numpy as np
import soundfile
import soxr
from timed import ROOT, BenchmarkError

RATE, MP3_RATE = 16000, 48000  # Hz
ENDINGS = {".wav", ".flac"}
AS_COMMON_VOICE = {"bitrate_mode": "CONSTANT", "compression_level": 0.89}  # 64 kbit/s
LENGTHS_S = 3.0, 7.0
THEIRS = """
import glob, json, os, subprocess, sys, time
from multiprocessing import Pool
import sox

def convert(mp3):
    wav = mp3[:-4] + ".wav"
    transformer = sox.Transformer()
    transformer.convert(samplerate=16000, n_channels=1)
    transformer.build(mp3, wav)
    return int(subprocess.check_output(["soxi", "-s", wav], stderr=subprocess.STDOUT))

if __name__ == "__main__":
    clips = sorted(glob.glob(os.path.join(sys.argv[1], "*.mp3")))
    begin = time.monotonic()
    with Pool() as pool:
        lengths = list(pool.imap_unordered(convert, clips))
    print(json.dumps({"seconds": time.monotonic() - begin, "clips": len(lengths)}))
"""
OURS = """
import json, math, os, sys, time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from util.clips import Clip, Form, convert

form = Form(16000, ".wav", 0.0, math.inf, 0.02)
clips, target = sorted(Path(sys.argv[2]).glob("*.mp3")), Path(sys.argv[3])
begin = time.monotonic()
with ThreadPoolExecutor(os.cpu_count()) as pool:
    made = list(pool.map(lambda path: convert(Clip(path, "some words"), target / path.stem, form), clips))
print(json.dumps({"seconds": time.monotonic() - begin, "clips": len(made)}))
"""


def make_clips(audio: Path, folder: Path, count: int, seed: int) -> float:
    """Write so many MP3s, each with a text beside it; return their length in seconds."""
    speech = [
        soundfile.read(path, dtype="float32", always_2d=True)
        for path in sorted(p for p in audio.rglob("*") if p.suffix in ENDINGS)
    ]
    if not speech:
        raise BenchmarkError(f"there is no WAV or FLAC in {audio}; give a folder with speech")
    parts = [soxr.resample(samples.mean(axis=1), rate, MP3_RATE, quality="HQ") for samples, rate in speech]
    whole = np.concatenate(parts)
    rng, total = np.random.default_rng(seed), 0.0
    for number in range(count):
        seconds = rng.uniform(*LENGTHS_S)
        length = round(seconds * MP3_RATE)
        start = rng.integers(0, max(1, len(whole) - length))
        clip = np.resize(whole[start : start + length], length)
        soundfile.write(folder / f"clip{number:05d}.mp3", clip, MP3_RATE, format="MP3", **AS_COMMON_VOICE)
        (folder / f"clip{number:05d}.txt").write_text(f"some words {'abcdefghij'[number % 10]}\n")
        total += seconds
    return total


def run(command: list[str], what: str) -> str:
    """Run a program; return what it wrote to standard output."""
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise BenchmarkError(f"{what} failed: {(done.stderr or done.stdout).strip()[-400:]}")
    return done.stdout


def time_theirs(args: argparse.Namespace, clips: Path, work: Path) -> float:
    """Return the seconds that sox takes for all clips."""
    copy = common.fresh(work / "theirs")
    for path in clips.glob("*.mp3"):
        os.link(path, copy / path.name)
    script = work / "theirs.py"
    script.write_text(THEIRS)
    said = json.loads(run([args.sox_python, str(script), str(copy)], "pysox"))
    return float(said["seconds"])


def time_ours(args: argparse.Namespace, clips: Path, work: Path) -> float:
    """Return the seconds that the conversion takes for all clips."""
    script = work / "ours.py"
    script.write_text(OURS)
    return float(
        json.loads(run([args.python, str(script), str(ROOT), str(clips), str(common.fresh(work / "ours"))], "ours"))[
            "seconds"
        ]
    )


def time_import(args: argparse.Namespace, clips: Path, work: Path) -> float:
    """Return the seconds of a whole import."""
    target = common.fresh(work / "import")
    begin = time.monotonic()
    run([args.python, str(ROOT / "bin" / "import_folder.py"), str(target), "--source", str(clips)], "import_folder.py")
    seconds = time.monotonic() - begin
    if (made := len(list(target.rglob("*.wav")))) != args.clips:
        raise BenchmarkError(f"import_folder.py made {made} of {args.clips} clips")
    return seconds


def compare(work: Path) -> float:
    """Return the least correlation of the two conversions of a clip, shifted by what their decoders delay it."""
    least = 1.0
    for theirs in sorted((work / "theirs").glob("*.wav"))[:20]:
        (first, _), (second, _) = soundfile.read(work / "ours" / theirs.name), soundfile.read(theirs)
        length = max(len(first), len(second)) + 1200
        spectra = [np.fft.rfft(samples, length) for samples in (first, second)]
        match = np.fft.irfft(spectra[0] * spectra[1].conj(), length).max()
        least = min(least, float(match / np.sqrt(np.sum(first**2) * np.sum(second**2))))
    return least


def measure(args: argparse.Namespace) -> None:
    """Time both in turn."""
    if not shutil.which("sox"):
        raise BenchmarkError("there is no program sox; install it (Debian and Ubuntu: sox and libsox-fmt-mp3)")
    work = common.work_folder(args)
    clips = common.fresh(work / "clips")
    audio_s = make_clips(args.audio, clips, args.clips, 1)
    seconds: dict[str, list[float]] = {"theirs": [], "ours": [], "import": []}
    for number in range(args.rounds):
        for who, timed in (("theirs", time_theirs), ("ours", time_ours), ("import", time_import)):
            seconds[who].append(timed(args, clips, work))
            common.emit(benchmark="convert_speed", round=number, who=who, seconds=seconds[who][-1])
    median = {who: statistics.median(values) for who, values in seconds.items()}
    common.emit(benchmark="convert_speed", least_correlation=compare(work))
    common.print_table(
        [
            {
                "who": who,
                "ratio": median["theirs"] / median[who],
                "seconds": median[who],
                "clips_per_s": args.clips / median[who],
                "audio_per_s": audio_s / median[who],
            }
            for who in median
        ]
    )


def main() -> None:
    """Read the arguments and measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--audio", type=Path, required=True, help="folder with speech as WAV or FLAC")
    parser.add_argument("--sox-python", default=sys.executable, help="Python of an environment with pysox")
    parser.add_argument("--clips", type=int, default=1000, help="how many (%(default)s)")
    parser.add_argument("--rounds", type=int, default=5, help="of each in turn (%(default)s)")
    common.add_arguments(parser, coqui=False)
    common.main_of(measure, parser.parse_args())


if __name__ == "__main__":
    main()
