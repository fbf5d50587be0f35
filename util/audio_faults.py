"""What ails a file that should be audio: its end is missing, or it is something else."""

from __future__ import annotations

from typing import Any

from util.errors import AudioError, UnsupportedAudioError

SUPPORTED = "WAV, FLAC, OGG or MP3"
ENDINGS = (".wav", ".flac", ".mp3", ".ogg", ".oga", ".opus", ".sph")  # of names of files with audio
_UNKNOWN_WAV_SIZE = 0x7FFF0000  # bytes; written into the header by programs that could not seek
_OGG_PAGE = 65307  # bytes, the largest page (RFC 3533, section 6)
_OGG_HEADER = 27  # bytes, without the table of segments
_OGG_LAST = 0x04  # flag of the last page

# First bytes of what people mistake for audio we read; None: ours, so it must be damaged.
_MAGIC: list[tuple[bytes, int, str | None]] = [
    (b"RIFF", 0, None),
    (b"RF64", 0, None),
    (b"fLaC", 0, None),
    (b"OggS", 0, None),
    (b"ID3", 0, None),
    (b"\xff\xfb", 0, None),
    (b"\xff\xf3", 0, None),
    (b"\xff\xf2", 0, None),
    (b"ftyp", 4, "MP4 or M4A"),
    (b"\x1a\x45\xdf\xa3", 0, "WebM or Matroska"),
    (b"\x30\x26\xb2\x75", 0, "Windows Media"),
    (b"#!AMR", 0, "AMR"),
    (b"ADIF", 0, "AAC"),
    (b"\xff\xf1", 0, "AAC"),
    (b"\xff\xf9", 0, "AAC"),
    (b"PK\x03\x04", 0, "a ZIP archive"),
    (b"\x1f\x8b", 0, "a gzip archive"),
    (b"version https://git-lfs", 0, "a Git LFS pointer"),
]


def check_end(path: object, raw: Any, head: bytes, size: int) -> None:
    """Make sure that the end of a file is there, where libsndfile does not.

    Args:
        path: its name, for the message.
        raw: the file, open for reading bytes.
        head: its first 64 bytes.
        size: in bytes.

    Raises:
        AudioError: its end is missing, or it is SPHERE with compression.
    """
    if head[:4] == b"OggS":
        _check_ogg_end(path, raw, size)
    elif head[:4] in (b"RIFF", b"RF64"):
        _check_wav_end(path, raw, size)
    elif head[:7] == b"NIST_1A":
        _check_sphere(path, raw, size)


def _check_wav_end(path: object, raw: Any, size: int) -> None:
    """Compare the length of the data chunk with the file: libsndfile corrects it silently."""
    start = 12
    long_length = None  # of an RF64, whose data chunk has no room for it (EBU Tech 3306)
    while start + 8 <= size:
        raw.seek(start)
        header = raw.read(8)
        length = int.from_bytes(header[4:], "little")
        start += 8
        if header[:4] == b"ds64":
            long_length = int.from_bytes(raw.read(16)[8:], "little")
        if header[:4] == b"data":
            unknown = long_length is None and length >= _UNKNOWN_WAV_SIZE
            length = length if long_length is None else long_length
            if start + length > size and not unknown:
                raise cut_short(path, f"{size - start} of {length} bytes of sound are there")
            return
        start += length + length % 2


def _check_ogg_end(path: object, raw: Any, size: int) -> None:
    """Look for the last page: libsndfile takes whatever page comes last for it."""
    raw.seek(max(0, size - _OGG_PAGE - _OGG_HEADER))
    tail = raw.read()
    page = tail[max(0, tail.rfind(b"OggS")) :]
    segments = page[_OGG_HEADER : _OGG_HEADER + page[26]] if len(page) >= _OGG_HEADER else b""
    complete = (
        len(page) >= _OGG_HEADER
        and len(segments) == page[26]
        and len(page) >= _OGG_HEADER + len(segments) + sum(segments)
        and page[5] & _OGG_LAST
    )
    if not complete:
        raise cut_short(path, "its last OGG page is missing")


def _check_sphere(path: object, raw: Any, size: int) -> None:
    """Read the header of a NIST SPHERE file: libsndfile takes what is there for all, and shorten for noise."""
    raw.seek(len(b"NIST_1A\n"))
    digits = raw.read(8).strip()
    if not digits.isdigit():
        raise cut_short(path, "its header does not tell its own length")
    header_size = int(digits)
    raw.seek(0)
    lines = raw.read(header_size).decode("latin-1").splitlines()
    fields = {line.split(" ", 2)[0]: line.split(" ", 2)[2] for line in lines if line.count(" ") >= 2}
    if "shorten" in fields.get("sample_coding", ""):
        raise unsupported(path, "SPHERE compressed by shorten", "sph2pipe -f wav")
    size_of_all = 1
    for name in ("sample_count", "sample_n_bytes", "channel_count"):
        if not (value := fields.get(name, "1").strip()).isdecimal():
            raise cut_short(path, f"its header says {name} {value[:20]!r}")
        size_of_all *= int(value)
    if size - header_size < size_of_all:
        raise cut_short(path, f"{size - header_size} of {size_of_all} bytes of sound are there")


def not_audio(path: object, head: bytes) -> AudioError:
    """Say what a file is that libsndfile does not open; `head` is its first 64 bytes."""
    for magic, offset, name in _MAGIC:
        if head[offset:].startswith(magic):
            return unsupported(path, name) if name else cut_short(path, "decoding fails at once")
    text = head.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if text.startswith((b"<!doctype html", b"<html")):
        what = "is a web page"
    elif all(byte >= 32 or byte in b"\t\r\n" for byte in head):
        what = "is text"
    else:
        what = "is not audio of a known kind"
    quoted = ascii(head[:24].decode("latin-1"))
    return AudioError(f"{path} {what} (it starts with {quoted}), expected {SUPPORTED}; download or convert it again")


def unsupported(path: object, name: str, tool: str = "ffmpeg -i") -> UnsupportedAudioError:
    """Say that a file is of another kind of audio, and which program converts it."""
    return UnsupportedAudioError(f"{path} is {name}, expected {SUPPORTED}; convert it to one of them ({tool})")


def cut_short(path: object, proof: str) -> AudioError:
    """Say that a part of a file is missing."""
    return AudioError(f"{path} is cut short or damaged: {proof}; copy or download it again")


def no_samples(path: object) -> AudioError:
    """Say that a file has a header only."""
    return AudioError(f"{path} has no samples, only a header; record it again or leave it out")
