"""Unpacking: everything of an archive, nothing outside its folder, and nothing at all where something is wrong."""

from __future__ import annotations

import errno
import gzip
import io
import os
import random
import signal
import stat
import struct
import subprocess
import sys
import tarfile
import time
import zipfile
from pathlib import Path
from typing import Any

import pytest
from conftest import ROOT
from miniatures import pack, tar

from util import unpacking
from util.errors import DataError
from util.unpacking import stem, unpack

FILES = {"corpus/a.txt": b"one\n", "corpus/wav/b.wav": bytes(range(256)) * 999, "README": b""}
TARS = {".tar": "w:", ".tar.gz": "w:gz", ".tgz": "w:gz", ".tar.bz2": "w:bz2", ".tar.xz": "w:xz"}


def archived(files: dict[str, bytes], ending: str) -> bytes:
    return pack(files) if ending == ".zip" else tar(files, TARS[ending])


def unpacked(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def write(folder: Path, content: bytes, name: str = "x.tar") -> Path:
    path = folder / name
    path.write_bytes(content)
    return path


def refused(archive: Path, **options: Any) -> str:
    """Unpack what must be refused, see that nothing is left, and return the message without the archive's path."""
    before = set(archive.parent.rglob("*"))
    with pytest.raises(DataError) as caught:
        unpack(archive, archive.parent / "x", **options)
    assert set(archive.parent.rglob("*")) == before
    message = str(caught.value)
    assert "\n" not in message
    return message.replace(str(archive), "ARCHIVE").replace(str(archive.parent), "FOLDER")


def member(name: str, kind: bytes = tarfile.REGTYPE, target: str = "", content: bytes = b"") -> tuple[Any, bytes]:
    info = tarfile.TarInfo(name)
    info.type, info.linkname, info.size = kind, target, len(content)
    return info, content


def tar_of(*members: tuple[Any, bytes], mode: str = "w:") -> bytes:
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode=mode) as opened:  # type: ignore[call-overload]
        for info, content in members:
            opened.addfile(info, io.BytesIO(content))
    return archive.getvalue()


def zip_of(*members: tuple[str, bytes, int]) -> bytes:
    """Return a zip of members with a name, a content and a Unix mode; mode 0 is a file from Windows."""
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as opened:
        for name, content, mode in members:
            info = zipfile.ZipInfo("placeholder")
            info.filename, info.external_attr, info.create_system = name, mode << 16, 3 if mode else 0
            opened.writestr(info, content)
    return archive.getvalue()


@pytest.mark.parametrize("ending", [*TARS, ".zip"])
def test_every_kind_of_archive_is_unpacked_once(tmp_path: Path, ending: str):
    archive = write(tmp_path, archived(FILES, ending), f"my.corpus{ending}")
    folder = tmp_path / stem(archive.name)
    assert folder.name == "my.corpus"
    unpack(archive, folder)
    assert unpacked(folder) == FILES
    assert sorted(tmp_path.iterdir()) == sorted([archive, folder])
    (folder / "README").write_text("mine")
    archive.write_bytes(b"")
    unpack(archive, folder)
    assert (folder / "README").read_text() == "mine"


def test_other_names_stay_as_they_are():
    assert [stem(name) for name in ("a.tar.gz", "b.c.tgz", "d.mp3", "e.zip.txt")] == ["a", "b.c", "d.mp3", "e.zip.txt"]


@pytest.mark.parametrize(
    "name", ["/etc/passwd", "../x", "a/../../x", "a\\..\\..\\x", "\\x", "C:\\x", "c:x", "//host/x"]
)
@pytest.mark.parametrize("ending", [".tar", ".zip"])
def test_names_that_lead_out(tmp_path: Path, name: str, ending: str):
    content = tar_of(member(name, content=b"!")) if ending == ".tar" else zip_of((name, b"!", 0))
    archive = write(tmp_path, content, f"x{ending}")
    assert refused(archive) == f"ARCHIVE holds {name!r}, which lies outside its folder; do not trust it"


def test_backslashes_part_folders_and_colons_are_characters(tmp_path: Path):
    files = (("wav\\", b"", 0), ("wav\\a.wav", b"a", 0), ("12:30.wav", b"b", 0))
    unpack(write(tmp_path, zip_of(*files), "x.zip"), tmp_path / "x")
    assert unpacked(tmp_path / "x") == {"wav/a.wav": b"a", "12:30.wav": b"b"}


