"""bin/import_ldc93s1.py as a user runs it."""

from __future__ import annotations

import fcntl
import math
import os
import struct
import subprocess
import sys
import wave
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
NOBODY_LISTENS = "http://127.0.0.1:9"
SENTENCE = "she had your dark suit in greasy wash water all year"
CSV = "wav_filename,wav_filesize,transcript\n{},{},{}\n"


def run(*args: object) -> subprocess.CompletedProcess[str]:
    """Run the importer where no address outside this machine can be reached."""
    return subprocess.run(
        [sys.executable, ROOT / "bin" / "import_ldc93s1.py", *map(str, args)],
        env={**os.environ, "https_proxy": NOBODY_LISTENS, "no_proxy": "127.0.0.1"},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture
def folder(tmp_path):
    """A folder with a hum of half a second that has the transcript of LDC93S1."""
    folder = tmp_path / "downloaded"
    folder.mkdir()
    samples = [int(9000 * math.sin(i / 20)) for i in range(8000)]
    with wave.open(str(folder / "LDC93S1.wav"), "wb") as recording:
        recording.setparams((1, 2, 16000, 0, "NONE", ""))
        recording.writeframes(struct.pack("<8000h", *samples))
    (folder / "LDC93S1.txt").write_text("0 46797 She had your dark suit in greasy wash water all year.\n")
    return folder


@pytest.fixture
def served(web, folder):
    for path in folder.iterdir():
        web.files[path.name] = path.read_bytes()
    return web


def assert_imported(target: Path, folder: Path) -> None:
    assert (target / "ldc93s1.csv").read_text() == CSV.format("LDC93S1.wav", 16044, SENTENCE)
    assert (target / "LDC93S1.wav").read_bytes() == (folder / "LDC93S1.wav").read_bytes()
    assert sorted(p.name for p in target.iterdir()) == ["LDC93S1.txt", "LDC93S1.wav", "ldc93s1.csv"]


def test_several_at_once_import_once(folder, tmp_path):
    target = tmp_path / "ldc93s1"
    target.mkdir()
    busy = os.open(target, os.O_RDONLY)
    fcntl.flock(busy, fcntl.LOCK_EX)
    command = [sys.executable, ROOT / "bin" / "import_ldc93s1.py", target, "--source", folder]
    started = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(3)]
    with pytest.raises(subprocess.TimeoutExpired):
        started[0].wait(2)
    os.close(busy)
    said = sorted(process.communicate(timeout=60)[0] for process in started)
    assert [process.returncode for process in started] == [0, 0, 0]
    table = target / "ldc93s1.csv"
    assert said == [f"{table} is there already.\n"] * 2 + [f"{table} lists LDC93S1.wav: {SENTENCE}\n"]
    assert_imported(target, folder)


def test_fresh_then_repeated(served, folder, tmp_path):
    target = tmp_path / "new" / "ldc93s1"
    done = run(target, "--source", served.url)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == f"{target}/ldc93s1.csv lists LDC93S1.wav: {SENTENCE}\n"
    assert_imported(target, folder)

    stamps = {p: p.stat().st_mtime_ns for p in target.iterdir()}
    done = run(target, "--source", served.url)
    assert (done.returncode, done.stdout) == (0, f"{target}/ldc93s1.csv is there already.\n")
    assert {p: p.stat().st_mtime_ns for p in target.iterdir()} == stamps
    assert served.asked == {"LDC93S1.wav": [None], "LDC93S1.txt": [None]}


def test_connection_cut_in_the_middle(served, folder, tmp_path):
    served.cuts["LDC93S1.wav"] = [4000]
    assert run(tmp_path / "t", "--source", f"{served.url}/").returncode == 0
    assert_imported(tmp_path / "t", folder)
    assert served.asked["LDC93S1.wav"] == [None, "bytes=4000-"]


