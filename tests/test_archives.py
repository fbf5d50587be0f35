"""Where archives come from: a folder, an address, the web; and what a user is told where they cannot be had."""

from __future__ import annotations

import hashlib
import io
from pathlib import Path
from typing import Any

import pytest
from conftest import Web
from miniatures import pack, tar

from util.archives import Archive, Shelf, openslr
from util.errors import DataError, UsageError
from util.progress import Console

CONTENT = tar({"corpus/wav/a.wav": b"a"})
NOWHERE = ("http://127.0.0.1:9/none",)


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """Return the folder that a corpus is imported into."""
    (tmp_path / "home").mkdir()
    return tmp_path / "home"


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """Return a folder where a user keeps archives."""
    (tmp_path / "source").mkdir()
    return tmp_path / "source"


def get(home: Path, source: Path | str | None, archive: Archive, how_to_get: str = "", said: Any = None) -> Path:
    shelf = Shelf(home, None if source is None else str(source), how_to_get, Console(stream=said or io.StringIO()))
    return shelf.get(archive)


def fails(*arguments: Any) -> str:
    with pytest.raises(DataError) as caught:
        get(*arguments)
    return str(caught.value)


def test_an_archive_is_downloaded_unpacked_and_then_left_alone(home: Path, web: Web):
    web.files["corpus.tar.gz"] = CONTENT
    archive = Archive("corpus.tar.gz", (web.url,), sha256(CONTENT), len(CONTENT))
    said = io.StringIO()
    assert get(home, None, archive, "", said) == home / "corpus"
    assert (home / "corpus/corpus/wav/a.wav").read_bytes() == b"a"
    assert said.getvalue() == f"Unpacking {home}/corpus.tar.gz ...\n"
    web.asked.clear()
    (home / "corpus.tar.gz").unlink()
    said = io.StringIO()
    assert get(home, None, archive, "", said) == home / "corpus"
    assert (web.asked, said.getvalue()) == ({}, "")


def test_a_single_file_is_taken_as_it_is(home: Path, web: Web):
    web.files["lines.txt"] = b"text"
    path = get(home, None, Archive("lines.txt", (web.url,)))
    assert (path, path.read_bytes()) == (home / "lines.txt", b"text")


def test_names_are_written_as_addresses_want_them(home: Path, web: Web):
    web.files["my%20corp%C3%BCs%23.txt"] = b"text"
    assert get(home, None, Archive("my corpüs#.txt", (web.url,))).read_bytes() == b"text"


def test_mirrors_are_tried_in_order(home: Path, web: Web):
    web.files["a.txt"] = b"text"
    assert get(home, None, Archive("a.txt", (*NOWHERE, web.url))).read_bytes() == b"text"
    message = fails(home, None, Archive("b.txt", (*NOWHERE, web.url)))
    assert message == (
        f"cannot get b.txt (http://127.0.0.1:9/none/b.txt: Connection refused; {web.url}/b.txt: "
        "HTTP Error 404: Not Found)"
    )


def test_openslr_has_mirrors():
    first, *others = openslr(12)
    assert first == "https://www.openslr.org/resources/12"
    assert others
    assert all(address.endswith("/resources/12") for address in others)


def test_an_address_as_source_replaces_the_mirrors(home: Path, web: Web):
    web.files["a.txt"] = b"text"
    path = get(home, f"{web.url}/", Archive("a.txt", NOWHERE))
    assert path.read_bytes() == b"text"
    assert fails(home, web.url, Archive("b.txt", NOWHERE)).startswith(f"cannot get b.txt ({web.url}/b.txt: ")


def test_the_checksums_of_an_address_count_more_than_those_of_the_importer(home: Path, web: Web):
    web.files |= {"a.txt": b"text", "b.txt": b"text", "c.txt": b"text"}
    sums = f"{sha256(b'text')}  a.txt\n{sha256(b'else')} *./b.txt\nnonsense\n{'0' * 32}  c.txt\n"
    web.files["SHA256SUMS"] = sums.encode()
    assert get(home, web.url, Archive("a.txt", checksum="0" * 64)).read_bytes() == b"text"
    assert get(home, web.url, Archive("c.txt")).read_bytes() == b"text"
    assert f"has the SHA-256 checksum {sha256(b'text')}, expected {sha256(b'else')}" in (
        fails(home, web.url, Archive("b.txt", checksum=sha256(b"text")))
    )
    assert not (home / "b.txt").exists()


def test_an_address_without_checksums_leaves_those_of_the_importer(home: Path, web: Web):
    web.files["a.txt"] = b"text"
    assert "has the MD5 checksum" in fails(home, web.url, Archive("a.txt", checksum="0" * 32))
    del web.files["a.txt"]
    (home / "SHA256SUMS.new").write_text(f"{'0' * 64}  b.txt\n")  # from a program that was killed
    web.files["b.txt"] = b"text"
    assert get(home, web.url, Archive("b.txt")).read_bytes() == b"text"


