"""The native client against TensorFlow, python_speech_features and the real old clients, and its build."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from conftest import BIDIRECTIONAL, ROOT, SPOKEN, speak
from python_speech_features import mfcc

from util import tf
from util.inference import TfliteModel

pytestmark = pytest.mark.usefixtures("native")
ds = pytest.importorskip("deepspeech", reason="the package is not built: pip install ./native_client/python")
engine = pytest.importorskip("deepspeech._engine")

SPEECH = ROOT / "data" / "smoke_test" / "she_had_your_dark_suit.wav"
N_CONTEXT, N_INPUT, WINDOW, STEP = 9, 26, 512, 320
LENGTHS = 0, 1, 399, 400, 401, 511, 512, 513, 831, 832, 9000
with_predecessors = pytest.mark.skipif("PREDECESSORS" not in os.environ, reason="PREDECESSORS names no folder")


def speech(n_samples: int | None = None) -> Any:
    samples, _ = soundfile.read(SPEECH, dtype="int16", stop=n_samples)
    return samples


# ------------------------------------------------------------------------------------------ features


@pytest.mark.parametrize("n_samples", LENGTHS)
def test_streaming_features_are_those_of_tensorflows_operations(model: Path, n_samples: int):
    samples = speech(n_samples)
    n_whole = max(0, (n_samples - WINDOW) // STEP + 1)
    padded = np.pad(samples, (0, n_whole * STEP + WINDOW - n_samples)).astype(np.float32) / 32768
    spectrogram = tf.raw_ops.AudioSpectrogram(
        input=padded[:, np.newaxis], window_size=WINDOW, stride=STEP, magnitude_squared=True
    )
    expected = tf.raw_ops.Mfcc(
        spectrogram=spectrogram, sample_rate=16000, dct_coefficient_count=N_INPUT, upper_frequency_limit=8000.0
    )
    np.testing.assert_allclose(engine.Model.load(str(model)).features(samples), expected[0], rtol=0, atol=5e-6)


@pytest.mark.parametrize("n_samples", [length for length in LENGTHS if length])
def test_classic_features_are_those_of_python_speech_features(export: Callable[..., Path], n_samples: int):
    samples = speech(n_samples)
    expected = mfcc(samples, 16000, 0.025, 0.01, N_INPUT, 26, 512)[::2]
    found = engine.Model.load(str(export(BIDIRECTIONAL))).features(samples)
    np.testing.assert_allclose(found, expected, rtol=0, atol=5e-5)


# ----------------------------------------------------------------------------------------- the network


def run_by_tensorflow(path: Path, features: Any) -> Any:
    """Run a streaming file as its clients do, with the features given."""
    file = TfliteModel(path)
    detail = next(d for d in file._interpreter.get_input_details() if d["name"] == "input_node")
    n_steps = detail["shape"][1]
    padded = np.pad(features, ((N_CONTEXT, N_CONTEXT + n_steps), (0, 0)))
    windows = np.stack([padded[i : i + 2 * N_CONTEXT + 1] for i in range(len(padded) - 2 * N_CONTEXT)])
    state: dict[str, Any] = {}
    rows = []
    for begin in range(0, len(features), n_steps):
        outputs = file.run({"input_node": windows[np.newaxis, begin : begin + n_steps], **state})
        state = {f"previous_state_{name}": outputs[f"new_state_{name}"] for name in "ch"}
        rows.append(outputs["logits"])
    return np.concatenate(rows)[: len(features)]


@pytest.mark.parametrize("text", SPOKEN)
def test_streaming_files_say_the_same_in_tensorflow_lite(model: Path, text: str):
    native = engine.Model.load(str(model))
    expected = run_by_tensorflow(model, native.features(speak(text)))
    found = native.probabilities(speak(text))
    assert (found.argmax(1) == expected.argmax(1)).all()
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-3)


@pytest.mark.parametrize("text", SPOKEN)
def test_bidirectional_files_say_the_same_in_tensorflow_lite(export: Callable[..., Path], text: str):
    path = export(BIDIRECTIONAL)
    outputs = TfliteModel(path).run({"input_samples": speak(text).astype(np.float32) / 32768})
    found = engine.Model.load(str(path)).probabilities(speak(text))
    assert (found.argmax(1) == outputs["logits"].argmax(1)).all()
    np.testing.assert_allclose(found, outputs["logits"], rtol=0, atol=0.02)  # its features are float32


# ------------------------------------------------------------------------------------------ memory

MEMORY = """
import gc, sys
import numpy as np
import deepspeech
def resident():
    gc.collect()
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * 4096 / 2**20
audio = (np.random.RandomState(1).randn(4000) * 3000).astype(np.int16)
model = deepspeech.Model(sys.argv[1])
def use():
    stream = model.createStream()
    stream.feedAudioContent(audio)
    stream.intermediateDecode()
    stream.finishStream()