@pytest.mark.parametrize("half", ["LDC93S1.wav", "ldc93s1.csv", "LDC93S1.wav.part"])
def test_half_written_files_are_redone(served, folder, tmp_path, half):
    target = tmp_path / "t"
    run(target, "--source", served.url)
    whole = (target / "LDC93S1.wav").read_bytes()
    (target / half).write_bytes((whole if "wav" in half else b"wav_filename,wav_")[:5000])
    if half.endswith(".part"):
        (target / "LDC93S1.wav").unlink()
    assert run(target, "--source", served.url).returncode == 0
    assert_imported(target, folder)


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        ("LDC93S1.wav", b"<html>Please log in</html>", "is no WAV file of PCM samples"),
        ("LDC93S1.wav", b"", "is no WAV file of PCM samples"),
        ("LDC93S1.wav", None, "HTTP Error 404: Not Found"),
        ("LDC93S1.txt", None, "HTTP Error 404: Not Found"),
        ("LDC93S1.txt", b"She had your dark suit.", "found 'She had your dark suit.'"),
        ("LDC93S1.txt", b"0 46797\n", "found '0 46797'"),
        ("LDC93S1.txt", b"<html>\n0 46797 She had", r"found '<html>\n0 46797 She had'"),
    ],
)
def test_what_a_given_source_must_hold(served, tmp_path, name, content, sentence):
    if content is None:
        del served.files[name]
    else:
        served.files[name] = content
    done = run(tmp_path / "t", "--source", served.url)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.count("\n") == 1
    assert done.stderr.startswith(f"Error: cannot get {name} ({served.url}/{name}: ")
    assert sentence in done.stderr
    assert not (tmp_path / "t" / name).exists()
    assert not (tmp_path / "t" / "ldc93s1.csv").exists()


def test_truncated_recording(folder, tmp_path):
    recording = folder / "LDC93S1.wav"
    recording.write_bytes(recording.read_bytes()[:9000])
    done = run(tmp_path / "t", "--source", folder)
    assert done.returncode == 1
    assert "is a WAV file with samples missing" in done.stderr


def test_unreachable_ldc_gives_the_bundled_recording(tmp_path):
    target = tmp_path / "t"
    done = run(target)
    assert (done.returncode, done.stderr) == (0, "")
    said, listed = done.stdout.splitlines()
    assert said == (
        "LDC93S1 cannot be had from the LDC, data/smoke_test takes its place: cannot get "
        "LDC93S1.wav (https://catalog.ldc.upenn.edu/desc/addenda/LDC93S1.wav: Connection refused)."
    )
    bundled = ROOT / "data" / "smoke_test" / "she_had_your_dark_suit.wav"
    size = bundled.stat().st_size
    assert listed.endswith(f"lists {bundled.name}: {SENTENCE}")
    assert (target / "ldc93s1.csv").read_text() == CSV.format(bundled.name, size, SENTENCE)
    assert (target / bundled.name).read_bytes() == bundled.read_bytes()
    assert run(target).stdout == f"{target}/ldc93s1.csv is there already.\n"


def test_a_source_given_later_replaces_the_bundled_recording(folder, tmp_path):
    run(tmp_path / "t")
    assert run(tmp_path / "t", "--source", folder).returncode == 0
    line = (tmp_path / "t" / "ldc93s1.csv").read_text().splitlines()[1]
    assert line == f"LDC93S1.wav,16044,{SENTENCE}"


def test_already_downloaded_folder_or_file(folder, tmp_path):
    assert run(tmp_path / "a", "--source", folder).returncode == 0
    assert_imported(tmp_path / "a", folder)
    assert run(tmp_path / "b", "--source", folder / "LDC93S1.wav").returncode == 0
    assert_imported(tmp_path / "b", folder)
    assert run(folder, "--source", folder).returncode == 0
    assert_imported(folder, folder)


def test_a_file_name_with_a_blank(folder, tmp_path):
    for suffix in (".wav", ".txt"):
        (folder / f"LDC93S1{suffix}").rename(folder / f"my copy{suffix}")
    assert run(tmp_path / "t", "--source", folder / "my copy.wav").returncode == 0
    table = (tmp_path / "t" / "ldc93s1.csv").read_text()
    assert table == CSV.format("my copy.wav", 16044, SENTENCE)


def test_usage_errors(tmp_path):
    done = run(tmp_path / "t", "--source", tmp_path / "missing")
    assert done.returncode == 2
    assert done.stderr == (
        f"Error: --source {tmp_path}/missing: there is no file {tmp_path}/missing; "
        "give a web address, a folder with LDC93S1.wav and LDC93S1.txt, or a WAV file with its "
        ".txt beside it\n"
    )
    assert run().returncode == 2


def test_a_target_that_is_a_file(folder, tmp_path):
    (tmp_path / "t").write_text("")
    done = run(tmp_path / "t", "--source", folder)
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert f"{tmp_path}/t" in done.stderr


def test_the_bundled_recording_is_what_its_readme_says():
    with wave.open(str(ROOT / "data" / "smoke_test" / "she_had_your_dark_suit.wav")) as recording:
        assert recording.getparams()[:4] == (1, 2, 16000, 49109)
