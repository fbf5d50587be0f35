"""DeepSpeech.py trains, stops, resumes and tests: what it computes, what it writes and what it says."""

from __future__ import annotations

import csv
import importlib.util
import json
import os
import pty
import re
import signal
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from subprocess import CompletedProcess

import numpy as np
import pytest
from conftest import Csvs, Program, write_corpus
from numpy.typing import NDArray

from util import tf

EPOCH = 480  # steps of an epoch of the long set: enough to be interrupted in
HAS_TENSORBOARD = importlib.util.find_spec("tensorboard") is not None


def together(deepspeech: Program, *commands: Sequence[object]) -> list[CompletedProcess[str]]:
    """Run several command lines that must succeed, two at a time."""
    with ThreadPoolExecutor(2) as pool:
        runs = list(pool.map(lambda flags: deepspeech(*flags), commands))
    for done in runs:
        assert done.returncode == 0, done.stderr
    return runs


def read_checkpoint(prefix: Path) -> tuple[dict[str, NDArray[np.generic]], dict[str, object]]:
    """Return the tensors by name, and the state of the training loop without its clock."""
    reader = tf.train.load_checkpoint(str(prefix))
    tensors = {name: reader.get_tensor(name) for name in reader.get_variable_to_shape_map()}
    state = json.loads(tensors.pop("deepspeech/state"))
    assert state.pop("elapsed") > 0
    return tensors, state


def assert_same_checkpoint(one: Path, other: Path) -> None:
    (tensors, state), (others, other_state) = read_checkpoint(one), read_checkpoint(other)
    assert state == other_state
    assert tensors.keys() == others.keys()
    for name, tensor in tensors.items():
        np.testing.assert_array_equal(tensor, others[name], name)


def read_events(folder: Path, kind: str) -> list[dict[str, object]]:
    lines = (folder / "metrics.jsonl").read_text("utf-8").splitlines()
    return [event for event in map(json.loads, lines) if event["event"] == kind]


def steps_of(folder: Path, kind: str) -> list[int]:
    """Return the steps of the checkpoints of a kind, each of which has to be complete."""
    steps = {ending: {int(path.stem.split("-")[1].split(".")[0]) for path in folder.glob(f"{kind}-*.{ending}")}
             for ending in ("index", "data-00000-of-00001")}  # fmt: skip
    assert steps["index"] == steps["data-00000-of-00001"]
    return sorted(steps["index"])


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory, decoy: Path, csvs: Csvs) -> tuple[CompletedProcess[str], Path]:
    """Train for three epochs; return how the program ended, and where it ran (checkpoints are in run/)."""
    folder = tmp_path_factory.mktemp("trained")
    files = "--train_files", csvs.train, "--dev_files", csvs.dev, "--test_files", f"{csvs.test},{csvs.dev}"
    limits = "--limit_train=5", "--limit_dev=1", "--train_batch_size=2", "--max_to_keep=2", "--metrics_files", csvs.test
    output = "--test_output_file=samples.json", "--wer_log_pattern=date %s set %s rate %.3f", "--report_count=1"
    done = Program(folder, decoy)(*files, *limits, *output, "--epochs=3", "--checkpoint_dir=run")
    assert done.returncode == 0, done.stderr
    return done, folder


def test_metrics_tell_each_epoch_validation_and_test(trained, csvs: Csvs):
    done, folder = trained
    epochs = read_events(folder / "run", "epoch")
    assert [event["epoch"] for event in epochs] == [1, 2, 3]
    assert [event["step"] for event in epochs] == [3, 6, 9], "five utterances in batches of two"
    for event in epochs:
        assert event["learning_rate"] == pytest.approx(0.001)
        assert 0 <= event["input_wait"] <= 1
        assert event["audio_seconds"] == pytest.approx(0.08 * len("a cata bad cabact a dadcabadd a tab"))
        assert event["seconds"] > 0
        assert f"Epoch {event['epoch']} of 3: loss {event['loss']:.4f}" in done.stderr
    validations = read_events(folder / "run", "validation")
    assert [(event["set"], event["step"]) for event in validations] == [
        (str(path), step) for step in (3, 6, 9) for path in (csvs.dev, csvs.test)
    ]
    for event in validations:
        assert f"{event['set']}: loss {event['loss']:.4f}, WER {event['wer']:.4f}" in done.stderr
    assert [event["set"] for event in read_events(folder / "run", "test")] == [str(csvs.test), str(csvs.dev)]
    assert "hypothesis" in done.stderr


