"""TensorFlow comes at its first use, without noise, and real messages come through."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import ROOT

from util import tf


def run(program: str, *path: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(map(str, [*path, ROOT])), **environment},
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_first_use_imports_it_silently():
    done = run(
        "import sys\n"
        "from util import tf\n"
        "assert 'tensorflow' not in sys.modules\n"
        "assert not hasattr(tf, '__path__')\n"
        "assert 'tensorflow' not in sys.modules\n"
        "print(int(tf.add(2, 3)), tf.__version__.split('.')[0], tf.add is sys.modules['tensorflow'].add)\n",
        CUDA_VISIBLE_DEVICES="",
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == "5 2 True\n"
    assert done.stderr == ""


def test_names_it_does_not_have():
    with pytest.raises(AttributeError, match="no_such_name"):
        tf.no_such_name  # noqa: B018


@pytest.fixture
def stand_in(tmp_path: Path) -> Path:
    """A module that writes to standard error while it is imported, below Python and above."""
    (tmp_path / "tensorflow.py").write_text(
        "import os, sys\n"
        "os.write(2, b'WARNING: All log messages before absl::InitializeLog() is called are written to STDERR\\n')\n"
        "os.write(2, b'E0000 driver too old\\n')\n"
        "os.write(2, b'I0000 oneDNN custom operations are on. You may see\\n')\n"
        "print('a deprecation', file=sys.stderr, flush=True)\n"
        "os.write(2, b'no newline at the end')\n"
        "if os.environ.get('BROKEN'):\n"
        "    raise ImportError('libcuda is missing')\n"
        "value = 42\n"
        "class config:\n"
        "    def list_physical_devices():\n"
        "        os.write(2, b'\\nE0000 failed call to cuInit: no driver\\n')\n"
        "settings = os.environ['TF_CPP_MIN_LOG_LEVEL'], os.environ['TF_USE_LEGACY_KERAS']\n"
    )
    return tmp_path


def test_the_noise_is_dropped_and_nothing_else(stand_in: Path):
    program = "import os\nfrom util import tf\nprint(tf.value)\nos.write(2, b'|later')"
    done = run(program, stand_in)
    assert done.stdout == "42\n"
    assert done.stderr == "E0000 driver too old\na deprecation\nno newline at the end\n|later"


def test_an_import_that_fails_is_heard(stand_in: Path):
    done = run("from util import tf\ntf.value", stand_in, BROKEN="1")
    assert done.returncode == 1
    assert done.stderr.startswith("E0000 driver too old\na deprecation\n")
    assert "ImportError: libcuda is missing" in done.stderr
    assert "absl::InitializeLog" not in done.stderr


@pytest.mark.parametrize("level", ["", "0"])
def test_the_users_own_settings_stand(stand_in: Path, level: str):
    own = {"TF_CPP_MIN_LOG_LEVEL": level} if level else {}
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("TF_")}
    done = subprocess.run(
        [sys.executable, "-c", "from util import tf\nprint(*tf.settings)"],
        env={**inherited, "PYTHONPATH": os.pathsep.join(map(str, [stand_in, ROOT])), **own},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == f"{level or 2} 1\n"
