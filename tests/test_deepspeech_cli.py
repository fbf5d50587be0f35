"""The command deepspeech, as a program."""

from __future__ import annotations

import html
import importlib.metadata
import io
import itertools
import json
import re
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import soxr
from conftest import BIDIRECTIONAL, SPOKEN, speak

from util.audio import read_audio
from util.text import Alphabet

pytestmark = pytest.mark.usefixtures("native")
ds = pytest.importorskip("deepspeech", reason="the package is not built: pip install ./native_client/python")
audio = pytest.importorskip("deepspeech.audio")
output = pytest.importorskip("deepspeech.output")

SENTENCE = SPOKEN[0]
AUDIO = speak(SENTENCE)
Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def run(model: Path, tmp_path: Path) -> Run:
    """Run it in a folder that has a.wav, with the exported model."""
    soundfile.write(tmp_path / "a.wav", AUDIO, 16000)

    def run(*arguments: object, data: bytes | None = None, **options: Any) -> subprocess.CompletedProcess[str]:
        command = [
            sys.executable,
            "-m",
            "deepspeech",
            "--model",
            str(options.pop("model", model)),
            *map(str, arguments),
        ]
        done = subprocess.run(command, input=data, capture_output=True, cwd=tmp_path, check=False, **options)
        texts = done.stdout.decode(), done.stderr.decode()
        assert "Traceback" not in texts[1], texts[1]
        return subprocess.CompletedProcess(command, done.returncode, *texts)

    return run


def wav_bytes(samples: Any, rate: int, **options: Any) -> bytes:
    file = io.BytesIO()
    soundfile.write(file, samples, rate, format="WAV", **options)
    return file.getvalue()


def test_the_transcript_alone_is_on_standard_output(run: Run):
    done = run("--audio", "a.wav")
    assert (done.returncode, done.stdout, done.stderr) == (0, f"{SENTENCE}\n", "")


def test_extended_is_the_text_of_the_labels(run: Run):
    assert run("--audio", "a.wav", "--extended").stdout == f"{SENTENCE}\n"


def test_the_installed_command_is_the_same_program():
    scripts = importlib.metadata.entry_points(group="console_scripts")
    assert [script.value for script in scripts if script.name == "deepspeech"] == ["deepspeech.cli:main"]


@pytest.mark.parametrize(
    ("name", "rate", "channels", "options"),
    [
        ("b.wav", 44100, 2, {"subtype": "PCM_24"}),
        ("b.wav", 8000, 1, {"subtype": "PCM_U8"}),
        ("b.wav", 48000, 1, {"subtype": "FLOAT"}),
        ("b.flac", 22050, 1, {}),
        ("b.ogg", 48000, 2, {}),
        ("b.mp3", 44100, 1, {}),
        ("b.aiff", 16000, 3, {}),
    ],
)
def test_any_rate_format_and_number_of_channels(run, tmp_path, name, rate, channels, options):
    samples = soxr.resample(AUDIO.astype(np.float32) / 32768, 16000, rate)
    soundfile.write(tmp_path / name, np.repeat(samples[:, None], channels, axis=1) * 0.9, rate, **options)
    done = run("--audio", name)
    assert (done.returncode, done.stdout) == (0, f"{SENTENCE}\n"), done.stderr


@pytest.mark.parametrize("rate", [8000, 11025, 16000, 44100])
@pytest.mark.parametrize("seconds", [0.05, 0.3, 100])
def test_blocks_are_what_the_trainer_reads(tmp_path, rate, seconds):
    """The network hears at work what it heard when it learnt, wherever blocks end."""
    noise = np.random.default_rng(1).normal(0, 0.2, [rate * 2, 2])
    soundfile.write(tmp_path / "b.wav", noise, rate, subtype="PCM_16")
    expected = read_audio(tmp_path / "b.wav", 16000)
    blocks = list(audio.read_blocks(str(tmp_path / "b.wav"), 16000, seconds))
    assert all(block.dtype == np.int16 for block in blocks)
    found = np.concatenate(blocks)
    assert len(found) == len(expected)
    assert np.abs(found.astype(int) - expected).max() <= 2


