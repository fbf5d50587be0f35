"""What can be told of a language model before, or without, the compiled package that builds it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from util.errors import UsageError
from util.language_model import parse_memory, parse_pruning

ROOT = Path(__file__).resolve().parent.parent


@pytest.mark.parametrize("text", ["0,0,1", "0|0|1", "0 0 1", " 0, 0, 1 "])
def test_pruning_in_all_its_spellings(text):
    assert parse_pruning(text, 5) == (0, 0, 1)


@pytest.mark.parametrize("text", ["", "1,0", "-1", "0,x", "0,0,0"])
def test_wrong_pruning(text):
    with pytest.raises(UsageError, match="expected at most 2 whole numbers, none smaller than the one before"):
        parse_pruning(text, 2)


def test_memory_with_its_unit():
    assert [parse_memory(text) for text in ("2G", "500M", "20480K", "0.5T")] == [2 << 30, 500 << 20, 20 << 20, 1 << 39]
    machine = next(line for line in Path("/proc/meminfo").read_text().splitlines() if line.startswith("MemTotal"))
    assert parse_memory("50%") == pytest.approx(512 * int(machine.split()[1]), rel=0.01)


@pytest.mark.parametrize("text", ["", "1", "1.G", "-5M", "5X", "lots"])
def test_memory_without_number_or_unit(text):
    with pytest.raises(UsageError, match="expected a number with its unit"):
        parse_memory(text)


def test_without_the_compiled_package_one_line_says_what_to_install(tmp_path):
    (tmp_path / "ds_ctcdecoder").mkdir()
    (tmp_path / "ds_ctcdecoder" / "__init__.py").touch()
    (tmp_path / "text").write_text("some words\n")
    options = ["--text", tmp_path / "text", "--bytes_output_mode", "--output", tmp_path / "my.scorer"]
    done = subprocess.run(
        [sys.executable, ROOT / "bin" / "build_scorer.py", *options],
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].endswith("pip install ./native_client/python, which needs a C++ compiler")
    assert not (tmp_path / "my.scorer").exists()