def test_limits_cut_the_sets(trained):
    assert "train.csv: 5 utterances" in trained[0].stderr
    assert "dev.csv: 1 utterances" in trained[0].stderr
    assert "test.csv: 1 utterances" in trained[0].stderr, "metrics_files, by limit_dev"
    assert "test.csv: 2 utterances" in trained[0].stderr


def test_the_report_the_json_and_the_log_line_agree(trained, csvs: Csvs):
    done, folder = trained
    samples = json.loads((folder / "samples.json").read_text("utf-8"))
    assert [sample["src"] for sample in samples] == ["tab", "a cab", "a bat", "cad act"]
    for sample in samples:
        assert Path(sample["wav_filename"]).is_file()
        assert sample["cer"] == sample["char_distance"] / sample["char_length"]
        assert sample["wer"] == sample["word_distance"] / sample["word_length"]
        assert sample["char_length"] == len(sample["src"])
    for path, group, event in zip((csvs.test, csvs.dev), (samples[:2], samples[2:]),
                                  read_events(folder / "run", "test"), strict=True):  # fmt: skip
        wer = sum(sample["word_distance"] for sample in group) / sum(sample["word_length"] for sample in group)
        assert event["wer"] == wer
        assert f"Test on {path} - WER: {wer:.6f}" in done.stdout
        assert re.search(rf"^date \d{{4}}-\S+ set {re.escape(str(path))} rate {wer:.3f}$", done.stdout, re.MULTILINE)
    assert done.stdout.count("Best by WER:") == 2
    assert done.stdout.count("    src: ") == 4, "one best and one worst of each"


def test_the_newest_checkpoints_and_the_best_are_kept(trained):
    folder = trained[1] / "run"
    assert steps_of(folder, "train") == [6, 9]
    assert len(steps_of(folder, "best_dev")) == 1
    assert tf.train.latest_checkpoint(str(folder)) == str(folder / "train-9")
    described = json.loads((folder / "run.json").read_text("utf-8"))
    assert described["network"]["n_hidden"] == described["flags"]["n_hidden"] == 16
    assert described["flags"]["max_to_keep"] == 2


def test_a_log_file_has_plain_lines(trained):
    assert "\r" not in trained[0].stderr + trained[0].stdout
    assert "\x1b" not in trained[0].stderr + trained[0].stdout
    assert all(len(line.strip()) > 0 for line in trained[0].stderr.splitlines())


def test_summaries_are_written_or_their_absence_is_said_once(trained):
    done, folder = trained
    assert done.stderr.count("No TensorBoard") == (0 if HAS_TENSORBOARD else 1)
    assert bool(list(folder.glob("run/summaries/events.*"))) == HAS_TENSORBOARD


def test_a_finished_run_says_so_and_init_will_not_overwrite_it(trained, deepspeech: Program, csvs: Csvs):
    run = trained[1] / "run"
    before = {path.name: path.read_bytes() for path in run.glob("*-*.*")}
    flags = "--train_files", csvs.train, "--epochs=3", "--limit_train=5", "--train_batch_size=2"
    again = deepspeech(*flags, "--checkpoint_dir", run)
    assert again.returncode == 0
    assert "Training is complete: 3 epochs, 9 steps" in again.stderr
    assert f"Loaded {run / 'train-9'}" in again.stderr
    refused = deepspeech(*flags, "--checkpoint_dir", run, "--load_train=init")
    assert refused.returncode == 2
    for words in ("--load_train init", str(run), "--save_checkpoint_dir"):
        assert words in refused.stderr.splitlines()[-1]
    assert {path.name: path.read_bytes() for path in run.glob("*-*.*")} == before


