"""Files are written whole or not at all, and read with the line of the first bad byte."""

import os
from pathlib import Path

import pytest

from util.errors import DataError
from util.files import read_utf8, write_atomically


@pytest.mark.parametrize(
    ("data", "stored"), [("ä\r\n\n", b"\xc3\xa4\r\n\n"), (b"\x00\xff\n", b"\x00\xff\n"), ("", b"")]
)
def test_writing(tmp_path: Path, data: str | bytes, stored: bytes):
    path = tmp_path / "file"
    for _ in range(2):  # a new one, and one in place of the old
        write_atomically(path, data)
        assert path.read_bytes() == stored
        assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("call", ["fsync", "replace", "write_bytes"])
def test_a_disk_that_refuses(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str):
    path = tmp_path / "file"
    path.write_text("old")

    def refuse(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os if call == "fsync" else Path, call, refuse)
    with pytest.raises(DataError) as caught:
        write_atomically(str(path), "new")
    assert str(caught.value) == f"cannot write {path}: No space left on device"
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_content_reaches_the_disk_before_the_name_and_the_name_before_the_return(tmp_path: Path, monkeypatch):
    events = []
    fsync, replace = os.fsync, Path.replace

    def note_fsync(handle: int) -> None:
        events.append("folder" if Path(f"/proc/self/fd/{handle}").resolve() == tmp_path else "content")
        fsync(handle)

    def note_replace(self: Path, target: Path) -> Path:
        events.append("name")
        return replace(self, target)

    monkeypatch.setattr(os, "fsync", note_fsync)
    monkeypatch.setattr(Path, "replace", note_replace)
    write_atomically(tmp_path / "file", "x")
    assert events == ["content", "name", "folder"]


@pytest.mark.parametrize("bom", [b"", b"\xef\xbb\xbf"])
def test_reading(tmp_path: Path, bom: bytes):
    path = tmp_path / "file"
    path.write_bytes(bom + "a\r\nä\r\u2028\n".encode())
    assert read_utf8(path, "text") == "a\r\nä\r\u2028\n"


@pytest.mark.parametrize(
    ("data", "line", "position"), [(b"\xff", 1, 0), (b"a\r\nb\rc\nd\xc3", 4, 8), (b"\xe2\x80\xa8\xff", 1, 3)]
)
def test_what_is_not_utf8(tmp_path: Path, data: bytes, line: int, position: int):
    path = tmp_path / "file"
    path.write_bytes(data)
    with pytest.raises(DataError) as caught:
        read_utf8(path, "text")
    assert str(caught.value) == (
        f"{path}:{line}: the byte 0x{data[position]:02X} at position {position} is not UTF-8; "
        "save the file as UTF-8 text"
    )


def test_what_cannot_be_read(tmp_path: Path):
    with pytest.raises(DataError, match=r"^cannot read .*none: No such file or directory; expected a poem$"):
        read_utf8(tmp_path / "none", "a poem")
    with pytest.raises(DataError, match=r"^cannot read .*: it is a folder; expected a poem$"):
        read_utf8(tmp_path, "a poem")
