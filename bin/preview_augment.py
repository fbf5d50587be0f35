#!/usr/bin/env python3
"""Shows what augmentations do to a recording, before anything is trained with them.

  bin/preview_augment.py speech.wav --augment overlay[source=noise.csv,snr=10~5] --augment time_mask --output preview

Writes, for each augmentation by itself and for all of them together, a few versions to listen to and a picture of the
spectrograms, before and after side by side. They are applied whatever their probability is. What changes the spectrum
rather than the sound is made audible again from the bands that the network sees, which whisper; as_heard.wav is the
recording itself made so. doc/Augmentation.md tells more.
"""

from __future__ import annotations

import argparse
import dataclasses
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

try:
    import numpy as np

    from util.augmentation import parse_augmentations
    from util.augmenter import Augmenter
    from util.commandline import report_errors
    from util.features import UNCHANGED, FeatureSet
    from util.feeding import read_recording
    from util.preview import Listener, draw, see
except ModuleNotFoundError as error:
    sys.exit(f"preview_augment.py: {error}: run bin/make-env.sh, then `. .venv/bin/activate`, or see README.md.")
from util.audio import write_audio
from util.errors import UsageError
from util.files import make_directory, write_atomically
from util.progress import Console

LABELS = np.zeros(0, np.int32)  # a transcript, for which there would have to be enough frames


def main() -> int:
    """Preview as the command line says; returns the exit status."""
    console = Console()
    with report_errors(console) as outcome:
        run(make_parser().parse_args())
    return outcome.status


def make_parser() -> argparse.ArgumentParser:
    """Define the options; those of DeepSpeech.py have its names."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("audio", metavar="AUDIO", type=Path, help="a recording of speech")
    add("--augment", metavar="NAME[KEY=VALUE,...]", action="append", default=[], help="as for training; several times")
    add("--output", metavar="FOLDER", type=Path, default=Path("preview"), help="where to write (%(default)s)")
    add("--number", metavar="N", type=int, default=3, help="versions of each (%(default)s)")
    add("--clock", metavar="C", type=float, default=0.5, help="how much of the training is done, 0 to 1 (%(default)s)")
    add("--random_seed", metavar="SEED", type=int, default=4568, help="everything random comes from it (%(default)s)")
    add("--nobidirectional", action="store_true", help="the network will be one that can stream: other features")
    add("--audio_sample_rate", metavar="HZ", type=int, default=16000, help="of the network (%(default)s)")
    return parser


def run(options: argparse.Namespace) -> None:
    """Write the previews and say what is where."""
    if not options.augment:
        raise UsageError("There is nothing to preview: give --augment, for instance --augment reverb.")
    if options.number < 1:
        raise UsageError(f"--number is {options.number}, expected 1 or more.")
    if not 0 <= options.clock <= 1:
        raise UsageError(f"--clock is {options.clock:g}, expected a part of the training, from 0 to 1.")
    if options.audio_sample_rate < 1000:
        raise UsageError(f"--audio_sample_rate is {options.audio_sample_rate}, expected 1000 or more.")
    augmentations = [dataclasses.replace(each, p=1.0) for each in parse_augmentations(options.augment)]
    name, window_ms = ("streaming", 32) if options.nobidirectional else ("classic", 25)
    features = FeatureSet(name, options.audio_sample_rate, window_ms)
    samples = read_recording(str(options.audio), features)
    make_directory(options.output)
    write_audio(options.output / "original.wav", samples, features.sample_rate)
    bands = see(samples, features, UNCHANGED)
    listener = Listener(samples, bands, features)
    if any(each.is_in_graph for each in augmentations):
        write_audio(options.output / "as_heard.wav", listener.hear(bands), features.sample_rate)
    chains = {f"{number}-{each.name}": [each] for number, each in enumerate(augmentations, 1)}
    if len(augmentations) > 1:
        chains["all"] = augmentations
    for title, chain in chains.items():
        augmenter = Augmenter(chain, features, options.random_seed)
        after = []
        for version in range(1, options.number + 1):
            changed, numbers = augmenter.augment(samples, LABELS, 0, version, options.clock)
            after.append(see(changed, features, augmenter.in_graph(numbers[np.newaxis])))
            sound = listener.hear(after[-1]) if augmenter.slots else changed
            write_audio(options.output / f"{title}-{version}.wav", sound, features.sample_rate)
        write_atomically(options.output / f"{title}.png", draw([(bands, each) for each in after]))
        print(f"{options.output / title}.png, and {title}-1.wav to {title}-{options.number}.wav beside it")


if __name__ == "__main__":
    sys.exit(main())
