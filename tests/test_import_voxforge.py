"""bin/import_voxforge.py: thousands of archives, and the page that lists them."""

from __future__ import annotations

from pathlib import Path

import pytest
from conftest import Web
from miniatures import audio
from miniatures.voxforge import LINE, LISTING, miniature, submission
from test_importers import assert_same, column, read_rows, run, state


@pytest.fixture
def many(web: Web) -> Web:
    """Return a server with so many archives that several are got at once."""
    sound = audio(0.5)
    for number in range(120):
        name = f"speaker{number}-20080318-abc"
        web.files[f"{name}.tgz"] = submission(name, f"{name}/mfc/a1 NUMBER\n", {"wav/a1.wav": sound})
    web.files[""] = LISTING.format("".join(map(LINE.format, web.files))).encode()
    return web


def imported(folder: Path) -> int:
    return sum(len(column(folder / f"voxforge-{split}.csv", "transcript")) for split in ("train", "dev", "test"))


def test_many_archives_come_each_once(many: Web, tmp_path: Path) -> None:
    del many.files["speaker0-20080318-abc.tgz"]
    done = run("voxforge", tmp_path, "--source", many.url)
    assert done.returncode == 1
    assert done.stderr.splitlines()[1:] == [
        f"Error: cannot get speaker0-20080318-abc.tgz ({many.url}/speaker0-20080318-abc.tgz: HTTP Error 404: Not Found)"
    ]
    assert len(many.asked) < len(many.files)  # the rest was called off
    listing = tmp_path / "voxforge-listing.html"
    listing.write_text(listing.read_text().replace("speaker0-", "speaker1-"))
    done = run("voxforge", tmp_path, "--source", many.url)
    assert done.returncode == 0, done.stderr
    assert "Unpacking" not in done.stderr
    assert imported(tmp_path) == 119
    assert {len(asked) for name, asked in many.asked.items() if name != "SHA256SUMS"} == {1}


def test_archives_and_their_folders_lie_in_a_folder(tmp_path: Path) -> None:
    small = miniature()
    source = tmp_path / "source"
    (source / "Aaron-20080318-kdl").mkdir(parents=True)
    for name, content in small.archives.items():
        if name:
            (source / name).write_bytes(content)
    assert run("voxforge", source, "--source", source).returncode == 0
    before = state(source)
    done = run("voxforge", source, "--source", source)
    assert done.returncode == 0, done.stderr
    assert state(source) == before
    found = [row for table in small.tables for row in read_rows(source / table)]
    expected = [row for rows in small.tables.values() for row in rows if row.transcript != "will we ever forget it"]
    assert_same(found, expected, done.stderr)  # that one is missing in its folder


@pytest.mark.parametrize("page", [None, b"<html>Closed for good.</html>", b"\xff"])
def test_a_page_that_lists_nothing(page: bytes | None, web: Web, tmp_path: Path) -> None:
    web.files = {} if page is None else {"": page}
    done = run("voxforge", tmp_path, "--source", web.url)
    assert done.returncode == 1
    assert done.stderr.splitlines()[1].startswith(f"Error: cannot get voxforge-listing.html ({web.url}/: ")


def test_a_folder_that_holds_nothing(tmp_path: Path) -> None:
    (tmp_path / "source").mkdir()
    done = run("voxforge", tmp_path / "corpus", "--source", tmp_path / "source")
    assert done.returncode == 1
    assert f"Error: {tmp_path}/source holds no archive of VoxForge" in done.stderr