def test_what_macos_adds_and_empty_folders_are_passed_over(tmp_path: Path):
    files = {"a.wav": b"a", "._a.wav": b"?", "__MACOSX/._a.wav": b"?", "b/__MACOSX/c": b"?"}
    for ending in (".zip", ".tar"):
        unpack(write(tmp_path, archived(files, ending), f"x{ending}"), tmp_path / ending)
        assert unpacked(tmp_path / ending) == {"a.wav": b"a"}


@pytest.mark.parametrize("kind", [tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE])
def test_devices_in_a_tar(tmp_path: Path, kind: bytes):
    archive = write(tmp_path, tar_of(member("null", kind)))
    assert refused(archive) == "ARCHIVE holds 'null', a device, expected files; do not trust it"


def test_a_device_in_a_zip(tmp_path: Path):
    archive = write(tmp_path, zip_of(("null", b"", stat.S_IFCHR | 0o666)), "x.zip")
    assert refused(archive) == "ARCHIVE holds 'null', a device, expected files; do not trust it"


def test_a_hard_link_becomes_a_copy(tmp_path: Path):
    content = tar_of(member("a/b", content=b"text"), member("c", tarfile.LNKTYPE, "a/b"), mode="w:gz")
    unpack(write(tmp_path, content, "x.tgz"), tmp_path / "x")
    assert unpacked(tmp_path / "x") == {"a/b": b"text", "c": b"text"}
    assert (tmp_path / "x" / "c").stat().st_nlink == 1


@pytest.mark.parametrize("target", ["/etc/hostname", "../secret"])
def test_a_hard_link_that_leads_out(tmp_path: Path, target: str):
    write(tmp_path, b"secret", "secret")
    archive = write(tmp_path, tar_of(member("c", tarfile.LNKTYPE, target)))
    assert refused(archive) == f"ARCHIVE holds {target!r}, which lies outside its folder; do not trust it"


@pytest.mark.parametrize("target", ["later", "c"])
def test_a_hard_link_to_nothing_before_it(tmp_path: Path, target: str):
    archive = write(tmp_path, tar_of(member("c", tarfile.LNKTYPE, target), member("later", content=b"x")))
    assert "ARCHIVE is cut short or damaged (No such file or directory for a name in it); remove it" in refused(archive)


@pytest.mark.parametrize("ending", [".tar", ".zip"])
def test_a_symbolic_link_inside_stays(tmp_path: Path, ending: str):
    links = {"legacy/train/b.wav": "../../data/b.wav", "all": "data"}
    if ending == ".tar":
        members = [member(name, tarfile.SYMTYPE, target) for name, target in links.items()]
        content = tar_of(*members, member("data/b.wav", content=b"b"))
    else:
        linked = [(name, target.encode(), stat.S_IFLNK | 0o777) for name, target in links.items()]
        content = zip_of(*linked, ("data/b.wav", b"b", stat.S_IFREG | 0o644))
    unpack(write(tmp_path, content, f"x{ending}"), tmp_path / "x")
    assert (tmp_path / "x/legacy/train/b.wav").read_bytes() == b"b"
    assert (tmp_path / "x/all/b.wav").read_bytes() == b"b"
    assert (tmp_path / "x/all").readlink() == Path("data")


LINKS_OUT: list[list[tuple[Any, bytes]]] = [
    [member("a", tarfile.SYMTYPE, "/etc")],
    [member("a", tarfile.SYMTYPE, "../secret")],
    [member("a/b", tarfile.SYMTYPE, "../../secret")],
    # Each of these leads nowhere when it is made; together they lead out.
    [member("a", tarfile.SYMTYPE, "b/.."), member("b", tarfile.SYMTYPE, ".")],
    [member("a", tarfile.SYMTYPE, "b/.."), member("b", tarfile.SYMTYPE, "."), member("a/y", tarfile.SYMTYPE, "z")],
]


@pytest.mark.parametrize("links", LINKS_OUT)
def test_symbolic_links_that_lead_out(tmp_path: Path, links: list[tuple[Any, bytes]]):
    write(tmp_path, b"secret", "secret")
    assert refused(write(tmp_path, tar_of(*links))) == (
        "ARCHIVE holds a symbolic link that leads outside its folder; do not trust it"
    )


