"""Downloads: whole, checked, taken up where they broke, and never half under their own name."""

from __future__ import annotations

import hashlib

import pytest

from util.download import download
from util.errors import DataError

CONTENT = bytes(range(256)) * 1024
SHA256 = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture
def served(web):
    web.files["corpus.bin"] = CONTENT
    return web


def test_gets_a_file_and_its_folder_and_tells_progress(served, tmp_path):
    seen = []
    path = tmp_path / "a" / "b" / "corpus.bin"
    download(
        f"{served.url}/corpus.bin",
        path,
        checksum=SHA256.upper(),
        size=len(CONTENT),
        progress=lambda done, total: seen.append((done, total)),
    )
    assert path.read_bytes() == CONTENT
    assert seen[-1] == (len(CONTENT), len(CONTENT))
    assert seen == sorted(seen) and len(seen) > 1
    assert [p.name for p in path.parent.iterdir()] == ["corpus.bin"]


def test_a_file_that_is_there_and_passes_is_not_asked_for(served, tmp_path):
    path = tmp_path / "corpus.bin"
    path.write_bytes(CONTENT)
    download(f"{served.url}/corpus.bin", path, checksum=SHA256)
    assert served.asked == {}


def test_a_file_that_is_there_and_fails_is_replaced(served, tmp_path):
    path = tmp_path / "corpus.bin"
    path.write_bytes(CONTENT[:-1])
    download(f"{served.url}/corpus.bin", path, checksum=SHA256)
    assert path.read_bytes() == CONTENT


def test_a_broken_connection_is_taken_up_where_it_broke(served, tmp_path):
    served.cuts["corpus.bin"] = [1000, 70000]
    download(f"{served.url}/corpus.bin", tmp_path / "corpus.bin")
    assert (tmp_path / "corpus.bin").read_bytes() == CONTENT
    assert served.asked["corpus.bin"] == [None, "bytes=1000-", "bytes=71000-"]


def test_part_of_an_earlier_run_is_continued_under_a_checksum(served, tmp_path):
    (tmp_path / "corpus.bin.part").write_bytes(CONTENT[:5000])
    download(f"{served.url}/corpus.bin", tmp_path / "corpus.bin", checksum=SHA256)
    assert (tmp_path / "corpus.bin").read_bytes() == CONTENT
    assert served.asked["corpus.bin"] == ["bytes=5000-"]


def test_part_of_an_earlier_run_is_dropped_without_a_checksum(served, tmp_path):
    (tmp_path / "corpus.bin.part").write_bytes(b"of an older release")
    download(f"{served.url}/corpus.bin", tmp_path / "corpus.bin")
    assert (tmp_path / "corpus.bin").read_bytes() == CONTENT
    assert served.asked["corpus.bin"] == [None]


@pytest.mark.parametrize("length", [5000, len(CONTENT), len(CONTENT) + 1])
def test_part_of_another_file_is_started_over(served, tmp_path, length):
    (tmp_path / "corpus.bin.part").write_bytes(b"x" * length)
    download(f"{served.url}/corpus.bin", tmp_path / "corpus.bin", checksum=SHA256)
    assert (tmp_path / "corpus.bin").read_bytes() == CONTENT


def test_a_server_without_ranges_starts_over_and_ends(served, tmp_path):
    served.ranges = False
    served.cuts["corpus.bin"] = [1000]
    download(f"{served.url}/corpus.bin", tmp_path / "corpus.bin")
    assert (tmp_path / "corpus.bin").read_bytes() == CONTENT
    served.cuts["corpus.bin"] = [1000] * 50
    with pytest.raises(DataError, match="the connection ended after 1000 of 262144 bytes"):
        download(f"{served.url}/corpus.bin", tmp_path / "again.bin")
    assert len(served.asked["corpus.bin"]) == 4


def test_a_wrong_checksum_or_size_leaves_nothing(served, tmp_path):
    path = tmp_path / "corpus.bin"
    with pytest.raises(DataError) as error:
        download(f"{served.url}/corpus.bin", path, checksum="0" * 64)
    assert str(error.value) == (
        f"cannot get corpus.bin ({served.url}/corpus.bin: has the SHA-256 checksum {SHA256}, expected {'0' * 64})"
    )
    with pytest.raises(DataError, match="has 262144 bytes, expected 7"):
        download(f"{served.url}/corpus.bin", path, size=7)
    assert list(tmp_path.iterdir()) == []


def test_addresses_are_tried_in_order_and_each_failure_is_told(served, tmp_path):
    addresses = [f"{served.url}/nothing", f"{served.url}/corpus.bin"]
    download(addresses, tmp_path / "corpus.bin")
    assert (tmp_path / "corpus.bin").read_bytes() == CONTENT
    with pytest.raises(DataError) as error:
        download([f"{served.url}/nothing", "gopher://x/y", "y"], tmp_path / "c")
    assert str(error.value) == (
        f"cannot get c ({served.url}/nothing: HTTP Error 404: Not Found; "
        "gopher://x/y: unknown url type: gopher; y: unknown url type: 'y')"
    )


def test_a_file_address_is_an_address(tmp_path):
    (tmp_path / "a b").write_bytes(CONTENT)
    download((tmp_path / "a b").as_uri(), tmp_path / "c", checksum=SHA256)
    assert (tmp_path / "c").read_bytes() == CONTENT
    with pytest.raises(DataError, match="No such file"):
        download((tmp_path / "d").as_uri(), tmp_path / "e")
