"""The corpora that the LDC sells, where somebody has unpacked them already."""

from __future__ import annotations

import hashlib
import importlib
import io
import tarfile
from pathlib import Path

import numpy as np
import pytest
import soundfile
from miniatures import audio
from test_importers import assert_same, column, read_rows, run

FOLDERS = [  # a corpus, and for each of its archives the folder that it is unpacked into
    ("timit", [""]),
    ("timit", ["TIMIT-LDC93S1"]),
    ("fisher", ["LDC2004S13", "LDC2004T19", "LDC2005S13", "LDC2005T19"]),
    ("swb", ["", ""]),
    ("swb", ["swb1_LDC97S62", ""]),
]


def unpack(archive: bytes, folder: Path) -> None:
    with tarfile.open(fileobj=io.BytesIO(archive)) as opened:
        opened.extraction_filter = getattr(tarfile, "data_filter", None)  # Python 3.11.4 and newer ask for one
        opened.extractall(folder)


@pytest.mark.parametrize(("name", "folders"), FOLDERS)
def test_unpacked_folders_do(name: str, folders: list[str], tmp_path: Path) -> None:
    small = importlib.import_module(f"miniatures.{name}").miniature()
    packed = [content for archive, content in small.archives.items() if archive.endswith("gz")]
    for content, folder in zip(packed, folders, strict=True):
        unpack(content, tmp_path / "source" / folder)
    for table in small.archives.keys() & {"conv_tab.csv"}:
        content = small.archives[table]
        (tmp_path / "source" / table).write_bytes(content)
        (tmp_path / "source" / "SHA256SUMS").write_text(f"{hashlib.sha256(content).hexdigest()}  {table}\n")
    done = run(name, tmp_path / "corpus", "--source", tmp_path / "source")
    assert done.returncode == 0, done.stderr
    for table, rows in small.tables.items():
        paths = [tmp_path / "corpus" / path for path in column(tmp_path / "corpus" / table, "wav_filename")]
        assert all(path.is_relative_to(tmp_path / "corpus") for path in paths)
        assert_same(read_rows(tmp_path / "corpus" / table), rows, done.stderr)


@pytest.mark.parametrize("name", ["timit", "fisher", "swb"])
def test_says_where_to_get_what_is_not_free(name: str, tmp_path: Path) -> None:
    done = run(name, tmp_path / "corpus")
    assert done.returncode == 1
    (line,) = [line for line in done.stderr.splitlines() if line.startswith("Error: ")]
    assert f" in {tmp_path}/corpus, nor its folder. " in line and "https://catalog.ldc.upenn.edu" in line


def test_one_part_of_fisher_whose_recording_must_be_converted_first(tmp_path: Path) -> None:
    for folder in ("LDC2005S13/audio/058", "LDC2005T19/data/trans/058"):
        (tmp_path / folder).mkdir(parents=True)
    plain, shortened = b"sample_coding -s4 ulaw", b"sample_coding -s26 ulaw,embedded-shorten-v2.00"
    sphere = audio(4, "NIST", 8000, 2, "ULAW").replace(plain, shortened)
    (tmp_path / "LDC2005S13/audio/058/fe_03_05851.sph").write_bytes(sphere)
    transcript = "0.50 1.50 A: one\n1.50 2.50 B: two\n2.50 3.50 A: three\n"
    (tmp_path / "LDC2005T19/data/trans/058/fe_03_05851.txt").write_text(transcript)
    done = run("fisher", tmp_path, "--parts", "2")
    assert done.returncode == 1
    assert "is SPHERE compressed by shorten, expected WAV" in done.stderr and "(sph2pipe -f wav)" in done.stderr

    (tmp_path / "LDC2005S13/audio/058/fe_03_05851.wav").write_bytes(audio(4, "WAV", 8000, 2))
    done = run("fisher", tmp_path, "--parts", "2")
    clips = sorted((tmp_path / "clips").rglob("*.wav"))
    assert [path.name.removeprefix("fe_03_05851-") for path in clips] == [
        "ch0-0000050-0000150.wav",
        "ch0-0000250-0000350.wav",
        "ch1-0000150-0000250.wav",
    ], done.stderr
    assert [pitch(path) for path in clips] == pytest.approx([220, 220, 330], abs=2)


def pitch(path: Path) -> float:
    """Return the frequency of a hum in Hz."""
    samples, rate = soundfile.read(path)
    return int(np.count_nonzero(np.diff(np.signbit(samples)))) / 2 / (len(samples) / rate)