def test_nothing_is_asked_where_everything_is_there(home: Path, web: Web):
    (home / "corpus").mkdir()
    assert get(home, web.url, Archive("corpus.zip")) == home / "corpus"
    assert web.asked == {}


def test_a_source_folder_has_the_archive(home: Path, source: Path):
    (source / "corpus.tar.gz").write_bytes(CONTENT)
    assert get(home, source, Archive("corpus.tar.gz", NOWHERE)) == home / "corpus"
    assert (home / "corpus/corpus/wav/a.wav").read_bytes() == b"a"
    assert [path.name for path in source.iterdir()] == ["corpus.tar.gz"]


def test_a_source_folder_is_named_from_where_one_is(home: Path, source: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(source.parent)
    (source / "corpus.zip").write_bytes(pack({"a": b"a"}))
    assert get(home, "source", Archive("corpus.zip")) == home / "corpus"
    assert get(home, "source", Archive("corpus.zip")) == home / "corpus"
    (source / "more").mkdir()
    assert get(home, "source", Archive("more.zip")) == source / "more"


@pytest.mark.parametrize("where", ["source", "home"])
@pytest.mark.parametrize(("folder", "found"), [("corpus/wav", ""), ("corpus/corpus/wav", "corpus")])
def test_a_user_may_have_unpacked_it_as_tar_does_or_into_a_folder(
    home: Path, source: Path, where: str, folder: str, found: str
):
    """The archive's name is that of the folder in it, which must not be taken for the whole."""
    place = home if where == "home" else source
    (place / folder).mkdir(parents=True)
    archive = Archive("corpus.tar.gz", NOWHERE, holds="corpus/wav")
    assert get(home, None if where == "home" else source, archive) == place / found


def test_a_folder_of_another_kind_is_not_taken_for_the_archive(home: Path, source: Path):
    (source / "corpus").mkdir()
    (source / "corpus.tar.gz").write_bytes(CONTENT)
    assert get(home, source, Archive("corpus.tar.gz", holds="corpus/wav")) == home / "corpus"


def test_a_source_folder_has_checksums(home: Path, source: Path):
    (source / "a.txt").write_bytes(b"text")
    (source / "SHA256SUMS").write_text(f"{sha256(b'else')}  a.txt\n")
    assert fails(home, source, Archive("a.txt", NOWHERE, sha256(b"text"))) == (
        f"{source}/a.txt has the SHA-256 checksum {sha256(b'text')}, expected {sha256(b'else')}; get it again"
    )
    (source / "SHA256SUMS").write_bytes(b"\xff")
    assert "is not UTF-8" in fails(home, source, Archive("a.txt"))


@pytest.mark.parametrize("where", ["source", "home"])
def test_a_users_own_file_is_never_replaced(home: Path, source: Path, where: str, web: Web):
    own = (home if where == "home" else source) / "a.txt"
    own.write_bytes(b"mine")
    web.files["a.txt"] = b"text"
    archive = Archive("a.txt", (web.url,) if where == "source" else (), sha256(b"text"), 4)
    assert "; get it again" in fails(home, source if where == "source" else None, archive)
    assert own.read_bytes() == b"mine"
    assert web.asked == {}


def test_a_downloaded_file_that_fails_is_replaced_only_by_a_better_one(home: Path, web: Web):
    (home / "a.txt").write_bytes(b"old")
    web.files["a.txt"] = b"worse"
    archive = Archive("a.txt", (web.url,), sha256(b"text"))
    assert "cannot get a.txt" in fails(home, None, archive)
    assert (home / "a.txt").read_bytes() == b"old"
    web.files["a.txt"] = b"text"
    assert get(home, None, archive).read_bytes() == b"text"


def test_what_cannot_be_had_says_what_to_do(home: Path, source: Path):
    advice = "Buy it from the LDC and put it there."
    assert fails(home, None, Archive("ldc.tgz"), advice) == f"There is no ldc.tgz in {home}, nor its folder. {advice}"
    assert fails(home, source, Archive("ldc.txt"), advice) == f"There is no ldc.txt in {source} or {home}. {advice}"
    assert fails(home, home, Archive("a.zip", NOWHERE)) == (
        f"There is no a.zip in {home}, nor its folder. Put it there, or leave out --source to download it."
    )


def test_a_source_that_is_none(home: Path, source: Path):
    with pytest.raises(UsageError) as caught:
        get(home, source / "none", Archive("a.zip"))
    assert str(caught.value) == (
        f"--source {source}/none is no folder, expected one with the archives, or a web address"
    )


def test_a_damaged_archive_says_which_and_where(home: Path, source: Path):
    (source / "a.tgz").write_bytes(CONTENT[:-30])
    assert fails(home, source, Archive("a.tgz")).startswith(f"{source}/a.tgz is cut short or damaged (")
    assert list(home.iterdir()) == []