def test_several_recordings_begin_with_their_path(run: Run, tmp_path: Path):
    (tmp_path / "more").mkdir()
    for number, text in enumerate(SPOKEN[1:]):
        soundfile.write(tmp_path / "more" / f"{number}.flac", speak(text), 16000)
    (tmp_path / "more" / "notes.txt").write_text("no recording")
    lines = [f"more/{number}.flac\t{text}" for number, text in enumerate(SPOKEN[1:])]
    assert run("--audio", "more").stdout.splitlines() == lines
    data = wav_bytes(AUDIO, 16000)
    done = run("--audio", "a.wav", "more", "--audio", "-", data=data)
    assert done.stdout.splitlines() == [f"a.wav\t{SENTENCE}", *lines, f"-\t{SENTENCE}"]
    done = run("--audio", "a.wav", "more", "--json")
    found = [json.loads(line) for line in done.stdout.splitlines()]
    assert [one["audio"] for one in found] == ["a.wav", "more/0.flac", "more/1.flac"]


@pytest.mark.parametrize("form", ["WAV", "FLAC", "OGG"])
def test_standard_input(run: Run, form: str):
    file = io.BytesIO()
    soundfile.write(file, soxr.resample(AUDIO / 32768, 16000, 44100), 44100, format=form)
    assert run("--audio", "-", data=file.getvalue()).stdout == f"{SENTENCE}\n"


@pytest.mark.parametrize("rate", [16000, 8000, 44100])
def test_raw_standard_input(run: Run, rate: int):
    samples = soxr.resample(AUDIO, 16000, rate)
    done = run("--audio", "-", "--raw", rate, data=samples.tobytes() + b"\0")
    assert (done.returncode, done.stdout) == (0, f"{SENTENCE}\n")


def test_stream_shows_partial_results_on_standard_error(run: Run, tmp_path: Path):
    soundfile.write(tmp_path / "long.wav", np.concatenate([speak(text) for text in SPOKEN]), 16000)
    done = run("--audio", "long.wav", "--stream", 60)
    assert done.stdout == run("--audio", "long.wav").stdout
    shown = done.stderr.splitlines()
    assert len(shown) > 2
    assert all(before != after for before, after in itertools.pairwise(shown)), "only what is new"
    assert len(shown[0]) < len(shown[-1]) <= len(done.stdout)


def test_live_audio_is_shown_before_its_end(model: Path):
    command = [sys.executable, "-m", "deepspeech", "--model", str(model), "--audio", "-", "--raw=16000", "--stream=100"]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(command, **pipes) as process:
        guard = threading.Timer(60, process.kill)
        guard.start()
        process.stdin.write(AUDIO.tobytes())
        process.stdin.flush()
        assert process.stderr.readline().strip(), "nothing is shown while the input is open"
        out, _ = process.communicate()
        guard.cancel()
    assert out.decode() == f"{SENTENCE}\n"


def test_json_has_the_form_of_093_and_more(run: Run):
    done = run("--audio", "a.wav", "--json", "--candidate_transcripts", 2)
    found = json.loads(done.stdout)
    assert done.stdout.startswith('{\n  "transcripts": [\n    {\n      "confidence": '), "indented as there"
    assert list(found) == ["transcripts"]
    assert len(found["transcripts"]) == 2
    for transcript in found["transcripts"]:
        assert isinstance(transcript["confidence"], float)
    words = found["transcripts"][0]["words"]
    assert [word["word"] for word in words] == SENTENCE.split()
    for word in words:
        assert {"word", "start_time", "duration"} <= word.keys()
        assert word["duration"] > 0
        assert word["end_time"] == pytest.approx(word["start_time"] + word["duration"], abs=2e-4)
        assert 0 < word["confidence"] <= 1


def seconds(clock: str) -> float:
    hours, minutes, rest = clock.replace(",", ".").split(":")
    return 3600 * int(hours) + 60 * int(minutes) + float(rest)


def test_subtitles(run: Run):
    srt = run("--audio", "a.wav", "--srt").stdout
    match = re.fullmatch(r"1\n(\d\d:\d\d:\d\d,\d{3}) --> (\d\d:\d\d:\d\d,\d{3})\n(.*)\n", srt)
    assert match
    assert match[3] == SENTENCE
    assert 0 <= seconds(match[1]) < 0.3
    assert 0.4 < seconds(match[2]) <= len(AUDIO) / 16000 + 0.02
    vtt = run("--audio", "a.wav", "--vtt").stdout
    times = f"{match[1]} --> {match[2]}".replace(",", ".")
    assert vtt == f"WEBVTT\n\n{times}\n{SENTENCE}\n"


