#!/usr/bin/env python3
"""Shows what augmentations do to a recording, before anything is trained with them.

  bin/preview_augment.py speech.wav --augment 'overlay[source=noise.csv,snr=10~5]' --augment time_mask

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

    from util.augmentation import Augmentation, parse_augmentations
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
    features = choose_features(options)
    chains = make_chains(options)
    augmenters = {title: Augmenter(chain, features, options.random_seed) for title, chain in chains.items()}
    samples = read_recording(str(options.audio), features)
    make_directory(options.output)
    write_audio(options.output / "original.wav", samples, features.sample_rate)
    bands = see(samples, features, UNCHANGED)
    listener = Listener(samples, bands, features)
    if any(augmenter.slots for augmenter in augmenters.values()):
        write_audio(options.output / "as_heard.wav", listener.hear(bands), features.sample_rate)
    for title, augmenter in augmenters.items():
        after = []
        for version in range(1, options.number + 1):
            changed, numbers = augmenter.augment(samples, LABELS, 0, version, options.clock)
            after.append(see(changed, features, augmenter.in_graph(numbers[np.newaxis])))
            path = options.output / f"{title}-{version}.wav"
            write_audio(path, listener.hear(after[-1]) if augmenter.slots else changed, features.sample_rate)
            print(f"{path}: {describe(augmenter, version, options.clock)}")
        write_atomically(options.output / f"{title}.png", draw([(bands, each) for each in after]))
        print(f"{options.output / title}.png: before on the left, versions 1 to {options.number} on the right")


def choose_features(options: argparse.Namespace) -> FeatureSet:
    """Return the features of the network, as DeepSpeech.py chooses them."""
    if options.audio_sample_rate < 1000:
        raise UsageError(f"--audio_sample_rate is {options.audio_sample_rate}, expected 1000 or more.")
    features = FeatureSet.of_network(not options.nobidirectional, options.audio_sample_rate)
    features.check()
    return features


def make_chains(options: argparse.Namespace) -> dict[str, list[Augmentation]]:
    """Return each augmentation by itself and all of them together, to be applied whatever their probability is."""
    if not options.augment:
        raise UsageError("There is nothing to preview: give --augment, for instance --augment reverb.")
    if options.number < 1:
        raise UsageError(f"--number is {options.number}, expected 1 or more.")
    if not 0 <= options.clock <= 1:
        raise UsageError(f"--clock is {options.clock:g}, expected how much of the training is done, from 0 to 1.")
    augmentations = [dataclasses.replace(each, p=1.0) for each in parse_augmentations(options.augment)]
    chains = {f"{number}-{each.name}": [each] for number, each in enumerate(augmentations, 1)}
    return chains | ({"all": augmentations} if len(augmentations) > 1 else {})


def describe(augmenter: Augmenter, version: int, clock: float) -> str:
    """Return the values drawn for a version."""
    drawn = []
    for place, augmentation in augmenter.augmentations:
        values = augmentation.draw(augmenter.random(0, version, place), clock) or {}
        drawn.append(" ".join([augmentation.name, *(f"{name} {value:.4g}" for name, value in values.items())]))
    return ", ".join(drawn)


if __name__ == "__main__":
    sys.exit(main())
