"""bin/import_ted.py: the releases that are not the usual one."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

import pytest
from conftest import Web
from miniatures import Row, audio, tar
from test_importers import assert_same, read_rows, run, serve


def talk(folder: str, name: str, text: str) -> dict[str, bytes]:
    line = f"{name} 1 {name} 0.50 1.50 <o,f0,male> {text}\n"
    return {f"{folder}/stm/{name}.stm": line.encode(), f"{folder}/sph/{name}.sph": audio(2, "NIST")}


def assert_imported(folder: Path, said: str) -> None:
    for split, name in (("train", "AaronHuey_2010X"), ("dev", "AlGore_2009"), ("test", "GaryFlake_2010")):
        assert_same(read_rows(folder / f"ted-{split}.csv"), [Row(split, 1, name)], said)


def test_release_1(web: Web, tmp_path: Path) -> None:
    files = (
        talk("TEDLIUM_release1/train", "AaronHuey_2010X", "train (AaronHuey_2010X-0.50-1.50-F0_M-S0)")
        | talk("TEDLIUM_release1/dev", "AlGore_2009", "dev")
        | talk("TEDLIUM_release1/test", "GaryFlake_2010", "{BREATH} test")
    )
    serve(web, {"TEDLIUM_release1.tar.gz": tar(files)})
    assert_imported(tmp_path, run("ted", tmp_path, "--source", web.url, "--release", "1").stderr)


@pytest.fixture
def third() -> bytes:
    """Return release 3 as it is published: what is called legacy/train are links."""
    root = "TEDLIUM_release-3"
    files = (
        talk(f"{root}/data", "AaronHuey_2010X", "train")
        | talk(f"{root}/legacy/dev", "AlGore_2009", "dev")
        | talk(f"{root}/legacy/test", "GaryFlake_2010", "test")
    )
    archive = io.BytesIO(tar(files, "w:"))
    with tarfile.open(fileobj=archive, mode="a:") as opened:
        for kind in ("stm", "sph"):
            info = tarfile.TarInfo(f"{root}/legacy/train/{kind}")
            info.type, info.linkname = tarfile.SYMTYPE, f"../../data/{kind}"
            opened.addfile(info)
    return archive.getvalue()


def test_release_3(web: Web, third: bytes, tmp_path: Path) -> None:
    serve(web, {"TEDLIUM_release-3.tgz": third})
    assert_imported(tmp_path, run("ted", tmp_path, "--source", web.url, "--release", "3").stderr)


def test_release_3_unpacked_by_tar(third: bytes, tmp_path: Path) -> None:
    with tarfile.open(fileobj=io.BytesIO(third)) as opened:
        opened.extraction_filter = getattr(tarfile, "data_filter", None)  # Python 3.11.4 and newer ask for one
        opened.extractall(tmp_path)
    assert_imported(tmp_path, run("ted", tmp_path, "--release", "3").stderr)
