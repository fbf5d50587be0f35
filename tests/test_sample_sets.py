"""Sample databases and tar files: read as the predecessor wrote them, taken apart by hand, and at fault.

tests/golden/make_sets_golden.py tells where the files in tests/golden/sets are from.
"""

from __future__ import annotations

import io
import json
import struct
import tarfile
from pathlib import Path

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from util.audio import AudioInfo, read_audio, read_info, read_part, read_stored
from util.corpus import Utterance
from util.data_check import Sample, find_leaks
from util.effects import NoiseSource
from util.errors import AudioError, DataError
from util.features import FeatureSet
from util.feeding import Corpus, first_recordings
from util.opus import to_ogg
from util.sample_sets import read_set
from util.sdb import SdbWriter
from util.shards import ShardWriter

GOLDEN = Path(__file__).parent / "golden" / "sets"
TEXTS = ["a low tone", "grüße", "two tones"]
INFOS = [AudioInfo(16000, 1, 1000), AudioInfo(16000, 1, 1501), AudioInfo(8000, 2, 700)]
SPEECH = {"content": "speech", "mime-type": "audio/wav"}
TRANSCRIPT = {"content": "transcript", "mime-type": "text/plain"}


def tone(frequency: float, n_samples: int, rate: int) -> NDArray[np.int16]:
    """The samples that the golden files were made of."""
    sound: NDArray[np.int16] = (8000 * np.sin(2 * np.pi * frequency * np.arange(n_samples) / rate)).astype("<i2")
    return sound


def encode(samples: NDArray[np.int16], rate: int = 16000, form: str = "WAV", **options: object) -> bytes:
    file = io.BytesIO()
    soundfile.write(file, samples, rate, format=form, **options)
    return file.getvalue()


def box(*fields: bytes) -> bytes:
    """An entry of a database."""
    columns = b"".join(struct.pack(">I", len(field)) + field for field in fields)
    return struct.pack(">I", len(columns)) + columns


def database(entries: list[bytes], schema: object = (SPEECH, TRANSCRIPT)) -> bytes:
    """A database, put together by hand."""
    header = json.dumps({"schema": schema}).encode()
    begin = b"SAMPLEDB" + struct.pack(">Q", len(header)) + header
    at = len(begin) + 16
    offsets = [at + sum(map(len, entries[:number])) for number in range(len(entries))]
    samples = struct.pack(">QQ", 8 + sum(map(len, entries)), len(entries)) + b"".join(entries)
    index = struct.pack(f">{2 + len(entries)}Q", 8 + 8 * len(entries), len(entries), *offsets)
    return begin + samples + index


def tar(path: Path, files: dict[str, bytes]) -> Path:
    with tarfile.open(path, "w") as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return path


def message(path: Path) -> str:
    with pytest.raises(DataError) as caught:
        read_set(path)
    return str(caught.value)


@pytest.mark.parametrize("name", ["wav.sdb", "opus.sdb", "csv.tar"])
def test_what_the_predecessor_wrote(name: str):
    rows = read_set(GOLDEN / name)
    assert [row.transcript for row in rows] == TEXTS
    assert [read_info(row.audio) for row in rows] == INFOS
    files = [f":samples/sample0000000{number}.wav" for number in range(3)] if "tar" in name else ["#0", "#1", "#2"]
    assert [row.place for row in rows] == [f"{GOLDEN / name}{file}" for file in files]
    if name == "opus.sdb":
        expected = list(np.load(GOLDEN / "opus_decoded.npz").values())
    else:
        stereo = np.stack([tone(300, 700, 8000), tone(500, 700, 8000)], 1)
        expected = [tone(440, 1000, 16000)[:, np.newaxis], tone(660, 1501, 16000)[:, np.newaxis], stereo]
    for row, samples in zip(rows, expected, strict=True):
        found, _ = read_stored(row.audio)
        np.testing.assert_array_equal(found, samples)


def test_content_decides_not_the_name(tmp_path: Path):
    (tmp_path / "set.csv").write_bytes((GOLDEN / "wav.sdb").read_bytes())
    (tmp_path / "set.sdb").write_bytes((GOLDEN / "csv.tar").read_bytes())
    (tmp_path / "set.tar").write_text("wav_filename,transcript\na.wav,a cat\n")
    assert [row.transcript for row in read_set(tmp_path / "set.csv")] == TEXTS
    assert [row.transcript for row in read_set(tmp_path / "set.sdb")] == TEXTS
    assert [row.path for row in read_set(tmp_path / "set.tar")] == [str(tmp_path / "a.wav")]


