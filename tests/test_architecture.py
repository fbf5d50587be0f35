"""The rules that keep the house in order: levels, budgets, who may print, exit or name TensorFlow.

Every rule is a function from a checkout to the places that break it. It must find none here, and
must find the one that is planted in a small checkout made for it.
"""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent

LEVELS = (
    {"errors"},
    {"files", "tf", "progress", "task", "audio_faults", "threads", "opus", "flag_page"},
    {"stored"},
    {"text", "audio", "corpus", "metrics", "cluster", "commandline", "planning", "features", "tflite_file"}
    | {"divergence", "segmentation", "listening", "download", "unpacking", "pairing", "tables", "precision", "filling"},
    {"sdb", "shards"},
    {"sample_sets"},
    {"augmentation", "lstm", "ctc", "adam", "dropout", "decoding", "checkpoints", "language_model"}
    | {"words", "trained", "tflite_features", "joining", "archives", "transcripts", "recordings", "measures"}
    | {"preview"},
    {"tflite_graph", "graph_file", "inference", "model_card", "clips", "data_check", "spectral", "effects", "foreign"},
    {"feeding", "augmenter", "export", "importing", "survey", "set_writer", "model_file"},
    {"sample_augmenter", "rehearsal", "scoring", "verified_export", "data_report", "data_fix", "sources"},
    {"data_page", "starting"},
)
LEVEL_OF = {name: level for level, names in enumerate(LEVELS) for name in names}
WITHOUT_TENSORFLOW = {"files", "text", "audio", "audio_faults", "corpus", "threads"}  # what importers are made of
WITHOUT_TENSORFLOW |= {"download", "unpacking", "pairing", "tables", "archives", "transcripts", "recordings", "clips"}
WITHOUT_TENSORFLOW |= {"importing", "data_check", "measures", "survey", "data_report", "data_fix", "data_page"}
WITHOUT_TENSORFLOW |= {"opus", "stored", "sdb", "shards", "sample_sets", "set_writer", "sample_augmenter"}
WITHOUT_TENSORFLOW |= {"effects", "augmentation", "augmenter"}
FUNCTION_LINES = 60
BUDGETS = {"DeepSpeech.py": 700, "util/*.py": 350, "bin/import_*.py": 150}
OURS = ("*.py", "util/*.py", "bin/*.py")

Rule = Callable[[Path], Iterator[str]]


def parse(root: Path, *patterns: str) -> Iterator[tuple[Path, ast.Module]]:
    for pattern in patterns:
        for path in sorted(root.glob(pattern)):
            yield path.relative_to(root), ast.parse(path.read_text(encoding="utf-8"))


