"""Talks at the ministry: captions joined, recordings found by their names, and an archive in parts."""

from __future__ import annotations

import runpy
from pathlib import Path

import pytest
from conftest import ROOT, Web
from miniatures import Miniature, ccpmf
from test_importers import run, serve

from util.clips import Clip, deal

CCPMF = runpy.run_path(str(ROOT / "bin" / "import_ccpmf.py"), run_name="imported")
Caption = CCPMF["Caption"]


@pytest.mark.parametrize(
    ("captions", "joined"),
    [
        ([(0, 2, "un"), (2, 4, "deux")], ["0-4 un deux"]),
        ([(0, 2, "un"), (2.2, 4, "deux"), (4.3, 5, "trois")], ["0-4 un deux", "4.3-5 trois"]),
        ([(0, 6, "un"), (6, 10, "deux"), (10, 12, "trois")], ["0-10 un deux", "10-12 trois"]),
        ([(0, 2, "un"), (2, 3, "2"), (3, 4, "trois"), (4, 5, "quatre")], ["0-2 un", "2-3 2", "3-5 trois quatre"]),
        ([(4, 5, "un"), (1, 2, "deux")], ["4-5 un", "1-2 deux"]),
        ([(0, 12, "un")], ["0-12 un"]),
    ],
)
def test_joins_captions_without_a_pause_up_to_the_longest_clip(captions, joined):
    found = CCPMF["_joined"]([Caption(*caption) for caption in captions], 10.0)
    assert [f"{start:g}-{end:g} {text}" for start, end, text in found] == joined


def test_finds_each_recording_once_by_date_and_words(tmp_path: Path):
    names = [
        "20150616_Defi_Climat_1_wmv_0.xml", "20150616_Defi_Climat_2_wmv_0.xml", "20150616_Autre.xml",
        "20150616_Defi_Climat_2.mp3", "20150616_Defi_Climat_1.mp3", "20150617_Autre.mp3",
    ]  # fmt: skip
    for name in names:
        (tmp_path / name).touch()
    pairs = {about.name: audio.name for about, audio in CCPMF["_pairs"](tmp_path).items()}
    assert pairs == {
        "20150616_Defi_Climat_1_wmv_0.xml": "20150616_Defi_Climat_1.mp3",
        "20150616_Defi_Climat_2_wmv_0.xml": "20150616_Defi_Climat_2.mp3",
    }


def test_a_talk_is_in_one_split():
    talks = [Clip(Path("a.mp3"), f"{talk} {i}", group=f"talk {talk}") for talk in range(20) for i in range(5)]
    splits = {(clip.group, clip.split) for clip in deal(talks)}
    assert len(splits) == 20
    assert {split for _, split in splits} == {"train", "dev", "test"}


def test_only_who_is_not_told_is_dealt_by_the_group():
    told = [Clip(Path("a.ogg"), str(i), speaker=f"reader {i % 10}") for i in range(50)]
    dealt = deal([*told, *(Clip(Path("a.ogg"), str(i), group=f"article {i % 10}") for i in range(50))])
    assert len({(clip.speaker, clip.group, clip.split) for clip in dealt}) == 20


@pytest.fixture
def small() -> Miniature:
    return ccpmf.miniature()


def test_nothing_leaves_the_folder_of_an_archive_in_parts(web: Web, tmp_path: Path):
    serve(web, ccpmf.parts({"../../escaped.txt": b"out" * 100}))
    done = run("ccpmf", tmp_path / "a" / "b" / "corpus", "--source", web.url)
    assert done.returncode == 1
    assert "'../../escaped.txt', which lies outside its folder; do not trust it" in done.stderr
    assert not list(tmp_path.rglob("escaped.txt"))


def test_a_missing_part_is_named_and_how_to_get_it(small: Miniature, tmp_path: Path):
    (tmp_path / "source").mkdir()
    done = run("ccpmf", tmp_path / "corpus", "--source", tmp_path / "source")
    first = next(iter(small.archives))
    assert done.returncode == 1
    assert f"There is no {first} in {tmp_path / 'source'}" in done.stderr
    assert "https://data.economie.gouv.fr/explore/dataset/" in done.stderr


def test_a_part_that_is_not_as_published_is_refused(small: Miniature, tmp_path: Path):
    for name, content in small.archives.items():
        (tmp_path / name).write_bytes(content)
    done = run("ccpmf", tmp_path / "corpus", "--source", tmp_path)
    assert done.returncode == 1
    assert f"{next(iter(small.archives))} has the SHA-1 checksum" in done.stderr


def test_the_parts_are_kept_and_what_they_were_joined_to_goes(small: Miniature, web: Web, tmp_path: Path):
    serve(web, dict(small.archives))
    folder = tmp_path / "corpus"
    done = run("ccpmf", folder, "--source", web.url)
    assert done.returncode == 0, done.stderr
    assert sorted(path.name for path in folder.glob("*.zip*")) == sorted(small.archives)
