"""Text files read with a sentence about what is wrong, and files written whole or not at all."""

from __future__ import annotations

import fcntl
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from util.errors import DataError

NEWLINE = re.compile(r"\r\n|\r|\n")  # str.splitlines would also cut at U+2028 and friends
_BOM = b"\xef\xbb\xbf"


def read_utf8(path: str | Path, expected: str) -> str:
    """Read a text file, with or without a byte order mark; newlines stay as they are.

    Args:
        path: the file.
        expected: what the file should be, for the message, for instance "an alphabet".

    Raises:
        DataError: the file is missing, a folder, unreadable or not UTF-8; the message has the line
            of the first byte that is not.
    """
    try:
        raw = Path(path).read_bytes()
    except OSError as error:
        reason = "it is a folder" if Path(path).is_dir() else error.strerror
        raise DataError(f"cannot read {path}: {reason}; expected {expected}") from None
    data = raw.removeprefix(_BOM)
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        line = len(NEWLINE.split(data[: error.start].decode("utf-8")))
        position = error.start + len(raw) - len(data)
        raise DataError(
            f"{path}:{line}: the byte 0x{data[error.start]:02X} at position {position} is not UTF-8; "
            "save the file as UTF-8 text"
        ) from None


def make_directory(path: Path) -> None:
    """Make a directory and those above it, where they are missing.

    Raises:
        DataError: it cannot be made.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DataError(f"cannot make the directory {path}: {error.strerror}; choose another place") from None


def write_atomically(path: str | Path, data: str | bytes) -> None:
    """Write or replace a file as a whole; a crash or a full disk leaves the old one.

    Args:
        path: where to, in a folder that exists.
        data: the content; text is written as UTF-8.

    Raises:
        DataError: the file cannot be written.
    """
    with _replaced_by(Path(path)) as beside:
        beside.write_bytes(data.encode("utf-8") if isinstance(data, str) else data)


@contextmanager
def replacing(path: str | Path) -> Iterator[BinaryIO]:
    """Open a file that takes the place of `path` once it is written whole; what an error leaves is removed.

    Raises:
        DataError: the file cannot be written.
    """
    with _replaced_by(Path(path)) as beside, beside.open("wb") as file:
        yield file


@contextmanager
def _replaced_by(path: Path) -> Iterator[Path]:
    """Return the name of a file to write, which then takes the place of `path`; see `replacing`."""
    beside = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        yield beside
        publish(beside, path)
    except OSError as error:
        if error.filename not in (None, str(beside), str(path), str(path.parent)):
            raise  # of another file, which was read meanwhile
        raise DataError(f"cannot write {path}: {error.strerror or error}") from None
    finally:
        with suppress(OSError):
            beside.unlink(missing_ok=True)


def publish(beside: Path, path: Path) -> None:
    """Give a finished file on the same disk its name, in a way that survives a power cut.

    Raises:
        OSError: the disk refuses; `path` is then what it was, or whole.
    """
    _sync(beside)  # else the name could reach the disk before the content
    beside.replace(path)
    _sync(path.parent)


def _sync(path: Path) -> None:
    """Flush a file, or the names in a folder, to the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Keep other programs that lock a folder waiting; the lock ends with the process, however that ends."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)