def imported(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Line and dotted name of everything imported anywhere in a module."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            origin = "." * node.level + (node.module or "")
            yield from ((node.lineno, f"{origin}.{alias.name}") for alias in node.names)


def util_modules(tree: ast.Module) -> Iterator[tuple[int, str]]:
    for line, name in imported(tree):
        if name.startswith("util."):
            yield line, name.split(".")[1]


def upward_or_sideways_imports(root: Path) -> Iterator[str]:
    for path, tree in parse(root, "util/*.py"):
        if path.stem == "__init__":
            continue
        if path.stem not in LEVEL_OF:
            yield f"{path} has no level"
            continue
        for line, name in util_modules(tree):
            if LEVEL_OF.get(name, len(LEVELS)) >= LEVEL_OF[path.stem]:
                yield f"{path}:{line} imports util.{name}, which is not below it"


def relative_imports(root: Path) -> Iterator[str]:
    """`from . import x` would escape the rule above."""
    for path, tree in parse(root, *OURS):
        yield from (f"{path}:{line} imports {name}" for line, name in imported(tree) if name[0] == ".")


def imports_of_the_program(root: Path) -> Iterator[str]:
    for path, tree in parse(root, "util/*.py", "bin/*.py", "tests/*.py", "benchmarks/*.py"):
        for line, name in imported(tree):
            if name.split(".")[0] == "DeepSpeech":
                yield f"{path}:{line} imports DeepSpeech"


def flags_in_util(root: Path) -> Iterator[str]:
    for path, tree in parse(root, "util/*.py"):
        for line, name in imported(tree):
            if name.split(".")[0] in {"absl", "argparse"}:
                yield f"{path}:{line} imports {name}"


def called(node: ast.AST) -> str:
    return ast.unparse(node.func) if isinstance(node, ast.Call) else ""


def prints_and_exits_in_util(root: Path) -> Iterator[str]:
    forbidden = {"print", "exit", "quit", "sys.exit", "os._exit", "os.abort"}
    forbidden |= {"sys.stdout.write", "sys.stderr.write"}
    for path, tree in parse(root, "util/*.py"):
        for node in ast.walk(tree):
            raises = isinstance(node, ast.Raise) and "SystemExit" in ast.unparse(node)
            if called(node) in forbidden or raises:
                yield f"{path}:{node.lineno} {ast.unparse(node)}"


def names_of_tensorflow(root: Path) -> Iterator[str]:
    for path, tree in parse(root, *OURS):
        if path == Path("util/tf.py"):
            continue
        for line, name in imported(tree):
            if name.split(".")[0] in {"tensorflow", "keras"}:
                yield f"{path}:{line} imports {name}"
        for node in ast.walk(tree):
            if called(node) in {"importlib.import_module", "import_module", "__import__"}:
                yield f"{path}:{node.lineno} {ast.unparse(node)}"
        if path.stem in WITHOUT_TENSORFLOW or path.match("bin/import_*.py"):
            yield from (f"{path}:{line} imports util.tf" for line, name in util_modules(tree) if name == "tf")


def early_tensorflow(root: Path) -> Iterator[str]:
    """Modules that load TensorFlow by being imported, seen in a process of its own."""
    program = """
import importlib, runpy, sys
from pathlib import Path
root = Path(sys.argv[1])
sys.path.insert(0, str(root))
for path in sorted([*root.glob("util/*.py"), *root.glob("bin/import_*.py")]):
    if path.parent.name == "util":
        importlib.import_module(f"util.{path.stem}")
    else:
        runpy.run_path(str(path), run_name="imported")
    if "tensorflow" in sys.modules or "keras" in sys.modules:
        sys.exit(f"{path.relative_to(root)} loads TensorFlow when it is imported")
"""
    done = subprocess.run([sys.executable, "-c", program, root], capture_output=True, text=True, check=False)
    if done.returncode:
        yield done.stderr.strip()


def long_modules(root: Path) -> Iterator[str]:
    for pattern, budget in BUDGETS.items():
        for path in sorted(root.glob(pattern)):
            lines = len(path.read_text(encoding="utf-8").splitlines())
            if lines > budget:
                yield f"{path.relative_to(root)} has {lines} lines of {budget}"


def long_functions(root: Path) -> Iterator[str]:
    for path, tree in parse(root, *OURS):
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                lines = (node.end_lineno or node.lineno) - node.lineno + 1
                if lines > FUNCTION_LINES:
                    yield f"{path}:{node.lineno} {node.name} has {lines} lines"


RULES: tuple[Rule, ...] = (
    upward_or_sideways_imports,
    relative_imports,
    imports_of_the_program,
    flags_in_util,
    prints_and_exits_in_util,
    names_of_tensorflow,
    early_tensorflow,
    long_modules,
    long_functions,
)

PLANTED = (
    (upward_or_sideways_imports, "util/text.py", "from util import feeding", "util.feeding"),
    (upward_or_sideways_imports, "util/text.py", "import util.audio", "util.audio, which is not"),
    (upward_or_sideways_imports, "util/tf.py", "from util.files import publish", "util.files"),
    (upward_or_sideways_imports, "util/export.py", "def f():\n    from util import feeding", ":2"),
    (upward_or_sideways_imports, "util/export.py", "from util import novel", "util.novel"),
    (upward_or_sideways_imports, "util/novel.py", "", "util/novel.py has no level"),
    (relative_imports, "util/text.py", "from . import errors", "util/text.py:1"),
    (imports_of_the_program, "bin/x.py", "import DeepSpeech", "bin/x.py:1"),
    (imports_of_the_program, "tests/test_x.py", "from DeepSpeech import main", "test_x.py:1"),
    (flags_in_util, "util/text.py", "from absl import flags", "absl.flags"),
    (prints_and_exits_in_util, "util/text.py", "print('x')", "print('x')"),
    (prints_and_exits_in_util, "util/text.py", "import sys\nsys.exit(1)", "util/text.py:2"),
    (prints_and_exits_in_util, "util/text.py", "import os\nos._exit(1)", "os._exit(1)"),
    (prints_and_exits_in_util, "util/text.py", "raise SystemExit(1)", "SystemExit"),
    (names_of_tensorflow, "util/lstm.py", "import tensorflow as tf", "util/lstm.py:1"),
    (names_of_tensorflow, "DeepSpeech.py", "from tensorflow import keras", "DeepSpeech.py:1"),
    (names_of_tensorflow, "bin/x.py", "__import__('tensorflow')", "bin/x.py:1"),
    (names_of_tensorflow, "util/corpus.py", "from util import tf", "util/corpus.py:1"),
    (names_of_tensorflow, "bin/import_x.py", "from util import tf", "bin/import_x.py:1"),
    (early_tensorflow, "util/lstm.py", "from util import tf\ntf.function", "util/lstm.py loads"),
    (early_tensorflow, "bin/import_x.py", "import tensorflow", "bin/import_x.py loads"),
    (long_modules, "DeepSpeech.py", "x = 1\n" * 701, "DeepSpeech.py has 701 lines of 700"),
    (long_modules, "util/text.py", "x = 1\n" * 351, "util/text.py has 351"),
    (long_modules, "bin/import_x.py", "x = 1\n" * 151, "bin/import_x.py has 151"),
    (long_functions, "bin/x.py", "def f():\n" + "    x = 1\n" * 60, "f has 61 lines"),
    (long_functions, "util/text.py", "class A:\n  def f(s):\n" + "    x = 1\n" * 60, "61 lines"),
)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_rule_holds(rule: Rule) -> None:
    assert list(rule(ROOT)) == []


@pytest.mark.parametrize(("rule", "name", "source", "found"), PLANTED, ids=lambda value: getattr(value, "__name__", ""))
def test_rule_finds_what_breaks_it(rule, name, source, found, tmp_path):
    (tmp_path / "util").mkdir()
    (tmp_path / "util" / "__init__.py").write_text("")
    (tmp_path / "util" / "tf.py").write_text((ROOT / "util" / "tf.py").read_text())
    stand_in = "def function(): ...\nclass config:\n    list_physical_devices = staticmethod(list)\n"
    (tmp_path / "tensorflow.py").write_text(stand_in)
    assert list(rule(tmp_path)) == []
    path = tmp_path / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(source)
    (violation,) = rule(tmp_path)
    assert found in violation


def test_every_rule_was_seen_to_fail():
    assert {rule for rule, *_ in PLANTED} == set(RULES)


def test_the_rules_look_at_something():
    assert len(list(parse(ROOT, "util/*.py"))) > 5
    assert len(list(parse(ROOT, "bin/*.py"))) > 0
