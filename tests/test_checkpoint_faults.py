"""What DeepSpeech.py says about checkpoints of another network, damaged ones, and places it cannot write to."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from conftest import Csvs, Program


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory, decoy: Path, csvs: Csvs) -> Path:
    """Train for two epochs of six steps; return the checkpoint directory."""
    folder = tmp_path_factory.mktemp("original")
    done = Program(folder, decoy)("--train_files", csvs.train, "--epochs=2", "--checkpoint_dir=run")
    assert done.returncode == 0, done.stderr
    return folder / "run"


@pytest.fixture
def run(original: Path, tmp_path: Path) -> Path:
    """Return a copy of the checkpoint directory, to be spoilt."""
    return Path(shutil.copytree(original, tmp_path / "run"))


def cut(path: Path, part: float = 0.5) -> None:
    path.write_bytes(path.read_bytes()[: int(part * path.stat().st_size)])


@pytest.mark.parametrize(
    ("flag", "words"),
    [
        ("--n_hidden=24", ["--n_hidden 16", "--n_hidden 24", "use the same --n_hidden"]),
        ("--nobidirectional", ["--bidirectional True", "--bidirectional False"]),
        ("--audio_sample_rate=8000", ["--audio_sample_rate 16000", "--audio_sample_rate 8000"]),
        ("--alphabet_config_path=letters.txt", ["--alphabet_config_path of 28 labels", "of 27 labels", "abc"]),
    ],
)
def test_a_checkpoint_of_another_network_is_refused(
    deepspeech: Program, csvs: Csvs, run: Path, tmp_path: Path, flag: str, words: list[str]
):
    (tmp_path / "letters.txt").write_text("\n".join(" abcdefghijklmnopqrstuvwxyz") + "\n")
    before = {path.name: path.read_bytes() for path in run.iterdir() if path.is_file()}
    done = deepspeech("--train_files", csvs.train, "--checkpoint_dir=run", "--epochs=3", flag)
    assert done.returncode == 1
    sentence = done.stderr.splitlines()[-1]
    assert sentence.startswith("Error: The network in run ")
    for word in [*words, "another --checkpoint_dir"]:
        assert word in sentence
    assert {path.name: path.read_bytes() for path in run.iterdir() if path.is_file()} == before, (
        "run.json still tells the truth"
    )


def test_a_checkpoint_without_its_description_is_compared_by_shape(deepspeech: Program, csvs: Csvs, run: Path):
    (run / "run.json").unlink()
    done = deepspeech("--test_files", csvs.test, "--checkpoint_dir=run", "--n_hidden=24")
    assert done.returncode == 1
    sentence = done.stderr.splitlines()[-1]
    for word in ("Error: ", "train-12", "[494, 16]", "[494, 24]", "flags it was trained with"):
        assert word in sentence


@pytest.mark.parametrize(("ending", "part"), [("index", 0.5), ("data-00000-of-00001", 0)])
def test_a_damaged_checkpoint_falls_back_to_the_one_before(
    deepspeech: Program, csvs: Csvs, run: Path, ending: str, part: float
):
    cut(run / f"train-12.{ending}", part)
    done = deepspeech("--train_files", csvs.train, "--checkpoint_dir=run", "--epochs=2")
    assert done.returncode == 0, done.stderr
    warnings = [line for line in done.stderr.splitlines() if line.startswith("Warning: ")]
    assert len(warnings) == 1
    assert "run/train-12 is damaged" in warnings[0]
    assert "the one before" in warnings[0]
    assert "Loaded run/train-6." in done.stderr
    assert "Training from epoch 2, batch 1 to the end of epoch 2" in done.stderr
    assert "Training is complete: 2 epochs, 12 steps" in done.stderr


def test_without_a_readable_checkpoint_there_is_one_sentence(deepspeech: Program, csvs: Csvs, run: Path):
    cut(run / "train-12.index")
    cut(run / "train-6.data-00000-of-00001")
    done = deepspeech("--train_files", csvs.train, "--checkpoint_dir=run", "--epochs=3")
    assert done.returncode == 1
    assert "Error: None of the 2 checkpoints in run can be read" in done.stderr.splitlines()[-1]
    assert "start afresh" in done.stderr.splitlines()[-1]


@pytest.mark.parametrize("content", ['{"network": {"n_hid', "[1, 2]"])
def test_a_broken_description_is_one_sentence(deepspeech: Program, csvs: Csvs, run: Path, content: str):
    (run / "run.json").write_text(content)
    done = deepspeech("--test_files", csvs.test, "--checkpoint_dir=run")
    assert done.returncode == 1
    sentence = done.stderr.splitlines()[-1]
    assert sentence.startswith("Error: run/run.json")
    assert "restore it" in sentence


def test_what_a_killed_process_left_half_written_is_no_obstacle(deepspeech: Program, csvs: Csvs, run: Path):
    (run / ".saving").mkdir()
    (run / ".saving" / "part.data-00000-of-00001").write_bytes(b"half")
    (run / ".saving" / "part.index.link").write_bytes(b"")
    (run / ".run.json.part").write_text("{")
    shutil.copy(run / "train-12.data-00000-of-00001", run / "train-18.data-00000-of-00001")  # its index would be last
    done = deepspeech("--train_files", csvs.train, "--checkpoint_dir=run", "--epochs=3")
    assert done.returncode == 0, done.stderr
    assert "Loaded run/train-12." in done.stderr
    assert "Training is complete: 3 epochs, 18 steps" in done.stderr
    assert not (run / ".saving").exists()
    assert json.loads((run / "run.json").read_text("utf-8"))["network"]["n_hidden"] == 16
    assert "Warning" not in done.stderr


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--test_files"], ["run holds no checkpoint (best or last)", "train first", "--checkpoint_dir"]),
        (["--load_train=last", "--train_files"], ["run holds no checkpoint (last)", "train first", "--checkpoint_dir"]),
    ],
    ids=["test", "last"],
)
def test_an_absent_checkpoint_is_one_sentence(deepspeech: Program, csvs: Csvs, flags: list[str], words: list[str]):
    done = deepspeech("--checkpoint_dir=run", *flags, csvs.train)
    assert done.returncode == 1
    for word in ["Error: ", *words]:
        assert word in done.stderr.splitlines()[-1]


@pytest.mark.parametrize(("place", "reason"), [("file", "File exists"), ("file/below", "Not a directory")])
def test_a_place_that_cannot_be_written_to_is_one_sentence(
    deepspeech: Program, csvs: Csvs, tmp_path: Path, place: str, reason: str
):
    (tmp_path / "file").write_text("not a directory")
    done = deepspeech("--train_files", csvs.train, "--checkpoint_dir", place, "--epochs=1")
    assert done.returncode == 1
    sentence = done.stderr.splitlines()[-1]
    assert sentence.startswith("Error: ")
    assert place in sentence
    assert reason in sentence
