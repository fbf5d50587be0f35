"""Spoken Wikipedia, German: articles by readers who are named or not, one of them in two files."""

from __future__ import annotations

from collections.abc import Iterable
from xml.sax.saxutils import quoteattr

from miniatures import Miniature, Row, audio, broken, tar

Said = tuple[str, str, int, int] | tuple[str, str] | str  # written, read, from, to in ms; not found; a sign


def token(said: Said) -> str:
    if isinstance(said, str):
        return f"<t>{said}</t>"
    times = f' start="{said[2]}" end="{said[3]}"' if len(said) == 4 else ""
    return f"<t>{said[0]}<n pronunciation={quoteattr(said[1])}{times}/></t>"


def sentence(*said: Said) -> str:
    return f"<s>{''.join(map(token, said))}</s>"


def article(reader: str, body: Iterable[str]) -> bytes:
    name = f'<prop key="reader.name" value={quoteattr(reader)}/>' if reader else ""
    meta = f'<meta><prop key="DC.language" value="de"/><prop key="DC.source.audio.offset" value="0.0"/>{name}</meta>'
    return f'<?xml version="1.0" encoding="UTF-8"?>\n<article>{meta}<d>{"".join(body)}</d></article>\n'.encode()


ROMAN = article(
    "Souffleuse",
    [
        "<ignored>", sentence(("Dieser", "Dieser", 0, 500)), "</ignored><p>",
        sentence(("Am", "am", 1000, 1300), ("1.", "ersten", 1300, 2000), ",", ("Mai", "Mai", 2000, 2600), ("x", "x")),
        "<ignored><s><t>[</t><t>1<n pronunciation='eins'/></t><t>]</t></s></ignored></p>",
    ],
)  # fmt: skip
THINKING = article(
    "Jan Kr\u00fcger",
    ["<section level='2'><sectiontitle>", token(("Denken", "Denken", 4500, 5500)), "</sectiontitle></section>"],
)
RADIO = article(
    "",
    [
        sentence(("Im", "Im", 0, 200), ("Jahr", "Jahr", 200, 700), ("1923", "ein Tausend neun Hundert", 700, 2000),
                 ("", "dreiundzwanzig", 2000, 3000), ("kam", "kam"), ("das", "das", 3500, 4000),
                 ("Radio", "Radio", 4000, 5000)),
    ],
)  # fmt: skip
SEA = article(
    "Hihinator",
    [
        sentence(("Das", "Das", 0, 500), ("tiefe", "tiefe", 500, 2000), ("Meer", "Meer", 2800, 3800),
                 ("liegt", "liegt", 3900, 4600), ("still", "still", 4700, 5600)),
        sentence(("Zu", "zu", 5600, 6000), ("sp\u00e4t", "sp\u00e4t", 20000, 20100)),
    ],
)  # fmt: skip


def miniature() -> Miniature:
    files = {
        "german/Fonteius_Capito/aligned.swc": ROMAN,
        "german/Fonteius_Capito/audio.ogg": audio(4, "OGG", 44100, 2),
        "german/Fonteius_Capito/info.json": b"{}",
        "german/Kritischer_Rationalismus/aligned.swc": THINKING,
        "german/Kritischer_Rationalismus/audio1.ogg": audio(4, "OGG", 22050),
        "german/Kritischer_Rationalismus/audio2.ogg": audio(2, "OGG", 22050),
        "german/Radio/aligned.swc": RADIO,
        "german/Radio/audio.ogg": broken(audio(6, "OGG", 22050)),
        "german/St._Gallen/aligned.swc": RADIO,
        "german/St._Gallen/audio.ogg": audio(6, "OGG", 22050),
        "german/Meer/aligned.swc": SEA,
        "german/Meer/audio.ogg": audio(6, "OGG", 22050),
        "german/Torn/aligned.swc": SEA[:100],
        "german/Torn/audio.ogg": audio(2, "OGG", 22050),
        "german/Silent/aligned.swc": ROMAN,
    }
    return Miniature(
        archives={"SWC_German.tar": tar(files, "w:")},
        options=("--language", "german", "--max_duration", "3.2"),
        tables={
            "swc-train.csv": [
                Row("das tiefe", 2, "Hihinator"),
                Row("meer liegt still", 2.8, "Hihinator"),
                Row("zu", 0.4, "Hihinator"),
                Row("im jahr neunzehnhundert dreiundzwanzig", 3),
                Row("das radio", 1.5),
            ],
            "swc-dev.csv": [Row("am ersten mai", 1.6, "Souffleuse")],
            "swc-test.csv": [Row("denken", 1, "Jan Kr\u00fcger")],
        },
        left_out=[
            ("audio file at fault", "Radio/audio.ogg"),
            ("audio file at fault", "Radio/audio.ogg"),
            ("audio file at fault", "Meer/audio.ogg"),
            ("no transcript", "Torn/audio.ogg"),
            ("no audio file", "Silent/audio.ogg"),
        ],
    )
