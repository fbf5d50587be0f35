"""Record sets that the predecessor wrote: the golden data of tests/test_sample_sets.py.

Nothing here is made by our own code: coqui_stt_training 1.4.0, on its Python 3.7, writes sample databases with WAV and
with Opus and its tar file of three tones, and decodes the Opus again. opuslib needs the system's libopus (1.3.1 here).

    coqui/bin/python tests/golden/make_sets_golden.py
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from coqui_stt_training.util.audio import AUDIO_TYPE_OPUS, AUDIO_TYPE_PCM, AUDIO_TYPE_WAV, AudioFormat
from coqui_stt_training.util.sample_collections import SDB, DirectSDBWriter, LabeledSample, TarWriter

FOLDER = Path(__file__).resolve().parent / "sets"
TONES = [  # transcript, Hz of the left and right channel, samples, sample rate
    ("a low tone", [440], 1000, 16000),
    ("grüße", [660], 1501, 16000),
    ("two tones", [300, 500], 700, 8000),
]


def make_samples():
    for transcript, frequencies, n_samples, rate in TONES:
        time = np.arange(n_samples)[:, np.newaxis] / rate
        pcm = (8000 * np.sin(2 * np.pi * np.array(frequencies) * time)).astype("<i2")
        yield LabeledSample(AUDIO_TYPE_PCM, pcm.tobytes(), transcript, AudioFormat(rate, len(frequencies), 2))


def main() -> None:
    FOLDER.mkdir(exist_ok=True)
    for name, audio_type in (("wav.sdb", AUDIO_TYPE_WAV), ("opus.sdb", AUDIO_TYPE_OPUS)):
        with DirectSDBWriter(str(FOLDER / name), audio_type=audio_type) as writer:
            for sample in make_samples():
                writer.add(sample)
    with TarWriter(str(FOLDER / "csv.tar")) as writer:
        for sample in make_samples():
            writer.add(sample)
    decoded = {}
    for number, sample in enumerate(SDB(str(FOLDER / "opus.sdb"))):
        sample.change_audio_type(AUDIO_TYPE_PCM)
        decoded[str(number)] = np.frombuffer(sample.audio, "<i2").reshape(-1, sample.audio_format.channels)
    np.savez_compressed(str(FOLDER / "opus_decoded.npz"), **decoded)


if __name__ == "__main__":
    main()
