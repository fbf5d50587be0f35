"""Getting files over connections that break."""

from __future__ import annotations

import hashlib
import urllib.error
import urllib.request
from collections.abc import Callable, Sequence
from http.client import HTTPException
from pathlib import Path
from typing import Any

from util.errors import DataError
from util.files import make_directory, publish

Progress = Callable[[int, int | None], None]  # bytes so far, bytes in all where that is known

_BLOCK = 1 << 16  # bytes
_ALGORITHMS = {32: "MD5", 40: "SHA-1", 64: "SHA-256"}  # by the length of the hexadecimal


def download(
    urls: str | Sequence[str],
    path: Path,
    *,
    checksum: str | None = None,
    size: int | None = None,
    check: Callable[[Path], object] | None = None,
    progress: Progress | None = None,
    timeout: float = 30.0,
) -> None:
    """Get a file, whole and checked, under its name; nothing happens where it already is.

    What has arrived is kept beside it as `<name>.part`. A connection that breaks is taken up where
    it broke (RFC 9110, section 14: range requests) for as long as every attempt brings something
    new. A `.part` of an earlier run is continued only where a checksum can tell whether the two
    halves are of one file, or where the server still calls it by the tag it had then, which is kept
    as `<name>.part.tag`.

    Args:
        urls: http, https, ftp or file addresses of the same file, tried in this order.
        path: where the file shall be; its folder is made.
        checksum: the SHA-256, SHA-1 or MD5 the file must have, in hexadecimal; its length tells which.
        size: number of bytes the file must have.
        check: raises a DataError that says what else is wrong with a file that has arrived.
        progress: called after each block.
        timeout: seconds to wait for an answer or for the next block.

    Raises:
        DataError: no address gave a file that passes; says for each why. None is then left at
            `path`, unless one was there that did not pass.
    """

    def fault_of(file: Path) -> str | None:
        return fault_in(file, checksum, size, check)

    if path.is_file() and fault_of(path) is None:
        return
    make_directory(path.parent)
    part = path.with_name(path.name + ".part")
    tag = _tag_beside(part)
    reasons = []
    for url in [urls] if isinstance(urls, str) else urls:
        try:
            fault = _fetch(url, part, fault_of, checksum is not None, progress, timeout)
            if fault is None:
                publish(part, path)
                tag.unlink(missing_ok=True)
                return
        except (OSError, HTTPException, ValueError) as error:
            fault = _reason(error)
        reasons.append(f"{url}: {fault}")
    raise DataError(f"cannot get {path.name} ({'; '.join(reasons)})")


def _fetch(
    url: str,
    part: Path,
    fault_of: Callable[[Path], str | None],
    is_sure: bool,
    progress: Progress | None,
    timeout: float,
) -> str | None:
    """Fill `part` from one address; return what is wrong with it, having removed it, or None.

    `is_sure` says that `fault_of` knows the right file from any other. Then a half from elsewhere will do.
    """
    tag = _tag_beside(part)  # of the file as it was first seen, so that a resumed half must match
    if not is_sure and not tag.exists():
        part.unlink(missing_ok=True)
    longest = _size(part)
    while True:
        resumed = _size(part) > 0
        try:
            is_same = _go_on(url, part, None if is_sure else _known(tag), progress, timeout)
        except (OSError, HTTPException):
            if _size(part) <= longest:
                raise
            longest = _size(part)
            continue
        fault = fault_of(part) if is_same or is_sure else "is of another file"
        if fault is None:
            return None
        longest = _size(part)
        part.unlink()
        tag.unlink(missing_ok=True)
        if not resumed:
            return fault  # else the two halves were of different files: once more, from the start


def _go_on(url: str, part: Path, validator: str | None, progress: Progress | None, timeout: float) -> bool:
    """Get what comes after `part`, or all; return whether it is of the file that the server called `validator`."""
    try:
        with _open(url, _size(part), validator, timeout) as response:
            found = response.headers.get("ETag") or response.headers.get("Last-Modified")
            if getattr(response, "status", None) != 206:
                part.unlink(missing_ok=True)  # before the tag: it is of what comes now
            elif validator and found and found != validator:  # as of a server that does not know If-Range
                return False
            _keep(found, _tag_beside(part))
            _append(response, part, progress)
            return True
    except urllib.error.HTTPError as error:
        if error.code == 416:  # nothing lies beyond what we have: that is all, or it is another file
            return False
        raise


def _open(url: str, start: int, validator: str | None, timeout: float) -> Any:
    """Ask for a file from byte `start` on; returns urllib's response."""
    headers = {"User-Agent": "DeepSpeech-importer"}
    if start:
        headers["Range"] = f"bytes={start}-"
        if validator:
            headers["If-Range"] = validator
    return urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=timeout)


def _append(response: Any, part: Path, progress: Progress | None) -> None:
    """Write a response to `part`: behind what is there, if the server continues it."""
    done = 0
    if getattr(response, "status", None) == 206:
        first = response.headers.get("Content-Range", "").removeprefix("bytes ").split("-")[0]
        done = _size(part)
        if first != str(done):
            raise ConnectionError(f"asked for the bytes from {done} on, and got those from {first}")
    length = response.headers.get("Content-Length")
    total = done + int(length) if length else None
    with part.open("ab" if done else "wb") as file:
        while block := response.read(_BLOCK):
            file.write(block)
            done += len(block)
            if progress:
                progress(done, total)
    if total is not None and done != total:
        raise ConnectionError(f"the connection ended after {done} of {total} bytes")


def fault_in(
    file: Path,
    checksum: str | None,
    size: int | None,
    check: Callable[[Path], object] | None = None,
) -> str | None:
    """Say what is wrong with a file, if anything; arguments as those of `download`."""
    if size is not None and _size(file) != size:
        return f"has {_size(file)} bytes, expected {size}"
    if checksum is not None:
        algorithm = _ALGORITHMS[len(checksum)]
        if (found := _hash(file, algorithm)) != checksum.lower():
            return f"has the {algorithm} checksum {found}, expected {checksum}"
    try:
        if check:
            check(file)
    except DataError as error:
        return str(error)
    return None


def _reason(error: Exception) -> str:
    cause = error
    if isinstance(error, urllib.error.URLError) and not isinstance(error, urllib.error.HTTPError):
        cause = error.reason if isinstance(error.reason, Exception) else Exception(error.reason)
    if isinstance(cause, OSError) and cause.strerror:
        return cause.strerror
    return str(cause) or type(cause).__name__


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _hash(path: Path, algorithm: str) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, algorithm.replace("-", "").lower()).hexdigest()


def _tag_beside(part: Path) -> Path:
    return part.with_name(part.name + ".tag")


def _known(tag: Path) -> str | None:
    return tag.read_text("latin-1") if tag.exists() else None


def _keep(validator: str | None, tag: Path) -> None:
    """Remember which file on the server a `.part` is of; a weak tag never allows to go on."""
    if validator and not validator.startswith("W/"):
        tag.write_text(validator, "latin-1")
    else:
        tag.unlink(missing_ok=True)
