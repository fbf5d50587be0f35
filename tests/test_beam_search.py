"""The test phase with beam search, and the tuning of a scorer: DeepSpeech.py and bin/lm_optimizer.py as programs."""

from __future__ import annotations

import itertools
import json
import math
import re
import signal
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import ROOT, Program, write_corpus
from numpy.typing import NDArray

from util.corpus import Utterance
from util.decoding import BeamDecoder, BeamSettings, pad, read_probabilities, write_probabilities
from util.metrics import score, word_error_rate
from util.text import read_alphabet

TEXTS = ["a bad cab", "a cat", "add a tab"]
ENGLISH = read_alphabet(ROOT / "data" / "alphabet.txt")


@pytest.fixture(scope="module")
def learnt(native, tmp_path_factory: pytest.TempPathFactory, decoy: Path) -> Path:
    """Learn three sentences by heart; return the folder with run/ and test.csv."""
    folder = tmp_path_factory.mktemp("learnt")
    path = write_corpus(folder, "test", TEXTS)
    header, *rows = path.read_text().splitlines()
    (folder / "train.csv").write_text("\n".join([header, *rows * 40]) + "\n")
    learn = "--n_hidden=48", "--epochs=8", "--learning_rate=0.003", "--lr_schedule=cosine", "--dropout_rate=0"
    done = Program(folder, decoy)(*learn, "--train_files=train.csv", "--checkpoint_dir=run")
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture
def tester(learnt: Path, deepspeech: Program):
    """Test the network that has learnt its sentences, with further flags."""

    def run(*flags: object, program: Program = deepspeech) -> subprocess.CompletedProcess[str]:
        network = "--n_hidden=48", "--checkpoint_dir", learnt / "run"
        return program(*network, "--test_files", learnt / "test.csv", *flags)

    return run


def read_json(path: Path) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(path.read_text("utf-8"))
    return found


def test_a_scorer_decides_what_is_written(tester, learnt: Path, make_scorer, tmp_path: Path):
    """The network says "a bad cab"; the scorer knows other words."""
    vocabulary = "a bat cat tab"
    scorer = "--scorer", make_scorer(vocabulary, ENGLISH)
    done = tester(*scorer, "--test_output_file=out.json", "--lm_beta=0.5", "--one_shot_infer", learnt / "test0.wav")
    assert done.returncode == 0, done.stderr
    assert re.search(
        r"The test decodes with beam search, width 1024, .*my\.scorer, alpha [\d.]+, beta 0\.5\.", done.stderr
    )
    found = [sample["res"] for sample in read_json(tmp_path / "out.json")]
    assert found[1] == "a cat"
    assert set(" ".join(found).split()) <= set(vocabulary.split())
    assert "  Greedily - WER: 0.000000, CER: 0.000000" in done.stdout.splitlines()
    assert done.stdout.splitlines()[-1] == found[0] != TEXTS[0]
    allowed = tester(*scorer, "--oov_penalty=0", "--lm_alpha=0", "--lm_beta=0", "--test_output_file=out.json")
    assert allowed.returncode == 0, allowed.stderr
    assert [sample["res"] for sample in read_json(tmp_path / "out.json")] == TEXTS


def test_without_a_scorer_any_letters_make_words(tester, tmp_path: Path):
    done = tester("--test_batch_size=2", "--test_output_file=out.json")
    assert done.returncode == 0, done.stderr
    assert "The test decodes with beam search, width 1024, no scorer." in done.stderr
    assert "WER: 0.000000, CER: 0.000000" in done.stdout
    assert "Greedily" not in done.stdout, "the same tells nothing"
    assert [sample["res"] for sample in read_json(tmp_path / "out.json")] == TEXTS


def test_hot_words_change_what_is_written(tester, tmp_path: Path):
    assert tester("--hot_words=a cart:60", "--test_output_file=out.json").returncode == 0
    assert read_json(tmp_path / "out.json")[1]["res"] != "a cat"


def test_without_the_decoder_the_test_is_greedy(tester, deepspeech: Program, tmp_path: Path, learnt: Path):
    """With PYTHONPATH set to hide it; TensorFlow is not hidden."""
    (tmp_path / "hidden").mkdir()
    (tmp_path / "hidden" / "ds_ctcdecoder.py").write_text("raise ModuleNotFoundError\n")
    network = "--n_hidden=48", "--checkpoint_dir", learnt / "run", "--test_files", learnt / "test.csv"
    program = replace(deepspeech, decoy=tmp_path / "hidden")
    done = program(*network, "--one_shot_infer", learnt / "test0.wav", tensorflow=False)
    assert done.returncode == 0
    assert sum("greedily" in line for line in done.stderr.splitlines()) == 1
    assert "WER: 0.000000" in done.stdout
    assert done.stdout.splitlines()[-1] == TEXTS[0]