def test_loading_and_saving_in_different_places(trained, deepspeech: Program, csvs: Csvs, tmp_path: Path):
    run = trained[1] / "run"
    before = {path.name: path.read_bytes() for path in run.glob("*-*.*")}
    flags = "--train_files", csvs.train, "--load_checkpoint_dir", run, "--save_checkpoint_dir=new", "--learning_rate=0"
    runs = together(
        deepspeech, [*flags, "--load_train=last", "--epochs=1"], ["--test_files", csvs.test, "--checkpoint_dir", run]
    )
    assert "Training from epoch 1, batch 1 to the end of epoch 1; checkpoints in new" in runs[0].stderr
    assert {path.name: path.read_bytes() for path in run.glob("*-*.*")} == before
    assert steps_of(tmp_path / "new", "train") == [15], "the count of Adam's steps goes on"
    weights, others = read_checkpoint(run / "train-9")[0], read_checkpoint(tmp_path / "new" / "train-15")[0]
    np.testing.assert_array_equal(weights["layer_1/weights"], others["layer_1/weights"])
    assert f"Loaded {run / 'best_dev-'}" in runs[1].stderr
    report = re.compile(rf"^Test on {re.escape(str(csvs.test))} .*$", re.MULTILINE)
    assert report.findall(runs[1].stdout) == report.findall(trained[0].stdout)
    more = deepspeech(*flags, "--epochs=-2")
    assert "Training from epoch 2, batch 1 to the end of epoch 3; checkpoints in new" in more.stderr
    assert more.returncode == 0


