"""TrainingSpeech: three chapters of a book."""

from __future__ import annotations

from miniatures import Miniature, Row, audio, broken, pack

BOOK = "LeComteDeMonteCristoT1Chap"


def miniature() -> Miniature:
    lines = [
        "path,duration,text",
        f'{BOOK}1_0001.wav,2.0,"Le 24 février, la vigie, signala le trois-mâts."',
        f'{BOOK}1_0002.wav,2.0,"Aussitôt, (comme d\'habitude), un pilote partit."',
        f"{BOOK}1_0003.wav,2.5,C\u2019est un grand événement* !",
        f"{BOOK}1_0004.wav,2.0,Perdu.",
        f"{BOOK}1_0005.wav,2.0,Absent.",
        f"{BOOK}2_0001.wav,3.0,Laissons Danglars…",
        f"{BOOK}4_0001.wav,1.5,À cent pas\u00a0!",
        "torn",
    ]
    files = {
        f"{BOOK}1_0001.wav": audio(2),
        f"{BOOK}1_0002.wav": audio(3),
        f"{BOOK}1_0003.wav": audio(2.5),
        f"{BOOK}1_0004.wav": broken(audio(2)),
        f"{BOOK}2_0001.wav": audio(3),
        f"{BOOK}2_0002.wav": audio(3),
        f"{BOOK}4_0001.wav": audio(1.5),
        "data.csv": "".join(f"{line}\r\n" for line in lines).encode(),
    }
    return Miniature(
        archives={"2019-04-11_fr_FR.zip": pack(files)},
        tables={
            "ts-train.csv": [
                Row("aussit\u00f4t comme d'habitude un pilote partit", 3),
                Row("c'est un grand \u00e9v\u00e9nement", 2.5),
            ],
            "ts-dev.csv": [Row("laissons danglars", 3)],
            "ts-test.csv": [Row("\u00e0 cent pas", 1.5)],
        },
        left_out=[
            ("digits", "1_0001.wav"),
            ("audio file at fault", "1_0004.wav"),
            ("no audio file", "1_0005.wav"),
            ("no transcript", "2_0002.wav"),
        ],
    )