def test_nothing_is_written_through_a_symbolic_link(tmp_path: Path):
    (tmp_path / "out").mkdir()
    through = [member("a", tarfile.SYMTYPE, "../out"), member("a/evil.txt", content=b"!")]
    assert "ARCHIVE is cut short or damaged" in refused(write(tmp_path, tar_of(*through)))
    (tmp_path / "absolute").mkdir()
    inside = tmp_path / ".x.unpacking" / "data"
    linked = [member("data/b", content=b"b"), member("a", tarfile.SYMTYPE, str(inside))]
    assert "a symbolic link that leads outside" in refused(write(tmp_path, tar_of(*linked)))


def test_links_in_a_circle(tmp_path: Path):
    circle = [member("a", tarfile.SYMTYPE, "b"), member("b", tarfile.SYMTYPE, "a")]
    assert "ARCHIVE is cut short or damaged (Symlink loop" in refused(write(tmp_path, tar_of(*circle)))


@pytest.mark.parametrize("order", [1, -1])
def test_a_file_where_a_folder_should_be(tmp_path: Path, order: int):
    members = [member("a", content=b"file"), member("a/b", content=b"in it")][::order]
    message = refused(write(tmp_path, tar_of(*members)))
    assert message in {
        "ARCHIVE is cut short or damaged (File exists for a name in it); remove it to get it anew",
        "ARCHIVE is cut short or damaged (Not a directory for a name in it); remove it to get it anew",
        "ARCHIVE is cut short or damaged (Is a directory for a name in it); remove it to get it anew",
    }


def test_of_two_members_with_one_name_the_later_is_there(tmp_path: Path):
    members = member("a", content=b"the first, longer"), member("b", content=b"b"), member("a", content=b"second")
    unpack(write(tmp_path, tar_of(*members)), tmp_path / "x")
    assert unpacked(tmp_path / "x") == {"a": b"second", "b": b"b"}


def test_names_in_a_zip_are_utf_8_whatever_it_says_of_them_or_of_dos(tmp_path: Path):
    flagged = zip_of(("maïs", b"", 0))
    unflagged = zip_of(("ma__s", b"", 0)).replace(b"ma__s", "maïs".encode())
    of_dos = zip_of(("ma_s", b"", 0)).replace(b"ma_s", "maïs".encode("cp437"))
    for number, content in enumerate([flagged, unflagged, of_dos]):
        unpack(write(tmp_path, content, "x.zip"), tmp_path / str(number))
        assert unpacked(tmp_path / str(number)) == {"maïs": b""}


def test_names_in_a_tar_are_utf_8_or_latin_1_so_that_a_csv_can_hold_them(tmp_path: Path):
    for encoding in ("utf-8", "latin-1"):
        archive = io.BytesIO()
        with tarfile.open(fileobj=archive, mode="w", format=tarfile.USTAR_FORMAT, encoding=encoding) as opened:
            opened.addfile(member("maïs")[0])
        unpack(write(tmp_path, archive.getvalue()), tmp_path / encoding)
        assert unpacked(tmp_path / encoding) == {"maïs": b""}


ZEROS = bytes(4 << 20)
BOMB = "ARCHIVE holds over 200 times its own size, expected speech; do not trust it"


@pytest.fixture
def little(monkeypatch: pytest.MonkeyPatch) -> None:
    """Allow any archive 1 MiB, for bombs that go off quickly."""
    monkeypatch.setattr(unpacking, "_SMALL", 1 << 20)


@pytest.mark.parametrize("ending", [".tar.gz", ".tar.bz2", ".tar.xz"])
def test_a_bomb(tmp_path: Path, little: None, ending: str):
    assert refused(write(tmp_path, archived({"a": ZEROS}, ending), f"x{ending}")) == BOMB


def test_a_bomb_in_a_zip(tmp_path: Path, little: None):
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as opened:
        for number in range(5):
            opened.writestr(str(number), ZEROS[: 1 << 20])
    assert refused(write(tmp_path, archive.getvalue(), "x.zip")) == BOMB


def test_a_bomb_of_archives(tmp_path: Path, little: None):
    inner = tar({"a": ZEROS[: 1 << 20]}, "w:gz")
    unpack(write(tmp_path, inner, "y.tgz"), tmp_path / "y")  # one alone is small enough
    outer = write(tmp_path, tar({f"{number}/x.tgz": inner for number in range(12)}, "w:"))
    assert "holds over 200 times its own size, expected speech" in refused(outer, nested=True)


