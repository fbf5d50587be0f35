"""What every corpus importer needs: getting files over connections that break."""

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


def download(
    urls: str | Sequence[str],
    path: Path,
    *,
    sha256: str | None = None,
    size: int | None = None,
    check: Callable[[Path], object] | None = None,
    progress: Progress | None = None,
    timeout: float = 30.0,
) -> None:
    """Get a file, whole and checked, under its name; nothing happens where it already is.

    What has arrived is kept beside it as `<name>.part`. A connection that breaks is taken up where
    it broke (RFC 9110, section 14: range requests) for as long as every attempt brings something
    new. A `.part` of an earlier run is continued only where a checksum can tell whether the two
    halves are of one file.

    Args:
        urls: http, https, ftp or file addresses of the same file, tried in this order.
        path: where the file shall be; its folder is made.
        sha256: hexadecimal checksum the file must have.
        size: number of bytes the file must have.
        check: raises a DataError that says what else is wrong with a file that has arrived.
        progress: called after each block.
        timeout: seconds to wait for an answer or for the next block.

    Raises:
        DataError: no address gave a file that passes; says for each why. None is then left at
            `path`, unless one was there that did not pass.
    """

    def fault_of(file: Path) -> str | None:
        return _fault(file, sha256, size, check)

    if path.is_file() and fault_of(path) is None:
        return
    make_directory(path.parent)
    part = path.with_name(path.name + ".part")
    if sha256 is None:
        part.unlink(missing_ok=True)
    reasons = []
    for url in [urls] if isinstance(urls, str) else urls:
        try:
            fault = _fetch(url, part, fault_of, progress, timeout)
        except (OSError, HTTPException, ValueError) as error:
            fault = _reason(error)
        if fault is None:
            publish(part, path)
            return
        reasons.append(f"{url}: {fault}")
    raise DataError(f"cannot get {path.name} ({'; '.join(reasons)})")


def _fetch(
    url: str,
    part: Path,
    fault_of: Callable[[Path], str | None],
    progress: Progress | None,
    timeout: float,
) -> str | None:
    """Fill `part` from one address; return what is wrong with it, having removed it, or None."""
    validator = None  # of the file as this run first saw it, so that a resumed half must match
    longest = _size(part)
    while True:
        resumed = _size(part) > 0
        try:
            with _open(url, _size(part), validator, timeout) as response:
                validator = response.headers.get("ETag") or response.headers.get("Last-Modified")
                _append(response, part, progress)
        except (OSError, HTTPException):
            if _size(part) <= longest:
                raise
            longest = _size(part)
            continue
        fault = fault_of(part)
        if fault is None:
            return None
        longest = _size(part)
        part.unlink()
        if not resumed:
            return fault  # else the two halves were of different files: once more, from the start


def _open(url: str, start: int, validator: str | None, timeout: float) -> Any:
    """Ask for a file from byte `start` on; returns urllib's response."""
    headers = {"User-Agent": "DeepSpeech-importer"}
    if start:
        headers["Range"] = f"bytes={start}-"
        if validator and not validator.startswith("W/"):  # a weak one never allows a range
            headers["If-Range"] = validator
    try:
        return urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=timeout)
    except urllib.error.HTTPError as error:
        if start and error.code == 416:  # nothing lies beyond what we have: not the same file
            return _open(url, 0, None, timeout)
        raise


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


def _fault(
    file: Path,
    sha256: str | None,
    size: int | None,
    check: Callable[[Path], object] | None,
) -> str | None:
    """Say what is wrong with a file that has arrived, if anything."""
    if size is not None and _size(file) != size:
        return f"has {_size(file)} bytes, expected {size}"
    if sha256 is not None and (found := _sha256(file)) != sha256.lower():
        return f"has the SHA-256 checksum {found}, expected {sha256}"
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


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
