"""Somebody's recordings, packed: four speakers in folders of their own, in every format."""

from __future__ import annotations

from miniatures import Miniature, Row, audio, broken, pack


def miniature() -> Miniature:
    files = {
        "mine/anna/1.wav": audio(1, "WAV", 44100, 2),
        "mine/anna/1.txt": b"Good morning.\n",
        "mine/anna/2.mp3": audio(2, "MP3", 22050),
        "mine/anna/2.lab": "Gr\u00fc\u00df\r\nGott!".encode(),
        "mine/bert/1.flac": audio(1.5, "FLAC", 8000),
        "mine/bert/1.TXT": b"\xef\xbb\xbfGood evening",
        "mine/bert/2.flac": broken(audio(2, "FLAC")),
        "mine/bert/2.txt": b"cut short",
        "mine/bert/3.wav": audio(1),
        "mine/bert/4.txt": b"no recording of this",
        "mine/carla/say.it.ogg": audio(2, "OGG", 32000, 1, "VORBIS"),
        "mine/carla/say.it.txt": b"say it",
        "mine/carla/2.opus": audio(2, "OGG", 48000, 1, "OPUS"),
        "mine/carla/2.txt": "na\u00efve".encode("latin-1"),
        "mine/dora/1.sph": audio(1, "NIST", 16000, 1, "PCM_16"),
        "mine/dora/1.txt": b"good night",
        "mine/notes.md": b"nothing to hear",
        "mine/.hidden.wav": audio(1),
    }
    return Miniature(
        archives={"recordings.zip": pack(files)},
        source="/recordings.zip",
        options=("--language", "de"),
        tables={
            "folder-train.csv": [
                Row("good morning", 1, "anna"),
                Row("gr\u00fc\u00df gott", 2, "anna"),
                Row("say it", 2, "carla"),
            ],
            "folder-dev.csv": [Row("good evening", 1.5, "bert")],
            "folder-test.csv": [Row("good night", 1, "dora")],
        },
        left_out=[
            ("audio file at fault", "bert/2.flac"),
            ("no transcript", "bert/3.wav"),
            ("no audio file", "bert/4.wav"),
            ("no transcript", "carla/2.opus"),
        ],
    )
