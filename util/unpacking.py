"""Unpacking archives of strangers: nothing leaves the folder, no links, not without end, whole or not at all."""

from __future__ import annotations

import gzip
import lzma
import shutil
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO

from util.errors import DataError
from util.files import make_directory

ENDINGS = (".tar.gz", ".tgz", ".tar.bz2", ".tar.xz", ".tar", ".zip")
_MOST = 200  # times its size may an archive hold; speech and text stay far below
_SMALL = 1 << 26  # bytes that any archive may hold
_BLOCK = 1 << 20  # bytes
_DAMAGED = (tarfile.TarError, zipfile.BadZipFile, gzip.BadGzipFile, lzma.LZMAError, zlib.error, EOFError)


@dataclass(frozen=True, slots=True)
class _Member:
    name: str
    size: int  # bytes
    is_file: bool
    is_directory: bool
    is_symlink: bool
    open: Callable[[], IO[bytes] | None]


def stem(name: str) -> str:
    """Return an archive's name without its ending: the name of the folder that it becomes."""
    return next((name.removesuffix(ending) for ending in ENDINGS if name.endswith(ending)), name)


def unpack(archive: Path, folder: Path, *, nested: bool = False, skip_symlinks: bool = False) -> None:
    """Unpack a tar or zip into a new folder; a folder that is there was unpacked before and is left alone.

    Regular files are written, hard links as copies; names of macOS and Windows that mean nothing are passed over.

    Args:
        archive: ends in one of ENDINGS.
        folder: where to; appears when everything is in it.
        nested: also unpack the archives inside, each where it lies.
        skip_symlinks: pass over symbolic links.

    Raises:
        DataError: the archive is damaged, holds a name outside the folder, a symbolic link or a device, or far more
            than its size lets expect, or the disk is full; the folder is then not there.
    """
    if folder.is_dir():
        return
    beside = folder.with_name(f".{folder.name}.unpacking")
    shutil.rmtree(beside, ignore_errors=True)
    make_directory(beside)
    try:
        _unpack_all(archive, beside, skip_symlinks)
        inner = [path for path in sorted(beside.rglob("*")) if nested and path.name.endswith(ENDINGS)]
        for path in inner:
            _unpack_all(path, path.parent, skip_symlinks)
            path.unlink()
    except OSError as error:
        raise DataError(f"cannot unpack {archive}: {error.strerror or error}; make room or mend the disk") from None
    except _DAMAGED as error:
        raise DataError(f"{archive} is cut short or damaged ({error}); remove it to get it anew") from None
    else:
        beside.replace(folder)
    finally:
        shutil.rmtree(beside, ignore_errors=True)


def _unpack_all(archive: Path, folder: Path, skip_symlinks: bool) -> None:
    most = _MOST * archive.stat().st_size + _SMALL
    with _members(archive) as members:
        for member in members:
            name = PurePosixPath(member.name.replace("\\", "/"))
            if name.is_absolute() or ".." in name.parts or ":" in (name.parts or ("",))[0]:
                raise DataError(f"{archive} holds {member.name!r}, which lies outside its folder; do not trust it")
            if "__MACOSX" in name.parts or name.name.startswith("._") or member.is_directory:
                continue
            if skip_symlinks and member.is_symlink:
                continue
            source = member.open() if member.is_file else None
            if source is None:
                raise DataError(f"{archive} holds {member.name!r}, a link or a device, expected files; do not trust it")
            most -= member.size
            if most < 0:
                raise DataError(f"{archive} holds over {_MOST} times its own size, expected speech; do not trust it")
            target = folder / name
            target.parent.mkdir(parents=True, exist_ok=True)
            with source, target.open("wb") as file:
                _copy(source, file, member.size)


def _copy(source: IO[bytes], file: IO[bytes], size: int) -> None:
    """Copy no more bytes than a member says it has: sizes in an archive need not be true."""
    while size > 0 and (block := source.read(min(size, _BLOCK))):
        file.write(block)
        size -= len(block)


@contextmanager
def _members(archive: Path) -> Iterator[Iterator[_Member]]:
    if archive.name.endswith(".zip"):
        with zipfile.ZipFile(archive) as file:
            yield map(_zip_member(file), file.infolist())
    else:
        with tarfile.open(archive, "r:*") as file:
            yield map(_tar_member(file), file)


def _zip_member(file: zipfile.ZipFile) -> Callable[[zipfile.ZipInfo], _Member]:
    def member(info: zipfile.ZipInfo) -> _Member:
        kind = stat.S_IFMT(info.external_attr >> 16)
        is_file = not info.is_dir() and kind in (0, stat.S_IFREG)
        is_symlink = kind == stat.S_IFLNK
        return _Member(info.filename, info.file_size, is_file, info.is_dir(), is_symlink, lambda: file.open(info))

    return member


def _tar_member(file: tarfile.TarFile) -> Callable[[tarfile.TarInfo], _Member]:
    def member(info: tarfile.TarInfo) -> _Member:
        size = file.getmember(info.linkname).size if info.islnk() else info.size
        is_file = info.isreg() or info.islnk()
        return _Member(info.name, size, is_file, info.isdir(), info.issym(), lambda: file.extractfile(info))

    return member
