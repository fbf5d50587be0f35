"""Common Voice: what its importer finds by itself, its tables, old releases, sets and options."""

from __future__ import annotations

import argparse
import runpy
from pathlib import Path
from typing import Any

import pytest
from conftest import ROOT
from miniatures import Row, audio, tar
from test_importers import read_rows, run

from util.errors import DataError, UsageError
from util.importing import columns_of, root_of

HEADER = "client_id\tpath\tsentence\tup_votes\tdown_votes\tage\tgender\taccent\n"  # version 2, without locale
MP3 = audio(1, "MP3", 48000)


@pytest.fixture(scope="module")
def importer() -> dict[str, Any]:
    return runpy.run_path(str(ROOT / "bin" / "import_cv2.py"))


def options(folder: Path, **given: object) -> argparse.Namespace:
    return argparse.Namespace(**{"dir": folder, "source": None, "archive": None, "language": None} | given)


def write_tables(folder: Path, header: str = HEADER, **sets: str) -> None:
    """Write tables of rows that are given as speaker, clip and sentence, parted by |; clips are there."""
    (folder / "clips").mkdir(parents=True, exist_ok=True)
    for name, rows in sets.items():
        lines = ["{}\t{}\t{}\t2\t0\t\t\t\n".format(*row.split("|")) for row in rows.split(";") if row]
        (folder / f"{name}.tsv").write_text(header + "".join(lines), encoding="utf-8")
        for row in filter(None, rows.split(";")):
            (folder / "clips" / f"{row.split('|')[1]}.mp3").write_bytes(MP3)


@pytest.mark.parametrize(
    ("archive", "code"),
    [
        ("cv-corpus-17.0-2024-03-15-de.tar.gz", "de"),
        ("cv-corpus-5.1-2020-06-22-zh-CN.tar.gz", "zh"),
        ("cv-corpus-15.0-delta-2023-09-08-it.tar.gz", "it"),
        ("mcv-scripted-nan-tw-v24.0.tar.gz", "nan"),
        ("mcv-scripted-vi-v24.0.tar.gz", "vi"),
        ("rm-sursilv.tar.gz", "rm"),
        ("kab.tar.gz", "kab"),
    ],
)
def test_knows_the_language_of_an_archive(importer: dict[str, Any], tmp_path: Path, archive: str, code: str):
    (tmp_path / archive).touch()
    assert importer["language"](options(tmp_path)) == code
    assert [one.name for one in importer["archives"](options(tmp_path))] == [archive]
    assert importer["language"](options(tmp_path, language="sv-SE")) == "sv"


def test_asks_where_it_cannot_know(importer: dict[str, Any], tmp_path: Path):
    (tmp_path / "cv-corpus-5-singleword.tar.gz").touch()
    with pytest.raises(UsageError, match="say it by --language"):
        importer["language"](options(tmp_path))
    (tmp_path / "de.tar.gz").touch()
    with pytest.raises(UsageError, match=r"has the archives cv-corpus-5-singleword.tar.gz, de.tar.gz; choose one"):
        importer["archives"](options(tmp_path))
    assert importer["language"](options(tmp_path, archive="de.tar.gz")) == "de"


def test_knows_the_language_of_tables(importer: dict[str, Any], tmp_path: Path):
    folder = tmp_path / "cv-corpus-9.0" / "pt"
    write_tables(folder, validated="")
    assert importer["language"](options(tmp_path)) == importer["language"](options(folder)) == "pt"
    (folder / "validated.tsv").write_text("path\tlocale\nx.mp3\tga-IE\n")
    assert importer["language"](options(tmp_path)) == "ga"
    write_tables(tmp_path / "My Corpus", validated="")
    with pytest.raises(UsageError, match="say it by --language"):
        importer["language"](options(tmp_path / "My Corpus"))


def test_says_what_to_do_where_nothing_is(tmp_path: Path):
    done = run("cv2", tmp_path)
    assert done.returncode == 1
    assert f"There is no cv-corpus-VERSION-LANGUAGE.tar.gz in {tmp_path}, nor its folder. Download" in done.stderr


def test_imports_an_unpacked_release_with_names_without_ending(tmp_path: Path):
    write_tables(tmp_path, train="a|1|one", dev="b|2|two", test="c|3|three", validated="a|1|one;b|2|two;c|3|three")
    done = run("cv2", tmp_path, "--language", "en")
    assert done.returncode == 0, done.stderr
    assert read_rows(tmp_path / "cv2-train.csv")[0].transcript == "one"
    assert (tmp_path / "clips" / "clips" / "1.wav").is_file()


