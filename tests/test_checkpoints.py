"""Checkpoints: whole or absent whatever stops the writing, the newest good one loads, mistakes have sentences."""

import contextlib
import errno
import io
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from util import checkpoints, tf
from util.checkpoints import DamagedCheckpointError, RunDirectory, list_checkpoints, load_checkpoint, save_checkpoint
from util.errors import CheckpointError, DeepSpeechError
from util.progress import Console

NETWORK = {"n_hidden": 8, "bidirectional": True, "alphabet": ["a", "b"]}


def make_variables(value: float) -> dict[str, Any]:
    value = float(value)
    return {
        "h1/kernel": tf.Variable(tf.fill([3, 4], value)),
        "h1/bias": tf.Variable(tf.fill([4], -value)),
        "count": tf.Variable(int(value), dtype=tf.int64),
    }


def is_filled(variables: dict[str, Any], value: float) -> bool:
    return all((np.abs(variable.numpy()) == value).all() for variable in variables.values())


def save(directory: Path, step: int, kinds: tuple[str, ...] = ("train",)) -> None:
    save_checkpoint(directory, kinds, step, make_variables(step), {"step": step, "note": "ä"})


def make_run(directory: Path, variables: dict[str, Any], network: dict[str, Any] | None = None) -> RunDirectory:
    return RunDirectory(directory, network or NETWORK, variables, Console(stream=io.StringIO()))


def output(run: RunDirectory) -> str:
    return run._console.stream.getvalue()  # type: ignore[attr-defined]


def names(directory: Path, kind: str = "train") -> list[str]:
    return [prefix.name for prefix in list_checkpoints(directory, kind)]


def test_round_trip(tmp_path: Path):
    save(tmp_path / "new" / "run", 7, ("best_dev", "train"))
    assert sorted(path.name for path in (tmp_path / "new" / "run").iterdir()) == [
        "best_dev-7.data-00000-of-00001",
        "best_dev-7.index",
        "best_dev_checkpoint",
        "checkpoint",
        "train-7.data-00000-of-00001",
        "train-7.index",
    ]
    for kind in ("train", "best_dev"):
        variables = make_variables(0)
        assert load_checkpoint(tmp_path / "new" / "run" / f"{kind}-7", variables) == {"step": 7, "note": "ä"}
        assert is_filled(variables, 7)


def test_tensorflow_reads_the_directory(tmp_path: Path):
    save(tmp_path, 3)
    save(tmp_path, 12, ("best_dev", "train"))
    assert tf.train.latest_checkpoint(str(tmp_path)) == str(tmp_path / "train-12")
    assert tf.train.latest_checkpoint(str(tmp_path), "best_dev_checkpoint") == str(tmp_path / "best_dev-12")
    reader = tf.train.load_checkpoint(str(tmp_path))
    assert reader.get_variable_to_shape_map() == {
        "h1/kernel": [3, 4],
        "h1/bias": [4],
        "count": [],
        checkpoints.STATE: [],
    }
    assert (reader.get_tensor("h1/kernel") == 12).all()


def test_the_newest_is_the_one_of_the_highest_step(tmp_path: Path):
    for step in (9, 100, 20):
        save(tmp_path, step)
    save(tmp_path, 500, ("best_dev",))
    (tmp_path / "train-x.index").touch()
    (tmp_path / "train-999.data-00000-of-00001").touch()  # without its index
    assert names(tmp_path) == ["train-100", "train-20", "train-9"]
    assert names(tmp_path, "best_dev") == ["best_dev-500"]
    assert names(tmp_path / "none") == []


class Killed(BaseException):
    """What a killed process does not catch."""


def stop_at(monkeypatch: pytest.MonkeyPatch, n: int, error: BaseException) -> Callable[[], int]:
    """Let the n-th call that changes the disk fail; return how many there were."""
    calls = 0

    def failing(function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **options: Any) -> Any:
            nonlocal calls
            calls += 1
            if calls == n:
                raise error
            if calls > n and isinstance(error, Killed):
                raise error  # a dead process cleans nothing up
            return function(*args, **options)

        return call

    for owner, name in (
        (os, "link"),
        (os, "fsync"),
        (Path, "replace"),
        (Path, "write_bytes"),
        (Path, "unlink"),
        (Path, "mkdir"),
        (checkpoints.shutil, "rmtree"),
        (checkpoints.tf.raw_ops, "SaveV2"),
    ):
        monkeypatch.setattr(owner, name, failing(getattr(owner, name)))
    return lambda: calls


def check_survivors(directory: Path, newest: int) -> None:
    """All that is listed loads, each with its own values, and the earlier checkpoint is there."""
    steps = [int(name.removeprefix("train-")) for name in names(directory)]
    assert set(steps) - {newest} == {5}
    for kind in ("train", "best_dev"):
        for prefix in list_checkpoints(directory, kind):
            variables = make_variables(0)
            step = int(prefix.name.split("-")[1])
            assert load_checkpoint(prefix, variables)["step"] == step
            assert is_filled(variables, step)
    latest = tf.train.latest_checkpoint(str(directory))
    assert latest in {str(directory / f"train-{step}") for step in steps}


