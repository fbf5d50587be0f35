"""The small tools: stats.py, compare_samples.py, check_characters.py, and those that look into graphs."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
from conftest import ROOT, Run

from util.errors import DataError
from util.graph_file import load_graph, memory_mapped
from util.text import read_alphabet


@pytest.fixture
def run(run: Run) -> Run:
    def run_tool(name: str, *arguments: object, status: int = 0) -> subprocess.CompletedProcess[str]:
        done = run(name, *arguments, status=status)
        assert status != 1 or done.stderr.count("\n") == 1, "one sentence"
        return done

    return run_tool


def write_csv(path: Path, *rows: str) -> None:
    path.write_text("\n".join(["wav_filename,wav_filesize,transcript", *rows]) + "\n", encoding="utf-8")


# --------------------------------------------------------------------------------------------- stats.py


def test_stats_of_recordings(run: Run, tmp_path: Path):
    for name, seconds, rate in (("a.wav", 1, 16000), ("b.flac", 2, 8000), ("c.wav", 6, 44100)):
        soundfile.write(tmp_path / name, np.zeros((seconds * rate, 2)), rate)
    write_csv(tmp_path / "1.csv", "a.wav,100,x", "b.flac,20,y")
    write_csv(tmp_path / "2.csv", "c.wav,3,z")
    done = run("stats.py", "-csv", "1.csv,2.csv")
    assert done.stdout.splitlines() == [
        "Total bytes: 123",
        "Total files: 3",
        "Total time: 0:00:09",
        "Shortest: 1.00 s, median: 2.00 s, mean: 3.00 s, longest: 6.00 s",
    ]
    assert "Warning" not in done.stderr


@pytest.mark.parametrize(
    ("flags", "time"), [([], "1:00:00"), (["--sample-rate", "8000"], "2:00:00"), (["--channels=2"], "0:30:00"),
                        (["--bits-per-sample=8"], "2:00:00"),
                        (["--sample-rate=1", "--bits-per-sample=4"], "64000:00:00")],
)  # fmt: skip
def test_stats_of_recordings_that_are_elsewhere(run: Run, tmp_path: Path, flags: list[str], time: str):
    write_csv(tmp_path / "1.csv", *[f"{name}.wav,{44 + 30 * 60 * 16000 * 2},x" for name in "ab"])
    done = run("stats.py", "--csv-files=1.csv", *flags)
    assert done.stdout.splitlines()[2] == f"Total time: {time}"
    (warning,) = (line for line in done.stderr.splitlines() if "Warning" in line)
    assert "2 of 2" in warning
    assert "a.wav" in warning


def test_stats_of_nothing(run: Run, tmp_path: Path):
    write_csv(tmp_path / "1.csv")
    assert run("stats.py", "-csv=1.csv").stdout.splitlines()[1:] == ["Total files: 0", "Total time: 0:00:00"]
    assert "cannot read gone.csv" in run("stats.py", "-csv", "1.csv,gone.csv", status=1).stderr
    assert "--csv-files" in run("stats.py", status=2).stderr
    assert "--sample-rate is 0" in run("stats.py", "-csv=1.csv", "--sample-rate=0", status=2).stderr


@pytest.mark.parametrize("buffered", ["", "1"])
def test_who_reads_the_output_may_stop(tmp_path: Path, buffered: str):
    write_csv(tmp_path / "1.csv")
    ours, theirs = os.pipe()
    os.close(ours)
    with os.fdopen(theirs, "wb") as pipe:
        done = subprocess.run(
            [sys.executable, ROOT / "stats.py", "-csv", tmp_path / "1.csv"],
            stdout=pipe, stderr=subprocess.PIPE, text=True, check=False,
            env=os.environ | {"PYTHONUNBUFFERED": buffered},
        )  # fmt: skip
    assert (done.returncode, done.stderr) == (1, "")


# -------------------------------------------------------------------------------------- compare_samples.py


@pytest.fixture
def sine(tmp_path: Path) -> None:
    """Write silence, a sine of 1000 Hz at half of full scale, and what differs from it by form."""
    wave = np.rint(16384 * np.sin(2 * np.pi * 1000 * np.arange(16000) / 16000)).astype(np.int16)
    for name, samples, rate in (
        ("sine.wav", wave, 16000), ("sine.flac", wave, 16000), ("none.wav", 0 * wave, 16000),
        ("short.wav", wave[1:], 16000), ("slow.wav", wave, 8000), ("two.wav", np.stack([wave, wave], 1), 16000),
    ):  # fmt: skip
        soundfile.write(tmp_path / name, samples, rate)


def test_the_difference_is_a_level(run: Run, sine):
    """A sine of full scale has 0 dB, so one of half of it 20 log10(1/2) = -6.02."""
    assert "by -6.02 dB (-60 dB" in run("bin/compare_samples.py", "sine.wav", "none.wav", status=1).stderr
    assert "by -6.02 dB (-6 dB" in run("bin/compare_samples.py", "sine.wav", "none.wav", "--threshold=-6").stderr
    assert "by -6.02" in run("bin/compare_samples.py", "none.wav", "sine.wav", "--threshold=-6.1", status=1).stderr
    assert "not at all" in run("bin/compare_samples.py", "sine.wav", "sine.flac").stderr


def test_differences_can_be_wanted(run: Run, sine):
    assert "by -6.02 dB" in run("bin/compare_samples.py", "sine.wav", "none.wav", "--if-differ").stderr
    assert "not at all" in run("bin/compare_samples.py", "sine.wav", "sine.wav", "--if-differ", status=1).stderr
    assert run("bin/compare_samples.py", "sine.wav", "none.wav", "--if-differ", "--no-success-output").stderr == ""
    assert run("bin/compare_samples.py", "sine.wav", "sine.wav", "--no-success-output").stderr == ""


@pytest.mark.parametrize(
    ("other", "words"),
    [("short.wav", ["16000 samples", "15999"]), ("slow.wav", ["16000 Hz", "8000 Hz"]), ("two.wav", ["2 channels"]),
     ("gone.wav", ["cannot read gone.wav"])],
)  # fmt: skip
@pytest.mark.parametrize("flags", [[], ["--if-differ"]])
def test_what_cannot_be_compared(run: Run, sine, other: str, words: list[str], flags: list[str]):
    done = run("bin/compare_samples.py", "sine.wav", other, *flags, status=1)
    for word in words:
        assert word in done.stderr


# ------------------------------------------------------------------------------------- check_characters.py


def test_characters_make_an_alphabet(run: Run, tmp_path: Path):
    write_csv(tmp_path / "1.csv", "a.wav,1,b #a", "b.wav,1,ü")
    write_csv(tmp_path / "2.csv", "a.wav,1,ba")
    done = run("bin/check_characters.py", "-csv", "1.csv,2.csv", "-alpha")
    assert done.stdout == " \n\\#\na\nb\nü\n"
    (tmp_path / "alphabet.txt").write_text(done.stdout)
    assert read_alphabet(tmp_path / "alphabet.txt").labels == (" ", "#", "a", "b", "ü")
    lines = run("bin/check_characters.py", "--csv-files=1.csv,2.csv").stdout.splitlines()
    assert [line.split()[0] for line in lines] == ["1", "1", "2", "2", "1"]
    assert "U+00FC LATIN SMALL LETTER U WITH DIAERESIS" in lines[-1]


def test_variants_of_characters_are_refused_unless_wanted(run: Run, tmp_path: Path):
    write_csv(tmp_path / "1.csv", "a.wav,1,fine", "b.wav,1,\ufb01ne")
    sentence = run("bin/check_characters.py", "-csv=1.csv", status=1).stderr
    for word in ("1.csv:3", "U+FB01 LATIN SMALL LIGATURE FI", "'fi'", "-unicode"):
        assert word in sentence
    assert run("bin/check_characters.py", "-csv=1.csv", "-unicode", "-alpha").stdout == "e\nf\ni\nn\n\ufb01\n"


def test_composed_and_decomposed_characters_are_one(run: Run, tmp_path: Path):
    write_csv(tmp_path / "1.csv", "a.wav,1,\u00fc", "b.wav,1,u\u0308")
    assert run("bin/check_characters.py", "-csv=1.csv", "-alpha").stdout == "\u00fc\n"


# ----------------------------------------------------------------------------------------------- graphs


@pytest.fixture(scope="module")
def graphs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a graph of TensorFlow's own making, a small one, and the same memory-mapped."""
    import tensorflow as tf  # noqa: PLC0415

    folder = tmp_path_factory.mktemp("graphs")
    with tf.Graph().as_default() as graph:
        x = tf.compat.v1.placeholder(tf.float32, [1, 100], "x")
        tf.nn.relu(tf.raw_ops.MatMul(a=x, b=tf.constant(np.ones([100, 100], np.float32))), "y")
    definition = graph.as_graph_def()
    (folder / "small.pb").write_bytes(definition.SerializeToString())
    (folder / "small.pbmm").write_bytes(memory_mapped(definition))
    return folder


