"""TIMIT: one speaker of each split, with a sentence that everybody reads and one in small letters."""

from __future__ import annotations

from miniatures import Miniature, Row, audio, broken, tar

TRAIN, TEST = "TIMIT/TRAIN/DR1/FCJF0", "TIMIT/TEST/DR3/FPKT0"


def miniature() -> Miniature:
    sphere = audio(2, "NIST")
    files = {
        "TIMIT/README.DOC": b"The DARPA TIMIT Acoustic-Phonetic Continuous Speech Corpus\n",
        "TIMIT/DOC/PROMPTS.TXT": b"She had your dark suit in greasy wash water all year. (sa1)\n",
        f"{TRAIN}/SA1.WAV": sphere,
        f"{TRAIN}/SA1.TXT": b"0 32000 She had your dark suit in greasy wash water all year.\n",
        f"{TRAIN}/SI648.WAV": sphere,
        f"{TRAIN}/SI648.TXT": b"0 32000 A sailboat may have a bone in her teeth one minute.\n",
        f"{TRAIN}/SI648.PHN": b"0 2400 h#\n",
        f"{TRAIN}/SX37.WAV": broken(sphere),
        f"{TRAIN}/SX37.TXT": b"0 32000 Critical equipment needs proper maintenance.\n",
        f"{TRAIN}/SX127.WAV": sphere,
        f"{TRAIN}/SX217.TXT": b"0 32000 The emperor had a mean temper.\n",
        f"{TEST}/SX8.WAV": audio(3, "NIST"),
        f"{TEST}/SX8.TXT": b"0 48000 Greg buys fresh milk each weekday morning.\n",
        "TIMIT/test/dr3/fpkt0/si1538.wav": sphere,
        "TIMIT/test/dr3/fpkt0/si1538.txt": b"0 32000 Don't be difficult, it said.\n",
    }
    return Miniature(
        archives={"TIMIT-LDC93S1.tgz": tar(files)},
        tables={
            "timit-train.csv": [Row("a sailboat may have a bone in her teeth one minute", 2, "FCJF0")],
            "timit-test.csv": [
                Row("greg buys fresh milk each weekday morning", 3, "FPKT0"),
                Row("don't be difficult it said", 2, "fpkt0"),
            ],
        },
        left_out=[
            ("audio file at fault", "SX37.WAV"),
            ("no transcript", "SX127.WAV"),
            ("no audio file", "SX217.WAV"),
        ],
    )
