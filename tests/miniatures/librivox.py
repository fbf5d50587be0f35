"""LibriSpeech: dev-clean and test-clean."""

from __future__ import annotations

from miniatures import Miniature, Row, audio, broken, tar

CHAPTER = "LibriSpeech/dev-clean/84/121123/84-121123"


def miniature() -> Miniature:
    dev = {
        "LibriSpeech/SPEAKERS.TXT": b"84 | F | dev-clean | 8.02 | Christie Nowak\n",
        f"{CHAPTER}-0000.flac": audio(2, "FLAC"),
        f"{CHAPTER}-0001.flac": audio(3, "FLAC"),
        f"{CHAPTER}-0002.flac": broken(audio(2, "FLAC")),
        f"{CHAPTER}-0003.flac": audio(2, "FLAC"),
        f"{CHAPTER}.trans.txt": b"84-121123-0000 GO DO YOU HEAR\n84-121123-0001 BUT IT'S LATE\n84-121123-0002 NO\n",
    }
    test = {
        "LibriSpeech/test-clean/61/70968/61-70968-0000.flac": audio(2.5, "FLAC"),
        "LibriSpeech/test-clean/61/70968/61-70968.trans.txt": b"61-70968-0000 HE BEGAN\n",
    }
    return Miniature(
        archives={"dev-clean.tar.gz": tar(dev), "test-clean.tar.gz": tar(test)},
        options=("--sets", "dev-clean", "test-clean"),
        tables={
            "librivox-dev-clean.csv": [Row("go do you hear", 2, "84"), Row("but it's late", 3, "84")],
            "librivox-test-clean.csv": [Row("he began", 2.5, "61")],
        },
        left_out=[("audio file at fault", "0002.flac"), ("no transcript", "0003.flac")],
    )
