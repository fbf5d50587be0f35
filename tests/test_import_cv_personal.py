"""Takeouts from Common Voice: found by themselves, one language at a time."""

from __future__ import annotations

from pathlib import Path

import pytest
from miniatures.cv_personal import miniature
from test_importers import read_rows, run


@pytest.fixture
def takeout(tmp_path: Path) -> Path:
    for name, content in miniature().archives.items():
        (tmp_path / name).write_bytes(content)
    return tmp_path


def test_finds_all_parts(takeout: Path):
    done = run("cv_personal", takeout, "--language", "en")
    assert done.returncode == 0, done.stderr
    assert [row.transcript for row in read_rows(takeout / "cv_personal-train.csv")] == ["he's gone"]


def test_says_which_languages_are_there(takeout: Path):
    done = run("cv_personal", takeout, "--language", "fr")
    assert done.returncode == 1
    assert "--language is 'fr', but the recordings are in de, en; choose one of these" in done.stderr


def test_says_what_to_do_where_nothing_is(tmp_path: Path):
    done = run("cv_personal", tmp_path, "--language", "en")
    assert done.returncode == 1
    assert f"There is no takeout_NUMBER_metadata.txt in {tmp_path}. Ask for your data" in done.stderr