@pytest.mark.parametrize("shape", ["--bidirectional", "--nobidirectional", "--bytes_output_mode"])
def test_one_utterance_is_learnt_by_heart(deepspeech: Program, tmp_path: Path, shape: str):
    text = "bäd" if shape == "--bytes_output_mode" else "a bad cab"
    path = write_corpus(tmp_path, "one", [text])
    header, row = path.read_text().splitlines()
    path.write_text("\n".join([header, *[row] * 40]) + "\n")
    learn = "--n_hidden=48", "--epochs=15", "--learning_rate=0.003", "--lr_schedule=cosine", "--dropout_rate=0"
    done = deepspeech(
        *(shape, *learn, "--train_files", path, "--checkpoint_dir=run"), "--one_shot_infer", tmp_path / "one0.wav"
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"{text}\n", "nothing but the transcript"
    if shape == "--bidirectional":
        tested = deepspeech(shape, "--n_hidden=48", "--test_files", path, "--checkpoint_dir=run", "--limit_test=1")
        assert "WER: 0.000000, CER: 0.000000" in tested.stdout


def test_a_recording_that_cannot_be_read_is_one_sentence(trained, deepspeech: Program, tmp_path: Path):
    (tmp_path / "page.wav").write_text("<html></html>")
    flags = "--checkpoint_dir", trained[1] / "run", "--one_shot_infer=page.wav"
    done = deepspeech(*flags)
    assert done.returncode == 1
    assert done.stdout == ""
    assert "page.wav is a web page" in done.stderr.splitlines()[-1]


# ------------------------------------------------------------------------------------------ resuming


@pytest.fixture(scope="module")
def long_csv(csvs: Csvs) -> Path:
    """Return a CSV of so many rows that an epoch can be interrupted in its middle."""
    path = csvs.train.with_name("long.csv")
    header, *rows = csvs.train.read_text().splitlines()
    path.write_text("\n".join([header, *rows * (EPOCH // 6)]) + "\n")
    return path


@pytest.fixture(scope="module")
def long_flags(csvs: Csvs, long_csv: Path) -> list[object]:
    flags = ["--train_files", long_csv, "--dev_files", csvs.dev, "--epochs=2", "--dropout_rate=0.2"]
    return [*flags, "--lr_schedule=cosine", "--warmup_steps=300", "--max_grad_norm=5", "--checkpoint_secs=1"]


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory: pytest.TempPathFactory, decoy: Path, long_flags: list[object]) -> Path:
    folder = tmp_path_factory.mktemp("uninterrupted")
    done = Program(folder, decoy)(*long_flags, "--checkpoint_dir=run")
    assert done.returncode == 0, done.stderr
    assert f"Training is complete: 2 epochs, {2 * EPOCH} steps" in done.stderr
    return folder / "run"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_a_run_stopped_in_the_middle_resumes_exactly(
    deepspeech: Program, tmp_path: Path, long_flags: list[object], uninterrupted: Path, number: signal.Signals
):
    run = tmp_path / "run"
    with deepspeech.start(*long_flags, "--checkpoint_dir=run") as process:
        while not list(run.glob("train-*.index")) and process.poll() is None:
            time.sleep(0.005)  # the first timed checkpoint, within the first epoch
        time.sleep(0.2)
        process.send_signal(number)
        _, said = process.communicate(timeout=60)
    assert "Traceback" not in said
    step = max(steps_of(run, "train"))
    assert 0 < step < 2 * EPOCH, "before the end"
    if number == signal.SIGKILL:
        assert process.returncode == -signal.SIGKILL
    else:
        assert process.returncode == 130
        assert "Stopped on request; saved in run, the same command goes on from there." in said
    resumed = deepspeech(*long_flags, "--checkpoint_dir=run")
    assert resumed.returncode == 0
    place = f"epoch {step // EPOCH + 1}, batch {step % EPOCH + 1}"
    assert f"Training from {place} to the end of epoch 2" in resumed.stderr
    assert_same_checkpoint(run / f"train-{2 * EPOCH}", uninterrupted / f"train-{2 * EPOCH}")
    assert steps_of(run, "best_dev") == steps_of(uninterrupted, "best_dev")
    losses = [[event["loss"] for event in read_events(folder, "epoch")] for folder in (run, uninterrupted)]
    assert losses[0] == losses[1], "the loss of the interrupted epoch counts both its parts"


def test_an_augmented_run_resumes_exactly(deepspeech: Program, tmp_path: Path, csvs: Csvs, long_csv: Path):
    """What is drawn for the batches still to come, and the clock, are those of a run that was never stopped."""
    waveform = "volume[dbfs=-20:0~5]", "speed[factor=1~0.2]", "reverb[p=0.5]", f"overlay[p=0.5,source={csvs.dev}]"
    graph = "pitch[p=0.5]", "tempo[factor=1~0.2]", "time_mask[n=0:2,size=40]", "add[stddev=0:1]"
    flags = "--train_files", long_csv, "--epochs=1", "--checkpoint_secs=1", "--augment", *waveform, *graph
    with deepspeech.start(*flags, "--checkpoint_dir=run") as process:
        while not list(tmp_path.glob("run/train-*.index")) and process.poll() is None:
            time.sleep(0.005)
        process.send_signal(signal.SIGKILL)
        process.communicate(timeout=60)
    step = max(steps_of(tmp_path / "run", "train"))
    assert 0 < step < EPOCH
    resumed, whole = together(deepspeech, [*flags, "--checkpoint_dir=run"], [*flags, "--checkpoint_dir=whole"])
    assert f"Training from epoch 1, batch {step + 1} to the end of epoch 1" in resumed.stderr
    assert "Training batches are augmented: volume (p 1, sample), speed (p 1, sample)" in resumed.stderr
    costs = r"Augmentation costs per utterance volume \d\.\d\d ms, .*; within the training step pitch, tempo, time_mask"
    assert re.search(costs, whole.stderr)
    assert_same_checkpoint(*(tmp_path / folder / f"train-{EPOCH}" for folder in ("run", "whole")))


def test_only_training_batches_are_augmented(deepspeech: Program, csvs: Csvs, tmp_path: Path):
    """And with the learning rate 0 the loss of training alone can differ."""
    files = "--train_files", csvs.train, "--dev_files", csvs.dev, "--metrics_files", csvs.test
    flags = [*files, "--test_files", csvs.test, "--learning_rate=0", "--dropout_rate=0", "--epochs=1"]
    augment = "--augment", "volume[dbfs=-40]", "reverb", "frequency_mask[n=9]", "tempo", "add"
    runs = together(deepspeech, [*flags, "--checkpoint_dir=plain"], [*flags, "--checkpoint_dir=augmented", *augment])
    events = {name: [read_events(tmp_path / folder, name) for folder in ("plain", "augmented")]
              for name in ("epoch", "validation")}  # fmt: skip
    losses = {name: [[event["loss"] for event in events] for events in both] for name, both in events.items()}
    assert losses["validation"][0] == losses["validation"][1]
    assert len(losses["validation"][0]) == 2
    assert losses["epoch"][0] != pytest.approx(losses["epoch"][1], rel=1e-3)
    assert runs[0].stdout == runs[1].stdout, "the report of the test"


def test_augmentation_may_change_between_runs(deepspeech: Program, csvs: Csvs):
    flags = "--train_files", csvs.train, "--checkpoint_dir=run"
    for epochs, augment in ((1, ["--augment=warp"]), (2, ["--augment", "speed", "dropout"])):
        done = deepspeech(*flags, f"--epochs={epochs}", *augment)
        assert done.returncode == 0, done.stderr
        assert f"Training is complete: {epochs} epochs, {6 * epochs} steps" in done.stderr


def test_a_signal_before_training_ends_the_program_at_once(deepspeech: Program, long_flags: list[object]):
    with deepspeech.start(*long_flags) as process:
        process.stderr.readline()  # the first set is checked; TensorFlow is next
        process.send_signal(signal.SIGTERM)
        _, said = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "Traceback" not in said
    assert "Error: Interrupted." in said


def test_a_changed_training_set_begins_the_epoch_anew(
    deepspeech: Program, tmp_path: Path, csvs: Csvs, long_csv: Path, uninterrupted: Path
):
    """A checkpoint of the middle of an epoch fits that epoch's batches only."""
    run = tmp_path / "run"
    flags = "--checkpoint_dir=run", "--dropout_rate=0.2", "--checkpoint_secs=1"
    with deepspeech.start(*flags, "--train_files", long_csv, "--epochs=2") as process:
        while not list(run.glob("train-*.index")) and process.poll() is None:
            time.sleep(0.005)
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=60)
    assert process.returncode == 130
    step = max(steps_of(run, "train"))
    done = deepspeech(*flags, "--train_files", csvs.train, "--epochs=1")
    assert done.returncode == 0
    assert "Warning: The training set or its batches have changed: epoch 1 begins anew" in done.stderr
    assert steps_of(run, "train")[-1] == step + 6


# ------------------------------------------------------------------------------- randomness, policies


def test_the_seed_decides_everything_random(trained, deepspeech: Program, csvs: Csvs, tmp_path: Path):
    flags = "--train_files", csvs.train, "--epochs=3", "--limit_train=5", "--train_batch_size=2"
    together(deepspeech, [*flags, "--checkpoint_dir=same"], [*flags, "--random_seed=1", "--checkpoint_dir=other"])
    tensors, same, other = (
        read_checkpoint(folder / "train-9")[0] for folder in (trained[1] / "run", tmp_path / "same", tmp_path / "other")
    )
    for name, tensor in tensors.items():
        np.testing.assert_array_equal(tensor, same[name], name)
    assert not np.allclose(tensors["layer_5/weights"], other["layer_5/weights"], atol=0.01)


def test_early_stopping_and_plateaus_say_why_and_validation_has_no_dropout(
    deepspeech: Program, csvs: Csvs, tmp_path: Path
):
    """With the learning rate 0 nothing improves after the first validation."""
    flags = "--train_files", csvs.train, "--dev_files", csvs.dev, "--learning_rate=0"
    stop = "--epochs=9", "--early_stop", "--es_epochs=3", "--reduce_lr_on_plateau", "--plateau_epochs=2"
    done, _ = together(
        deepspeech,
        [*flags, *stop, "--plateau_reduction=0.25", "--dropout_rate=0.9", "--checkpoint_dir=stopped"],
        [*flags, "--epochs=1", "--dropout_rate=0", "--checkpoint_dir=plain"],
    )
    stopped, plain = tmp_path / "stopped", tmp_path / "plain"
    assert re.search(
        r"Plateau: no improvement by 0\.05 in 2 validations; on from the best weights \(step 6\)", done.stderr
    )
    assert re.search(r"Stopping early: the dev loss was best, [\d.]+, at step 6 and .*3 validations", done.stderr)
    assert "Training is complete: 4 epochs, 24 steps" in done.stderr
    state = read_checkpoint(stopped / "train-24")[1]
    assert (state["reduction"], state["stale"], state["best_step"]) == (0.25, 3, 6)
    assert steps_of(stopped, "best_dev") == [6]
    dev = [event["loss"] for folder in (stopped, plain) for event in read_events(folder, "validation")]
    assert dev == [dev[0]] * 5
    train = [read_events(folder, "epoch")[0]["loss"] for folder in (stopped, plain)]
    assert train[0] != pytest.approx(train[1], rel=1e-3), "and training has"


def test_the_best_checkpoint_is_chosen_by_the_measure_asked_for(deepspeech: Program, csvs: Csvs, tmp_path: Path):
    flags = "--train_files", csvs.train, "--dev_files", csvs.dev, "--epochs=4", "--max_to_keep=9"
    together(deepspeech, *([*flags, f"--best_metric={name}", f"--checkpoint_dir={name}"] for name in ("loss", "wer")))
    best = {}
    for name in ("loss", "wer"):
        validations = read_events(tmp_path / name, "validation")
        assert len(validations) == 4
        best[name] = min(validations, key=lambda event: event[name])["step"]
        assert steps_of(tmp_path / name, "best_dev") == [best[name]]
        assert steps_of(tmp_path / name, "train") == [6, 12, 18, 24]
    assert best["loss"] != best["wer"], "or this would prove nothing"
    np.testing.assert_array_equal(
        read_checkpoint(tmp_path / "wer" / f"best_dev-{best['wer']}")[0]["layer_6/bias"],
        read_checkpoint(tmp_path / "wer" / f"train-{best['wer']}")[0]["layer_6/bias"],
    )


def test_dry_run_estimates_and_writes_nothing(deepspeech: Program, csvs: Csvs, tmp_path: Path):
    flags = "--train_files", csvs.train, "--dev_files", csvs.dev, "--train_batch_size=4", "--epochs=7"
    done = deepspeech("--dry_run", *flags, "--checkpoint_dir=run", "--augment=speed[p=0.1,factor=0.5]")
    assert done.returncode == 0
    longest = "1.4 s"  # nine letters of 0.08 s at half the speed
    assert re.search(rf"longest batch \(\d utterances, {longest}\) takes .* GiB of memory", done.stderr)
    assert re.search(r"an epoch of 2 batches takes about .* s\.", done.stderr)
    assert "Nothing was written" in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_batches_by_frames(deepspeech: Program, tmp_path: Path):
    path = write_corpus(tmp_path, "same", ["a bad cab", "a tab cab", "a bad dad", "add a cat", "cab a bad"])
    # 0.72 s make 35 vectors of 20 ms: two utterances in 75, not three
    done = deepspeech(
        "--train_files", path, "--batch_frames=75", "--train_batch_size=4", "--epochs=1", "--noearly_stop"
    )
    assert done.returncode == 0
    assert "Training is complete: 1 epochs, 3 steps" in done.stderr
    found = re.search(r"checkpoints in (runs/\S*same-\w+)\.", done.stderr)
    assert found, "a directory of its own, named after the set"
    assert steps_of(tmp_path / found[1], "train") == [3]


def test_longest_first_where_it_is_asked_for(deepspeech: Program, tmp_path: Path):
    """Files that vanish after the check are named in the order in which they are read."""
    texts = ["bad", "a bad cab", "a cat", "cab a", "a bad bad dad"]
    names = {purpose: write_corpus(tmp_path, purpose, texts) for purpose in ("train", "dev", "test")}
    flags = [f"--{purpose}_files={path}" for purpose, path in names.items()]
    sizes = [f"--{purpose}_batch_size={9 if purpose != 'train' else 1}" for purpose in names]
    reverse = [f"--reverse_{purpose}" for purpose in names]
    with deepspeech.start(*flags, *sizes, *reverse, "--epochs=1", "--checkpoint_dir=run") as process:
        for line in process.stderr:
            if "TensorFlow" in line:
                for purpose in names:
                    for number in (0, 2, 4):
                        (tmp_path / f"{purpose}{number}.wav").unlink()
                break
        _, said = process.communicate(timeout=60)
    assert process.returncode == 0, said
    for purpose in names:
        assert re.findall(rf"Warning: .*/{purpose}(\d)\.wav", said) == ["4", "2", "0"]


def test_divergence_stops_with_the_good_checkpoint_kept(trained, deepspeech: Program, csvs: Csvs, tmp_path: Path):
    flags = "--train_files", csvs.train, "--checkpoint_dir=run", "--epochs=2"
    assert deepspeech(*flags, "--epochs=1").returncode == 0
    before = {path.name: path.read_bytes() for path in tmp_path.glob("run/train-6.*")}
    done = deepspeech(*flags, "--learning_rate=1e30")
    assert done.returncode == 1
    lines = done.stderr.splitlines()
    assert sum("the loss is not a number" in line and line.startswith("Warning: Step ") for line in lines) == 3
    for words in ("Error: ", "diverged", "3 steps in a row", "train", "--learning_rate", "--max_grad_norm"):
        assert words in lines[-1]
    assert steps_of(tmp_path / "run", "train") == [6]
    assert {path.name: path.read_bytes() for path in tmp_path.glob("run/train-6.*")} == before


def read_terminal(master: int) -> Iterator[bytes]:
    try:
        while part := os.read(master, 4096):
            yield part
    except OSError:  # Linux says so when the last program has closed its end
        return


@pytest.mark.parametrize("bars", [True, False])
def test_a_terminal_shows_progress_bars(deepspeech: Program, long_csv: Path, bars: bool):
    master, terminal = pty.openpty()
    flags = "--train_files", long_csv, "--epochs=1", "--show_progressbar" if bars else "--noshow_progressbar"
    with deepspeech.start(*flags, "--limit_train=40", stderr=terminal) as process:
        os.close(terminal)
        shown = re.sub(r"\x1b\[[\d;]*m", "", b"".join(read_terminal(master)).decode())  # without colours
    os.close(master)
    assert process.returncode == 0
    assert "Epoch 1 of 1: loss" in shown
    drawn = [part for part in re.split(r"[\r\n]", shown) if re.match(r"Epoch 1 +\d+% *\|", part)]
    assert bool(drawn) == bars
    assert bool(re.search(r"\rChecking \S+long\.csv 100%", shown)) == bars
    if bars:
        assert "loss " in drawn[-1]


def test_log_level_keeps_warnings_only(deepspeech: Program, csvs: Csvs, tmp_path: Path):
    rows = csvs.train.read_text().splitlines()
    path = csvs.train.with_name("quiet.csv")
    path.write_text("\n".join([*rows, "gone.wav,1,a"]) + "\n")
    done = deepspeech("--log_level=2", "--train_files", path, "--epochs=1", "--checkpoint_dir=run")
    assert done.returncode == 0
    assert [line.partition(" ")[0] for line in done.stderr.splitlines()] == ["Warning:"]
    with (tmp_path / "run" / "data_faults.csv").open(newline="") as file:
        assert [row["wav_filename"] for row in csv.DictReader(file)] == ["gone.wav"]
