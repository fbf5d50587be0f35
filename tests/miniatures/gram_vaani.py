"""Gram Vaani: a CSV of links. The recordings are where the CSV is, and nobody answers at the links."""

from __future__ import annotations

import csv
import io

from miniatures import Miniature, Row, audio

HEADER = ["piece_id", "audio_url", "transcript_labelled", "transcript", "labels"]
HEADER += ["content_filename", "audio_length", "user_id"]
CALLS = "http://127.0.0.1:9/recordings"
ROWS = [
    ["1", f"{CALLS}/101.mp3", "<person>राम</person> नमस्कार", "राम नमस्कार।", "person", "101.mp3", "3", "1000"],
    ["2", f"{CALLS}/102.mp3", "", 'हम "गाँव", से बोल रहे हैं', "", "102.mp3", "2", "1007"],
    ["3", f"{CALLS}/103.mp3?download=1", "", "धन्यवाद", "", "103.mp3", "2", "1012"],
    ["4", f"{CALLS}/104.mp3", "", "टूटा हुआ", "", "104.mp3", "2", "1000"],
    ["5", f"{CALLS}/105.mp3", "", "नहीं मिला", "", "105.mp3", "2", "1000"],
    ["6", f"{CALLS}/106.mp3", "", "", "", "106.mp3", "2", "1000"],
    ["7", f"{CALLS}/101.mp3", "", "दूसरी बार", "", "101.mp3", "3", "1000"],
    ["8", "no link", "", "कुछ नहीं", "", "", "", "1000"],
    ["9"],
]


def miniature() -> Miniature:
    table = io.StringIO(newline="")
    csv.writer(table).writerows([HEADER, *ROWS])
    return Miniature(
        archives={
            "gram_vaani.csv": table.getvalue().encode(),
            "101.mp3": audio(3, "MP3", 8000),
            "102.mp3": audio(2, "MP3", 8000),
            "103.mp3": audio(2, "MP3", 8000),
            "104.mp3": b"<html>This recording has moved.</html>",
        },
        tables={
            "gram_vaani-train.csv": [Row("राम नमस्कार", 3, "1000")],
            "gram_vaani-dev.csv": [Row("हम गाँव से बोल रहे हैं", 2, "1007")],
            "gram_vaani-test.csv": [Row("धन्यवाद", 2, "1012")],
        },
        left_out=[
            ("audio file at fault", "104.mp3"),
            ("no audio file", "105.mp3"),
            ("no transcript", "106.mp3"),
        ],
    )
