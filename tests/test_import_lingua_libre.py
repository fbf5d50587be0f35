"""Lingua Libre: recordings to leave out, and languages known by three letters."""

from __future__ import annotations

from pathlib import Path

from miniatures import audio
from test_importers import read_rows, run

NAMES = ("--qId", 155, "--iso639-3", "tur", "--english-name", "Turkish")
OGG = audio(1, "OGG", 44100, subtype="VORBIS")


def write_words(folder: Path) -> None:
    for path in ("A/IRAK", "A/ÖĞLE", "Poslovitch/bir", "WikiLucas00/iki"):
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / f"{path}.ogg").write_bytes(OGG)


def test_leaves_out_bogus_records_and_knows_turkish(tmp_path: Path):
    write_words(tmp_path / "Q155-tur-Turkish")
    (tmp_path / "bogus.txt").write_text("A/Ö.*\n\nR\n")
    done = run("lingua_libre", tmp_path, *NAMES, "--bogus-records", tmp_path / "bogus.txt")
    assert done.returncode == 0, done.stderr
    assert [row.transcript for row in read_rows(tmp_path / "lingua_libre-train.csv")] == ["\u0131rak"]


def test_refuses_what_is_no_regular_expression(tmp_path: Path):
    write_words(tmp_path / "Q155-tur-Turkish")
    (tmp_path / "bogus.txt").write_text("A/[\n")
    done = run("lingua_libre", tmp_path, *NAMES, "--bogus-records", tmp_path / "bogus.txt")
    assert done.returncode == 2
    assert f"--bogus-records {tmp_path / 'bogus.txt'}: 'A/[' is no regular expression" in done.stderr


def test_says_which_archive_it_looks_for(tmp_path: Path):
    done = run("lingua_libre", tmp_path, *NAMES, "--source", "http://127.0.0.1:9")
    assert done.returncode == 1
    assert "http://127.0.0.1:9/Q155-tur-Turkish.zip" in done.stderr