def test_a_bomb_of_hard_links(tmp_path: Path, little: None):
    links = [member(str(number), tarfile.LNKTYPE, "a") for number in range(20)]
    archive = tar_of(member("a", content=ZEROS[: 1 << 18]), *links, mode="w:gz")
    assert refused(write(tmp_path, archive, "x.tgz")) == BOMB


def test_a_bomb_of_holes(tmp_path: Path):
    info = tarfile.TarInfo("holes")  # 1 TB, all of it a hole
    info.pax_headers = {"GNU.sparse.major": "1", "GNU.sparse.minor": "0", "GNU.sparse.realsize": str(10**12)}
    info.size = 512
    sparse = io.BytesIO()
    with tarfile.open(fileobj=sparse, mode="w", format=tarfile.PAX_FORMAT) as opened:
        opened.addfile(info, io.BytesIO(b"0\n".ljust(512, b"\0")))
    assert refused(write(tmp_path, sparse.getvalue())) == BOMB


@pytest.mark.parametrize("claimed", [3, 500])
def test_a_zip_that_lies_about_sizes(tmp_path: Path, claimed: int):
    content = pack({"a": b"x" * 100})
    true = struct.pack("<LL", 100, 100)
    assert content.count(true) == 2
    archive = write(tmp_path, content.replace(true, struct.pack("<LL", 100, claimed)), "x.zip")
    assert "ARCHIVE is cut short or damaged (" in refused(archive)


def test_an_end_that_never_comes(tmp_path: Path, little: None):
    endless = gzip.compress(tar({"a": b"x"}, "w:") + ZEROS)
    assert refused(write(tmp_path, endless, "x.tgz")) == (
        "ARCHIVE is cut short or damaged (it does not end); remove it to get it anew"
    )


