"""The trainings bin/run-<corpus>.sh: what they import, and that they train what is there."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
from conftest import NO_TENSORFLOW, ROOT, SMALL, write_corpus

from util.text import read_alphabet

THREE = ("train", "dev", "test")
CSVS = {
    "timit": ["timit-train.csv", "timit-test.csv"],
    "cv": [f"cv-valid-{split}.csv" for split in THREE],
    "cv gd": [f"cv2-{split}.csv" for split in THREE],  # of a folder
    "librivox": [f"librivox-train-{name}.csv" for name in ("clean-100", "clean-360", "other-500")]
    + [f"librivox-{split}-{kind}.csv" for split in ("dev", "test") for kind in ("clean", "other")],
}
CSVS |= {name: [f"{name}-{split}.csv" for split in THREE] for name in ("ted", "fisher", "swb", "voxforge")}

# Writes down its command line, then gives what was prepared.
IMPORTER = """
import shutil, sys
from pathlib import Path
here = Path(__file__).parent.parent
with (here / "imported").open("a") as file:
    print(Path(__file__).name, *sys.argv[1:], file=file)
shutil.copytree(here / "prepared", sys.argv[1], dirs_exist_ok=True)
sys.exit(len(list((here / "prepared").glob("fails"))) * 3)
"""


class Checkout:
    """A checkout with the real trainer, an environment that is there, and importers that only pretend."""

    def __init__(self, root: Path, decoy: Path) -> None:
        self.root, self._decoy = root, decoy
        for folder in ("bin", "data", "prepared", ".venv/bin"):
            (root / folder).mkdir(parents=True)
        for name in ("DeepSpeech.py", "util", "data/alphabet.txt"):
            (root / name).symlink_to(ROOT / name)
        for script in (*ROOT.glob("bin/run-*.sh"), ROOT / "bin" / "scenario.sh"):
            shutil.copy(script, root / "bin")
        self._write("bin/make-env.sh", "#!/bin/sh\n")
        self._write(".venv/bin/python", f'#!/bin/sh\nexec {sys.executable} "$@"\n')
        for importer in {name.partition(" ")[0] for name in CSVS} | {"cv2"}:
            self._write(f"bin/import_{importer}.py", IMPORTER)

    def _write(self, name: str, text: str) -> None:
        (self.root / name).write_text(text)
        (self.root / name).chmod(0o755)

    def prepare(self, csvs: Sequence[str], folder: str = "prepared") -> None:
        """Put tiny CSVs into a folder."""
        for name in csvs:
            texts = ["\u00e0 cat", "\u00e0 bad cab"] if "cv2" in name else ["a cat", "a bad cab"]
            write_corpus(self.root / folder, name.removesuffix(".csv"), texts)
        (self.root / folder / "cv2-alphabet.txt").write_text("".join(f"{letter}\n" for letter in " abcdt\u00e0"))

    def __call__(self, script: str, *flags: object, tensorflow: bool = False, **env: str) -> tuple[int, str]:
        """Run a script, with the folder in it if it has one, and return its status and output."""
        name, *folder = script.split()
        command = [self.root / "bin" / f"run-{name}.sh", *folder, *SMALL, *flags]
        places = {"XDG_DATA_HOME": str(self.root / "home")} | ({} if tensorflow else {"PYTHONPATH": str(self._decoy)})
        done = subprocess.run(
            list(map(str, command)),
            env={name: value for name, value in os.environ.items() if name != "PYTHONPATH"} | places | env,
            cwd=self.root / "prepared",
            capture_output=True,
            text=True,
            check=False,
        )
        assert "Traceback" not in done.stderr, done.stderr
        return done.returncode, done.stdout + done.stderr

    @property
    def imported(self) -> list[str]:
        """The importers that ran, with their arguments."""
        log = self.root / "imported"
        return log.read_text().splitlines() if log.exists() else []


@pytest.fixture
def checkout(tmp_path: Path, decoy: Path) -> Checkout:
    return Checkout(tmp_path, decoy)


@pytest.mark.parametrize("script", CSVS)
def test_imports_what_is_missing_and_trains_with_flags_that_there_are(checkout, script):
    name = script.partition(" ")[0]
    folder = checkout.root / "data" / script.replace("cv ", "cv2/")
    checkout.prepare(CSVS[script])
    status, said = checkout(script)
    assert status == NO_TENSORFLOW, said
    ((importer, where, *options),) = map(str.split, checkout.imported)
    assert importer == f"import_{'cv2' if ' ' in script else name}.py"
    assert where == str(folder)
    if options:
        command = [sys.executable, ROOT / "bin" / importer, "--help"]
        known = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        assert {option for option in options if option.startswith("--")} <= set(re.findall(r"--\w+", known))

    assert checkout(script, "--nonsense")[0] == 2
    assert len(checkout.imported) == 1
    (folder / CSVS[script][-1]).unlink()
    assert checkout(script)[0] == NO_TENSORFLOW
    assert len(checkout.imported) == 2


def test_an_import_that_fails_ends_it(checkout):
    checkout.prepare(CSVS["ted"])
    (checkout.root / "prepared" / "fails").touch()
    assert checkout("ted")[0] == 3


@pytest.mark.parametrize("script", ["librivox", "cv gd"])
def test_trains_and_tests(native, checkout, script):
    checkout.prepare(CSVS[script], "data")
    flags = "--n_hidden=16", "--epochs=1", "--train_batch_size=2"
    folders = {"COMPUTE_DATA_DIR": "../data", "COMPUTE_KEEP_DIR": "../kept"}  # from where the script is called
    status, said = checkout(script, *flags, tensorflow=True, **folders)
    assert status == 0, said
    assert checkout.imported == []
    assert list(checkout.root.glob("kept/best_dev-*"))
    tests = [name for name in CSVS[script] if "test" in name]
    assert len(re.findall(r"^Test on .* - WER: ", said, re.MULTILINE)) == len(tests)


def test_little_speech_becomes_a_model_and_a_scorer(native, checkout):
    import ds_ctcdecoder  # noqa: PLC0415 - only where it can be built

    for program in ("check_characters", "build_scorer", "lm_optimizer"):
        (checkout.root / "bin" / f"{program}.py").symlink_to(ROOT / "bin" / f"{program}.py")
    checkout.prepare(["mine-train.csv", "mine-dev.csv"])
    status, said = checkout("small-corpus mine-train.csv mine-dev.csv", "--epochs=1", tensorflow=True)
    assert status == 0, said
    kept = checkout.root / "prepared" / "small-corpus"
    alphabet = read_alphabet(kept / "alphabet.txt")
    assert "".join(alphabet.labels) == " abcdt"
    ((alpha, beta),) = re.findall(r"--lm_alpha (\S+) --lm_beta (\S+)", (kept / "tuning.txt").read_text())
    labels = ds_ctcdecoder.Alphabet(str(kept / "alphabet.txt"))
    scorer = ds_ctcdecoder.Scorer(scorer_path=str(kept / "transcripts.scorer"), alphabet=labels)
    assert (scorer.alpha, scorer.beta) == pytest.approx((float(alpha), float(beta)))
    assert (kept / "model" / "output_graph.tflite").exists()
    assert len(re.findall(r"^Test on mine-dev.csv - WER: ", said, re.MULTILINE)) == 2  # before and after tuning
    assert "--scorer ./small-corpus/transcripts.scorer --audio a.wav\n" in said

    (kept / "transcripts.scorer").rename(kept / "my own.scorer")
    own = kept / "my own.scorer"
    flags = "--epochs=1", "--scorer", own, "--lm_alpha_max=2"
    status, said = checkout("small-corpus mine-train.csv mine-dev.csv", *flags, tensorflow=True)
    assert status == 0, said
    assert not (kept / "transcripts.scorer").exists()
    assert re.search(rf"--scorer {re.escape(str(own))} --lm_alpha [0-9.]+ --lm_beta [0-9.]+ --audio a.wav\n", said)


def test_little_speech_can_be_one_file_and_a_dry_run_ends_early(checkout):
    (checkout.root / "bin" / "check_characters.py").symlink_to(ROOT / "bin" / "check_characters.py")
    checkout.prepare(["mine.csv"])
    assert checkout("small-corpus mine.csv")[0] == NO_TENSORFLOW
    status, said = checkout("small-corpus")
    assert status == 0
    assert "COMPUTE_KEEP_DIR" in said
    status, said = checkout("small-corpus there-is-none.csv")
    assert status == 1
    assert "there-is-none.csv" in said


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=lambda number: number.name)
def test_little_speech_is_saved_before_it_ends(checkout, number):
    checkout.prepare(["mine.csv"])
    kept = checkout.root / "prepared" / "small-corpus"
    kept.mkdir()
    (kept / "alphabet.txt").write_text("a\n")
    waiting = "#!/bin/sh\ntrap 'sleep 0.3; echo saved; exit 130' TERM\necho started\nwhile :; do sleep 0.05; done\n"
    (checkout.root / ".venv" / "bin" / "python").write_text(waiting)
    command = [checkout.root / "bin" / "run-small-corpus.sh", checkout.root / "prepared" / "mine.csv"]
    with subprocess.Popen(list(map(str, command)), stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        assert process.stdout.readline() == "started\n"
        process.send_signal(number)
        assert process.stdout.read() == "saved\n"
        assert process.wait() == 130