def test_the_output_of_the_network_is_kept(tester, learnt: Path, tmp_path: Path):
    done = tester("--probabilities_file=out.npz", "--test_batch_size=2")
    assert done.returncode == 0, done.stderr
    output = read_probabilities(tmp_path / "out.npz")
    assert output.transcripts == TEXTS
    assert output.wav_filenames == [str(learnt / f"test{number}.wav") for number in range(3)]
    assert output.alphabet == ENGLISH
    assert output.flags["n_hidden"] == 48
    for text, rows in zip(TEXTS, output.probabilities, strict=True):
        frames = math.ceil((1 + math.ceil((80 * len(text) - 25) / 10)) / 2)  # every second window of 25 ms, 10 ms apart
        assert rows.shape == (frames, len(ENGLISH) + 1)
        np.testing.assert_allclose(rows.sum(1), 1, atol=1e-5)
        best = [label for label, _ in itertools.groupby(rows.argmax(1)) if label != ENGLISH.blank]
        assert ENGLISH.decode(best) == text


# --------------------------------------------------------------------------------------- lm_optimizer


def optimize(*flags: object, folder: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(ROOT / "bin" / "lm_optimizer.py"), *map(str, flags)]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=120, check=False)
    assert "Traceback" not in done.stderr, done.stderr
    return done


def mumble(text: str, seed: int) -> NDArray[np.float32]:
    """Return probabilities in which every second letter is less likely than a random one."""
    random = np.random.default_rng(seed)
    n = len(ENGLISH) + 1
    path = [label for ch in ENGLISH.encode(text) for label in (ch, ENGLISH.blank)]
    rows = np.full([len(path), n], 0.02 / (n - 2), np.float32)
    for row, label in zip(rows, path, strict=True):
        row[label] = 0.98
        if label != ENGLISH.blank and random.random() < 0.5:
            row[label], row[random.integers(1, n - 1)] = 0.1, 0.8
    return (rows / rows.sum(1, keepdims=True)).astype(np.float32)