def test_finds_tables_that_an_archive_left_and_an_archive_beside_others(tmp_path: Path):
    write_tables(tmp_path / "en", train="a|1|one")
    (tmp_path / "en" / "validated.tsv").write_text(HEADER)
    files = {str(path.relative_to(tmp_path)): path.read_bytes() for path in (tmp_path / "en").rglob("*.*")}
    folder = tmp_path / "here"
    folder.mkdir()
    (folder / "en.tar.gz").write_bytes(tar(files))
    assert run("cv2", folder, "--sets", "train").returncode == 0
    (folder / "en.tar.gz").unlink()
    done = run("cv2", folder, "--sets", "train")
    assert done.returncode == 0, done.stderr
    assert [row.transcript for row in read_rows(folder / "cv2-train.csv")] == ["one"]


def test_names_the_table_that_a_set_lacks(tmp_path: Path):
    write_tables(tmp_path / "de", validated="a|1|eins", other="b|2|zwei")
    done = run("cv2", tmp_path / "out", "--source", tmp_path / "de")
    assert done.returncode == 1
    assert f"{tmp_path / 'de'} has no train.tsv, which train needs; choose others by --sets" in done.stderr
    assert run("cv2", tmp_path / "out", "--source", tmp_path / "de", "--sets", "other", "validated").returncode == 0


def test_leaves_speakers_and_sentences_of_dev_and_test_out_of_train_all(importer: dict[str, Any], tmp_path: Path):
    said = "a|1|Ja, gut!;b|2|Nein;c|3|Möglich;d|4|ja gut;e|5|möglich?;f|6|क़ि;g|7|क़ी;|8|Niemand"
    write_tables(tmp_path, dev="b|9|Anderes;|10|Ganz anders", test="h|11|JA GUT;h|12|क़ि", validated=said)
    rows = list(importer["rows_of"](tmp_path, "train-all"))
    assert [row[1] for row in rows] == ["Möglich", "möglich?", "क़ी", "Niemand"]


def test_puts_a_space_after_every_character(tmp_path: Path):
    write_tables(tmp_path / "zh", validated="a|1|你好、世 界。", train="", dev="", test="")
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "zh" / "clips" / "1.mp3").rename(tmp_path / "elsewhere" / "1.mp3")
    flags = ["--sets", "validated", "--space_after_every_character", "--audio_dir", tmp_path / "elsewhere"]
    done = run("cv2", tmp_path / "zh", *flags)
    assert done.returncode == 0, done.stderr
    (row,) = read_rows(tmp_path / "zh" / "cv2-validated.csv")
    assert row == Row("你 好 世 界", row.duration_s, "a")


def test_converts_a_clip_once_for_all_its_sets(tmp_path: Path):
    said = ";".join(f"a|{number}|so" for number in range(24))
    write_tables(tmp_path / "de", train=said, validated=said, dev="b|90|ja", test="c|91|nein")
    done = run("cv2", tmp_path / "de", "--sets", "train", "validated", "train-all", "--workers", 8)
    assert done.returncode == 0, done.stderr
    imported = next(line for line in done.stderr.splitlines() if "imported" in line)
    assert imported.split()[1] == "24"
    assert not list(tmp_path.rglob("*.tmp"))


def test_columns_are_read_from_any_place_and_damaged_rows_passed_over(tmp_path: Path):
    table = tmp_path / "table.tsv"
    table.write_bytes(b'\xef\xbb\xbfb\ta\r\n1\t"x\r\nshort\r\n2\ty\tz\r\n3\t\xff\r\n')
    assert list(columns_of(table, "a", "b")) == [('"x', "1"), ("\ufffd", "3")]
    table.write_text('a,b\n"x, y",1\n')
    assert list(columns_of(table, "a", separator=",")) == [("x, y",)]
    with pytest.raises(DataError, match=r"table.tsv:1: no column c, found \['a', 'b'\]"):
        list(columns_of(table, "c", separator=","))
    with pytest.raises(DataError, match=r"cannot read .*none.tsv: No such file or directory; expected a table with a"):
        list(columns_of(tmp_path / "none.tsv", "a"))


def test_the_root_is_the_first_folder_that_fits(tmp_path: Path):
    (tmp_path / "x" / "y" / "wav").mkdir(parents=True)
    (tmp_path / "x" / "y" / "wav" / "1.wav").touch()
    assert root_of(tmp_path, "wav") == root_of(tmp_path, "wav/*.wav") == tmp_path / "x" / "y"
    with pytest.raises(DataError, match=r"has no \*\.flac; it is another folder than expected"):
        root_of(tmp_path, "*.flac")