def test_captions_fit_on_the_screen():
    """The numbers of words, pauses and lengths are chosen so that each rule cuts once."""
    word = ds.WordMetadata
    after_a_pause = [word("one", 0.0, 0.4, 1.0), word("two", 1.3, 1.5, 1.0)]
    long = [word("x" * 40, 10.0 + i, 10.9 + i, 1.0) for i in range(3)]
    slow = [word("slow", 20.0 + 2 * i, 21.9 + 2 * i, 1.0) for i in range(4)]
    captions = list(output.make_captions([*after_a_pause, *long, *slow]))
    texts = [caption.text for caption in captions]
    assert texts == ["one", "two", f"{'x' * 40} {'x' * 40}", "x" * 40, "slow slow slow", "slow"]
    assert (captions[2].start, captions[2].end) == (10.0, 11.9)
    late = [output.Caption(3599.9996, 36000.0, "a < b & c")]
    assert output.format_srt(late) == "1\n01:00:00,000 --> 10:00:00,000\na < b & c\n"
    assert html.unescape(output.format_vtt(late).splitlines()[-1]) == "a < b & c"
    assert "<" not in output.format_vtt(late)


def test_output_has_a_file_for_each_recording(run: Run, tmp_path: Path):
    soundfile.write(tmp_path / "b.flac", speak(SPOKEN[1]), 16000)
    done = run("--audio", ".", "--srt", "--output", "out/deep")
    assert (done.returncode, done.stdout) == (0, "")
    assert {path.name for path in (tmp_path / "out" / "deep").iterdir()} == {"a.srt", "b.srt"}
    assert SPOKEN[1] in (tmp_path / "out" / "deep" / "b.srt").read_text()
    run("--audio", "a.wav", "--output", "out")
    assert (tmp_path / "out" / "a.txt").read_text() == f"{SENTENCE}\n"
    soundfile.write(tmp_path / "a.flac", speak(SPOKEN[1]), 16000)
    done = run("--audio", "a.wav", "a.flac", "--output", "out")
    assert (done.returncode, "a.wav and a.flac would both be written to out/a.txt" in done.stderr) == (1, True)


@pytest.fixture(scope="module")
def scorer(make_scorer: Callable[..., str]) -> str:
    return make_scorer("\n".join(SPOKEN), Alphabet([" ", *"abcdefghijklmnopqrstuvwxyz'"]))


def confidence(run: Run, *arguments: object) -> float:
    done = run("--audio", "a.wav", "--json", *arguments)
    assert done.returncode == 0, done.stderr
    return float(json.loads(done.stdout)["transcripts"][0]["confidence"])


def test_each_weight_can_be_given_alone(run: Run, scorer: str):
    """The score is linear in alpha and beta (three words: three times beta)."""
    defaults = ds_scorer_weights(scorer)
    both = confidence(run, "--scorer", scorer)
    assert both == pytest.approx(
        confidence(run, "--scorer", scorer, "--lm_alpha", defaults[0], "--lm_beta", defaults[1]), abs=1e-4
    )
    assert confidence(run, "--scorer", scorer, "--lm_beta", defaults[1] + 2) == pytest.approx(both + 3 * 2, abs=1e-2)
    one = confidence(run, "--scorer", scorer, "--lm_alpha", 0)
    assert one == pytest.approx(
        confidence(run, "--scorer", scorer, "--lm_alpha", 0, "--lm_beta", defaults[1]), abs=1e-4
    )
    assert one != pytest.approx(both, abs=0.1)


def ds_scorer_weights(path: str) -> tuple[float, float]:
    import ds_ctcdecoder  # noqa: PLC0415 - where the package is missing the tests of this file are skipped

    alphabet = ds_ctcdecoder.Alphabet.from_labels([" ", *"abcdefghijklmnopqrstuvwxyz'"])
    scorer = ds_ctcdecoder.Scorer(scorer_path=path, alphabet=alphabet)
    return scorer.alpha, scorer.beta


def test_hot_words_and_beam_width_reach_the_search(run: Run):
    plain = confidence(run)
    assert confidence(run, "--hot_words", "cab:2.5,bad:1") == pytest.approx(plain + 3.5, abs=0.1)
    assert confidence(run, "--beam_width", 1) <= plain
    assert confidence(run, "--beam_width", 0) == plain, "0: the model's"
    assert confidence(run, "--threads", 2) == pytest.approx(plain, abs=1e-4)


def test_info(run: Run, export: Callable[[str], Path]):
    lines = dict(line.split(": ", 1) for line in run("--info").stdout.splitlines())
    assert lines["sample rate"] == "16000 Hz"
    assert lines["labels"].startswith("28: ' ' 'a' 'b'")
    assert lines["network"] == "48 units in a layer, hears audio as it arrives"
    assert "in both directions" in run("--info", model=export(BIDIRECTIONAL)).stdout


def test_version_is_printed_as_093_does(run: Run):
    done = run("--version")
    assert (done.returncode, done.stdout) == (0, f"DeepSpeech  {ds.version()}\n")


