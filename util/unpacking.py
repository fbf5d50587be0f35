"""Unpacking archives of strangers: nothing leaves the folder, nothing grows without end, all of it or nothing."""

from __future__ import annotations

import functools
import lzma
import shutil
import stat
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import IO

from util.errors import DataError
from util.files import make_directory

ENDINGS = (".tar.gz", ".tgz", ".tar.bz2", ".tar.xz", ".tar", ".zip")
_MOST = 200  # times its size may an archive hold; speech and text stay far below
_SMALL = 1 << 26  # bytes that any archive may hold
_BLOCK = 1 << 20  # bytes
_UTF8 = 0x800  # flag of a zip member whose name is UTF-8 (APPNOTE 4.4.4)
_DAMAGED = (
    tarfile.TarError, zipfile.BadZipFile, lzma.LZMAError, zlib.error, struct.error, EOFError,
    RuntimeError,  # a password, or a way of packing that Python does not know
    ValueError,  # a field that makes no sense
)  # fmt: skip
_CONTRADICTIONS = (FileExistsError, FileNotFoundError, IsADirectoryError, NotADirectoryError)  # a file under a file


@dataclass(frozen=True, slots=True)
class _Member:
    name: str
    kind: str  # file, folder, copy (of an earlier file), link or device
    size: int  # bytes
    target: str  # what a copy or link is of
    open: Callable[[], IO[bytes] | None]


def stem(name: str) -> str:
    """Return an archive's name without its ending: the name of the folder that it becomes."""
    return next((name.removesuffix(ending) for ending in ENDINGS if name.endswith(ending)), name)


def unpack(archive: Path, folder: Path, *, nested: bool = False) -> None:
    """Unpack a tar or zip into a new folder; a folder that is there was unpacked before and is left alone.

    Hard links become copies. Symbolic links stay such, since corpora hold some; they must lead to a place inside.
    Names that macOS adds for itself are passed over.

    Args:
        archive: ends in one of ENDINGS.
        folder: where to; appears when everything is in it.
        nested: also unpack the archives inside, each where it lies.

    Raises:
        DataError: the archive is damaged, holds a device, a name or link that leads out of the folder, or far more
            than its size lets expect, or the disk is full; the folder is then not there.
    """
    if folder.is_dir():
        return
    beside = folder.with_name(f".{folder.name}.unpacking")
    shutil.rmtree(beside, ignore_errors=True)
    make_directory(beside)
    try:
        left = _unpack_all(archive, beside, beside, _MOST * archive.stat().st_size + _SMALL)
        inner = [path for path in sorted(beside.rglob("*")) if nested and path.name.endswith(ENDINGS)]
        for path in inner:
            if path.is_file() and not path.is_symlink():
                left = _unpack_all(path, path.parent, beside, left)
                path.unlink()
        beside.replace(folder)
    except _CONTRADICTIONS as error:
        raise _damaged(archive, f"{error.strerror} for a name in it") from None
    except (OSError, *_DAMAGED) as error:
        if isinstance(error, OSError) and error.errno:  # gzip and bz2 raise some without
            what_to_do = "make room or choose another folder"
            raise DataError(f"cannot unpack {archive} to {folder}: {error.strerror}; {what_to_do}") from None
        raise _damaged(archive, str(error)) from None
    finally:
        shutil.rmtree(beside, ignore_errors=True)


def _damaged(archive: Path, proof: str) -> DataError:
    return DataError(f"{archive} is cut short or damaged ({proof}); remove it to get it anew")


def _unpack_all(archive: Path, folder: Path, root: Path, left: int) -> int:
    """Unpack one archive; `root` is what nothing may leave. Returns how many of the bytes `left` it may hold remain."""
    links: list[tuple[str, str]] = []
    with _members(archive) as members:
        for member in members:
            path = _inside(archive, member.name)
            original = folder / _inside(archive, member.target) if member.kind == "copy" else None
            left -= original.stat().st_size if original else member.size
            if left < 0:
                raise DataError(f"{archive} holds over {_MOST} times its own size, expected speech; do not trust it")
            if member.kind == "folder" or "__MACOSX" in path.parts or path.name.startswith("._"):
                continue
            if member.kind == "link":
                links.append((member.name, member.target))
                continue
            source = original.open("rb") if original else member.open()
            if source is None:
                raise DataError(f"{archive} holds {member.name!r}, a device, expected files; do not trust it")
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            with source, (folder / path).open("wb") as file:
                _copy(source, file, original.stat().st_size if original else member.size)
    _link_all(archive, folder, root, links)
    return left


