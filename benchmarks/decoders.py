"""What decoder_speed.py and decoder_parity.py share: where the decoders live and how they are asked."""

from __future__ import annotations

import argparse
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import common
import decoder_inputs
import numpy as np
from timed import ROOT, BenchmarkError

WORKER = Path(__file__).resolve().parent / "decoder_worker.py"
HOMES = {"ds": "dec37", "coqui": "dec39", "flashlight": "alt311", "pyctcdecode": "alt311"}


@dataclass(frozen=True)
class Material:
    """Probabilities, and the language model to decode them with.

    Attributes:
        name: in the tables.
        probabilities: an archive as DeepSpeech.py --probabilities_file writes it.
        labels: of its alphabet; None in bytes mode.
        transcripts: of its utterances, empty where nothing was said.
        scorer: a .scorer file, or None.
        lm: the same language model with its words, for other decoders, or None.
    """

    name: str
    probabilities: Path
    labels: list[str] | None
    transcripts: list[str]
    scorer: Path | None
    lm: Path | None


def read_material(name: str, probabilities: Path, scorer: Path | None, lm: Path | None = None) -> Material:
    """Describe an archive of probabilities; without labels it is one of bytes mode."""
    try:
        with np.load(probabilities) as file:
            labels = file["labels"].tolist() if "labels" in file.files else None
            return Material(name, probabilities, labels, file["transcripts"].tolist(), scorer, lm)
    except (OSError, ValueError, KeyError) as error:
        raise BenchmarkError(
            f"cannot read {probabilities} ({error}); make it with DeepSpeech.py --probabilities_file"
        ) from error


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what both programs need to know."""
    parser.add_argument("--python", default=sys.executable, help="Python with our ds_ctcdecoder (default: this one)")
    parser.add_argument(
        "--predecessors",
        type=Path,
        default=os.environ.get("PREDECESSORS"),
        help="folder made by setup_predecessors.sh DIR decoders (default: $PREDECESSORS)",
    )
    parser.add_argument("--work", type=Path, help="folder for inputs, kept afterwards (default: a temporary one)")
    parser.add_argument("--probabilities", type=Path, nargs="*", default=[], help="real outputs besides the synthetic")
    parser.add_argument("--text", type=Path, help="sentences for the language model of the real outputs, one a line")
    parser.set_defaults(deepspeech=ROOT / "DeepSpeech.py")  # common.facts asks for the revision beside it


def materials(args: argparse.Namespace, work: Path, count: int) -> list[Material]:
    """Make the synthetic inputs, and the language model of the real ones."""
    if args.predecessors is None:
        raise BenchmarkError(
            "the predecessors' decoders are not given; make them with benchmarks/setup_predecessors.sh DIR decoders "
            "and name DIR with --predecessors or PREDECESSORS"
        )
    kenlm_bin = Path(args.predecessors) / "kenlm" / "build" / "bin"
    english = work / "english"
    decoder_inputs.make_inputs(english, kenlm_bin, None, count)
    found = [
        read_material(name, english / f"{name}.npz", english / "lm.scorer", english / "lm.bin")
        for name in ("sharp", "flat")
    ]
    for path in args.probabilities:
        if args.text is None:
            raise BenchmarkError("--probabilities needs --text, the sentences that their language model is made of")
        real = read_material(path.stem, path, work / "real" / "lm.scorer", work / "real" / "lm.bin")
        if not (work / "real" / "lm.scorer").exists():
            sentences = args.text.read_text(encoding="utf-8").splitlines()
            decoder_inputs.make_language_model(work / "real", kenlm_bin, sentences, real.labels or [])
        found.append(real)
    return found


def ask(args: argparse.Namespace, engine: str, material: Material, **job: Any) -> dict[str, Any]:
    """Run one decoder in its own interpreter; see decoder_worker.py for what a job says and what comes back.

    Args:
        args: where the interpreters are.
        engine: "ours", "look-ahead" (ours with it), "ds", "coqui", "flashlight", "pyctcdecode" or "greedy".
        material: what to decode.
        job: beam, use_lm, count, timed, threads, texts, results, cutoffs.
    """
    use_lm = job.pop("use_lm")
    scorer, lm = (material.scorer, material.lm) if use_lm else (None, None)
    told = {
        "engine": "ours" if engine == "look-ahead" else engine,
        "look_ahead": engine == "look-ahead",
        "probabilities": str(material.probabilities),
        "labels": material.labels,
        "alphabet": None if material.labels is None else str(write_alphabet(material)),
        "scorer": scorer and str(scorer),
        "lm": lm and str(lm),
        "words": lm and str(lm.with_suffix(".words")),
        "alpha": decoder_inputs.ALPHA,
        "beta": decoder_inputs.BETA,
        **{"count": None, "timed": 0, "threads": 0, "texts": False, "results": 0, "cutoffs": {}},
        **job,
    }
    python = Path(args.predecessors) / HOMES[engine] / "bin" / "python" if engine in HOMES else args.python
    return common.run_worker(python, WORKER, told, engine)


def write_alphabet(material: Material) -> Path:
    """Write the labels as an alphabet file beside the probabilities' language model."""
    assert material.scorer is not None
    path = material.scorer.with_name(f"{material.name}.alphabet.txt")
    labels = [f"\\{label}" if label.startswith("#") else label for label in material.labels or []]
    path.write_text("\n".join(labels) + "\n", encoding="utf-8")
    return path