@pytest.fixture(scope="module")
def mumbled(native, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a file of probabilities that a language model can mend."""
    texts = ["a bad cab", "the cat sat", "a hat and a cat", "the tab", "bad hats", "a cat had a tab"] * 3
    path = tmp_path_factory.mktemp("mumbled") / "out.npz"
    outputs = [
        (Utterance(f"{line}.wav", f"{line}.wav", 1, text, source="dev.csv", line=line), mumble(text, line))
        for line, text in enumerate(texts)
    ]
    decoder = {"beam_width": 64, "cutoff_prob": 1.0, "cutoff_top_n": 300, "scorer_path": "", "hot_words": ""}
    none = dict.fromkeys(("lm_alpha", "lm_beta", "oov_penalty"))
    write_probabilities(path, outputs, ENGLISH, {**decoder, **none, "bytes_output_mode": False, "random_seed": 1})
    return path


SPOKEN = "a bad cab the cat sat a hat and a cat the tab bad hats a cat had a tab bat cat hat had at ad as"


def read_result(stdout: str) -> tuple[int, float, float, float]:
    found = re.fullmatch(
        r"Best of (\d+) pairs in .*: WER ([\d.]+) with\n  --scorer_path \S+ --lm_alpha ([\d.]+) --lm_beta ([\d.]+)\n",
        stdout,
    )
    assert found, stdout
    count, wer, alpha, beta = map(float, found.groups())
    return int(count), wer, alpha, beta


def word_errors(path: Path, scorer: str, alpha: float, beta: float) -> float:
    output = read_probabilities(path)
    flags = {**output.flags, "scorer_path": scorer, "lm_alpha": alpha, "lm_beta": beta}
    texts = BeamDecoder(output.alphabet, BeamSettings.from_flags(flags)).decode(*pad(output.probabilities))
    return word_error_rate([score("", *pair, 0.0) for pair in zip(output.transcripts, texts, strict=True)])


def test_the_weights_found_give_the_rate_found(mumbled: Path, make_scorer, tmp_path: Path):
    scorer = make_scorer(SPOKEN, ENGLISH)
    flags = "--probabilities_file", mumbled, "--scorer_path", scorer, "--n_trials=25"
    done = optimize(*flags, "--lm_alpha=0", "--lm_beta=0", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    count, wer, alpha, beta = read_result(done.stdout)
    assert count == 25
    assert wer == pytest.approx(word_errors(mumbled, scorer, alpha, beta), abs=1e-6)
    start = word_errors(mumbled, scorer, 0, 0)
    assert wer < start, "or there was nothing to tune"
    assert f"WER {start:.4f} with alpha 0 and beta 0, where the search begins." in done.stderr
    again = optimize(*flags, "--lm_alpha=0", "--lm_beta=0", folder=tmp_path)
    assert read_result(again.stdout) == (count, wer, alpha, beta), "the seed decides"
    low = optimize(*flags, "--lm_alpha_max=0.01", "--lm_beta_max=0.02", folder=tmp_path)
    assert read_result(low.stdout)[2] <= 0.01
    assert read_result(low.stdout)[3] <= 0.02


def test_the_network_runs_once_with_the_flags_of_the_trainer(learnt: Path, make_scorer, tmp_path: Path):
    network = "--n_hidden", "48", "--checkpoint_dir", learnt / "run", "--test_files", learnt / "test.csv"
    network = *network, "--show_progressbar", "False", "--intra_op_parallelism_threads=1"
    scorer = make_scorer(" ".join(TEXTS), ENGLISH)
    flags = *network, f"--scorer={scorer}", "--n_trials", "3", "--probabilities_file=kept.npz"
    done = optimize(*flags, folder=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("TensorFlow") == 1
    assert done.stdout.startswith("Test on "), "how the scorer does as it is"
    assert read_result(done.stdout[done.stdout.index("Best of") :])[:2] == (3, 0.0)
    assert read_probabilities(tmp_path / "kept.npz").transcripts == TEXTS
    again = optimize(*flags, folder=tmp_path)
    assert "TensorFlow" not in again.stderr
    assert "kept.npz is there" in again.stderr
    assert read_result(again.stdout)[:2] == (3, 0.0)


def test_an_interrupted_search_prints_the_best_so_far(mumbled: Path, make_scorer, tmp_path: Path):
    flags = "--probabilities_file", mumbled, "--scorer_path", make_scorer(SPOKEN, ENGLISH), "--n_trials=1000000"
    command = [sys.executable, str(ROOT / "bin" / "lm_optimizer.py"), *map(str, flags)]
    pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, cwd=tmp_path, **pipes) as process:
        for line in process.stderr:
            if "Ctrl-C" in line:
                process.send_signal(signal.SIGINT)
                break
        stdout, stderr = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "Traceback" not in stderr
    assert 2 <= read_result(stdout)[0] < 1000000


@pytest.mark.parametrize(
    ("flags", "status", "words"),
    [
        ([], 2, ["--scorer_path"]),
        (["--scorer_path=s", "--n_trials=0"], 2, ["--n_trials", "above 0"]),
        (["--scorer_path=s", "--lm_alpha_max=0"], 2, ["--lm_alpha_max"]),
        (["--scorer_path=s", "--n_trials=many"], 2, ["--n_trials", "many"]),
        (["--scorer_path=s", "--checkpoint_dir=run"], 2, ["--test_files"]),
        (["--scorer_path=gone.scorer", "--checkpoint_dir=run", "--test_files=t.csv"], 1, ["gone.scorer"]),
        (["--scorer_path=s", "--n_hiden=3", "--test_files=t.csv"], 2, ["n_hiden", "n_hidden"]),
    ],
    ids=lambda value: " ".join(value) if value and isinstance(value, list) else "",
)
def test_a_wrong_command_is_one_sentence(native, tmp_path: Path, flags: Sequence[str], status: int, words: list[str]):
    done = optimize(*flags, folder=tmp_path)
    assert done.returncode == status
    assert done.stdout == ""
    for word in words:
        assert word in done.stderr.splitlines()[-1]


def test_a_file_that_is_no_output_of_a_network(native, tmp_path: Path):
    (tmp_path / "page.npz").write_text("<html></html>")
    done = optimize("--scorer_path=s", "--probabilities_file=page.npz", folder=tmp_path)
    assert done.returncode == 1
    assert "Error: cannot read page.npz" in done.stderr.splitlines()[-1]
