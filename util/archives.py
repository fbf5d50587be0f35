"""The archives of a corpus: found where they lie, or downloaded, checked and unpacked, each once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import quote

from util.download import download, fault_in
from util.errors import DataError, UsageError
from util.files import read_utf8
from util.progress import Console, Tracker
from util.unpacking import ENDINGS, stem, unpack

CHECKSUMS = "SHA256SUMS"  # a file beside archives, as sha256sum writes it
_MIB = 1 << 20


@dataclass(frozen=True, slots=True)
class Archive:
    """A file that a corpus is published as.

    Attributes:
        name: of the file; tar and zip are unpacked, others are taken as they are.
        mirrors: addresses of folders that have it, in the order to try; none where it cannot be had without asking.
        checksum: SHA-256, SHA-1 or MD5 in hexadecimal, where the corpus publishes one.
        size: in bytes, where known.
        nested: it holds archives that are to be unpacked too.
        holds: a path inside, by which a folder given as source is known to be this archive unpacked.
    """

    name: str
    mirrors: Sequence[str] = ()
    checksum: str | None = None
    size: int | None = None
    nested: bool = False
    holds: str = ""


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
        """Look for archives in `source` (a folder or the address of one; None is the web), then in `folder`.

        Raises:
            UsageError: the source is neither an address nor a folder.
            DataError: its list of checksums cannot be read.
        """
        self._folder, self._how_to_get, self._console = folder, how_to_get, console
        is_address = source is not None and "://" in source
        self._mirror = source.rstrip("/") if source and is_address else None
        self._places = [folder] if source is None or is_address else [Path(source).absolute(), folder]
        if not self._places[0].is_dir():
            raise UsageError(f"--source {source} is no folder, expected one with the archives, or a web address")
        self._checksums = self._read_checksums()

    def get(self, archive: Archive) -> Path:
        """Return the folder that an archive has become, or the file that it is; its work is done once.

        Raises:
            DataError: it cannot be had, is not as its checksum says, or cannot be unpacked.
        """
        folder = self._folder / stem(archive.name)
        is_packed = archive.name.endswith(ENDINGS)
        for place in self._places:
            if is_packed and (place / stem(archive.name)).is_dir():
                return place / stem(archive.name)
            if archive.holds and (place / archive.holds).exists():
                return place
        file = self._file(replace(archive, checksum=self._checksums.get(archive.name, archive.checksum)))
        if not is_packed:
            return file
        self._console.say(f"Unpacking {file} ...")
        unpack(file, folder, nested=archive.nested)
        return folder

    def _file(self, archive: Archive) -> Path:
        """Return the file, whole and checked."""
        bases = [self._mirror] if self._mirror else archive.mirrors
        for place in self._places:
            path = place / archive.name
            is_ours = place == self._folder and bases
            if path.is_file() and not is_ours:
                if fault := fault_in(path, archive.checksum, archive.size):
                    raise DataError(f"{path} {fault}; get it again")
                return path
        if not bases:
            places = " or ".join(map(str, self._places))
            raise DataError(f"There is no {archive.name} in {places}, nor its folder. {self._how_to_get}")
        addresses = [f"{base}/{quote(archive.name)}" for base in bases]
        with _Meter(self._console, archive.name) as meter:
            download(addresses, path, checksum=archive.checksum, size=archive.size, progress=meter.show)
        return path

    def _read_checksums(self) -> dict[str, str]:
        """Return the checksums that the source gives, by name."""
        path = self._places[0] / CHECKSUMS
        if self._mirror:
            path = self._folder / CHECKSUMS
            try:
                download(f"{self._mirror}/{CHECKSUMS}", path.with_suffix(".new"))
            except DataError:
                return {}
            path.with_suffix(".new").replace(path)
        if not path.is_file():
            return {}
        words = [line.split() for line in read_utf8(path, "checksums as sha256sum writes them").splitlines()]
        return {line[1].lstrip("*"): line[0] for line in words if len(line) == 2 and len(line[0]) == 64}
