"""bin/transcribe.py as a program, and how it cuts recordings."""

from __future__ import annotations

import itertools
import json
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from conftest import ROOT, SPOKEN, speak
from numpy.typing import NDArray

from util.segmentation import split_at_silences

RATE = 16000
RECORDING = ROOT / "data" / "smoke_test" / "she_had_your_dark_suit.wav"  # a voice, which the detector knows


@pytest.fixture(scope="module")
def voice() -> NDArray[np.int16]:
    samples, rate = soundfile.read(RECORDING, dtype="int16")
    assert rate == RATE
    return samples


def quiet(seconds: float) -> NDArray[np.int16]:
    return np.random.default_rng(3).normal(0, 5, round(seconds * RATE)).astype(np.int16)


# ------------------------------------------------------------------------------------------ where it is cut


def cut(samples: NDArray[np.int16], n_blocks: int = 1, **options: Any) -> list[tuple[float, float]]:
    """Cut, check that the parts are parts, and return their times in seconds."""
    segments = list(split_at_silences(np.array_split(samples, n_blocks), options.pop("rate", RATE), **options))
    times = []
    for segment in segments:
        end = segment.start + len(segment.samples)
        np.testing.assert_array_equal(segment.samples, samples[segment.start : end])
        times.append((segment.start / RATE, end / RATE))
    assert all(before[1] <= after[0] for before, after in itertools.pairwise(times))
    return times


@pytest.mark.parametrize("aggressiveness", [2, 3])
def test_speech_is_found_between_silences(voice, aggressiveness):
    length = len(voice) / RATE
    times = cut(np.concatenate([quiet(3), voice, quiet(4), voice, quiet(2)]), aggressiveness=aggressiveness)
    inside = [3 + length / 2, 7 + length * 3 / 2]
    assert [sum(begin <= at <= end for begin, end in times) for at in inside] == [1, 1]
    assert all(
        2.5 < begin < end < 3.6 + length or 6.5 + length < begin < end < 7.6 + 2 * length for begin, end in times
    )


def test_blocks_make_no_difference(voice):
    samples = np.concatenate([quiet(1), voice, quiet(1.5), voice])
    assert cut(samples) == cut(samples, n_blocks=7) == cut(samples, n_blocks=1000)


def test_silence_has_no_speech():
    assert cut(quiet(20)) == []
    assert cut(quiet(0)) == []


