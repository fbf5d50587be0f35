"""What several tests need: the trainer as a program, a small corpus, a web server that misbehaves on demand."""

from __future__ import annotations

import functools
import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

ROOT = Path(__file__).resolve().parent.parent
SHARED = ROOT.parent / "shared" / "data"  # real speech, where it is
sys.path.insert(0, str(ROOT))

from util.decoding import missing_package  # noqa: E402 - from the path above
from util.text import Alphabet  # noqa: E402


def pytest_configure() -> None:
    """Let programs that the tests start hear the signals that nohup or a shell's background has made us ignore."""
    for number in (signal.SIGINT, signal.SIGHUP):
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, lambda *_: None)  # what is caught here, and not what is ignored, is reset in a child


@dataclass
class Web:
    """A web server on the loopback interface.

    Attributes:
        url: its address, without a final slash.
        files: what it serves, by name.
        cuts: for a name, after how many bytes each of the next answers breaks off.
        ranges: False makes it ignore Range, as simple servers do.
        headers: more to send with a name; an ETag or Last-Modified is what If-Range must be.
        knows_if_range: False makes it ignore If-Range, as some do that know Range.
        asked: the Range header (or None) of each request, by name.
    """

    url: str = ""
    files: dict[str, bytes] = field(default_factory=dict)
    cuts: dict[str, list[int]] = field(default_factory=dict)
    ranges: bool = True
    headers: dict[str, dict[str, str]] = field(default_factory=dict)
    knows_if_range: bool = True
    asked: dict[str, list[str | None]] = field(default_factory=dict)


def make_handler(web: Web) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            name = self.path.lstrip("/")
            wanted = self.headers.get("Range") if web.ranges else None
            web.asked.setdefault(name, []).append(self.headers.get("Range"))
            if name not in web.files:
                self.send_error(404)
                return
            whole, headers = web.files[name], web.headers.get(name, {})
            condition = self.headers.get("If-Range") if web.knows_if_range else None
            if condition and condition not in headers.values():
                wanted = None
            start = int(wanted.removeprefix("bytes=").rstrip("-")) if wanted else 0
            if start >= len(whole) > 0:
                self.send_error(416)
                return
            self.send_response(206 if wanted else 200)
            for header, value in headers.items():
                self.send_header(header, value)
            if wanted:
                self.send_header("Content-Range", f"bytes {start}-{len(whole) - 1}/{len(whole)}")
            self.send_header("Content-Length", str(len(whole) - start))
            self.end_headers()
            cuts = web.cuts.get(name)
            self.wfile.write(whole[start : start + cuts.pop(0)] if cuts else whole[start:])

        def log_message(self, *_: object) -> None:
            pass

    return Handler


@pytest.fixture
def web() -> Iterator[Web]:
    web = Web()
    server = ThreadingHTTPServer(("127.0.0.1", 0), make_handler(web))
    web.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield web
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture(scope="session")
def native() -> None:
    """Be there for tests of beam search: a decoder that is missing fails them, except where it cannot be built."""
    reason = missing_package()
    compilers = [os.environ["CXX"].split()[0]] if os.environ.get("CXX") else ["c++", "g++", "clang++"]
    if reason and any(map(shutil.which, compilers)):
        pytest.fail(reason)
    if reason:
        pytest.skip(reason)


@pytest.fixture(scope="session")
def make_scorer(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, Alphabet | None], str]:
    """Return a function that builds a scorer from a text; without an alphabet one for bytes."""

    def make(text: str, alphabet: Alphabet | None) -> str:
        folder = tmp_path_factory.mktemp("scorer")
        (folder / "text.txt").write_text(f"{text}\n" * 3)
        labels = ["--bytes_output_mode"]
        if alphabet:
            (folder / "alphabet.txt").write_text("\n".join(alphabet.labels) + "\n")
            labels = ["--alphabet", str(folder / "alphabet.txt")]
        program = [sys.executable, str(ROOT / "bin" / "build_scorer.py"), "--order", "2"]
        command = [*program, "--text", str(folder / "text.txt"), *labels, "--output", str(folder / "my.scorer")]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return str(folder / "my.scorer")

    return make


NO_TENSORFLOW = 77  # exit status of a program that wanted TensorFlow where the test gave it none
SMALL = ("--n_hidden=16", "--intra_op_parallelism_threads=1", "--inter_op_parallelism_threads=1")


