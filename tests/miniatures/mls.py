"""Multilingual LibriSpeech, Polish, as Opus."""

from __future__ import annotations

from miniatures import Miniature, Row, audio, broken, tar

TRAIN = [("6892_10049_000000", "pokój był duży"), ("6892_10049_000001", "na stole"), ("6892_10049_000002", "zepsute")]
MISSING = ("6892_10049_000003", "tego nie ma")


def miniature() -> Miniature:
    opus = audio(3, "OGG", 48000, subtype="OPUS")
    sets = {
        "train": [*TRAIN, MISSING],
        "dev": [("5090_1447_000000", "co mówisz")],
        "test": [("8758_8338_000000", "wiem o tym")],
    }
    files = {"README": b"Multilingual LibriSpeech\n", "train/limited_supervision/9hr/handles.txt": TRAIN[0][0].encode()}
    for split, rows in sets.items():
        lines = [f"{name}\t{text}\n" for name, text in rows]
        files[f"{split}/transcripts.txt"] = "".join([*lines, "no tab here\n"]).encode()
        for name, _ in [*rows, (f"{rows[0][0][:-6]}000009", "")]:
            speaker, book, _ = name.split("_")
            files[f"{split}/audio/{speaker}/{book}/{name}.opus"] = opus
    files["train/audio/6892/10049/6892_10049_000002.opus"] = broken(opus)
    del files["train/audio/6892/10049/6892_10049_000003.opus"]
    return Miniature(
        archives={"mls_polish_opus.tar.gz": tar({f"mls_polish_opus/{name}": data for name, data in files.items()})},
        options=("--language", "polish"),
        tables={
            "mls-train.csv": [Row("pokój był duży", 3, "6892"), Row("na stole", 3, "6892")],
            "mls-dev.csv": [Row("co mówisz", 3, "5090")],
            "mls-test.csv": [Row("wiem o tym", 3, "8758")],
        },
        left_out=[
            ("audio file at fault", "6892_10049_000002.opus"),
            ("no audio file", "6892_10049_000003.opus"),
            ("no transcript", "6892_10049_000009.opus"),
            ("no transcript", "5090_1447_000009.opus"),
            ("no transcript", "8758_8338_000009.opus"),
        ],
    )