def test_long_speech_is_cut_where_it_is_quietest(voice):
    """Half a second of voice, 0.06 s of nothing, again and again: cuts are where nothing is."""
    piece = np.concatenate([voice[4000 : 4000 + RATE // 2], np.zeros(RATE * 6 // 100, np.int16)])
    times = cut(np.tile(piece, 20), aggressiveness=0, longest=3)
    assert len(times) >= 4
    assert all(end - begin <= 3 for begin, end in times)
    for begin, _ in times[1:]:
        assert begin % 0.56 > 0.46 or begin % 0.56 < 0.04
    assert sum(end - begin for begin, end in times) > 10.5, "little is lost"


@pytest.mark.parametrize("rate", [8000, 11025, 48000])
def test_other_rates(voice, rate):
    import soxr  # noqa: PLC0415

    samples = soxr.resample(np.concatenate([quiet(2), voice, quiet(2)]), RATE, rate)
    (begin, end), *others = [
        (s.start / rate, (s.start + len(s.samples)) / rate) for s in split_at_silences([samples], rate)
    ]
    assert others == []
    assert 1.5 < begin < 2.5
    assert 4 < end < 2 + len(voice) / RATE + 0.6


# ------------------------------------------------------------------------------------------ the program

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def run(model: Path, tmp_path: Path) -> Run:
    def run(*arguments: object, status: int = 0) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, ROOT / "bin" / "transcribe.py", "--model", model, *map(str, arguments)]
        done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, check=False)
        assert "Traceback" not in done.stderr, done.stderr
        assert done.returncode == status, done.stderr
        return done

    return run


@pytest.fixture
def talk(voice, tmp_path: Path) -> NDArray[np.int16]:
    """Write talk.wav: what the network knows, twice with a pause."""
    said = speak(SPOKEN[0])
    sentence = np.concatenate([said, quiet(0.2)])
    samples = np.concatenate([quiet(2), sentence, quiet(3), sentence, quiet(2)])
    soundfile.write(tmp_path / "talk.wav", samples, RATE)
    return samples


def test_times_are_those_of_the_whole_recording(run, model, talk, tmp_path):
    """Each part is heard alone here, and its times moved by hand."""
    run("--src", "talk.wav", "--formats", "json", "srt", "vtt", "txt", "tlog")
    found = json.loads((tmp_path / "talk.json").read_text())
    assert found["duration"] == pytest.approx(len(talk) / RATE, abs=1e-3)
    spoken_at = 2.0, 2 + len(speak(SPOKEN[0])) / RATE + 0.2 + 3
    assert [segment["start"] for segment in found["segments"]] == pytest.approx(spoken_at, abs=0.5)
    loaded = pytest.importorskip("deepspeech").Model(model)
    parts = [
        loaded.sttWithMetadata(talk[round(segment["start"] * RATE) : round(segment["end"] * RATE)]).transcripts[0]
        for segment in found["segments"]
    ]
    texts = [part.text.strip() for part in parts]
    assert all("cab" in text for text in texts)
    assert [segment["transcript"] for segment in found["segments"]] == texts
    expected = [
        (word.text, pytest.approx(segment["start"] + word.start_time, abs=1e-3))
        for segment, part in zip(found["segments"], parts, strict=True)
        for word in part.words
    ]
    words = [(word["word"], word["start_time"]) for word in found["transcripts"][0]["words"]]
    assert words == expected
    assert (tmp_path / "talk.txt").read_text().splitlines() == texts
    log = json.loads((tmp_path / "talk.tlog").read_text())
    assert log == [
        {"start": round(1000 * s["start"]), "end": round(1000 * s["end"]), "transcript": s["transcript"]}
        for s in found["segments"]
    ]
    assert (tmp_path / "talk.vtt").read_text().startswith("WEBVTT\n\n00:00:0")
    clock = re.findall(r"00:00:(\d\d),(\d{3}) -->", (tmp_path / "talk.srt").read_text())
    shown = [int(s) + int(ms) / 1000 for s, ms in clock]
    assert shown == pytest.approx([words[0][1], words[len(parts[0].words)][1]], abs=2e-3)


def test_a_folder_is_taken_up_where_it_was_left(run, talk, tmp_path):
    (tmp_path / "talks" / "deep").mkdir(parents=True)
    for name in ("b.wav", "a.flac", "deep/c.wav"):
        soundfile.write(tmp_path / "talks" / name, talk, RATE)
    run("--src", "talks", "--dst", "out")
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"a.json", "b.json"}
    (tmp_path / "out" / "a.json").write_text("mine")
    done = run("--src", "talks", "--dst", "out", "--recursive")
    assert "2 of 3 recordings have been transcribed before." in done.stderr
    assert (tmp_path / "out" / "a.json").read_text() == "mine"
    assert json.loads((tmp_path / "out" / "deep" / "c.json").read_text())["duration"] > 5
    run("--src", "talks", "--dst", "out", "--recursive=false", "--force", "True", "--noforce", "--force")
    assert json.loads((tmp_path / "out" / "a.json").read_text())["duration"] > 5


def test_a_catalog_says_what_is_written_where(run, talk, tmp_path):
    """The form of DSAlign; paths start at the catalog's folder."""
    (tmp_path / "talks" / "out").mkdir(parents=True)
    (tmp_path / "talk.wav").rename(tmp_path / "talks" / "a.wav")
    entry = {"audio": "a.wav", "tlog": "out/b.tlog", "script": "a.txt", "aligned": "a.aligned"}
    (tmp_path / "talks" / "all.catalog").write_text(json.dumps([entry]))
    run("--src", "talks/all.catalog")
    run("--src", "talks/a.wav", "--formats", "tlog")
    log = (tmp_path / "talks" / "out" / "b.tlog").read_text()
    assert log == (tmp_path / "talks" / "a.tlog").read_text()
    assert len(json.loads(log)) == 2
    assert "1 of 1 recordings have been transcribed before" in run("--src", "talks/all.catalog").stderr


@pytest.mark.parametrize(("batch_size", "threads"), [(1, 1), (3, 2), (40, 1)])
def test_batches_and_threads_make_no_difference(run, talk, tmp_path, batch_size, threads):
    run("--src", "talk.wav", "--dst", "first.json")
    for name in ("x.wav", "y.wav"):
        soundfile.write(tmp_path / name, talk, RATE)
    flags = "--batch_size", batch_size, "--threads", threads
    run("--src", "x.wav", "y.wav", *flags)
    first, x, y = (json.loads((tmp_path / f"{name}.json").read_text()) for name in ("first", "x", "y"))
    words = [[word["word"] for word in one["transcripts"][0]["words"]] for one in (first, x, y)]
    times = [[word["start_time"] for word in one["transcripts"][0]["words"]] for one in (first, x, y)]
    assert words[0] == words[1] == words[2] != []
    assert times[0] == times[1] == times[2]