def test_columns_of_a_database_in_any_order(tmp_path: Path):
    wav = encode(tone(440, 400, 16000))
    speaker, picture = {"content": "speaker", "mime-type": "text/plain"}, {"content": "face", "mime-type": "image/png"}
    entry = box(b"eva", b" gru\xcc\x88n ", b"\x89PNG", wav)
    (tmp_path / "a.sdb").write_bytes(database([entry], [speaker, TRANSCRIPT, picture, SPEECH]))
    (row,) = read_set(tmp_path / "a.sdb")
    assert (row.transcript, row.extra, row.wav_filesize) == ("gr\u00fcn", (("speaker", "eva"),), len(wav))
    assert row.stored
    assert (tmp_path / "a.sdb").read_bytes()[row.stored.offset :][: row.stored.size] == wav


def test_a_database_without_transcripts(tmp_path: Path):
    (tmp_path / "a.sdb").write_bytes(database([box(encode(tone(440, 400, 16000)))], [SPEECH]))
    assert [(row.transcript, row.wav_filename) for row in read_set(tmp_path / "a.sdb")] == [("", "#0")]


WHOLE = database([box(b"wav", b"a cat"), box(b"wav", b"a dog")])
INDEX = len(WHOLE) - 32
BROKEN = [
    (b"SAMPLEDB", "it ends at byte 8"),
    (b"SAMPLEDB" + struct.pack(">Q", 10**6), "its header does not end within it"),
    (b"SAMPLEDB" + struct.pack(">Q", 2) + b"{]" + bytes(64), "its header names no columns"),
    (b"SAMPLEDB" + struct.pack(">Q", 2) + b"{}" + bytes(64), "its header names no columns"),
    (WHOLE[:INDEX], "the index at its end is missing"),
    (WHOLE[:-1], "the index at its end is not whole"),
    (WHOLE[:INDEX] + struct.pack(">QQ", 8, 0), "it has 2 samples and its index 0"),
    (WHOLE[:-8] + struct.pack(">Q", 2**40), "sample 1 begins behind the last one"),
    (database([struct.pack(">I", 99)]), "sample 0 does not end before the index"),
    (database([struct.pack(">III", 8, 99, 0)]), "the columns of sample 0 are longer than it"),
    (database([box(b"wav", b"\xff")]), "the transcript of sample 0 is not UTF-8"),
]


@pytest.mark.parametrize(("content", "proof"), BROKEN, ids=[proof for _, proof in BROKEN])
def test_a_damaged_database_is_one_sentence(tmp_path: Path, content: bytes, proof: str):
    path = tmp_path / "a.sdb"
    path.write_bytes(content)
    said = message(path)
    assert said.startswith(f"{path} is a sample database that is cut short or damaged: {proof}")
    assert said.endswith("; copy or make it again")


def test_no_cut_of_a_database_is_taken_for_whole(tmp_path: Path):
    path = tmp_path / "a.sdb"
    for length in range(8, len(WHOLE)):
        path.write_bytes(WHOLE[:length])
        assert "cut short or damaged" in message(path)


def test_a_database_without_speech(tmp_path: Path):
    path = tmp_path / "a.sdb"
    path.write_bytes(database([], [TRANSCRIPT]))
    assert (
        message(path) == f"{path} has no column of speech that is audio, found transcript (text/plain); make it again"
    )


def test_pairs_in_a_tar_file(tmp_path: Path):
    wav = encode(tone(440, 400, 16000))
    described = json.dumps({"text": "a dog", "speaker": "eva", "age": 7, "words": [1]}).encode()
    path = tar(
        tmp_path / "a.tar",
        {
            "./x/one.wav": wav,
            "./x/one.txt": b"\xef\xbb\xbfa cat\n",
            "two.json": described,
            "two.FLAC": encode(tone(300, 300, 8000), 8000, "FLAC"),
            "x/two.1.ogg": encode(tone(300, 300, 8000), 8000, "OGG"),
            "x/two.1.json": b'{"transcript": "from json"}',
            "x/two.1.txt": b"from text",
            "silent.wav": wav,
            "x/._one.wav": b"of a Mac",
            "alphabet.txt": b"a\n",
            "speakers.csv": b"speaker,age\neva,7\n",
        },
    )
    rows = read_set(path)
    assert [(row.wav_filename, row.transcript, row.extra) for row in rows] == [
        (":x/one.wav", "a cat", ()),
        (":two.FLAC", "a dog", (("speaker", "eva"), ("age", "7"))),
        (":x/two.1.ogg", "from text", ()),
        (":silent.wav", "", ()),
    ]
    assert [read_info(row.audio).n_samples for row in rows] == [400, 300, 300, 400]
    assert rows[0].place == f"{path}:x/one.wav"