@pytest.mark.parametrize(
    "error", [Killed(), OSError(errno.ENOSPC, "No space left on device")], ids=["kill", "disk full"]
)
def test_stopped_at_any_moment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: BaseException):
    for n in range(1, 100):
        directory = tmp_path / str(n)
        save(directory, 5, ("best_dev", "train"))
        with monkeypatch.context() as patch:
            count = stop_at(patch, n, error)
            try:
                save(directory, 6, ("best_dev", "train"))
            except Killed:
                pass
            except CheckpointError as caught:
                assert str(caught).startswith(f"Cannot save step 6 to {directory}: ")
                assert "No space left on device; earlier checkpoints there are untouched" in str(caught)
            calls = count()
        check_survivors(directory, 6)
        if calls < n:
            break
        save(directory, 8)  # what was left behind does not matter
        assert names(directory)[0] == "train-8"
        assert not list(directory.glob(".saving"))
    assert 15 < n < 99
    assert names(directory) == ["train-6", "train-5"]


def test_stopped_while_an_old_checkpoint_of_the_same_step_is_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    for n in range(1, 100):
        directory = tmp_path / str(n)
        save(directory, 5)
        save_checkpoint(directory, ["train"], 6, make_variables(1), {"step": 6})  # of a run that went another way
        with monkeypatch.context() as patch:
            count = stop_at(patch, n, Killed())
            with contextlib.suppress(Killed):
                save(directory, 6)
            calls = count()
        variables = make_variables(0)
        for prefix in list_checkpoints(directory, "train"):  # the old 6, none, or the new 6: never a mixture
            load_checkpoint(prefix, variables)
            assert any(is_filled(variables, value) for value in (1, 5, 6))
        assert "train-5" in names(directory)
        if calls < n:
            break
    assert n < 99


def spoil(path: Path, how: str) -> None:
    data = path.read_bytes()
    middle = len(data) // 2
    path.write_bytes({"cut": data[:middle], "empty": b"", "bits": data[:3] + bytes([data[3] ^ 0x55]) + data[4:]}[how])


@pytest.mark.parametrize("how", ["cut", "empty", "bits"])
@pytest.mark.parametrize("ending", ["index", "data-00000-of-00001"])
def test_a_damaged_checkpoint(tmp_path: Path, how: str, ending: str):
    save(tmp_path, 3)
    save(tmp_path, 4)
    spoil(tmp_path / f"train-4.{ending}", how)
    with pytest.raises(DamagedCheckpointError, match=r"train-4 is damaged: .*\.") as caught:
        load_checkpoint(tmp_path / "train-4", make_variables(0))
    assert "\n" not in str(caught.value)
    variables = make_variables(0)
    run = make_run(tmp_path, variables)
    state = run.load("last")
    assert state is not None
    assert state["step"] == 3
    assert is_filled(variables, 3)
    warning, loaded = output(run).splitlines()
    assert warning.startswith(f"Warning: {tmp_path}/train-4 is damaged: ")
    assert warning.endswith(" Going back to the one before.")
    assert loaded == f"Loaded {tmp_path}/train-3."


def test_all_damaged(tmp_path: Path):
    for step in (3, 4):
        save(tmp_path, step)
        spoil(tmp_path / f"train-{step}.index", "cut")
    with pytest.raises(CheckpointError, match=r"None of the 2 checkpoints in .* can be read: move them away"):
        make_run(tmp_path, make_variables(0)).load("last")


@pytest.mark.parametrize(
    ("choice", "kinds", "found"),
    [
        ("last", {"train": 9, "best_dev": 4}, 9),
        ("best", {"train": 9, "best_dev": 4}, 4),
        ("last or best", {"train": 9, "best_dev": 12}, 9),
        ("last or best", {"best_dev": 4}, 4),
        ("best or last", {"train": 9, "best_dev": 4}, 4),
        ("best or last", {"train": 9}, 9),
        ("best", {"train": 9}, None),
        ("last", {"best_dev": 4}, None),
        ("init", {"train": 9, "best_dev": 4}, None),
    ],
)
def test_the_choice(tmp_path: Path, choice: str, kinds: dict[str, int], found: int | None):
    for kind, step in kinds.items():
        save(tmp_path, step, (kind,))
    variables = make_variables(0)
    run = make_run(tmp_path, variables)
    state = run.load(choice)
    assert (state and state["step"]) == found
    assert is_filled(variables, found or 0)
    assert run.has_begun()
    assert not make_run(tmp_path / "new", variables).has_begun()
    if found is None:
        with pytest.raises(CheckpointError, match=rf"holds no checkpoint \({choice}\): train first"):
            run.require(choice)


