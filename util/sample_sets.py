"""Sets of utterances, whatever file they are in: CSV, sample database or tar file."""

from __future__ import annotations

from pathlib import Path

from util.corpus import EXPECTED, Utterance, read_csv
from util.errors import DataError
from util.sdb import MAGIC, read_sdb
from util.shards import is_tar, read_tar

_PACKED = {
    b"\x1f\x8b": "gzip",
    b"BZh": "bzip2",
    b"\xfd7zXZ": "xz",
    b"\x28\xb5\x2f\xfd": "zstd",
    b"PK\x03\x04": "ZIP",
}


def read_set(path: str | Path) -> list[Utterance]:
    """Read what a file names; its content decides what it is, not its name.

    Args:
        path: a CSV, a sample database (SDB), or a tar file that is not compressed.

    Raises:
        DataError: it is missing or none of these, or cannot be read as what it is; see `read_csv`, `read_sdb` and
            `read_tar`.
    """
    kind = kind_of(path)
    return read_sdb(path) if kind == "SDB" else read_tar(path) if kind == "tar" else read_csv(path)


def is_box(head: bytes) -> bool:
    """Tell whether a file that begins with these bytes, 512 or more, holds recordings: an SDB or tar file."""
    return head.startswith(MAGIC) or is_tar(head[:512])


def kind_of(path: str | Path) -> str:
    """Return "SDB", "tar" or "CSV"; the last one of all that is not one of the others.

    Raises:
        DataError: it cannot be read, or is compressed.
    """
    try:
        with Path(path).open("rb") as file:
            head = file.read(512)
    except OSError as error:
        if any(character in str(path) for character in "{*?["):
            raise DataError(
                f"cannot read {path}: there is no file of that name; name every file, separated by commas, or let the "
                f"shell do it: $(printf ,%s {path} | cut -c2-)"
            ) from None
        reason = "it is a folder" if Path(path).is_dir() else error.strerror
        raise DataError(f"cannot read {path}: {reason}; expected {EXPECTED}, or an SDB or tar file") from None
    for magic, name in _PACKED.items():
        if head.startswith(magic):
            raise DataError(f"{path} is compressed ({name}), expected CSV, SDB or a plain tar file; decompress it")
    return "SDB" if head.startswith(MAGIC) else "tar" if is_tar(head) else "CSV"
