"""Opus packets in two wrappings: Mozilla's, found in sample databases, and Ogg, which decoders read.

Mozilla's, big-endian: uint32 bytes of the decoded 16-bit samples, uint32 Hz, uint8 channels, uint8 bytes of a sample,
then each packet behind its length, uint16. It knows no pre-skip: what the encoder delays stays delayed, and as much is
lost at the end. Ogg: RFC 3533, and RFC 7845 for Opus in it.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator, Sequence

RATES = (8000, 12000, 16000, 24000, 48000)  # Hz, all that Opus knows
_HEADER = struct.Struct(">IIBB")
_WIDTH = 2  # bytes of a sample
_CLOCK = 48000  # Hz, of granule positions
_PAGE = struct.Struct("<4sBBqIIIB")
_FIRST, _LAST = 2, 4  # flags of pages
_SEGMENTS = 255  # of a page at most, of 255 bytes at most
_LARGEST = 254 * 255 + 254  # bytes of a packet, to fit in a page; those of Opus are smaller (RFC 7845, section 6)
_SERIAL = 1
_TAGS = b"OpusTags" + struct.pack("<II", 0, 0)  # no vendor, no comments
_MIRROR = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))
_FRAMES_MS = (10, 20, 40, 60) * 3 + (10, 20) * 2 + (2.5, 5, 10, 20) * 4  # by configuration: RFC 6716, table 2


def to_ogg(container: bytes) -> bytes:
    """Wrap what is in Mozilla's wrapping in Ogg, packet by packet; the number of samples is kept.

    Raises:
        ValueError: it is cut short or damaged; the message completes "is cut short or damaged: ".
    """
    if len(container) < _HEADER.size:
        raise ValueError(f"{len(container)} bytes are there, its header has {_HEADER.size}")
    pcm_size, rate, channels, width = _HEADER.unpack_from(container)
    if rate not in RATES or channels not in (1, 2) or width != _WIDTH:
        raise ValueError(f"its header says {rate} Hz, {channels} channels, {width} bytes a sample: Opus has no such")
    end = pcm_size // (channels * width) * _CLOCK // rate
    if not end:
        raise ValueError("it has no samples, only a header")
    packets = list(_read_packets(container))
    lengths = [_packet_length(packet) for packet in packets]
    if sum(lengths) < end:
        raise ValueError(f"{sum(lengths) / _CLOCK:.2f} of {end / _CLOCK:.2f} s are there")
    head = b"OpusHead" + struct.pack("<BBHIhB", 1, channels, 0, rate, 0, 0)
    pages = [_make_page([head], 0, 0, _FIRST), _make_page([_TAGS], 1, 0)]
    position, first, n_segments = 0, 0, 0
    for i, packet in enumerate(packets):
        n_segments += len(packet) // _SEGMENTS + 1
        following = len(packets[i + 1]) // _SEGMENTS + 1 if i + 1 < len(packets) else _SEGMENTS
        position += lengths[i]
        is_last = position >= end
        if is_last or n_segments + following > _SEGMENTS:
            flags = _LAST if is_last else 0
            pages.append(_make_page(packets[first : i + 1], len(pages), min(position, end), flags))
            first, n_segments = i + 1, 0
        if is_last:
            break
    return b"".join(pages)


def from_ogg(ogg: bytes, n_samples: int, rate: int, channels: int) -> bytes:
    """Wrap the packets of an Ogg Opus stream as Mozilla does.

    Args:
        ogg: one stream, whole, of `rate` Hz, one of RATES, that decodes to `n_samples` in each channel.
        n_samples: what the container shall say.
        rate: in Hz.
        channels: 1 or 2.
    """
    packets, packet, at = [], b"", 0
    while at < len(ogg):
        n_segments = ogg[at + _PAGE.size - 1]
        at += _PAGE.size
        sizes = ogg[at : at + n_segments]
        at += n_segments
        for size in sizes:
            packet += ogg[at : at + size]
            at += size
            if size < _SEGMENTS:
                packets.append(packet)
                packet = b""
    chunks = [struct.pack(">H", len(sound)) + sound for sound in packets[2:]]  # behind OpusHead and OpusTags
    return b"".join([_HEADER.pack(n_samples * channels * _WIDTH, rate, channels, _WIDTH), *chunks])


def _read_packets(container: bytes) -> Iterator[bytes]:
    at = _HEADER.size
    while at < len(container):
        start = at + 2
        end = start + int.from_bytes(container[at:start], "big")
        if end > len(container) or end == start:
            raise ValueError(f"the packet at byte {at} does not end within it")
        if end - start > _LARGEST:
            raise ValueError(f"the packet at byte {at} has {end - start} bytes: Opus has no such")
        yield container[start:end]
        at = end


def _packet_length(packet: bytes) -> int:
    """Return the length of what a packet holds, in samples at 48 kHz (RFC 6716, section 3.1)."""
    code = packet[0] & 3
    n_frames = (1, 2, 2)[code] if code < 3 else int.from_bytes(packet[1:2], "big") & 63
    return round(n_frames * _FRAMES_MS[packet[0] >> 3] * _CLOCK / 1000)


def _make_page(packets: Sequence[bytes], number: int, position: int, flags: int = 0) -> bytes:
    segments = b"".join(b"\xff" * (len(packet) // _SEGMENTS) + bytes([len(packet) % _SEGMENTS]) for packet in packets)
    fields = b"OggS", 0, flags, position, _SERIAL, number
    body = segments + b"".join(packets)
    checksum = _checksum(_PAGE.pack(*fields, 0, len(segments)) + body)
    return _PAGE.pack(*fields, checksum, len(segments)) + body


def _checksum(page: bytes) -> int:
    """Return Ogg's CRC-32: zlib's polynomial, but bits the other way round, beginning and ending with zeros."""
    mirrored = zlib.crc32(page.translate(_MIRROR), 0xFFFFFFFF) ^ 0xFFFFFFFF
    return int(f"{mirrored:032b}"[::-1], 2)