def test_saving_removes_what_is_replaced(tmp_path: Path):
    variables = make_variables(1)
    run = make_run(tmp_path, variables)
    for step in range(1, 7):
        is_best = step in (1, 4)
        state = {"step": step, "best_step": 4 if step >= 4 else 1}
        run.save(["best_dev", "train"] if is_best else ["train"], state, {"step": tf.constant(step)}, keep=3)
    assert names(tmp_path) == ["train-6", "train-5", "train-4"]
    assert names(tmp_path, "best_dev") == ["best_dev-4"]
    assert tf.train.load_checkpoint(str(tmp_path / "train-6")).get_tensor("step") == 6
    run.save(["train"], {"step": 5, "best_step": 4}, {}, keep=3)  # went back to 4 and on from there
    assert names(tmp_path) == ["train-5", "train-4"]
    assert sorted(path.name for path in tmp_path.glob("*.data-*")) == [
        f"{name}.data-00000-of-00001" for name in ("best_dev-4", "train-4", "train-5")
    ]
    variables["h1/kernel"].assign(tf.zeros([3, 4]))
    run.load_best(4)
    assert (variables["h1/kernel"].numpy() == 1).all()


def test_a_checkpoint_of_another_network(tmp_path: Path):
    save(tmp_path, 4)
    wider = {**make_variables(0), "h1/bias": tf.Variable(tf.zeros([5]))}
    sentence = (
        r"holds h1/bias of shape \[4\], the network of these flags wants \[5\]: use the flags it was trained with"
    )
    with pytest.raises(CheckpointError, match=sentence):
        load_checkpoint(tmp_path / "train-4", wider)
    with pytest.raises(CheckpointError, match="has no variable h2/bias: it is of another network"):
        load_checkpoint(tmp_path / "train-4", {"h2/bias": tf.Variable(0.0)})


@pytest.mark.parametrize(
    ("flag", "value", "sentence"),
    [
        ("n_hidden", 16, "was made with --n_hidden 8, this command says --n_hidden 16: use the same --n_hidden,"),
        ("bidirectional", False, "with --bidirectional True, this command says --bidirectional False"),
        ("alphabet", list("abc"), "--alphabet of 2 labels ('ab'), this command says --alphabet of 3 labels ('abc')"),
    ],
)
def test_flags_of_another_network(tmp_path: Path, flag: str, value: Any, sentence: str):
    first = make_run(tmp_path, make_variables(0))
    first.describe(seed=3)
    save(tmp_path, 4)
    assert checkpoints.read_run(tmp_path) == {"network": NETWORK, "seed": 3}
    first.load("last")
    changed = make_run(tmp_path, make_variables(0), {**NETWORK, flag: value})
    with pytest.raises(CheckpointError) as caught:
        changed.load("last")
    assert sentence in str(caught.value)
    assert str(tmp_path) in str(caught.value)
    assert str(caught.value).endswith(" or another --checkpoint_dir.")
    assert changed.load("init") is None


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (b"{", "run.json cannot be read (Expecting property name"),
        (b"\xff", "run.json cannot be read ('utf-8' codec"),
        (b"[1]", "run.json does not hold a JSON object"),
    ],
)
def test_a_run_file_that_is_none(tmp_path: Path, data: bytes, sentence: str):
    (tmp_path / "run.json").write_bytes(data)
    with pytest.raises(CheckpointError) as caught:
        checkpoints.read_run(tmp_path)
    assert sentence in str(caught.value)


def test_no_run_file(tmp_path: Path):
    assert checkpoints.read_run(tmp_path) == {}


def test_the_run_file_is_json_for_people(tmp_path: Path):
    run = make_run(tmp_path / "new", make_variables(0), {"alphabet": ["ä"]})
    run.describe()
    text = (tmp_path / "new" / "run.json").read_text("utf-8")
    assert json.loads(text) == {"network": {"alphabet": ["ä"]}}
    assert "ä" in text


def test_a_directory_that_cannot_be_made(tmp_path: Path):
    (tmp_path / "file").touch()
    with pytest.raises(CheckpointError, match=r"Cannot save step 1 to .*file/run: .*Make room or choose another"):
        save(tmp_path / "file" / "run", 1)
    with pytest.raises(DeepSpeechError, match=r"cannot make .*file/run: Not a directory"):
        make_run(tmp_path / "file" / "run", {}).describe()


def test_the_default_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    sets = [
        ["a/train.csv"],
        ["b/train.csv"],
        ["a/dev.csv"],
        ["a/train.csv", "b/train.csv"],
        ["a/train.csv", "a/dev.csv"],
    ]
    monkeypatch.chdir(tmp_path)
    found = [checkpoints.default_directory(paths) for paths in sets]
    assert len(set(found)) == len(sets)
    assert found[0].parent == Path("runs")
    assert found[0].name.startswith("a-train-")
    assert checkpoints.default_directory([str(tmp_path / "a" / ".." / "a" / "train.csv")]) == found[0]
