"""Downloads: whole, checked, taken up where they broke, and never half under their own name."""

from __future__ import annotations

import errno
import hashlib
import os

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


def break_off(web, path, after=5000):
    """Let a download end half-way, as a program that is killed does."""
    web.cuts["corpus.bin"] = [after, 0]
    with pytest.raises(DataError, match="the connection ended after"):
        download(f"{web.url}/corpus.bin", path)
    assert not path.exists()
    assert path.with_name("corpus.bin.part").read_bytes() == web.files["corpus.bin"][:after]
    web.asked.clear()


TAGS = [{"ETag": '"a1"'}, {"Last-Modified": "Tue, 01 Jul 2025 10:00:00 GMT"}, {"ETag": '"é"'}]


@pytest.mark.parametrize("tag", TAGS)
def test_a_later_run_goes_on_where_the_server_calls_the_file_by_the_same_tag(served, tmp_path, tag):
    served.headers["corpus.bin"] = tag
    path = tmp_path / "corpus.bin"
    break_off(served, path)
    assert path.with_name("corpus.bin.part.tag").read_text("latin-1") in tag.values()
    download(f"{served.url}/corpus.bin", path)
    assert served.asked["corpus.bin"] == ["bytes=5000-"]
    assert path.read_bytes() == CONTENT
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("knows_if_range", [True, False])
@pytest.mark.parametrize("tag", TAGS)
def test_a_file_that_changed_between_two_runs_is_started_over(served, tmp_path, tag, knows_if_range):
    served.headers["corpus.bin"] = tag
    path = tmp_path / "corpus.bin"
    break_off(served, path)
    served.files["corpus.bin"] = CONTENT[::-1]
    served.headers["corpus.bin"] = {name: value.replace("1", "2").replace("é", "e") for name, value in tag.items()}
    served.knows_if_range = knows_if_range
    download(f"{served.url}/corpus.bin", path)
    assert path.read_bytes() == CONTENT[::-1]
    assert list(tmp_path.iterdir()) == [path]


def test_a_weak_tag_or_none_allows_no_later_run_to_go_on(served, tmp_path):
    for headers in ({}, {"ETag": 'W/"a1"'}):
        served.headers["corpus.bin"] = headers
        path = tmp_path / "corpus.bin"
        break_off(served, path)
        assert not path.with_name("corpus.bin.part.tag").exists()
        download(f"{served.url}/corpus.bin", path)
        assert served.asked["corpus.bin"] == [None]
        assert path.read_bytes() == CONTENT
        path.unlink()


def test_a_tag_that_is_no_tag_starts_over(served, tmp_path):
    served.headers["corpus.bin"] = TAGS[0]
    (tmp_path / "corpus.bin.part").write_bytes(CONTENT[:5000])
    (tmp_path / "corpus.bin.part.tag").write_bytes(b"\xff\xfe\x80")
    download(f"{served.url}/corpus.bin", tmp_path / "corpus.bin")
    assert (tmp_path / "corpus.bin").read_bytes() == CONTENT


def test_a_checksum_lets_another_mirror_go_on(served, tmp_path):
    served.headers["corpus.bin"] = TAGS[0]
    served.files["mirror"] = CONTENT
    served.headers["mirror"] = {"ETag": '"of the mirror"'}
    served.cuts["corpus.bin"] = [70000, 0]
    download([f"{served.url}/{name}" for name in ("corpus.bin", "mirror")], tmp_path / "c", checksum=SHA256)
    assert served.asked["mirror"] == ["bytes=70000-"]
    assert (tmp_path / "c").read_bytes() == CONTENT


@pytest.mark.parametrize("tags", [True, False])
def test_without_a_checksum_another_mirror_starts_over(served, tmp_path, tags):
    served.files["mirror"] = CONTENT[::-1]
    if tags:
        served.headers = {"corpus.bin": TAGS[0], "mirror": {"ETag": '"of the mirror"'}}
    served.cuts["corpus.bin"] = [70000, 0]
    download([f"{served.url}/{name}" for name in ("corpus.bin", "mirror")], tmp_path / "c")
    assert (tmp_path / "c").read_bytes() == CONTENT[::-1]


def test_all_of_a_file_that_was_there_before_the_program_ended_is_not_asked_for_again(served, tmp_path):
    (tmp_path / "corpus.bin.part").write_bytes(CONTENT)
    download(f"{served.url}/corpus.bin", tmp_path / "corpus.bin", checksum=SHA256)
    assert served.asked["corpus.bin"] == [f"bytes={len(CONTENT)}-"]
    assert (tmp_path / "corpus.bin").read_bytes() == CONTENT


@pytest.mark.parametrize("algorithm", ["md5", "sha1", "sha256"])
def test_the_length_of_a_checksum_tells_which_it_is(served, tmp_path, algorithm):
    checksum = hashlib.new(algorithm, CONTENT).hexdigest()
    download(f"{served.url}/corpus.bin", tmp_path / "corpus.bin", checksum=checksum)
    assert (tmp_path / "corpus.bin").read_bytes() == CONTENT
    name = {"md5": "MD5", "sha1": "SHA-1", "sha256": "SHA-256"}[algorithm]
    wrong = checksum.replace(checksum[0], "0" if checksum[0] != "0" else "1")
    with pytest.raises(DataError, match=f"has the {name} checksum {checksum}, expected {wrong}"):
        download(f"{served.url}/corpus.bin", tmp_path / "other.bin", checksum=wrong)


def test_a_disk_that_is_full_is_told_and_loses_nothing(served, tmp_path, monkeypatch):
    def fail(part, path):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patched:
        patched.setattr("util.download.publish", fail)
        with pytest.raises(DataError, match=r"cannot get corpus\.bin .*: No space left on device"):
            download(f"{served.url}/corpus.bin", tmp_path / "corpus.bin", checksum=SHA256)
    served.asked.clear()
    download(f"{served.url}/corpus.bin", tmp_path / "corpus.bin", checksum=SHA256)
    assert served.asked["corpus.bin"] == [f"bytes={len(CONTENT)}-"]
    (tmp_path / "folder.part").mkdir()
    with pytest.raises(DataError, match=r"cannot get folder .*: Is a directory"):
        download(f"{served.url}/corpus.bin", tmp_path / "folder", checksum=SHA256)
