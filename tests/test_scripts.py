"""The programs in bin/ and what `make` stands on: shell scripts, --help, the environment."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
TOOLS = Path(sys.executable).parent
SCRIPTS = sorted([*ROOT.glob("bin/*.sh"), ROOT / ".ci" / "run"])
PROGRAMS = sorted([*ROOT.glob("bin/*.py"), *(path for path in ROOT.glob("*.py") if path.name != "setup.py")])


def run(*command: object, **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        list(map(str, command)),
        env={**os.environ, **env},
        cwd="/",
        capture_output=True,
        text=True,
        check=False,
    )


def named(path: Path) -> str:
    return path.name


@pytest.mark.parametrize("script", SCRIPTS, ids=named)
def test_script_is_sound_and_formatted(script):
    for command in ([TOOLS / "shellcheck"], [TOOLS / "shfmt", "-i", "2", "-ci", "-d"]):
        done = run(*command, script)
        assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert os.access(script, os.X_OK)


@pytest.mark.parametrize("script", sorted(ROOT.glob("bin/*.sh")), ids=named)
def test_script_answers_help_and_does_nothing_else(script, tmp_path):
    (tmp_path / "bin").mkdir()
    copy = shutil.copy(script, tmp_path / "bin")
    shutil.copy(ROOT / "bin" / "scenario.sh", tmp_path / "bin")
    before = sorted(tmp_path.rglob("*"))
    done = run(copy, "--help", PYTHON="/nowhere/python")
    assert (done.returncode, done.stderr) == (0, "")
    assert f"bin/{script.name}" in done.stdout
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize("program", PROGRAMS, ids=named)
def test_program_answers_help_without_tensorflow(program, tmp_path):
    (tmp_path / "tensorflow.py").write_text("raise SystemExit('--help waits for TensorFlow')\n")
    done = run(sys.executable, program, "--help", PYTHONPATH=str(tmp_path))
    assert (done.returncode, done.stderr) == (0, "")
    assert program.name in done.stdout
    assert os.access(program, os.X_OK)


@pytest.mark.parametrize(("recipe", "status"), [("echo 3 passed in 0.01s", 0), ("exit 3", 2)])
def test_ci_runs_make_test_and_passes_its_status_on(tmp_path, recipe, status):
    (tmp_path / ".ci").mkdir()
    (tmp_path / "Makefile").write_text(f"all:\n\texit 9\ntest:\n\t@{recipe}\n")
    done = run(shutil.copy(ROOT / ".ci" / "run", tmp_path / ".ci"))
    assert done.returncode == status
    assert ("3 passed in 0.01s" in done.stdout) == (status == 0)


FAKE_PYTHON = """#!/usr/bin/env bash
# An interpreter whose venv and pip take no time: both write down that they were called.
if [[ $1 == -c && -n ${FAKE_VERSION:-} ]]; then echo "$FAKE_VERSION"; exit 1; fi
if [[ $1 == -c ]]; then exec "REAL" "$@"; fi
echo "$*" >>"LOG"
if [[ $2 == venv ]]; then mkdir -p "$3/bin" && cp "$0" "$3/bin/python"; fi
if [[ $2 == pip && -n ${PIP_FAILS:-} ]]; then exit 1; fi
if [[ $2 == pip && -n ${BUILD_FAILS:-} && ${!#} == ./native_client/python ]]; then echo "no header"; exit 1; fi
"""


DECODER = "./native_client/python"


class Checkout:
    """A checkout of bin/make-env.sh and requirements, with an interpreter that only pretends."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.log = root / "log"
        self.python = root / "python"
        text = FAKE_PYTHON.replace("REAL", sys.executable).replace("LOG", str(self.log))
        self.python.write_text(text)
        self.python.chmod(0o755)
        (root / "bin").mkdir()
        shutil.copy(ROOT / "bin" / "make-env.sh", root / "bin")
        (root / "requirements.txt").write_text("numpy==2\n")
        (root / "requirements_dev.txt").write_text("-r requirements.txt\npytest==9\n")
        self.decoder = root / "native_client" / "python" / "src" / "decoder.cc"
        self.decoder.parent.mkdir(parents=True)
        self.decoder.write_text("int main() {}\n")
        (root / "native_client" / "tests").mkdir()

    def make(self, *args: str, **env: str) -> tuple[int, str, list[str]]:
        """Exit status, last line on stderr, and what was called: venv, or pip with requirements or a folder."""
        self.log.write_text("")
        settings = {"PYTHON": str(self.python), "CXX": "bash -e", **env}  # any program may pose as the compiler
        done = run(self.root / "bin" / "make-env.sh", *args, **settings)
        calls = [line.split()[-1] for line in self.log.read_text().splitlines()]
        return done.returncode, (done.stderr.splitlines() or [""])[-1], calls


@pytest.fixture
def checkout(tmp_path):
    return Checkout(tmp_path)


def test_environment_is_made_once(checkout):
    assert checkout.make() == (0, "", [".venv", "requirements.txt", DECODER])
    assert checkout.make() == (0, "", [])
    assert checkout.make("requirements.txt", PYTHON="") == (0, "", [])


def test_environment_for_development_is_added_and_holds_the_other(checkout):
    checkout.make()
    assert checkout.make("requirements_dev.txt") == (0, "", ["requirements_dev.txt"])
    assert checkout.make("requirements_dev.txt") == (0, "", [])
    assert checkout.make() == (0, "", [])


@pytest.mark.parametrize("changed", ["requirements.txt", "requirements_dev.txt"])
def test_environment_is_made_anew_when_requirements_change(checkout, changed):
    checkout.make("requirements_dev.txt")
    with (checkout.root / changed).open("a") as file:
        file.write("scipy==1\n")
    assert checkout.make("requirements_dev.txt") == (0, "", [".venv", "requirements_dev.txt", DECODER])
    assert checkout.make("requirements_dev.txt") == (0, "", [])


def test_interrupted_installation_is_redone(checkout):
    status, message, _ = checkout.make(PIP_FAILS="1")
    assert (status, message) == (
        1,
        "bin/make-env.sh: pip could not install requirements.txt (its message is above): "
        "check the network and run this again.",
    )
    assert checkout.make() == (0, "", [".venv", "requirements.txt", DECODER])
    checkout.make("requirements_dev.txt", PIP_FAILS="1")  # in the middle of adding
    assert checkout.make() == (0, "", [".venv", "requirements.txt", DECODER])


def test_environment_whose_interpreter_is_gone_is_made_anew(checkout):
    checkout.make()
    (checkout.root / ".venv" / "bin" / "python").unlink()
    assert checkout.make() == (0, "", [".venv", "requirements.txt", DECODER])


def test_the_decoder_is_built_again_when_its_sources_change(checkout):
    checkout.make()
    checkout.decoder.write_text("int main() { return 0; }\n")
    assert checkout.make() == (0, "", [DECODER])
    assert checkout.make() == (0, "", [])
    checkout.decoder.with_name("more.cc").write_text("")
    assert checkout.make() == (0, "", [DECODER])
    (checkout.root / "native_client" / "tests" / "test.cc").write_text("")
    assert checkout.make() == (0, "", [])


@pytest.mark.parametrize("requirements", ["requirements.txt", "requirements_dev.txt"])
def test_without_a_compiler_only_beam_search_is_missing_until_there_is_one(checkout, requirements):
    status, message, calls = checkout.make(requirements, CXX="/nowhere/c++ -O2")
    assert (status, calls) == (0, [".venv", requirements])
    assert message == (
        "bin/make-env.sh: beam search and the package deepspeech are missing, for there is no C++ compiler to build "
        "them: install one "
        "(Debian and Ubuntu: g++ and python3-dev) and run this again."
    )
    assert checkout.make(requirements) == (0, "", [DECODER])
    assert checkout.make(requirements, CXX="/nowhere/c++") == (0, "", [])


def test_a_decoder_that_cannot_be_built_ends_only_the_environment_for_development(checkout):
    status, message, calls = checkout.make(BUILD_FAILS="1")
    assert (status, calls) == (0, [".venv", "requirements.txt", DECODER])
    log = checkout.root / ".venv" / "decoder.log"
    assert message == (
        "bin/make-env.sh: beam search and the package deepspeech are missing, for they could not be built: "
        f"see {log}, mend that and run this again."
    )
    assert log.read_text() == "no header\n"
    assert checkout.make("requirements_dev.txt", BUILD_FAILS="1") == (
        1,
        "bin/make-env.sh: the decoder could not be built, see above: mend that and run this again.",
        ["requirements_dev.txt", DECODER],
    )
    assert checkout.make() == (0, "", [DECODER])


def test_a_python_that_does_not_fit_is_one_sentence(checkout):
    for python in (checkout.python, "/nowhere/python"):
        status, message, calls = checkout.make(PYTHON=str(python), FAKE_VERSION="3.9")
        assert (status, calls) == (1, [])
        assert message == (
            f"bin/make-env.sh: PYTHON={python} is no Python 3.11, 3.12 or 3.13 with its venv module: name one that is."
        )


def test_another_python_on_the_path_is_found(checkout):
    path = f"{checkout.root}:/usr/bin:/bin"
    for name in ("python3", "python3.13", "python3.12", "python3.11"):
        (checkout.root / name).write_text("#!/bin/sh\necho 3.9\nexit 1\n")
        (checkout.root / name).chmod(0o755)
    status, message, _ = checkout.make(PYTHON="", PATH=path)
    assert status == 1
    assert message == (
        "bin/make-env.sh: no Python 3.11, 3.12 or 3.13 with its venv module is on the path "
        "(python3 is 3.9): install one (Debian and Ubuntu: python3.12 and python3.12-venv) or name "
        "it, as in PYTHON=/opt/bin/python3.12."
    )
    shutil.copy(checkout.python, checkout.root / "python3.12")
    assert checkout.make(PYTHON="", PATH=path) == (0, "", [".venv", "requirements.txt", DECODER])


def test_requirements_that_are_not_there(checkout):
    status, message, calls = checkout.make("other.txt")
    assert (status, calls) == (1, [])
    assert message == (
        f"bin/make-env.sh: 'other.txt' is no requirements file of {checkout.root}: give "
        "requirements.txt or requirements_dev.txt."
    )