# ------------------------------------------------------------------------------------------ mistakes


def test_a_bad_recording_does_not_stop_the_others(run: Run, tmp_path: Path):
    (tmp_path / "page.wav").write_text("<html></html>")
    (tmp_path / "empty.wav").write_bytes(b"")
    soundfile.write(tmp_path / "nan.wav", np.full(1000, np.nan), 16000, subtype="FLOAT")
    done = run("--audio", "page.wav", "missing.wav", "empty.wav", "nan.wav", "a.wav")
    assert (done.returncode, done.stdout) == (1, f"a.wav\t{SENTENCE}\n")
    told = done.stderr.splitlines()
    assert len(told) == 4
    for line, sentence in zip(
        told,
        (
            "page.wav is no sound that can be read",
            "cannot read missing.wav: No such file",
            "empty.wav is empty",
            "nan.wav holds samples that are not numbers",
        ),
        strict=True,
    ):
        assert line.startswith(f"deepspeech: {sentence}")


@pytest.mark.parametrize(
    ("arguments", "status", "told"),
    [
        ([], 2, "give --audio, what to transcribe, or --info"),
        (["--audio", "a.wav", "--lm_alpha", "1"], 2, "--lm_alpha and --lm_beta are of a scorer: give --scorer"),
        (["--audio", "a.wav", "--hot_words", "cab"], 2, "'cab' is not written word:boost, as in latte:5"),
        (["--audio", "a.wav", "--hot_words", "cab:much"], 2, "'cab:much' is not written word:boost"),
        (["--audio", "a.wav", "--hot_words", "käse:1"], 1, "AddHotWord failed with '"),
        (["--audio", "a.wav", "--beam_width", "-3"], 2, "--beam_width is -3; expected 1 or more"),
        (["--audio", "a.wav", "--threads", "0"], 2, "argument --threads: 0 is not above 0"),
        (["--audio", "a.wav", "--raw", "8000"], 2, "--raw is for standard input: give --audio -"),
        (["--audio", "-", "-"], 2, "standard input is there once"),
        (["--audio", "a.wav", "a.wav", "--srt"], 2, "subtitles of several recordings need a folder: give --output"),
        (["--audio", "a.wav", "--srt", "--json"], 2, "not allowed with argument"),
        (["--audio", "a.wav", "--scorer", "no.scorer"], 1, "EnableExternalScorer failed with '"),
        (["--audio", "nothing"], 1, "the folder nothing has no recordings in it"),
        (["--audio", "a.wav", "--output", "a.wav/x"], 1, "cannot make the folder a.wav/x: Not a directory"),
    ],
)
def test_mistakes_are_one_sentence_and_a_status(run, tmp_path, arguments, status, told):
    (tmp_path / "nothing").mkdir()
    done = run(*arguments)
    assert (done.returncode, done.stdout) == (status, "")
    assert told in done.stderr.splitlines()[-1]
    assert status == 2 or len(done.stderr.splitlines()) == 1


def test_a_model_that_is_none(run: Run):
    done = run("--audio", "a.wav", model="a.wav")
    assert (done.returncode, len(done.stderr.splitlines())) == (1, 1)
    assert done.stderr.startswith("deepspeech: CreateModel failed with '")


def test_a_reader_that_goes_away_is_no_error_message(model: Path, tmp_path: Path):
    soundfile.write(tmp_path / "a.wav", AUDIO, 16000)
    command = f"{sys.executable} -m deepspeech --model {model} --audio {' '.join(['a.wav'] * 50)} | head -n 1"
    done = subprocess.run(command, shell=True, capture_output=True, text=True, cwd=tmp_path, check=False)
    assert (done.stdout, done.stderr) == (f"a.wav\t{SENTENCE}\n", "")


PEAK = """
import resource, sys
from deepspeech.cli import main
status = main(sys.argv[1:])
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, file=sys.stderr)
sys.exit(status)
"""


def test_long_recordings_take_little_memory(model: Path, tmp_path: Path):
    """31 minutes are 60 MB as they are stored and 120 MB as float32; what may grow is what was recognised."""

    def peak(minutes: float) -> float:
        samples = np.tile(np.concatenate([AUDIO, np.zeros(16000, np.int16)]), round(minutes * 35))
        soundfile.write(tmp_path / "long.wav", samples, 16000)
        command = [sys.executable, "-c", PEAK, "--model", model, "--audio", tmp_path / "long.wav", "--beam_width=5"]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        assert "cab" in done.stdout
        return float(done.stderr)

    assert peak(31) < peak(0.5) + 50
