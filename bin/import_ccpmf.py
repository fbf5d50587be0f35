#!/usr/bin/env python3
"""Imports CCPMF, talks with captions from 2012 to 2020 at the French ministry of economy and finance."""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from util.importing import Archive, Clip, Corpus, read_xml, run_import

NAME = "transcriptionsxml_audiomp3_mefr_ccpmf_2012-2020"
FOLDER = "transcriptionsXML_audioMP3_MEFR_CCPMF_2012-2020"  # in the archive
CHECKSUMS = [  # SHA-1 of the parts, as DeepSpeech 0.9 has them
    "863d39a06a388c6491c6ff2f6450b151f38f1b57", "2f3a0305aa04c61220bb00b5a4e553e45dbf12e1",
    "5e55e9f1f844097349188ac875947e5a3d7fe9f1", "8bf54842cf07948ca5915e27a8bd5fa5139c06ae",
    "c8963504aadc015ac48f9af80058a0bb3440b94f", "d95e225e908621d83ce4e9795fd108d9d310e244",
    "de6ed9c2b0ee80ca879aae8ba7923cc93217d811", "234283c47dacfcd4450d836c52c25f3e807fc5f2",
    "4e6b67a688639bb72f8cd81782eaba604a8d32a6", "4165a51389777c8af8e6253d87bdacb877e8b3b0",
    "34322e7009780d97ef5bd02bf2f2c7a31f00baff", "48c5be3b2ca9d6108d525da6a03e91d93a95dbac",
    "87573172f506a189c2ebc633856fe11a2e9cd213", "6ab2c9e508e9278d5129f023e018725c4a7c69e8",
    "4f84df831ef46dce5d3ab3e21817687a2d8c12d0", "e69bfb079885c299cb81080ef88b1b8b57158aa6",
    "5f764ba788ee273981cf211b242c29b49ca22c5e", "b6aa81a959525363223494830c1e7307d4c4bae6",
    "91ddcf43c7bf113a6f2528b857c7ec22a50a148a", "fa1b29273dd77b9a7494983a2f9ae52654b931d7",
    "1113aef4f5e2be2f7fbf2d54b6c710c1c0e7135f", "ce6420d5d0b6b5135ba559f83e1a82d4d615c470",
    "d0976ed292ac24fcf1590d1ea195077c74b05471", "ec746cd6af066f62d9bf8d3b2f89174783ff4e3c",
    "570d9e1e84178e32fd867171d4b3aaecda1fd4fb", "c29ccc7467a75b2cae3d7f2e9fbbb2ab276cb8ac",
    "08406a51146d88e208704ce058c060a1e44efa50", "199aedad733a78ea1e7d47def9c71c6fd5795e02",
    "db856a068f92fb4f01f410bba42c7271de0f231a", "e3c0135f16c6c9d25a09dcb4f99a685438a84740",
    "e51b8bb9c0ae4339f98b4f21e6d29b825109f0ac", "be5e80cbc49b59b31ae33c30576ef0e1a162d84e",
    "501df58e3ff55fcfd75b93dab57566dc536948b8", "1a114875811a8cdcb8d85a9f6dbee78be3e05131",
    "465d824e7ee46448369182c0c28646d155a2249b", "37f341b1b266d143eb73138c31cfff3201b9d619",
    "9e7d8255987a8a77a90e0d4b55c8fd38b9fb5694", "54886755630cb080a53098cb1b6c951c6714a143",
    "4b7cbb0154697be795034f7a49712e882a97197a", "c8e1e565a0e7a1f6ff1dbfcefe677aa74a41d2f2",
]  # fmt: skip
DIGIT = re.compile(r"\d")
PAUSE_S = 0.25  # between captions that belong together
SPOKEN = {"[end]": " ", "\u00b8c": "ç", "B2B": "B to B", "B2C": "B to C", "m²": " mètres carrés", "%": " pour cent",
          "€": " euros", "°": " degrés", "+": " plus ", "#": " hashtag ", "@": " at ", "&": " et "}  # fmt: skip


class Caption(NamedTuple):
    """What is said from one time to another, in seconds."""

    start_s: float
    end_s: float
    text: str


def find_clips(folders: Sequence[Path], options: Any) -> Iterator[Clip]:
    """Yield the captions of each talk, <date>_<title>....xml, as many together as the longest clip can take."""
    audio_of = _pairs(folders[0])
    for about in sorted(folders[0].rglob("*.xml")):
        audio = audio_of.get(about, about.with_suffix(".mp3"))
        captions = [*_captions(about)]
        if not captions:
            yield Clip(audio, None)
            continue
        for caption in _joined(captions, options.max_duration):
            name = f"{about.stem}/{round(caption.start_s * 1000):08d}"
            yield Clip(audio, caption.text, start_s=caption.start_s, end_s=caption.end_s, name=name, group=about.stem)
    for audio in sorted({*folders[0].rglob("*.mp3")} - {*audio_of.values()}):
        yield Clip(audio, None)


def _pairs(folder: Path) -> dict[Path, Path]:
    """Return the recordings by their captions: names begin with the same date, and share more words than others."""

    def likeness(about: Path, audio: Path) -> int:
        ours, theirs = about.stem.split("_"), audio.stem.split("_")
        return sum(a == b for a, b in zip(ours, theirs, strict=False)) if ours[0] == theirs[0] else 0

    abouts, audios = sorted(folder.rglob("*.xml")), sorted(folder.rglob("*.mp3"))
    likely = [(-likeness(about, audio), about, audio) for about in abouts for audio in audios if likeness(about, audio)]
    pairs: dict[Path, Path] = {}
    for _, about, audio in sorted(likely):
        if about not in pairs and audio not in pairs.values():
            pairs[about] = audio
    return pairs


def _captions(about: Path) -> Iterator[Caption]:
    """Yield <row timestamp="seconds" timedur="seconds">text</row>; rows that are otherwise are passed over."""
    root = read_xml(about)
    for row in [] if root is None else root.iter("row"):
        try:
            start_s, duration_s = float(row.get("timestamp", "")), float(row.get("timedur", ""))
        except ValueError:
            continue
        text = " ".join(row.itertext())
        for sign, words in SPOKEN.items():
            text = text.replace(sign, words)
        yield Caption(start_s, start_s + duration_s, text)


def _joined(captions: Sequence[Caption], longest_s: float) -> Iterator[Caption]:
    """Yield what captions without a pause say together; those with digits, which nobody can use, alone."""
    whole, *rest = captions
    for caption in rest:
        is_next = abs(caption.start_s - whole.end_s) <= PAUSE_S and caption.end_s - whole.start_s <= longest_s
        if is_next and not DIGIT.search(whole.text + caption.text):
            whole = Caption(whole.start_s, caption.end_s, f"{whole.text} {caption.text}")
        else:
            yield whole
            whole = caption
    yield whole


PARTS = [Archive(f"{NAME}_2.zip.{i:03}", checksum=checksum) for i, checksum in enumerate(CHECKSUMS, 1)]
CORPUS = Corpus(
    key="ccpmf",
    title="CCPMF",
    language="fr",
    licence="Licence Ouverte (Etalab)",
    archives=[Archive(f"{NAME}_2.zip", nested=True, holds=FOLDER, parts=PARTS)],
    how_to_get=f"Get {PARTS[0].name} to {PARTS[-1].name[-3:]} from "
    f"https://data.economie.gouv.fr/explore/dataset/{NAME}/ and put them there.",
    longest_s=10,
)

if __name__ == "__main__":
    sys.exit(run_import(CORPUS, find_clips, argparse.ArgumentParser(description=__doc__)))
