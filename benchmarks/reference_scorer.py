"""Make a .scorer file without our own builder: KenLM's programs for the model, this file for the rest.

The tool that packaged scorers for DeepSpeech 0.9.3 is on no registry, and the predecessors' wheels do not expose
what it called, so the trailer and the dictionary automaton (an OpenFst "const" automaton of "standard" arcs) are
written here. Runs on Python 3.7, where the predecessors live.
"""

from __future__ import annotations

import itertools
import struct
import subprocess
from pathlib import Path

TRAILER_MAGIC = int.from_bytes(b"TRIE", "big")
TRAILER_VERSION = 6
FST_MAGIC = 2125659606
FST_ALIGNED_VERSION = 1
FST_IS_ALIGNED = 4
# What OpenFst stores for an unweighted acceptor, deterministic, sorted, without cycles and without empty labels.
FST_PROPERTIES = 0xA56A5A950001
NOT_FINAL = float("inf")


def make_arpa(kenlm_bin: Path, text: Path, arpa: Path, order: int, prune: str = "0") -> Path:
    """Estimate an n-gram model with lmplz; `prune` is its list of thresholds ("0 0 1")."""
    command = [
        str(kenlm_bin / "lmplz"),
        "-o",
        str(order),
        "-S",
        "20%",
        "--discount_fallback",
        "--prune",
        *prune.split(),
    ]
    with text.open("rb") as source, arpa.open("wb") as target:
        subprocess.run(command, stdin=source, stdout=target, stderr=subprocess.DEVNULL, check=True)
    return arpa


def make_binary(kenlm_bin: Path, arpa: Path, binary: Path, kind: str = "-a 255 -q 8 trie", words: bool = False) -> Path:
    """Compile an ARPA file with build_binary; a .scorer needs it without the words at its end."""
    *options, structure = kind.split()
    if not words:
        options.append("-v")
    command = [str(kenlm_bin / "build_binary"), *options, structure, str(arpa), str(binary)]
    subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True)
    return binary


def automaton(words: list[tuple[int, ...]]) -> list[tuple[bool, tuple[tuple[int, int], ...]]]:
    """Return the smallest automaton that accepts exactly these label sequences, the start state first.

    Each state is (final, ((label, next state), ...)) with arcs in the order of their labels.
    """
    known: dict[tuple[bool, tuple[tuple[int, int], ...]], int] = {}

    def state_after(depth: int, rest: list[tuple[int, ...]]) -> int:
        final = len(rest[0]) == depth
        groups = itertools.groupby(rest[final:], key=lambda word: word[depth])
        arcs = tuple((label, state_after(depth + 1, list(group))) for label, group in groups)
        return known.setdefault((final, arcs), len(known))

    last = state_after(0, sorted(set(words)))  # children are numbered before their parents, so the start is the last
    turned = [(final, tuple((label, last - target) for label, target in arcs)) for final, arcs in known]
    return turned[::-1]


def fst_bytes(words: list[tuple[int, ...]], offset: int) -> bytes:
    """Return the automaton as OpenFst writes it when the file is at `offset`: its arrays lie at multiples of 16."""
    states = automaton(words)
    n_arcs = sum(len(arcs) for _, arcs in states)
    out = bytearray(struct.pack("<i", FST_MAGIC))
    for name in (b"const", b"standard"):
        out += struct.pack("<i", len(name)) + name
    out += struct.pack("<iiQqqq", FST_ALIGNED_VERSION, FST_IS_ALIGNED, FST_PROPERTIES, 0, len(states), n_arcs)
    out += bytes(-(offset + len(out)) % 16)
    first_arc = 0
    for final, arcs in states:
        out += struct.pack("<fIIII", 0.0 if final else NOT_FINAL, first_arc, len(arcs), 0, 0)
        first_arc += len(arcs)
    out += bytes(-(offset + len(out)) % 16)
    for _, arcs in states:
        for label, target in arcs:
            out += struct.pack("<iifi", label, label, 0.0, target)
    return bytes(out)


def write_scorer(
    path: Path, binary: Path, words: list[tuple[int, ...]], utf8: bool, defaults: tuple[float, float]
) -> None:
    """Put a .scorer together; `words` are sequences of label + 1 that end with the space's in word mode."""
    data = binary.read_bytes() + struct.pack("<ii?dd", TRAILER_MAGIC, TRAILER_VERSION, utf8, *defaults)
    path.write_bytes(data + fst_bytes(words, len(data)))


def word_labels(words: list[str], labels: list[str]) -> list[tuple[int, ...]]:
    """Return the dictionary of a word-mode scorer, without the words that the alphabet cannot spell."""
    number = {label: i + 1 for i, label in enumerate(labels)}
    spelled = [word for word in words if all(char in number for char in word)]
    return [(*(number[char] for char in word), number[" "]) for word in spelled]


def byte_labels(words: list[str]) -> list[tuple[int, ...]]:
    """Return the dictionary of a bytes-mode scorer: label + 1 is the byte itself, and nothing ends a word."""
    return [tuple(word.encode()) for word in words]