def load():
    deepspeech.Model(sys.argv[1]).stt(audio[:100])
for work, count in ((use, 10_000), (load, 1_000)):
    for _ in range(count // 10):
        work()
    before = resident()
    for _ in range(count):
        work()
    print(resident() - before)
"""


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="the system does not tell its memory")
def test_streams_and_models_leave_no_memory_behind(model: Path):
    done = subprocess.run([sys.executable, "-c", MEMORY, model], capture_output=True, text=True, check=True)
    assert all(float(grown) < 1 for grown in done.stdout.split()), done.stdout  # MiB


# ------------------------------------------------------------------------------------------ library and command


@pytest.fixture(scope="session")
def build(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a build of the C library, made by the command in its README."""
    if not shutil.which("cmake") or not shutil.which("c++"):
        pytest.skip("there is no cmake or no compiler")
    folder = tmp_path_factory.mktemp("native")
    readme = (ROOT / "native_client" / "README.md").read_text()
    command = re.search(r"cmake -S native_client -B build && cmake --build build -j2", readme)
    assert command
    environment = os.environ | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    line = (
        command[0]
        .replace("-B build", f"-B {folder} -DDEEPSPEECH_BUILDER=OFF")
        .replace("--build build", f"--build {folder}")
    )
    done = subprocess.run(line, shell=True, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    return folder


@pytest.fixture
def command(build: Path, model: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    def run(*arguments: Any, path: Path = model) -> subprocess.CompletedProcess[str]:
        told = [build / "client" / "deepspeech", "--model", path, *arguments]
        return subprocess.run(list(map(str, told)), capture_output=True, text=True, check=False)

    return run


@pytest.fixture
def wav(tmp_path: Path) -> Path:
    path = tmp_path / "a.wav"
    soundfile.write(path, speak(SPOKEN[0]), 16000)
    return path


def test_the_command_says_what_the_package_says(command, export, wav: Path):
    assert command("--audio", wav).stdout == f"{SPOKEN[0]}\n"
    assert command("--audio", wav, path=export(BIDIRECTIONAL)).stdout == f"{SPOKEN[0]}\n"
    *partial, final = command("--audio", wav, "--stream", 1000).stdout.splitlines()
    assert final == SPOKEN[0]
    assert partial
    assert all(SPOKEN[0].startswith(text.rstrip()) for text in partial)
    shown = json.loads(command("--audio", wav, "--json").stdout)
    assert [word["word"] for word in shown["words"]] == SPOKEN[0].split()
    assert len(shown["alternatives"]) == 2
    assert command("--audio", wav, "-t").stdout.splitlines()[1].startswith("cpu_time_overall=0.")


@pytest.mark.parametrize("kind", ["PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE", "stereo"])
def test_the_command_reads_every_wav(command, tmp_path: Path, kind: str):
    samples = speak(SPOKEN[0]).astype(np.float32) / 32768
    path = tmp_path / "a.wav"
    if kind == "stereo":
        soundfile.write(path, np.stack([samples * 0.5, samples * 1.5], 1), 16000)
    else:
        soundfile.write(path, samples, 16000, subtype=kind)
    assert command("--audio", path).stdout == f"{SPOKEN[0]}\n"


def test_the_command_goes_through_a_folder(command, wav: Path):
    shutil.copy(wav, wav.with_name("b.wav"))
    wav.with_name("c.wav").write_bytes(b"RIFF")
    done = command("--audio", wav.parent)
    lines = [f"Running on directory {wav.parent}"]
    for name in ("a.wav", "b.wav"):
        lines += [f"> {wav.parent}/{name}", SPOKEN[0]]
    assert done.stdout.splitlines() == [*lines, f"> {wav.parent}/c.wav"]
    assert done.returncode == 1
    assert "no WAV file" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "status", "told"),
    [
        (["--audio", "nowhere.wav"], 1, "cannot be opened"),
        (["--beam_width", "many", "--audio", "a"], 2, "--beam_width"),
        (["--hot_words", "cat", "--audio", "a"], 2, "word:boost"),
        (["--lm_alpha", "1", "--audio", "a"], 2, "--lm_beta"),
        (["--scorer", "nowhere.scorer", "--audio", "a"], 1, "nowhere.scorer"),
        (["surplus", "--audio", "a"], 2, "surplus"),
        ([], 2, "--audio"),
    ],
)
def test_mistakes_are_one_sentence_and_a_status(command, arguments: list[str], status: int, told: str):
    done = command(*arguments)
    assert (done.returncode, done.stdout) == (status, "")
    assert told in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_another_rate_is_told(command, tmp_path: Path):
    soundfile.write(tmp_path / "a.wav", speak(SPOKEN[0]), 8000)
    done = command("--audio", tmp_path / "a.wav")
    assert done.returncode == 1
    assert "8000 Hz" in done.stderr
    assert "16000" in done.stderr


def test_the_program_in_the_readme_runs(build: Path, model: Path, tmp_path: Path):
    readme = (ROOT / "native_client" / "README.md").read_text()
    source, line = re.search(r"```c\n(.*?)```\n\n    (cc .*?)\n", readme, re.DOTALL).groups()  # type: ignore[union-attr]
    (tmp_path / "example.c").write_text(source)
    (tmp_path / "native_client").symlink_to(ROOT / "native_client")
    (tmp_path / "build").symlink_to(build)
    subprocess.run(line.split(), cwd=tmp_path, check=True)
    speak(SPOKEN[0]).tofile(tmp_path / "a.raw")
    done = subprocess.run(
        [tmp_path / "example", model, "a.raw"], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert done.stdout == f"{SPOKEN[0]}\n"


def test_the_library_shows_the_c_interface_and_nothing_else(build: Path):
    if not shutil.which("nm"):
        pytest.skip("there is no nm")
    library = build / "client" / "libdeepspeech.so"
    listing = subprocess.run(["nm", "-D", "--defined-only", library], capture_output=True, text=True, check=True).stdout
    header = (ROOT / "native_client" / "include" / "deepspeech.h").read_text()
    declared = set(re.findall(r"^DEEPSPEECH_EXPORT .*?(DS_\w+)\(", header, re.MULTILINE))
    assert {line.split()[-1] for line in listing.splitlines()} == declared


# ------------------------------------------------------------------------------------------ the predecessors

OLD_CLIENT = """
import json, sys, wave
import numpy as np
try:
    import deepspeech as package
except ImportError:
    import stt as package
model = package.Model(sys.argv[1])
for path in sys.argv[2:]:
    with wave.open(path) as file:
        samples = np.frombuffer(file.readframes(file.getnframes()), np.int16)
    best = model.sttWithMetadata(samples, 1).transcripts[0]
    print(json.dumps(["".join(token.text for token in best.tokens), best.confidence]))
"""


def ask_old_client(home: str, model: Path, *paths: Path, **environment: str) -> Iterator[Any]:
    python = Path(os.environ["PREDECESSORS"], home, "bin", "python")
    told = [python, "-c", OLD_CLIENT, model, *paths]
    done = subprocess.run(
        list(map(str, told)), capture_output=True, text=True, check=True, env=os.environ | environment
    )
    return map(json.loads, done.stdout.splitlines())


@with_predecessors
def test_the_armenian_model_says_what_it_says_in_stt():
    path = Path(os.environ["PREDECESSORS"], "armspeech-0.1.4", "src", "model", "model.tflite")
    text, confidence = next(ask_old_client("stt310", path, SPEECH))
    best = ds.Model(path).sttWithMetadata(speech()).transcripts[0]
    assert best.text == text
    assert best.confidence == pytest.approx(confidence, abs=2e-3)


@with_predecessors
def test_a_program_compiled_for_093_runs_with_our_library(build: Path, model: Path, wav: Path, tmp_path: Path):
    installed = next(Path(os.environ["PREDECESSORS"], "ds39", "lib").glob("python*/site-packages/deepspeech"))
    shutil.copytree(installed, tmp_path / "site" / "deepspeech")
    shutil.copy(build / "client" / "libdeepspeech.so", tmp_path / "site" / "deepspeech" / "lib")
    text, confidence = next(ask_old_client("ds39", model, wav, PYTHONPATH=str(tmp_path / "site")))
    best = ds.Model(model).sttWithMetadata(speak(SPOKEN[0])).transcripts[0]
    assert (text, confidence) == (best.text, pytest.approx(best.confidence, abs=1e-6))