def test_a_table_in_a_folder_of_a_tar_file(tmp_path: Path):
    table = b'wav_filename,wav_filesize,transcript,speaker\nwavs/one.wav,1,"a cat, a dog",eva\n'
    path = tar(tmp_path / "a.tar", {"set/wavs/one.wav": encode(tone(440, 400, 16000)), "set/all.csv": table})
    (row,) = read_set(path)
    assert (row.place, row.transcript, row.extra) == (
        f"{path}:set/wavs/one.wav",
        "a cat, a dog",
        (("speaker", "eva"),),
    )


HEADER = b"wav_filename,transcript\n"
ODD_TARS: list[tuple[dict[str, bytes], str]] = [
    ({}, "is a tar file without recordings"),
    ({"a.txt": b"a cat"}, "is a tar file without recordings, expected pairs of KEY.txt and KEY with one of"),
    ({"a.wav": b"", "a.txt": b"\xff"}, ":a.txt: the byte at position 0 is not UTF-8"),
    ({"a.wav": b"", "a.json": b"{"}, ":a.json is not JSON"),
    ({"a.wav": b"", "a.json": b"[]"}, ":a.json is not a JSON object"),
    ({"a.csv": HEADER, "b.csv": HEADER}, "has 2 CSV files (a.csv, b.csv), expected one"),
    ({"a.csv": HEADER + b"a.wav,a cat\n"}, ":a.csv:2: a.wav is not in"),
    ({"a.csv": HEADER + b"a.wav\n"}, ":a.csv:2: the row has 1 fields, expected 2"),
]


@pytest.mark.parametrize(("files", "words"), ODD_TARS, ids=[words for _, words in ODD_TARS])
def test_an_odd_tar_file_is_one_sentence(tmp_path: Path, files: dict[str, bytes], words: str):
    path = tar(tmp_path / "a.tar", files)
    assert message(path).startswith(f"{path}{'' if words[0] == ':' else ' '}{words}")


