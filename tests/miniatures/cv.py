"""Common Voice 1: three sets with a table and a folder each."""

from __future__ import annotations

from miniatures import Miniature, Row, audio, broken, tar

HEADER = "filename,text,up_votes,down_votes,age,gender,accent,duration\n"
TEXTS = ("learn to recognize omens", '"yes, of course"', "he moves", "", "gone")


def table(split: str, *texts: str) -> bytes:
    rows = [f"cv-{split}/sample-{i:06d}.mp3,{text},1,0,twenties,male,us,\n" for i, text in enumerate(texts)]
    return "".join([HEADER, *rows]).encode()


def miniature() -> Miniature:
    mp3 = audio(2, "MP3", 48000)
    files = {
        "README.txt": b"Each wav file has a row.\n",
        "cv-valid-train.csv": table(
            "valid-train", "learn to recognize omens", '"yes, of course"', "he moves", "", "gone"
        )
        + b"cv-valid-train/sample-000009.mp3\n",
        "cv-valid-train/sample-000000.mp3": mp3,
        "cv-valid-train/sample-000001.mp3": audio(3, "MP3", 48000),
        "cv-valid-train/sample-000002.mp3": broken(mp3),
        "cv-valid-train/sample-000003.mp3": mp3,
        "cv-valid-dev.csv": table("valid-dev", "be careful with your prognostications"),
        "cv-valid-dev/sample-000000.mp3": mp3,
        "cv-valid-test.csv": table("valid-test", "without the dataset the article is useless"),
        "cv-valid-test/sample-000000.mp3": mp3,
    }
    return Miniature(
        archives={"cv_corpus_v1.tar.gz": tar({f"cv_corpus_v1/{name}": content for name, content in files.items()})},
        options=("--sets", "valid-train", "valid-dev", "valid-test"),
        tables={
            "cv-valid-train.csv": [Row("learn to recognize omens", 2), Row("yes of course", 3)],
            "cv-valid-dev.csv": [Row("be careful with your prognostications", 2)],
            "cv-valid-test.csv": [Row("without the dataset the article is useless", 2)],
        },
        left_out=[
            ("audio file at fault", "000002.mp3"),
            ("no transcript", "000003.mp3"),
            ("no audio file", "000004.mp3"),
        ],
    )