@dataclass(frozen=True)
class Program:
    """DeepSpeech.py, run as a program of its own with a small network.

    Attributes:
        folder: where it runs.
        decoy: a folder with a package `tensorflow` that ends the program at its import.
        always: flags that every command line begins with.
    """

    folder: Path
    decoy: Path
    always: Sequence[str] = SMALL

    def __call__(self, *flags: object, tensorflow: bool = True) -> subprocess.CompletedProcess[str]:
        """Run it to its end; no failure, however bad, may show a traceback.

        Args:
            flags: its command line.
            tensorflow: False lets it end with NO_TENSORFLOW where it would import TensorFlow.
        """
        command, settings = self._command(flags, tensorflow)
        done = subprocess.run(command, capture_output=True, timeout=120, check=False, **settings)
        assert "Traceback" not in done.stderr, done.stderr
        return done

    def start(self, *flags: object, **settings: Any) -> subprocess.Popen[str]:
        """Start it and return at once."""
        command, defaults = self._command(flags, True)
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        return subprocess.Popen(command, **(pipes | defaults | settings))

    def _command(self, flags: Sequence[object], tensorflow: bool) -> tuple[list[str], dict[str, Any]]:
        path = {} if tensorflow else {"PYTHONPATH": str(self.decoy)}
        environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
        command = [sys.executable, str(ROOT / "DeepSpeech.py"), *self.always, *map(str, flags)]
        return command, {"cwd": self.folder, "env": environment | path, "text": True}


Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Return a function that runs a program of the checkout in the test's folder, whose status it expects."""

    def run(name: str, *arguments: object, status: int = 0) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, ROOT / name, *map(str, arguments)]
        done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, check=False)
        assert "Traceback" not in done.stderr, done.stderr
        assert done.returncode == status, done.stderr
        return done

    return run


@pytest.fixture(scope="session")
def decoy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("decoy")
    (folder / "tensorflow").mkdir()
    (folder / "tensorflow" / "__init__.py").write_text(f"import os\nos._exit({NO_TENSORFLOW})\n")
    return folder


@pytest.fixture
def deepspeech(tmp_path: Path, decoy: Path) -> Program:
    return Program(tmp_path, decoy)


def speak(text: str, rate: int = 16000) -> NDArray[np.int16]:
    """Return a sound in which every letter is a tone of its own, 0.08 s each; a space is faint noise."""
    length = rate * 8 // 100
    time = np.arange(length) / rate
    window = np.hanning(length)
    noise = np.random.default_rng(len(text)).normal(0, 0.003, len(text) * length)
    tones = [0.4 * window * np.sin(2 * np.pi * (200 + 90 * (ord(ch) % 32)) * time) * (ch != " ") for ch in text]
    return np.rint((np.concatenate(tones) + noise) * 32767).astype(np.int16)


def write_corpus(folder: Path, name: str, texts: Sequence[str], ending: str = "wav") -> Path:
    """Write one audio file for each text, and the CSV that names them; return the CSV."""
    rows = ["wav_filename,wav_filesize,transcript"]
    for number, text in enumerate(texts):
        audio = folder / f"{name}{number}.{ending}"
        soundfile.write(audio, speak(text), 16000)
        rows.append(f"{audio.name},{audio.stat().st_size},{text}")
    path = folder / f"{name}.csv"
    path.write_text("\n".join(rows) + "\n")
    return path


@dataclass(frozen=True)
class Csvs:
    """CSV files of a few spoken letters: of different lengths, as WAV and as FLAC.

    Attributes:
        train: six utterances.
        dev: two.
        test: two.
    """

    train: Path
    dev: Path
    test: Path


@pytest.fixture(scope="session")
def csvs(tmp_path_factory: pytest.TempPathFactory) -> Csvs:
    folder = tmp_path_factory.mktemp("corpus")
    train = ["a cat", "a bad cab", "act a dad", "cab", "add a tab", "bad"]
    return Csvs(
        write_corpus(folder, "train", train),
        write_corpus(folder, "dev", ["a bat", "cad act"], "flac"),
        write_corpus(folder, "test", ["tab", "a cab"], "flac"),
    )


SPOKEN = ("a bad cab", "a cat", "add a tab")
BIDIRECTIONAL, STREAMING = "--bidirectional", "--nobidirectional"


@pytest.fixture(scope="session")
def export(native, tmp_path_factory: pytest.TempPathFactory, decoy: Path) -> Callable[..., Path]:
    """Return a function from the shape of the network to the exported model that knows a few texts by heart."""

    @functools.cache
    def export(shape: str, texts: Sequence[str] = SPOKEN) -> Path:
        folder = tmp_path_factory.mktemp("exported")
        header, *rows = write_corpus(folder, "train", texts).read_text().splitlines()
        (folder / "train.csv").write_text("\n".join([header, *rows * 40]) + "\n")
        pace = (
            ("--epochs=20", "--learning_rate=0.005") if shape == STREAMING else ("--epochs=8", "--learning_rate=0.003")
        )
        learn = shape, "--n_hidden=48", *pace, "--lr_schedule=cosine", "--dropout_rate=0"
        files = "--train_files=train.csv", "--checkpoint_dir=run", "--export_dir=model"
        done = Program(folder, decoy)(*learn, *files)
        assert done.returncode == 0, done.stderr
        return folder / "model" / "output_graph.tflite"

    return export


@pytest.fixture(scope="session")
def model(export: Callable[..., Path]) -> Path:
    """Return the exported model of a streaming network."""
    return export(STREAMING)