def test_no_cut_of_a_tar_file_is_taken_for_whole(tmp_path: Path):
    path = tar(tmp_path / "a.tar", {"a.wav": bytes(700), "a.txt": b"a cat"})
    content = path.read_bytes()
    end = content.rstrip(b"\0")
    n_blocks = -(-len(end) // 512)
    for length in (512, 513, 1024, 1400, 1536, 1536 + 511, 2048, 2048 + 5, n_blocks * 512, n_blocks * 512 + 511):
        path.write_bytes(content[:length])
        assert "cut short or damaged" in message(path), length
    path.write_bytes(content[:1536] + b"\x01" * 512 + content[2048:])
    assert "neither another file nor the end mark is at byte 1536" in message(path)


def test_what_is_no_set_is_one_sentence(tmp_path: Path):
    archive = tmp_path / "a.tar.gz"
    with tarfile.open(archive, "w:gz"):
        pass
    assert message(archive) == f"{archive} is compressed (gzip), expected CSV, SDB or a plain tar file; decompress it"
    expected = "expected a CSV with the header wav_filename,wav_filesize,transcript, or an SDB or tar file"
    assert message(tmp_path / "no.sdb") == f"cannot read {tmp_path}/no.sdb: No such file or directory; {expected}"
    assert message(tmp_path) == f"cannot read {tmp_path}: it is a folder; {expected}"
    assert "name every file, separated by commas" in message(tmp_path / "a-{00..03}.tar")


def write_all(folder: Path, sounds: dict[str, bytes]) -> list[Utterance]:
    """Put sounds into a database of each kind of wrapping, and into a tar file; return all utterances."""
    tar(folder / "all.tar", sounds)
    with (folder / "all.sdb").open("wb") as file, SdbWriter(file, "audio/wav", []) as writer:
        for sound in sounds.values():
            writer.add(sound, {})
    return [*read_set(folder / "all.tar"), *read_set(folder / "all.sdb")]


def test_a_stored_recording_reads_like_a_file(tmp_path: Path):
    rng = np.random.default_rng(0)
    noise = (rng.standard_normal((9000, 2)) * 3000).astype(np.int16)
    sounds = {
        "a.wav": encode(noise, 22050),
        "b.flac": encode(noise[:, 0], 16000, "FLAC"),
        "c.ogg": encode(noise, 16000, "OGG"),
        "d.opus": encode(noise, 48000, "OGG", subtype="OPUS"),
        "e.mp3": encode(noise, 16000, "MP3"),
    }
    rows = write_all(tmp_path, sounds)
    for row, (name, sound) in zip(rows, [*sounds.items()] * 2, strict=True):
        file = tmp_path / name
        file.write_bytes(sound)
        assert read_info(row.audio) == read_info(file)
        np.testing.assert_array_equal(read_audio(row.audio, 16000), read_audio(file, 16000))
        np.testing.assert_array_equal(read_part(row.audio, 16000, 0.05, 0.1, 0), read_part(file, 16000, 0.05, 0.1, 0))


def test_stored_audio_at_fault_is_one_sentence(tmp_path: Path):
    wav = encode(tone(440, 4000, 16000))
    rows = write_all(tmp_path, {"cut.wav": wav[:-9], "empty.wav": b"", "page.wav": b"<html></html>"})
    found = []
    for row in rows:
        with pytest.raises(AudioError) as caught:
            read_info(row.audio)
        found.append(str(caught.value))
    for names, said in zip(
        (["#0", "#1", "#2"], [":cut.wav", ":empty.wav", ":page.wav"]), (found[3:], found[:3]), strict=True
    ):
        path = tmp_path / ("all.sdb" if names[0] == "#0" else "all.tar")
        assert said[0].startswith(f"{path}{names[0]} is cut short or damaged: 7991 of 8000 bytes of sound are there")
        assert said[1].startswith(f"{path}{names[1]} is empty (0 bytes)")
        assert said[2].startswith(f"{path}{names[2]} is a web page")
    (tmp_path / "all.sdb").unlink()
    with pytest.raises(AudioError, match=r"cannot read .*all\.sdb#0: No such file"):
        read_info(rows[3].audio)


def test_damaged_opus_of_a_database():
    header = struct.pack(">IIBB", 1920, 16000, 1, 2)
    ten_ms = b"\x00" * 2  # SILK, 10 ms, one frame
    for container, words in (
        (b"123", "3 bytes are there, its header has 10"),
        (struct.pack(">IIBB", 1920, 44100, 1, 2), "its header says 44100 Hz, 1 channels, 2 bytes a sample"),
        (struct.pack(">IIBB", 0, 16000, 1, 2), "it has no samples, only a header"),
        (header + b"\x00\x09abc", "the packet at byte 10 does not end within it"),
        (header + b"\x00\x00", "the packet at byte 10 does not end within it"),
        (header + b"\x00\x02" + ten_ms, "0.01 of 0.06 s are there"),
        (header + b"\xff\xff" + bytes(65535), "the packet at byte 10 has 65535 bytes: Opus has no such"),
    ):
        with pytest.raises(ValueError, match=words.replace(".", r"\.")):
            to_ogg(container)


def ogg_crc(page: bytes) -> int:
    """RFC 3533, section 6: polynomial 0x04c11db7, bit by bit, of a page whose own checksum is 0."""
    remainder = 0
    for byte in page[:22] + bytes(4) + page[26:]:
        remainder ^= byte << 24
        for _ in range(8):
            remainder = (remainder << 1 ^ (0x04C11DB7 if remainder >> 31 else 0)) & 0xFFFFFFFF
    return remainder


# TOC bytes of RFC 6716, section 3.1, and the milliseconds they stand for: by hand from its table 2
PACKETS = [
    (b"\x00", 10), (b"\x08", 20), (b"\x10", 40), (b"\x58", 60),  # SILK
    (b"\x60", 10), (b"\x78", 20),  # hybrid
    (b"\x80", 2.5), (b"\x88", 5), (b"\x90", 10), (b"\xf8", 20),  # CELT
    (b"\xf9", 40), (b"\xfa", 40), (b"\xfb\x03", 60),  # two frames, two, and as many as the second byte says
]  # fmt: skip


@pytest.mark.parametrize(("toc", "milliseconds"), PACKETS)
def test_packets_in_ogg_pages(toc: bytes, milliseconds: float):
    sizes = [3, 254, 255, 256, 510, 1275, *[700] * 100]
    packets = [toc + bytes(size - len(toc)) for size in sizes]
    n_samples = round(sum(milliseconds * 16 for _ in sizes)) - 5
    boxed = struct.pack(">IIBB", n_samples * 2, 16000, 1, 2)
    ogg = to_ogg(boxed + b"".join(struct.pack(">H", len(packet)) + packet for packet in packets))
    found, positions, flags, at = [b""], [], [], 0
    while at < len(ogg):
        magic, version, flag, position, _, number, crc, n_segments = struct.unpack_from("<4sBBqIIIB", ogg, at)
        lacing = ogg[at + 27 : at + 27 + n_segments]
        page = ogg[at : at + 27 + n_segments + sum(lacing)]
        assert (magic, version, number, crc) == (b"OggS", 0, len(flags), ogg_crc(page))
        body = page[27 + n_segments :]
        for size in lacing:
            found[-1] += body[:size]
            body = body[size:]
            found += [b""] if size < 255 else []
        positions.append((len(found) - 3, position))
        flags.append(flag)
        at += len(page)
    assert found[2:] == [*packets, b""]
    assert flags == [2, *[0] * (len(flags) - 2), 4]
    assert all(position == done * milliseconds * 48 for done, position in positions[1:-1])
    assert positions[-1] == (len(packets), n_samples * 3)


def test_what_our_writers_wrote_taken_apart(tmp_path: Path):
    path = tmp_path / "a.sdb"
    with path.open("wb") as file, SdbWriter(file, "audio/wav", ["transcript", "speaker"]) as writer:
        writer.add(b"sound", {"transcript": "a cat", "speaker": "eva"})
        writer.add(b"noise", {"transcript": "grün"})
    speaker = {"content": "speaker", "mime-type": "text/plain"}
    entries = [box(b"sound", b"a cat", b"eva"), box(b"noise", "grün".encode(), b"")]
    assert path.read_bytes() == database(entries, [SPEECH, TRANSCRIPT, speaker])

    path = tmp_path / "a.tar"
    with path.open("wb") as file, ShardWriter(file) as writer:
        writer.add("one", ".wav", b"sound", "grün", {"speaker": "eva"})
        writer.add("two", ".flac", b"noise", None, {})
    with tarfile.open(path) as archive:
        found = {member.name: archive.extractfile(member).read() for member in archive}  # type: ignore[union-attr]
    assert json.loads(found.pop("one.json")) == {"transcript": "grün", "speaker": "eva"}
    assert found == {"one.wav": b"sound", "one.txt": "grün".encode(), "two.flac": b"noise"}


def test_a_recording_in_two_sets_is_found(tmp_path: Path):
    wav = encode(tone(440, 4000, 16000))
    (tmp_path / "a.wav").write_bytes(wav)
    (tmp_path / "a.csv").write_text("wav_filename,transcript\na.wav,a cat\n")
    (tmp_path / "b.sdb").write_bytes(database([box(encode(tone(300, 4000, 16000)), b"a cat"), box(wav, b"a cat")]))
    sets = {
        name: [Sample(row, np.zeros(0, np.int32), 20, 0.25) for row in read_set(tmp_path / name)]
        for name in ("a.csv", "b.sdb")
    }
    (leak,) = find_leaks(sets)
    assert f"{tmp_path}/a.csv:2 and {tmp_path}/b.sdb#1" in leak.describe()


def test_first_recordings_of_a_database():
    samples = [Sample(row, np.zeros(0, np.int32), 20, 0.1) for row in read_set(GOLDEN / "wav.sdb")]
    corpus = Corpus("wav.sdb", 16000, samples, [], None)  # type: ignore[arg-type]
    found = first_recordings([corpus], 2, 10, Path("none.wav"), FeatureSet("classic", 16000, 25, 20))
    assert list(found) == [f"{GOLDEN}/wav.sdb#0", f"{GOLDEN}/wav.sdb#1"]
    np.testing.assert_array_equal(found[f"{GOLDEN}/wav.sdb#1"], tone(660, 1501, 16000))


def test_noise_from_a_database():
    noise = NoiseSource(GOLDEN / "csv.tar")
    sound = noise.excerpt(1000, 16000, np.random.default_rng(0)) * 32768
    assert any(
        np.array_equal(sound, whole[start : start + 1000])
        for whole in (tone(440, 1000, 16000), tone(660, 1501, 16000))
        for start in range(len(whole) - 999)
    )