def test_a_bad_recording_does_not_stop_the_others(run, talk, tmp_path):
    (tmp_path / "page.wav").write_text("<html></html>")
    (tmp_path / "cut.wav").write_bytes((tmp_path / "talk.wav").read_bytes()[:-1000])
    done = run("--src", "page.wav", "talk.wav", "cut.wav", "gone.wav", status=1)
    assert (tmp_path / "talk.json").exists()
    assert not (tmp_path / "cut.json").exists()
    errors = [line for line in done.stderr.splitlines() if line.startswith("Error: ")]
    assert [
        bool(re.search(told, line))
        for told, line in zip(
            ("page.wav is a web page", "cut.wav is cut short", "cannot read gone.wav"), errors, strict=True
        )
    ] == [True] * 3
    assert "Transcribed 1 of 4 recordings." in done.stderr


def test_interrupted_it_leaves_whole_files_and_goes_on(run, model, talk, tmp_path):
    (tmp_path / "talks").mkdir()
    for number in range(40):
        soundfile.write(tmp_path / "talks" / f"{number:02}.wav", np.tile(talk, 8), RATE)
    command = [sys.executable, ROOT / "bin" / "transcribe.py", "--model", model, "--src", "talks"]
    flags = ["--batch_size=1", "--threads=1"]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen([*command, *flags], cwd=tmp_path, **pipes) as process:
        deadline = time.monotonic() + 60
        while not (tmp_path / "talks" / "01.json").exists():
            assert time.monotonic() < deadline
            assert process.poll() is None
            time.sleep(0.01)
        process.send_signal(signal.SIGTERM)
        _, told = process.communicate(timeout=60)
    assert process.returncode == 130
    assert b"Traceback" not in told
    written = sorted(path.name for path in (tmp_path / "talks").glob("*.json"))
    assert 2 <= len(written) < 40
    assert list((tmp_path / "talks").glob(".*")) == []
    for name in written:
        json.loads((tmp_path / "talks" / name).read_text())
    done = run("--src", "talks", *flags)
    assert f"{len(written)} of 40 recordings have been transcribed before." in done.stderr
    assert len(list((tmp_path / "talks").glob("*.json"))) == 40


@pytest.mark.parametrize(
    ("arguments", "status", "told"),
    [
        (["--src", "empty"], 2, "empty has no recordings in it"),
        (["--src", "talk.wav", "talk.flac"], 2, "would both be written to talk.json"),
        (["--src", "talk.wav", "--longest_segment", "0.1"], 2, "--longest_segment is 0.1, expected at least 1 second"),
        (["--src", "talk.wav", "--checkpoint_dir", "run"], 2, "give --model or --checkpoint_dir"),
        (["--src", "talk.wav", "--force", "perhaps"], 2, "'perhaps' is neither true nor false"),
        (["--src", "talk.wav", "--n_hidden", "48"], 2, "unrecognized arguments: --n_hidden 48"),
        (["--src", "talks.catalog", "--dst", "texts"], 2, "talks.catalog says what to write"),
        (["--src", "talks.catalog", "--formats", "srt"], 2, "talks.catalog says what to write"),
        (["--src", "talks.catalog"], 1, "talks.catalog is not a catalog, JSON as in"),
        (["--src", "gone.catalog"], 1, "cannot read gone.catalog"),
        (["--src", "talk.wav", "--formats", "docx"], 2, "invalid choice: 'docx'"),
        (["--src", "talk.wav", "--lm_alpha", "1"], 2, "--lm_alpha and --lm_beta are of a scorer"),
        (["--src", "talk.wav", "--scorer", "gone.scorer"], 1, "EnableExternalScorer failed with"),
        (["--src", "talk.wav", "--dst", "talk.wav/x"], 1, "cannot make the directory talk.wav/x"),
    ],
)
def test_mistakes_are_one_sentence_and_a_status(run, talk, tmp_path, arguments, status, told):
    (tmp_path / "empty").mkdir()
    (tmp_path / "talks.catalog").write_text('[{"audio": "talk.wav"}]')
    soundfile.write(tmp_path / "talk.flac", talk, RATE)
    done = run(*arguments, status=status)
    assert told in done.stderr


def test_flags_without_a_purpose_are_told(run, talk):
    done = run("--src", "talk.wav", "--outlier_duration_ms", 10000, "--outlier_batch_size", 1)
    assert "--outlier_duration_ms and --outlier_batch_size have no effect" in done.stderr
