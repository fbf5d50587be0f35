"""VCTK: the older release, and both microphones of the newer one."""

from __future__ import annotations

from pathlib import Path

from miniatures import audio, pack
from miniatures.vctk import miniature
from test_importers import read_left_out, read_rows, run

from util.unpacking import unpack


def test_imports_the_older_release(tmp_path: Path):
    files = {"VCTK-Corpus/COPYING": b"ODC-By\n"}
    for name in ("p225_001", "p245_001", "p226_001", "p226_002", "p315_001"):
        files[f"VCTK-Corpus/wav48/{name[:4]}/{name}.wav"] = audio(1, "WAV", 48000)
        if not name.startswith("p315"):
            files[f"VCTK-Corpus/txt/{name[:4]}/{name}.txt"] = b"Please call Stella.\n"
    (tmp_path / "VCTK-Corpus.zip").write_bytes(pack(files))
    done = run("vctk", tmp_path, "--release", "0.80")
    assert done.returncode == 0, done.stderr
    speakers = {
        split: {row.speaker for row in read_rows(tmp_path / f"vctk-{split}.csv")} for split in ("train", "test")
    }
    assert speakers == {"train": {"p226"}, "test": {"p225"}}
    ((kind, name),) = read_left_out(tmp_path)
    assert (kind, Path(name).name) == ("no transcript", "p315_001.wav")


def test_imports_both_microphones_of_an_unpacked_release(tmp_path: Path):
    (archive,) = miniature().archives.items()
    (tmp_path / archive[0]).write_bytes(archive[1])
    unpack(tmp_path / archive[0], tmp_path / "unpacked")
    done = run("vctk", tmp_path / "out", "--source", tmp_path / "unpacked", "--microphone", "mic1", "mic2")
    assert done.returncode == 0, done.stderr
    rows = [row for split in ("train", "dev", "test") for row in read_rows(tmp_path / "out" / f"vctk-{split}.csv")]
    assert sorted(row.speaker for row in rows) == [*["p225"] * 2, *["p245"] * 2, *["s5"] * 6]
    assert sorted(Path(name).name for _, name in read_left_out(tmp_path / "out")) == [
        "p315_001_mic1.flac", "p315_001_mic2.flac", "s5_003_mic1.flac", "s5_004_mic1.flac",
    ]  # fmt: skip


def test_a_text_that_is_not_utf8_costs_only_its_clip(tmp_path: Path):
    for name in ("p225_001", "p245_001", "p226_001", "p226_002"):
        for kind, ending, content in (("wav48", "wav", audio(1)), ("txt", "txt", b"Please call Stella.")):
            path = tmp_path / "source" / kind / name[:4] / f"{name}.{ending}"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
    (tmp_path / "source" / "txt" / "p226" / "p226_002.txt").write_bytes(b"\xe9t\xe9")
    done = run("vctk", tmp_path / "out", "--release", "0.80", "--source", tmp_path / "source")
    assert done.returncode == 0, done.stderr
    ((kind, name),) = read_left_out(tmp_path / "out")
    assert (kind, Path(name).name) == ("damaged transcript", "p226_002.wav")
