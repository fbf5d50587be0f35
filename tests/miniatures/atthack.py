"""Att-HACK: four actors."""

from __future__ import annotations

from miniatures import Miniature, Row, audio, broken, tar

ROOT = "Volumes/CLEM_HDD/IRCAM/Open_SLR"


def miniature() -> Miniature:
    texts = {
        "F01_a1_s008_v01": "certes attendons qu'il arrive",
        "F01_a2_s011_v02": "c\u2019est vrai",
        "F02_a4_s020_v01": "salut",
        "F02_a4_s020_v02": "salut",
        "F03_a3_s004_v01": "bien-sûr\n",
        "F08_a4_s015_v03": "il est tôt à new-york",
    }
    wavs = {
        "F01_a1_s008_v01": audio(2, rate=44100),
        "F01_a2_s011_v02": audio(2.5, rate=44100),
        "F02_a4_s020_v01": broken(audio(1, rate=44100)),
        "F02_a4_s021_v01": audio(1, rate=44100),
        "F03_a3_s004_v01": audio(1.5, rate=44100),
        "F08_a4_s015_v03": audio(3, rate=44100),
    }
    return Miniature(
        archives={
            "txt.tgz": tar({f"{ROOT}/txt/{name}.txt": text.encode() for name, text in texts.items()}),
            "wav.tgz": tar({f"{ROOT}/wav/{name}.wav": content for name, content in wavs.items()}),
        },
        tables={
            "atthack-train.csv": [Row("certes attendons qu'il arrive", 2, "F01"), Row("c'est vrai", 2.5, "F01")],
            "atthack-dev.csv": [Row("bien s\u00fbr", 1.5, "F03")],
            "atthack-test.csv": [Row("il est t\u00f4t \u00e0 new york", 3, "F08")],
        },
        left_out=[
            ("audio file at fault", "F02_a4_s020_v01.wav"),
            ("no audio file", "F02_a4_s020_v02.wav"),
            ("no transcript", "F02_a4_s021_v01.wav"),
        ],
    )
