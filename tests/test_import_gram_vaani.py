"""Recordings that Gram Vaani's CSV links to: got one by one, each once, and a dead link stops nothing."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest
from conftest import Web
from miniatures import audio
from test_importers import read_left_out, run

CALLERS = {"101": "1000", "102": "1007", "103": "1012", "104": "1000"}  # one of each split, and one whose link is dead


@pytest.fixture
def folder(tmp_path: Path, web: Web) -> Path:
    """A folder with a CSV of links to recordings on the web."""
    with (tmp_path / "gram_vaani.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        for name, caller in CALLERS.items():
            writer.writerow([name, f"{web.url}/{name}.mp3", "", "नमस्कार", "", f"{name}.mp3", "2", caller])
    web.files = {f"{name}.mp3": audio(2, "MP3", 8000) for name in CALLERS if name != "104"}
    return tmp_path


def test_gets_each_recording_once(folder: Path, web: Web):
    web.cuts = {"101.mp3": [500]}
    done = run("gram_vaani", folder)
    assert done.returncode == 0, done.stderr
    assert "1 of 4 recordings are missing; the first: cannot get 104.mp3" in done.stderr
    assert read_left_out(folder) == [("no audio file", str(folder / "mp3" / "104.mp3"))]
    assert [len(web.asked[f"{name}.mp3"]) for name in CALLERS] == [2, 1, 1, 1]
    web.asked.clear()
    assert run("gram_vaani", folder).returncode == 0
    assert list(web.asked) == ["104.mp3"]


def test_takes_recordings_from_the_folder_given_as_source(folder: Path, web: Web, tmp_path: Path):
    (folder / "104.mp3").write_bytes(audio(2, "MP3", 8000))
    done = run("gram_vaani", tmp_path / "imported", "--source", folder)
    assert done.returncode == 0, done.stderr
    assert read_left_out(tmp_path / "imported") == []
    assert "104.mp3" not in web.asked


@pytest.mark.parametrize(
    ("content", "expected"),
    [("piece_id,audio_url\n", "gram_vaani.csv has no links, expected"), (f'1,"{"x" * 200_000}', "csv:1: field larger")],
)
def test_says_what_is_wrong_with_the_csv(content: str, expected: str, folder: Path):
    (folder / "gram_vaani.csv").write_text(content)
    done = run("gram_vaani", folder)
    assert done.returncode == 1
    assert expected in done.stderr


def test_says_where_the_csv_comes_from(tmp_path: Path):
    done = run("gram_vaani", tmp_path)
    assert done.returncode == 1
    assert "There is no gram_vaani.csv" in done.stderr and "Ask Gram Vaani" in done.stderr
