"""Primewords with a list of transcripts that is not as it should be."""

from __future__ import annotations

from pathlib import Path

import pytest
from miniatures import audio
from test_importers import read_left_out, run


@pytest.fixture
def unpacked(tmp_path: Path) -> Path:
    """A folder with the archive unpacked by hand."""
    folder = tmp_path / "primewords_md_2018_set1"
    (folder / "audio_files" / "0" / "00").mkdir(parents=True)
    (folder / "audio_files" / "0" / "00" / "00a1.wav").write_bytes(audio(1))
    return folder


def test_says_where_the_list_breaks_off(unpacked: Path, tmp_path: Path):
    (unpacked / "set1_transcript.json").write_text('[{"file": "00a1.wav",')
    done = run("primewords", tmp_path / "imported", "--source", tmp_path)
    assert done.returncode == 1
    assert "set1_transcript.json: Expecting property name" in done.stderr


@pytest.mark.parametrize("content", ["3", '{"file": "text"}', '[["00a1.wav"], {"file": "00a1.wav"}]'])
def test_recordings_have_no_transcript_where_the_list_is_another(content: str, unpacked: Path, tmp_path: Path):
    (unpacked / "set1_transcript.json").write_text(content)
    assert run("primewords", tmp_path / "imported", "--source", tmp_path).returncode == 1
    ((kind, _),) = read_left_out(tmp_path / "imported")
    assert kind == "no transcript"