@pytest.mark.parametrize("ending", [*TARS, ".zip"])
def test_every_archive_cut_short_is_refused(tmp_path: Path, ending: str):
    noise = random.Random(1).randbytes
    content = archived({f"{number}.wav": noise(700) for number in range(6)}, ending)
    least = 512 if ending == ".tar" else 1  # of a tar, all but one of the blocks at its end can be spared
    end = 6 * 1536 if ending == ".tar" else len(content) - least
    for kept in {0, 1, 10, 100, *range(0, end, 512), end // 2, end - 20, end}:
        message = refused(write(tmp_path, content[:kept], f"x{ending}"))
        assert "ARCHIVE is cut short or damaged (" in message, kept
        assert message.endswith("); remove it to get it anew")


@pytest.mark.parametrize("ending", [".tar.gz", ".tar.bz2", ".tar.xz", ".zip"])
def test_no_damage_passes_and_none_is_a_traceback(tmp_path: Path, ending: str):
    """Formats with a checksum give what was packed or a sentence, whatever byte is changed."""
    chance = random.Random(2)
    files = {"a.txt": chance.randbytes(300), "b/c.txt": b"text " * 50}
    content = archived(files, ending)
    kept = 0
    for number in range(100):
        damaged = bytearray(content)
        damaged[chance.randrange(len(content))] ^= 1 << chance.randrange(8)
        archive, folder = write(tmp_path, damaged, f"x{ending}"), tmp_path / str(number)
        try:
            unpack(archive, folder)
        except DataError:
            continue
        kept += list(unpacked(folder).values()) == list(files.values())
    assert kept < 70
    if ending != ".zip":  # names in a zip have no checksum
        assert kept == len([path for path in tmp_path.iterdir() if path.is_dir()])


def test_damage_in_a_header_is_no_end(tmp_path: Path):
    content = bytearray(tar({"a": b"a" * 600, "b": b"b"}, "w:"))
    content[1536 + 100] ^= 1  # in the header of the second
    message = "ARCHIVE is cut short or damaged (it has no end); remove it to get it anew"
    assert refused(write(tmp_path, content)) == message


def test_what_is_no_archive(tmp_path: Path):
    page = b"<!DOCTYPE html><html>Sign in</html>" * 99
    assert refused(write(tmp_path, page, "x.tgz")) == (
        "ARCHIVE is cut short or damaged (it does not begin as a tar); remove it to get it anew"
    )
    assert refused(write(tmp_path, page, "x.zip")) == (
        "ARCHIVE is cut short or damaged (File is not a zip file); remove it to get it anew"
    )


def test_a_password_and_packing_that_python_does_not_know(tmp_path: Path):
    content = bytearray(zip_of(("a", b"a", 0)))
    for start in (content.index(b"PK\x03\x04") + 6, content.index(b"PK\x01\x02") + 8):
        content[start] |= 1
    assert "is encrypted, password required" in refused(write(tmp_path, content, "x.zip"))
    content = bytearray(zip_of(("a", b"a", 0)))
    for start in (content.index(b"PK\x03\x04") + 8, content.index(b"PK\x01\x02") + 10):
        content[start] = 9
    assert "compression method is not supported" in refused(write(tmp_path, content, "x.zip"))


def test_archives_inside_are_unpacked_where_they_lie(tmp_path: Path):
    inner = {"s1.tar.gz": tar({"s1/1.wav": b"1"}), "more/s2.zip": pack({"2.wav": b"2"}), "folder.tar/c": b"c"}
    archive = write(tmp_path, tar(inner, "w:"))
    unpack(archive, tmp_path / "kept")
    assert unpacked(tmp_path / "kept") == inner
    unpack(archive, tmp_path / "x", nested=True)
    assert unpacked(tmp_path / "x") == {"s1/1.wav": b"1", "more/2.wav": b"2", "folder.tar/c": b"c"}
    damaged = write(tmp_path, tar({"good.tgz": tar({"a": b"a"}), "s1.tgz": b"\x1f\x8b"}, "w:"), "y.tar")
    with pytest.raises(DataError, match=r"y\.tar is cut short or damaged"):
        unpack(damaged, tmp_path / "y", nested=True)
    assert not (tmp_path / "y").exists()


def test_a_link_of_the_outer_archive_does_not_help_the_inner_one_out(tmp_path: Path):
    inner = tar_of(member("b", tarfile.SYMTYPE, "../secret"))
    write(tmp_path, b"secret", "secret")
    outer = tar_of(member("a/a/x.tar", content=inner), member("a/a/b", tarfile.SYMTYPE, "../../ok"), member("ok"))
    unpack(write(tmp_path, outer), tmp_path / "y", nested=True)
    assert (tmp_path / "y/a/a/b").resolve() == tmp_path / "y/a/secret"
    outer = tar_of(member("a/x.tar", content=tar_of(member("b", tarfile.SYMTYPE, "../../secret"))))
    assert "leads outside its folder" in refused(write(tmp_path, outer), nested=True)


@pytest.mark.parametrize(
    ("number", "said"),
    [
        (errno.ENOSPC, "No space left on device"),
        (errno.EDQUOT, "Disk quota exceeded"),
        (errno.EIO, "Input/output error"),
    ],
)
def test_a_full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, said: str):
    def fail(source: object, file: Any, size: int) -> None:
        file.write(b"a")
        raise OSError(number, os.strerror(number))

    archive = write(tmp_path, tar(FILES, "w:"))
    with monkeypatch.context() as patched:
        patched.setattr(unpacking, "_copy", fail)
        assert refused(archive) == f"cannot unpack ARCHIVE to FOLDER/x: {said}; make room or choose another folder"
    unpack(archive, tmp_path / "x")
    assert unpacked(tmp_path / "x") == FILES


def test_a_folder_that_takes_nothing(tmp_path: Path):
    archive = write(tmp_path, tar(FILES, "w:"))
    write(tmp_path, b"", "file")
    with pytest.raises(DataError, match=r"cannot make the directory .*: Not a directory; choose another place"):
        unpack(archive, tmp_path / "file" / "x")


PROGRAM = """
import sys, time
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from util import unpacking
copy = unpacking._copy
def slow(source, file, size):
    copy(source, file, size)
    print("copied", flush=True)
    time.sleep(60)
unpacking._copy = slow
unpacking.unpack(Path(sys.argv[2]), Path(sys.argv[3]))
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_unpacking_that_is_interrupted_leaves_nothing_under_the_name(tmp_path: Path, number: int):
    archive, folder = write(tmp_path, tar(FILES, "w:")), tmp_path / "x"
    command = [sys.executable, "-c", PROGRAM, ROOT, archive, folder]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as program:
        assert program.stdout
        assert program.stdout.readline() == "copied\n"
        program.send_signal(number)
        began = time.monotonic()
        program.wait(10)
    assert time.monotonic() - began < 1
    assert not folder.exists()
    assert (number == signal.SIGINT) == (list(tmp_path.iterdir()) == [archive])
    unpack(archive, folder)  # what a killed one left is cleared away
    assert unpacked(folder) == FILES
    assert sorted(tmp_path.iterdir()) == sorted([archive, folder])
