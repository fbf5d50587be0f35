"""Every importer, run as a user runs it on a corpus in miniature that a web server on loopback has."""

from __future__ import annotations

import csv
import hashlib
import importlib
import io
import os
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import miniatures
import pytest
from conftest import ROOT, Web
from miniatures import Miniature, Row

from util.audio import read_info
from util.unpacking import ENDINGS

NOBODY_LISTENS = "http://127.0.0.1:9"
CORPORA = miniatures.names()
# An importer reads no network but the loopback.
OFFLINE = dict.fromkeys(("http_proxy", "https_proxy", "ftp_proxy"), NOBODY_LISTENS) | {"no_proxy": "127.0.0.1"}


def run(name: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    """Run an importer, m_ailabs for import_m-ailabs.py; whatever happens, nobody sees a traceback."""
    (program,) = (path for path in ROOT.glob("bin/import_*.py") if path.stem.replace("-", "_") == f"import_{name}")
    command = [sys.executable, program, *map(str, arguments)]
    done = subprocess.run(command, env=os.environ | OFFLINE, capture_output=True, text=True, check=False)
    assert "Traceback" not in done.stderr, done.stderr
    return done


@pytest.fixture(params=CORPORA)
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def small(name: str) -> Miniature:
    made: Miniature = importlib.import_module(f"miniatures.{name}").miniature()
    return made


def serve(web: Web, archives: dict[str, bytes]) -> None:
    sums = [f"{hashlib.sha256(content).hexdigest()}  {name}\n" for name, content in archives.items()]
    web.files |= archives | {"SHA256SUMS": "".join(sums).encode()}


def read_rows(table: Path) -> list[Row]:
    """Return what a CSV says, and its audio files are."""
    rows = []
    with table.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            audio = table.parent / row["wav_filename"]
            assert not os.path.isabs(row["wav_filename"])  # noqa: PTH117
            assert audio.stat().st_size == int(row["wav_filesize"])
            info = read_info(audio)
            assert (info.sample_rate, info.channels) == (16000, 1)
            rows.append(Row(row["transcript"], info.duration_s, row.get("speaker", "")))
    return rows


def assert_same(found: list[Row], expected: list[Row], said: str) -> None:
    """Compare rows in any order; MP3 and Opus add up to a block of silence."""
    found, expected = sorted(found), sorted(expected)
    assert [(row.transcript, row.speaker) for row in found] == [(row.transcript, row.speaker) for row in expected], said
    assert [row.duration_s for row in found] == pytest.approx([row.duration_s for row in expected], abs=0.08)


def read_left_out(folder: Path) -> list[tuple[str, str]]:
    (table,) = folder.glob("*-skipped.csv")
    with table.open(encoding="utf-8", newline="") as file:
        return [(row["kind"], row["wav_filename"]) for row in csv.DictReader(file)]


def state(folder: Path) -> dict[Path, float]:
    """Return when each file was written, save the tables that every import writes."""
    files = (path for path in folder.rglob("*") if path.is_file() and path.suffix not in {".csv", ".txt", ".new"})
    return {path: path.stat().st_mtime for path in files}


def test_imports_over_a_connection_that_breaks_and_does_nothing_twice(
    name: str, small: Miniature, web: Web, tmp_path: Path
):
    serve(web, dict(small.archives))
    web.cuts = {archive: [len(content) // 2] for archive, content in small.archives.items() if len(content) > 2}
    folder = tmp_path / "corpus"
    done = run(name, folder, "--source", web.url + small.source, *small.options)
    for table, rows in small.tables.items():
        assert_same(read_rows(folder / table), rows, done.stderr)
    left_out = read_left_out(folder)
    assert sorted(kind for kind, _ in left_out) == sorted(kind for kind, _ in small.left_out), done.stderr
    for kind, ending in small.left_out:
        assert any(found == kind and audio.endswith(ending) for found, audio in left_out), (kind, ending, left_out)
    assert done.returncode == 0, done.stderr
    for split, rows in small.tables.items():
        sizes = [(folder / row).stat().st_size for row in column(folder / split, "wav_filename")]
        assert sizes == sorted(sizes) and len(rows) == len(sizes)

    before, web.files = state(folder), {}
    tables = {table: (folder / table).read_text() for table in small.tables}
    again = run(name, folder, "--source", web.url + small.source, *small.options)
    assert again.returncode == 0, again.stderr
    assert state(folder) == before
    assert {table: (folder / table).read_text() for table in small.tables} == tables


def column(table: Path, name: str) -> list[str]:
    with table.open(encoding="utf-8", newline="") as file:
        return [row[name] for row in csv.DictReader(file)]


def test_refuses_an_archive_with_a_wrong_checksum_or_none(name: str, small: Miniature, web: Web, tmp_path: Path):
    serve(web, dict(small.archives))
    chosen = next(iter(small.archives))
    web.files[chosen] += b"!"
    done = run(name, tmp_path / "corpus", "--source", web.url + small.source, *small.options)
    assert done.returncode == 1
    assert f"{web.url}/{chosen}: has the SHA-256 checksum" in done.stderr
    assert not list((tmp_path / "corpus").rglob("*.csv"))
    assert not (tmp_path / "corpus" / chosen).exists()


def with_traversal(archive: str, content: bytes) -> bytes:
    """Add a file that lies beside the folder it is unpacked into."""
    file = io.BytesIO(content)
    if archive.endswith(".zip"):
        with zipfile.ZipFile(file, "a") as opened:
            opened.writestr("../../escaped.txt", "out")
        return file.getvalue()
    with tarfile.open(fileobj=file) as opened:
        files = {member.name: opened.extractfile(member) for member in opened if member.isfile()}
        contents = {name: member.read() for name, member in files.items() if member}
    return miniatures.tar(contents | {"../../escaped.txt": b"out"}, "w:gz" if archive.endswith("gz") else "w:")


def test_nothing_leaves_its_folder(name: str, small: Miniature, web: Web, tmp_path: Path):
    archives = {
        archive: with_traversal(archive, content) if archive.endswith(ENDINGS) else content
        for archive, content in small.archives.items()
    }
    serve(web, archives)
    if archives == small.archives:
        pytest.skip("this corpus comes as single files")
    done = run(name, tmp_path / "a" / "b" / "corpus", "--source", web.url + small.source, *small.options)
    assert done.returncode == 1
    assert "'../../escaped.txt', which lies outside its folder; do not trust it" in done.stderr
    assert not list(tmp_path.rglob("escaped.txt"))
