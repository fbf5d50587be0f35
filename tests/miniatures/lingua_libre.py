"""Lingua Libre, French: three speakers, with a qualifier and a slash in what they say."""

from __future__ import annotations

from miniatures import Miniature, Row, audio, broken, pack


def miniature() -> Miniature:
    ogg = audio(1, "OGG", 44100, subtype="VORBIS")
    said = {
        "0x010C/abandon": ogg,
        "0x010C/est (verbe)": ogg,
        "0x010C/50": ogg,
        "Poslovitch/km/h": ogg,
        "Poslovitch/défaut": broken(ogg),
        "WikiLucas00 (Lucas)/c'est-à-dire": ogg,
    }
    return Miniature(
        archives={"Q21-fra-French.zip": pack({f"Q21-fra-French/{name}.ogg": sound for name, sound in said.items()})},
        options=("--qId", "21", "--iso639-3", "fra", "--english-name", "French"),
        tables={  # dealt by the SHA-256 of the speakers
            "lingua_libre-train.csv": [Row("abandon", 1, "0x010C"), Row("est", 1, "0x010C")],
            "lingua_libre-dev.csv": [Row("c'est à dire", 1, "WikiLucas00 (Lucas)")],
            "lingua_libre-test.csv": [Row("km h", 1, "Poslovitch")],
        },
        left_out=[("audio file at fault", "défaut.ogg"), ("digits", "50.ogg")],
    )
