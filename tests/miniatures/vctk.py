"""VCTK 0.92: four speakers, one of them without texts as p315 is; both microphones."""

from __future__ import annotations

from miniatures import Miniature, Row, audio, broken, pack


def miniature() -> Miniature:
    flac = audio(2, "FLAC", 48000)
    files = {"license_text": b"CC BY 4.0\n", "wav48_silence_trimmed/log.txt": b"p225_001 0.1 2.0\n"}
    texts = {
        "p225_001": "Please call Stella.",
        "p245_001": "Ask her to bring these things. \n",
        "s5_001": "Six spoons of fresh snow peas",
        "s5_002": "Five thick slabs of blue cheese,",
        "s5_003": "Broken",
        "s5_004": "Lost",
    }
    for name in [*texts, "p315_001"]:
        for microphone in ("mic1", "mic2"):
            files[f"wav48_silence_trimmed/{name.split('_')[0]}/{name}_{microphone}.flac"] = flac
    files |= {f"txt/{name.split('_')[0]}/{name}.txt": text.encode() for name, text in texts.items()}
    files["wav48_silence_trimmed/s5/s5_003_mic1.flac"] = broken(flac)
    del files["wav48_silence_trimmed/s5/s5_004_mic1.flac"]
    return Miniature(
        archives={"VCTK-Corpus-0.92.zip": pack(files)},
        tables={  # dealt by the SHA-256 of the speakers
            "vctk-train.csv": [
                Row("six spoons of fresh snow peas", 2, "s5"),
                Row("five thick slabs of blue cheese", 2, "s5"),
            ],
            "vctk-dev.csv": [Row("ask her to bring these things", 2, "p245")],
            "vctk-test.csv": [Row("please call stella", 2, "p225")],
        },
        left_out=[
            ("audio file at fault", "s5_003_mic1.flac"),
            ("no audio file", "s5_004_mic1.flac"),
            ("no transcript", "p315_001_mic1.flac"),
        ],
    )
