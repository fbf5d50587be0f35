"""Multilingual LibriSpeech: the original recordings, an archive that is not whole, names that lead elsewhere."""

from __future__ import annotations

from pathlib import Path

from miniatures import audio
from test_importers import read_left_out, read_rows, run

from util.clips import Clip


def write_sets(folder: Path) -> None:
    for split, speaker in (("train", "1"), ("dev", "2"), ("test", "3")):
        book = folder / split / "audio" / speaker / "7"
        book.mkdir(parents=True)
        (book / f"{speaker}_7_000000.flac").write_bytes(audio(1, "FLAC"))
        (folder / split / "transcripts.txt").write_text(f"{speaker}_7_000000\tja\n")


def test_imports_the_original_recordings(tmp_path: Path):
    source = tmp_path / "mls_german"
    write_sets(source)
    with (source / "train" / "transcripts.txt").open("a") as table:
        table.write("nonsense\twas\n../../../1_7_000001\twas\n")
    (source / "train" / "limited_supervision" / "1hr" / "0").mkdir(parents=True)
    for given in (source, tmp_path):
        done = run("mls", tmp_path / "out", "-l", "german", "--original", "--source", given)
        assert done.returncode == 0, done.stderr
        assert [row.transcript for row in read_rows(tmp_path / "out" / "mls-train.csv")] == ["ja"]
        assert [kind for kind, _ in read_left_out(tmp_path / "out")] == ["no audio file"] * 2


def test_says_which_transcripts_are_missing(tmp_path: Path):
    write_sets(tmp_path / "source")
    (tmp_path / "source" / "dev" / "transcripts.txt").unlink()
    done = run("mls", tmp_path / "out", "-l", "german", "--original", "--source", tmp_path / "source")
    assert done.returncode == 1
    assert f"{tmp_path / 'source' / 'dev' / 'transcripts.txt'} is missing or empty" in done.stderr


def test_no_clip_is_written_outside_the_folder():
    assert Clip(Path("/in/a/../../b/c.wav"), "x").file_name(Path("/in")) == "c"
    assert Clip(Path("/in/b/c.wav"), "x").file_name(Path("/in")) == "b/c"
