"""evaluate.py and evaluate_tflite.py: the tests of a network and of an exported model."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from conftest import ROOT, SMALL, SPOKEN, STREAMING, Csvs, Program, Run, write_corpus

from util.text import read_alphabet


def test_evaluate_tests_and_does_nothing_else(run: Run, deepspeech: Program, csvs: Csvs, tmp_path: Path):
    train = f"--train_files={csvs.train}", "--checkpoint_dir=run"
    assert deepspeech(*train, "--epochs=1").returncode == 0
    before = {path: path.read_bytes() for path in (tmp_path / "run").glob("train-*")}
    wishes = *train, "--epochs=9", "--export_dir=model", f"--one_shot_infer={csvs.train.parent}/train0.wav", "--notest"
    exports = "--remove_export", "--export_zip", "--export_graph", "--export_savedmodel"
    done = run(
        "evaluate.py", *SMALL, *wishes, *exports, "--dry_run",
        f"--test_files={csvs.test},{csvs.dev}", "--test_output_file=out.json",
    )  # fmt: skip
    tests = [line.split(" - ")[0] for line in done.stdout.splitlines() if line.startswith("Test on")]
    assert tests == [f"Test on {csvs.test}", f"Test on {csvs.dev}"]
    references = [sample["src"] for sample in json.loads((tmp_path / "out.json").read_text())]
    assert sorted(references) == ["a bat", "a cab", "cad act", "tab"]
    assert {path: path.read_bytes() for path in (tmp_path / "run").glob("train-*")} == before
    assert not (tmp_path / "model").exists()


def test_evaluate_needs_something_to_test_on(run: Run):
    assert "give --test_files" in run("evaluate.py", "--checkpoint_dir=run", status=2).stderr
    assert "--checkpoint_dir" in run("evaluate.py", "--test_files=t.csv", "--train_files=t.csv", status=2).stderr
    assert "'test_filez'" in run("evaluate.py", "--test_files=t.csv", "--test_filez=t.csv", status=2).stderr


@pytest.fixture
def known(tmp_path: Path) -> Path:
    """A CSV of what the model knows by heart, where the last of eight words is written otherwise."""
    path = write_corpus(tmp_path, "known", SPOKEN)
    lines = path.read_text().splitlines()
    path.write_text("\n".join(["speaker," + lines[0], *(f"x,{line}" for line in lines[1:])]).replace("a tab", "a tag"))
    return path


def test_an_exported_model_is_compared_with_the_transcripts(run: Run, model: Path, known: Path, tmp_path: Path):
    outputs = "--dump=said", "--test_output_file=out.json"
    done = run("evaluate_tflite.py", "--model", model, "--csv", known.name, "--proc=2", *outputs)
    # of 3 + 2 + 3 words and 9 + 5 + 9 characters one is wrong
    assert done.stdout.splitlines()[0] == f"Test on known.csv - WER: {1 / 8:.6f}, CER: {1 / 23:.6f}"
    assert "loss" not in done.stdout
    assert (tmp_path / "said.txt").read_text().splitlines() == ["a bad cab", "a cat", "add a tag"]
    assert (tmp_path / "said.out").read_text().splitlines() == list(SPOKEN)
    samples = json.loads((tmp_path / "out.json").read_text())
    assert [(sample["word_distance"], sample["loss"]) for sample in samples] == [(0, None), (0, None), (1, None)]


def test_the_scorer_reaches_the_search(run: Run, model: Path, known: Path, make_scorer, tmp_path: Path):
    """Its dictionary has no `tab`, so that nothing but other words can be written."""
    vocabulary = "a bad cab cat add tag"
    scorer = make_scorer(vocabulary, read_alphabet(ROOT / "data" / "alphabet.txt"))
    run("evaluate_tflite.py", "--model", model, "--csv", known, "--scorer", scorer, "--dump=said")
    assert set((tmp_path / "said.out").read_text().split()) <= set(vocabulary.split())


def test_what_cannot_be_read_is_told_and_left_out(run: Run, model: Path, known: Path):
    known.write_text(known.read_text().replace("known1.wav", "gone.wav"))
    done = run("evaluate_tflite.py", "--model", model, "--csv", known, status=1)
    assert f"WER: {1 / 6:.6f}" in done.stdout
    (line,) = (line for line in done.stderr.splitlines() if "Error" in line)
    assert f"{known}:3: cannot read" in line
    assert "gone.wav" in line


@pytest.mark.parametrize(
    ("arguments", "status", "told"),
    [
        (["--csv=known.csv", "--model=known.csv"], 1, "known.csv"),
        (["--csv=gone.csv", "--model=MODEL"], 1, "cannot read gone.csv"),
        (["--csv=empty.csv", "--model=MODEL"], 1, "empty.csv has no rows"),
        (["--csv=lost.csv", "--model=MODEL"], 1, "no recording of lost.csv can be read"),
        (["--csv=known.csv", "--model=MODEL", "--proc=0"], 2, "0 is not above 0"),
        (["--csv=known.csv", "--model=MODEL", "--scorer=gone.scorer"], 1, "EnableExternalScorer failed"),
        (["--csv=known.csv", "--model=MODEL", "--lm_beta=1"], 2, "give --scorer"),
        (["--csv=known.csv", "--model=MODEL", "--dump=gone/x"], 1, "gone/x.txt"),
    ],
)
def test_mistakes_are_one_sentence_and_a_status(run, model, known, tmp_path, arguments, status, told):
    header = known.read_text().splitlines()[0]
    (tmp_path / "empty.csv").write_text(f"{header}\n")
    (tmp_path / "lost.csv").write_text(f"{header}\nx,lost.wav,1,a\n")
    done = run("evaluate_tflite.py", *(text.replace("MODEL", str(model)) for text in arguments), status=status)
    assert told in done.stderr.splitlines()[-1]


def test_a_checkpoint_is_transcribed_with(run: Run, model: Path, known: Path, tmp_path: Path):
    """As with 0.9.3: geometry by flags, .tlog with milliseconds."""
    flags = "--checkpoint_dir", model.parent.parent / "run", STREAMING, "--n_hidden=48"
    run("transcribe.py", *flags, "--src=known0.wav", "--vad_aggressiveness=0")
    log = json.loads((tmp_path / "known0.tlog").read_text())
    assert " ".join(part["transcript"] for part in log) == "a bad cab"
    assert all(0 <= part["start"] < part["end"] <= 9 * 80 for part in log)  # ms
    done = run("transcribe.py", *flags, "--n_hidden=47", "--src=known0.wav", "--force", status=1)
    assert "--n_hidden 48" in done.stderr
    assert json.loads((tmp_path / "known0.tlog").read_text()) == log
