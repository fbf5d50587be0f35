"""The archives of a corpus: found where they lie, or downloaded, checked and unpacked, each once."""

from __future__ import annotations

import copy
import functools
import shutil
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import quote

from util.download import download, fault_in
from util.errors import DataError, UsageError
from util.files import read_utf8
from util.progress import WARNING, Console, Tracker
from util.threads import in_threads
from util.unpacking import ENDINGS, stem, unpack

CHECKSUMS = "SHA256SUMS"  # a file beside archives, as sha256sum writes it
_MIB = 1 << 20
_MANY = 100  # archives; a corpus of so many has small ones
_AT_ONCE = 8  # of many archives


@dataclass(frozen=True, slots=True)
class Archive:
    """A file that a corpus is published as.

    Attributes:
        name: of the file; tar and zip are unpacked, others are taken as they are.
        mirrors: addresses of folders that have it, in the order to try; none where it cannot be had without asking.
        checksum: SHA-256, SHA-1 or MD5 in hexadecimal, where the corpus publishes one.
        size: in bytes, where known.
        nested: it holds archives that are to be unpacked too.
        holds: a path inside, by which a folder is known to be this archive unpacked; without it the name will do.
        parts: the files that, one behind the other, are this archive, where it is published in parts.
    """

    name: str
    mirrors: Sequence[str] = ()
    checksum: str | None = None
    size: int | None = None
    nested: bool = False
    holds: str = ""
    parts: Sequence[Archive] = ()


def openslr(number: int) -> tuple[str, ...]:
    """Return the addresses of a resource of openslr.org."""
    hosts = "www.openslr.org", "openslr.trmal.net", "openslr.elda.org", "us.openslr.org"
    return tuple(f"https://{host}/resources/{number}" for host in hosts)


def root_of(folder: Path, pattern: str) -> Path:
    """Return the folder in which a glob pattern fits: the one given, or one up to three levels down.

    Raises:
        DataError: there is none.
    """
    for depth in ("", "*/", "*/*/", "*/*/*/"):
        if found := min(folder.glob(depth + pattern), default=None):
            return found.parents[pattern.count("/")]
    raise DataError(f"{folder} has no {pattern}; it is another folder than expected, or not all of the archive")


class _Meter:
    """Shows a download in MiB, from its first block on."""

    def __init__(self, console: Console, name: str):
        self._console, self._name = console, name
        self._tracker: Tracker | None = None
        self._shown = 0

    def __enter__(self) -> _Meter:
        return self

    def __exit__(self, *problem: object) -> None:
        if self._tracker:
            self._tracker.__exit__(*problem)

    def show(self, done: int, total: int | None) -> None:
        if self._tracker is None:
            self._shown = done // _MIB
            self._tracker = self._console.track(f"Getting {self._name} (MiB)", (total or done) // _MIB + 1, self._shown)
            self._tracker.__enter__()
        while self._shown < done // _MIB:
            self._shown += 1
            self._tracker.advance()


class Shelf:
    """Where the archives of one corpus are kept."""

    def __init__(self, folder: Path, source: str | None, how_to_get: str, console: Console):
        """Look for archives in `source` (a folder, or the address of one), then in `folder`.

        Only without a source, or with an address, is anything downloaded.

        Raises:
            UsageError: the source is neither an address nor a folder.
        """
        self._folder, self._how_to_get, self._console = folder, how_to_get, console
        is_address = source is not None and "://" in source
        self._mirror = source.rstrip("/") if source and is_address else None
        self._is_offline = source is not None and not is_address
        self._places = [Path(source or "").absolute(), folder] if self._is_offline else [folder]
        if not self._places[0].is_dir():
            raise UsageError(f"--source {source} is no folder, expected one with the archives, or a web address")

    def get(self, archive: Archive) -> Path:
        """Return the folder that an archive has become, or the file that it is; its work is done once.

        Raises:
            DataError: it cannot be had, is not as its checksum says, or cannot be unpacked.
        """
        if not archive.name.endswith(ENDINGS):
            return self._file(archive)
        name = stem(archive.name)
        for place in self._places:
            folders = (place / name, place) if archive.holds else (place / name,)
            for folder in folders:
                if folder.is_dir() and (folder / archive.holds).exists():
                    return folder
        file = self._joined(archive) if archive.parts else self._file(archive)
        self._console.say(f"Unpacking {file} ...")
        unpack(file, self._folder / name, nested=archive.nested)
        if archive.parts:
            file.unlink()
        return self._folder / name

    def get_all(self, archives: Sequence[Archive]) -> list[Path]:
        """Return what `get` returns for each; of many archives several come at once, without a line for each."""
        if len(archives) < _MANY:
            return [self.get(archive) for archive in archives]
        _ = self._checksums  # once, before the threads ask for them together
        quiet = copy.copy(self)
        quiet._console = Console(WARNING, stream=self._console.stream)
        label, found = f"Getting {len(archives)} archives", []
        with self._console.track(label, len(archives)) as bar:
            for path in in_threads(quiet.get, archives, _AT_ONCE):
                found.append(path)
                bar.advance()
        return found

    def _joined(self, archive: Archive) -> Path:
        """Return a file made of the parts of an archive."""
        parts = [self._file(part) for part in archive.parts]
        path = self._folder / archive.name
        self._console.say(f"Joining {len(parts)} parts to {path} ...")
        try:
            with path.open("wb") as joined:
                for part in parts:
                    with part.open("rb") as file:
                        shutil.copyfileobj(file, joined, _MIB)
        except OSError as error:
            raise DataError(f"cannot write {path}: {error.strerror}; make room or choose another folder") from None
        return path

    def _file(self, archive: Archive) -> Path:
        """Return the file, whole and checked."""
        archive = replace(archive, checksum=self._checksums.get(archive.name, archive.checksum))
        bases = [self._mirror] if self._mirror else [] if self._is_offline else archive.mirrors
        path = self._folder / archive.name
        for place in [] if bases else self._places:
            path = place / archive.name
            if path.is_file():
                if fault := fault_in(path, archive.checksum, archive.size):
                    raise DataError(f"{path} {fault}; get it again")
                return path
        if not bases:
            places = " or ".join(dict.fromkeys(map(str, self._places)))
            unpacked = ", nor its folder" if archive.name.endswith(ENDINGS) else ""
            advice = self._how_to_get or "Put it there, or leave out --source to download it."
            raise DataError(f"There is no {archive.name} in {places}{unpacked}. {advice}")
        addresses = [f"{base}/{quote(archive.name)}" for base in bases]
        with _Meter(self._console, archive.name) as meter:
            download(addresses, path, checksum=archive.checksum, size=archive.size, progress=meter.show)
        return path

    @functools.cached_property
    def _checksums(self) -> dict[str, str]:
        """The checksums that the source gives, by name."""
        path = self._places[0] / CHECKSUMS
        if self._mirror:
            new = path.with_suffix(".new")
            with suppress(DataError, OSError):  # without it the list that was there before counts
                new.unlink(missing_ok=True)
                download(f"{self._mirror}/{CHECKSUMS}", new)
                new.replace(path)
        if not path.is_file():
            return {}
        lines = [line.split(maxsplit=1) for line in read_utf8(path, "checksums as sha256sum writes them").splitlines()]
        return {
            line[1].lstrip("*").removeprefix("./"): line[0] for line in lines if len(line) == 2 and len(line[0]) == 64
        }
