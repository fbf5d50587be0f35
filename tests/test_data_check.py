"""Leaks are found without reading more than must be; threads stop when nobody listens."""

from __future__ import annotations

import hashlib
import threading
from pathlib import Path

import numpy as np
import pytest

from util.corpus import Utterance
from util.data_check import Sample, find_leaks, find_overlaps, speaker
from util.threads import in_threads


def sample(path: Path, text: str, seconds: float = 1.0, line: int = 2, **extra: str) -> Sample:
    utterance = Utterance(path.name, str(path), 0, text, "a.csv", line, tuple(extra.items()))
    return Sample(utterance, np.zeros(0, np.int32), 50, seconds)


def write(folder: Path, **contents: bytes) -> dict[str, Path]:
    for name, content in contents.items():
        (folder / name).write_bytes(content)
    return {name: folder / name for name in contents}


def test_only_files_that_may_be_the_same_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    files = write(tmp_path, first=b"sound", copy=b"sound", other=b"noise", unread=b"sound")
    read: list[str] = []
    digest = hashlib.file_digest
    monkeypatch.setattr(hashlib, "file_digest", lambda file, name: read.append(file.name) or digest(file, name))
    same = sample(files["unread"], "b")
    train = [sample(files["first"], "a"), same, same, sample(files["unread"], "c", 2.0), sample(tmp_path / "gone", "d")]
    dev = [sample(files["copy"], "a"), same, sample(files["other"], "a"), sample(files["other"], "c")]
    (leak,) = find_leaks({"train": train, "dev": [*dev, sample(tmp_path / "lost", "d")]})
    pairs = {(first[0].wav_filename, second[0].wav_filename) for first, second in leak.shared.values()}
    assert pairs == {("first", "copy"), ("unread", "unread")}
    assert leak.count == "2 recordings"
    assert sorted(read) == sorted(str(files[name]) for name in ("first", "copy", "other"))


def test_speakers():
    named = [("speaker", "eva"), ("client_id", "f00"), ("name", "kim"), ("speaker", " ")]
    found = [speaker(sample(Path("a.wav"), "a", **dict([pair])).utterance) for pair in named]
    assert found == ["eva", "f00", "", ""]
    both = sample(Path("a.wav"), "a", client_id="f00", speaker="").utterance
    assert speaker(both) == "f00"


def test_every_pair_of_sets_is_compared():
    row = sample(Path("a.wav"), "a").utterance
    sets = {"train": {"eva": [row], "": [row]}, "dev": {"max": [row], "": [row]}, "test": {"eva": [row], "max": [row]}}
    found = [(overlap.names, list(overlap.shared)) for overlap in find_overlaps("speaker", sets)]
    assert found == [(("train", "test"), ["eva"]), (("dev", "test"), ["max"])]


def test_threads_keep_the_order_and_stop():
    assert list(in_threads(lambda number: number * number, range(100), 4)) == [number**2 for number in range(100)]
    begun: list[int] = []
    go_on = threading.Event()

    def work(number: int) -> int:
        begun.append(number)
        if number:
            go_on.wait(10)
        return number

    results = in_threads(work, range(1000), 2)
    assert next(results) == 0
    threading.Timer(0.05, go_on.set).start()
    results.close()
    assert len(begun) < 10