@pytest.mark.parametrize("name", ["small.pb", "small.pbmm"])
def test_operations_of_a_graph(run: Run, graphs: Path, name: str):
    done = run("bin/ops_in_graph.py", graphs / name)
    assert done.stdout.split() == ["Const", "MatMul", "Placeholder", "Relu"]


@pytest.mark.parametrize("name", ["small.pb", "small.pbmm"])
def test_a_graph_becomes_text_that_tensorflow_reads(run: Run, graphs: Path, name: str):
    import tensorflow as tf  # noqa: PLC0415
    from google.protobuf import text_format  # noqa: PLC0415

    run("bin/graphdef_binary_to_text.py", graphs / name)
    found = text_format.Parse((graphs / f"{name}txt").read_text(), tf.compat.v1.GraphDef())
    assert {node.name: node.op for node in found.node}.items() >= {"x": "Placeholder", "y": "Relu"}.items()


@pytest.mark.parametrize("content", [b"<html>moved</html>", b"", bytes(64), b"12345678901234567890"])
def test_what_is_no_graph(tmp_path: Path, content: bytes):
    (tmp_path / "a.pb").write_bytes(content)
    with pytest.raises(DataError, match=r"a\.pb holds no TensorFlow graph"):
        load_graph(tmp_path / "a.pb")


@pytest.mark.parametrize("program", ["bin/ops_in_graph.py", "bin/graphdef_binary_to_text.py"])
def test_a_graph_that_is_not_there(run: Run, tmp_path: Path, program: str):
    assert "cannot read gone.pb" in run(program, "gone.pb", status=1).stderr
    assert not list(tmp_path.glob("*txt"))