def _inside(archive: Path, name: str) -> PurePosixPath:
    path = PurePosixPath(name.replace("\\", "/"))
    if path.is_absolute() or ".." in path.parts or PureWindowsPath(name).drive:
        raise DataError(f"{archive} holds {name!r}, which lies outside its folder; do not trust it")
    return path


def _copy(source: IO[bytes], file: IO[bytes], size: int) -> None:
    """Copy as many bytes as a member says it has: what an archive says need not be true."""
    while size > 0 and (block := source.read(min(size, _BLOCK))):
        file.write(block)
        size -= len(block)
    if size > 0:
        raise EOFError(f"{Path(file.name).name} ends {size} bytes early")


def _link_all(archive: Path, folder: Path, root: Path, links: list[tuple[str, str]]) -> None:
    """Make symbolic links when all files are there, so that nothing is written through one that leads out."""
    made = []
    for name, target in links:
        path = folder / _inside(archive, name)
        if _leads_out(path.parent, root) or PurePosixPath(target).is_absolute():
            break
        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
        path.symlink_to(target)
        made.append(path)
    # All at the end, since one link may change where another leads.
    if len(made) < len(links) or any(_leads_out(path, root) for path in made):
        raise DataError(f"{archive} holds a symbolic link that leads outside its folder; do not trust it")


def _leads_out(path: Path, root: Path) -> bool:
    return not path.resolve().is_relative_to(root.resolve())


@contextmanager
def _members(archive: Path) -> Iterator[Iterator[_Member]]:
    if archive.name.endswith(".zip"):
        with zipfile.ZipFile(archive) as packed:
            yield (_zip_member(packed, info) for info in packed.infolist())
    else:
        try:
            file = tarfile.open(archive, "r:*")  # noqa: SIM115 - closed below
        except tarfile.ReadError:
            raise EOFError("it does not begin as a tar") from None
        with file:
            yield _tar_members(file)


def _zip_member(packed: zipfile.ZipFile, info: zipfile.ZipInfo) -> _Member:
    name = info.filename if info.flag_bits & _UTF8 else _decode(info.filename.encode("cp437"), "cp437")
    mode = stat.S_IFMT(info.external_attr >> 16)  # 0 where it was packed on Windows
    kind = {0: "file", stat.S_IFREG: "file", stat.S_IFDIR: "folder", stat.S_IFLNK: "link"}.get(mode, "device")
    if name.endswith(("/", "\\")):
        kind = "folder"
    target = ""
    if kind == "link":
        with packed.open(info) as file:
            target = _decode(file.read(4096), "cp437")
    return _Member(name, kind, info.file_size, target, lambda: None if kind == "device" else packed.open(info))


def _tar_members(file: tarfile.TarFile) -> Iterator[_Member]:
    """Yield the members of a tar, and make sure that its end is there: a tar cut between two members looks whole."""
    kinds = dict.fromkeys(tarfile.REGULAR_TYPES, "file")
    kinds |= {tarfile.DIRTYPE: "folder", tarfile.LNKTYPE: "copy", tarfile.SYMTYPE: "link"}
    while info := file.next():
        file.members.clear()  # type: ignore[attr-defined] # else it keeps them all
        name, target = (
            _decode(text.encode("utf-8", "surrogateescape"), "latin-1") for text in (info.name, info.linkname)
        )
        yield _Member(
            name, kinds.get(info.type, "device"), info.size, target, functools.partial(file.extractfile, info)
        )
    assert file.fileobj
    file.fileobj.seek(file.offset)
    if file.fileobj.read(tarfile.BLOCKSIZE) != bytes(tarfile.BLOCKSIZE):
        raise EOFError("it has no end")
    if len(file.fileobj.read(_SMALL)) == _SMALL:  # to its end: the checksum of a gzip comes last
        raise EOFError("it does not end")


def _decode(raw: bytes, otherwise: str) -> str:
    """Read a name as UTF-8, which it is nearly always whatever the archive says."""
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return raw.decode(otherwise)
