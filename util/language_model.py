"""How text becomes a .scorer file: n-grams are estimated and stored, and put together with the words.

KenLM does the work (Heafield 2011; estimation: Heafield et al. 2013), compiled into `ds_ctcdecoder._builder`. It
runs in a process of its own, for where it cannot go on it ends the process it is in. doc/Scorer.md has the format.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from util.errors import DataError, ScorerError, UsageError
from util.files import publish
from util.progress import Console
from util.text import Alphabet, ByteAlphabet

HIGHEST_ORDER = 6  # of n-grams; what readers of .scorer files are compiled for

_LEAST_MEMORY = 10 << 20
_THROWN = re.compile(r" threw .*?\.\n(.*)", re.DOTALL)  # "FILE:LINE in FUNCTION threw EXCEPTION because `TEST'."
_FALLBACK = re.compile(r"Substituting fallback discounts for order (\d+)")
_CHILD = """
import json, sys
from ds_ctcdecoder import _builder
getattr(_builder, sys.argv[1])(**json.loads(sys.argv[2]))
"""


@dataclass(frozen=True, slots=True)
class Estimation:
    """How n-grams are estimated and stored.

    Attributes:
        order: of the longest n-grams, 2 to 6.
        pruning: n-grams seen at most so often are left out, for each order; the last one goes on.
        kind: "trie" or "probing" (faster, several times larger).
        quantization_bits: of probabilities in a trie, 0 for floats.
        pointer_bits: at most so many bits of a trie's pointers are compressed, 0 for none.
        memory: bytes for buffers; what is beyond goes to temporary files.
        discount_fallback: take fixed discounts where the text is too small to give its own.
    """

    order: int = 5
    pruning: tuple[int, ...] = ()
    kind: str = "trie"
    quantization_bits: int = 8
    pointer_bits: int = 255
    memory: int = 1 << 30
    discount_fallback: bool = True


@dataclass(frozen=True, slots=True)
class Scorer:
    """A .scorer file that was written: n-grams per order, its size, the size of its dictionary."""

    ngrams: list[int]
    bytes: int
    states: int
    arcs: int


def estimate_ngrams(
    text: Path, types: int, words: Sequence[str], arpa: Path, options: Estimation, console: Console
) -> list[int]:
    """Estimate n-grams with modified Kneser-Ney smoothing, and write them as ARPA.

    Args:
        text: one sentence per line, words between spaces.
        types: the number of different words in it.
        words: n-grams with others are left out; the rest keep their probabilities.
        arpa: the file to write; temporary files lie beside it.
        options: see there.
        console: shows the progress.

    Returns:
        The orders for which fixed discounts were taken, as the text gives none.

    Raises:
        ScorerError: KenLM cannot do it.
    """
    vocabulary = ""
    if len(words) < types:
        vocabulary = str(arpa.with_suffix(".vocabulary"))
        Path(vocabulary).write_text("\n".join(words) + "\n", encoding="utf-8")
    with console.track("Estimating n-grams", 5) as tracker:
        said = _run_kenlm(
            "estimate_ngrams",
            lambda line: tracker.advance() if line.startswith("=== ") else None,
            text=str(text),
            arpa=str(arpa),
            vocabulary=vocabulary,
            temporary_folder=f"{arpa.parent}/",
            order=options.order,
            pruning=options.pruning,
            types=types + 3,  # <unk>, <s> and </s>
            memory=options.memory,
            discount_fallback=options.discount_fallback,
        )
    return sorted(int(order) + 1 for order in _FALLBACK.findall(said))


def write_binary(arpa: Path, binary: Path, options: Estimation) -> None:
    """Turn an ARPA file into KenLM's binary form, without the words themselves.

    Raises:
        ScorerError: KenLM cannot do it.
    """
    _run_kenlm(
        "write_binary",
        lambda _: None,
        arpa=str(arpa),
        path=str(binary),
        temporary_folder=f"{binary.absolute().parent}/",
        type=options.kind,
        quantization_bits=options.quantization_bits,
        pointer_bits=options.pointer_bits,
        memory=options.memory,
    )


def write_scorer(
    binary: Path, words: Sequence[str], alphabet: Alphabet, path: Path, alpha: float, beta: float
) -> Scorer:
    """Write a .scorer file, atomically.

    Args:
        binary: a language model as `write_binary` makes it.
        words: those the scorer may write, each spellable in the alphabet.
        alphabet: the acoustic model's; a ByteAlphabet makes a scorer for bytes.
        path: the file to write.
        alpha: weight of the language model unless the user of the file gives another.
        beta: reward for each word, likewise.

    Raises:
        ScorerError: the language model is of another form, or the file cannot be written.
        DataError: the alphabet has no space, so that words could not end.
    """
    labels: tuple[str, ...] = () if isinstance(alphabet, ByteAlphabet) else alphabet.labels
    if labels and " " not in labels:
        raise DataError("the alphabet has no space, with which words end; add a line of one space")
    beside = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        written = _native().write_scorer(
            language_model=str(binary),
            path=str(beside),
            words=[alphabet.encode(word) for word in words],
            alphabet=labels,
            space=labels.index(" ") if labels else -1,
            alpha=alpha,
            beta=beta,
        )
        publish(beside, path)
    except ValueError as error:
        raise ScorerError(str(error).replace(str(beside), str(path)).rstrip(".")) from None
    except OSError as error:
        raise ScorerError(f"cannot write {path}: {error.strerror}") from None
    finally:
        beside.unlink(missing_ok=True)
    return Scorer(**written)


def parse_pruning(text: str, order: int) -> tuple[int, ...]:
    """Read pruning thresholds as in "0|0|1", "0,0,1" or "0 0 1".

    Raises:
        UsageError: they are not whole numbers, are too many, or one is smaller than that before.
    """
    parts = re.split(r"[|,\s]+", text.strip())
    if all(part.isdecimal() for part in parts) and len(parts) <= order:
        thresholds = tuple(map(int, parts))
        if list(thresholds) == sorted(thresholds):
            return thresholds
    raise UsageError(
        f"the pruning thresholds are {text!r}, expected at most {order} whole numbers, none smaller than the one "
        "before it, as in 0,0,1"
    )


def parse_memory(text: str) -> int:
    """Read an amount of memory as in "4G" or "50%" (of the machine's); returns bytes.

    Raises:
        UsageError: it is not such an amount, or too small to work with.
    """
    match = re.fullmatch(r"(\d+(?:\.\d+)?) ?([%bKMGT])", text.strip())
    if not match:
        raise UsageError(f"the amount of memory is {text!r}, expected a number with its unit, as in 500M, 4G or 50%")
    number, unit = float(match[1]), match[2]
    if unit == "%":
        amount = int(number / 100 * os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
    else:
        amount = int(number * 1024 ** "bKMGT".index(unit))
    if amount < _LEAST_MEMORY:
        raise UsageError(f"the amount of memory is {text!r}, expected at least 10M")
    return amount


def _native() -> Any:
    try:
        from ds_ctcdecoder import _builder  # noqa: PLC0415 - only who builds a scorer needs a compiled package
    except ImportError:
        raise ScorerError(
            "scorers are built by the package ds_ctcdecoder, which is not installed here; install it by "
            "pip install ./native_client/python, which needs a C++ compiler"
        ) from None
    return _builder


def _run_kenlm(function: str, on_line: Callable[[str], None], **arguments: Any) -> str:
    """Call a function of `_builder` in a process of its own; returns what KenLM said."""
    _native()  # its absence is told here rather than by the child
    command = [sys.executable, "-P", "-c", _CHILD, function, json.dumps(arguments)]
    lines = []
    with subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, errors="replace"
    ) as child:
        assert child.stderr
        try:
            for line in child.stderr:
                lines.append(line)
                on_line(line)
        finally:
            if sys.exc_info()[0]:
                child.kill()
    said = "".join(lines)
    if child.returncode:
        raise ScorerError(_reason(said, child.returncode))
    return said


def _reason(said: str, status: int) -> str:
    """Make a sentence of how KenLM ended."""
    if status == -9:
        return "the language model could not be built: its process was killed, perhaps for want of memory; give it less"
    thrown = _THROWN.search(said)
    lines = (thrown[1] if thrown else said.partition("Error: ")[2] or said).split("\n")
    told = " ".join(line.strip() for line in lines if line.strip()) or f"KenLM ended with status {status}"
    if "discount" in told:
        return (
            "the text is too small or too uniform to give Kneser-Ney discounts; give more, or allow discount_fallback"
        )
    advice = ""
    if "No space left" in told or "too large" in told:
        advice = "; give a folder for temporary files where there is more room"
    elif "memory" in told:
        advice = "; give it more memory, or less if the machine has no more"
    return f"the language model could not be built: {told.rstrip('. ')}{advice}"
