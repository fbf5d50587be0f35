"""German Distant Speech: three utterances with one recording for each microphone, and what may be missing."""

from __future__ import annotations

from miniatures import Miniature, Row, audio, broken, tar

ROOT = "german-speechdata-package-v2"
READERS = {"train": "55065c47-1290-4974-997e-e77f24e7c72d", "dev": "b522038b-0e97-42c5-87a5-a95df5b38bcf",
           "test": "58b8b441-684f-4753-aa16-589f1e149fa0"}  # fmt: skip


def about(split: str, written: str, read: str) -> bytes:
    return (
        f'<?xml version="1.0" encoding="utf-8"?><recording><speaker_id>{READERS[split]}</speaker_id><rate>16000</rate>'
        f"<angle>-10,0267614147894</angle><gender>male</gender><ageclass>21-30</ageclass><sentence_id>44</sentence_id>"
        f"<sentence>{written}</sentence><cleaned_sentence>{read}</cleaned_sentence><corpus>WIKI</corpus>"
        "<muttersprachler>Ja</muttersprachler><bundesland>Hessen</bundesland><sourceurls>"
        "<url>https://de.wikipedia.org/wiki/Igel</url></sourceurls></recording>\n"
    ).encode()


def miniature() -> Miniature:
    files = {
        f"{ROOT}/train/2014-03-17-10-26-07.xml": about("train", "Ihr graubraunes, CO2.", "Ihr graubraunes CO2"),
        f"{ROOT}/train/2014-03-17-10-26-07_Kinect-RAW.wav": audio(2),
        f"{ROOT}/train/2014-03-17-10-26-07_Realtek.wav": broken(audio(2)),
        f"{ROOT}/train/2014-03-17-10-26-07_Samson.wav": audio(2.5),
        f"{ROOT}/train/2014-03-17-10-26-07_Yamaha.wav": audio(2.5),
        f"{ROOT}/train/2014-03-18-15-34-19.xml": b"<?xml version='1.0'?><recording><speaker_id>",
        f"{ROOT}/train/2014-03-18-15-34-19_Samson.wav": audio(2),
        f"{ROOT}/train/2014-06-17-13-46-27.xml": about("train", "Nichts!", "Nichts"),
        f"{ROOT}/dev/2015-01-28-11-49-53.xml": about("dev", "Schön war's.", "Schön war's"),
        f"{ROOT}/dev/2015-01-28-11-49-53_Samson.wav": audio(3),
        f"{ROOT}/test/2015-02-03-12-08-13.xml": about("test", "Was geht da?", "Was geht da"),
        f"{ROOT}/test/2015-02-03-12-08-13_Samson.wav": audio(1.5),
        f"{ROOT}/test/2015-02-03-12-08-13_Kinect-Beam.wav": audio(1.5),
    }
    return Miniature(
        archives={f"{ROOT}.tar.gz": tar(files)},
        options=("--microphones", "Samson", "Kinect-RAW", "Realtek"),
        tables={
            "tuda-v2-train.csv": [
                Row("ihr graubraunes c o zwei", 2, READERS["train"]),
                Row("ihr graubraunes c o zwei", 2.5, READERS["train"]),
            ],
            "tuda-v2-dev.csv": [Row("sch\u00f6n war's", 3, READERS["dev"])],
            "tuda-v2-test.csv": [Row("was geht da", 1.5, READERS["test"])],
        },
        left_out=[
            ("audio file at fault", "2014-03-17-10-26-07_Realtek.wav"),
            ("no transcript", "2014-03-18-15-34-19_Samson.wav"),
            ("no audio file", "2014-06-17-13-46-27_Samson.wav"),
        ],
    )
