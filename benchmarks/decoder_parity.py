#!/usr/bin/env python3
"""Compare our decoder's answers with ds_ctcdecoder 0.9.3's and coqui_stt_ctcdecoder 1.4.0's, utterance by utterance.

Strict dictionary, cutoffs off, no look-ahead: text and score must equal 0.9.3's, tokens and timesteps Coqui's. Every
difference is listed with both scores: where ours is higher, the predecessor's search lost the better text.

    export PREDECESSORS=DIR     # see setup_predecessors.sh
    benchmarks/decoder_parity.py --probabilities dev.npz train.npz --text train.txt
"""

from __future__ import annotations

import argparse
import itertools
import random
import sys
from pathlib import Path
from typing import Any

import common
import decoders
import numpy as np
from decoders import Material, ask
from timed import ROOT

GOLDEN = ROOT / "tests" / "golden"
SCORE_TOLERANCE = 1e-3  # they add float32 numbers up, hundreds of frames one after the other
NO_CUTOFF = {"cutoff_prob": 1.0, "cutoff_top_n": 300}  # more than any alphabet here has labels


def bytes_material(work: Path, count: int) -> Material:
    """Make utterances of bytes mode: sentences of the golden test data, two of three sharp, the rest flat."""
    sys.path.insert(0, str(GOLDEN))
    import make_decoder_golden as golden  # noqa: PLC0415 - found only now

    path = work / "bytes.npz"
    chooser, rng = random.Random(7), np.random.RandomState(7)
    neighbours = {byte: [byte - 1, byte + 1] for byte in range(1, 254)}
    texts, rows = [], []
    for i in range(count):
        texts.append(golden.bytes_sentence(chooser))
        target = [byte - 1 for byte in texts[-1].encode()]
        found = golden.sharp(target, neighbours, 255, rng) if i % 3 else golden.flat(20, 255, rng)
        rows.append((found / golden.ONE).astype(np.float32))
    np.savez_compressed(
        path, transcripts=texts, probabilities=np.concatenate(rows), feature_len=[len(part) for part in rows]
    )
    return decoders.read_material("bytes", path, GOLDEN / "decoder" / "bytes.scorer")


def text_of(material: Material, tokens: list[int]) -> str:
    """Return the text of labels."""
    if material.labels is None:
        return bytes(token + 1 for token in tokens).decode("utf-8", "replace")
    return "".join(material.labels[token] for token in tokens)


def compare(args: argparse.Namespace, material: Material, beam: int, use_lm: bool) -> dict[str, Any]:
    """Decode with all three, list the differences and return their counts."""
    job = {"beam": beam, "use_lm": use_lm, "results": args.results, "cutoffs": NO_CUTOFF, "count": args.count}
    ours, theirs, coqui = (ask(args, engine, material, **job)["details"] for engine in ("ours", "ds", "coqui"))
    count = {"utterances": len(ours), "texts": 0, "scores": 0, "timesteps": 0, "lists": 0, "largest": 0.0}
    for i in range(len(ours)):
        (our_score, our_tokens, our_times), (their_score, their_tokens, _) = ours[i][0], theirs[i][0]
        _, coqui_tokens, coqui_times = coqui[i][0]
        kinds = []
        if our_tokens != their_tokens:
            kinds.append("texts")
        else:
            count["largest"] = max(count["largest"], abs(our_score - their_score))
            if abs(our_score - their_score) > SCORE_TOLERANCE:
                kinds.append("scores")
        if our_tokens == coqui_tokens and our_times != coqui_times:
            kinds.append("timesteps")
        if [tokens for _, tokens, _ in ours[i]] != [tokens for _, tokens, _ in theirs[i]]:
            kinds.append("lists")
        for kind in kinds:
            count[kind] += 1
        if set(kinds) - {"lists"}:
            common.emit(
                differs=kinds,
                input=material.name,
                utterance=i,
                lm=use_lm,
                beam=beam,
                ours=[round(our_score, 4), text_of(material, our_tokens)],
                theirs=[round(their_score, 4), text_of(material, their_tokens)],
                **({"our_times": our_times, "coqui_times": coqui_times} if "timesteps" in kinds else {}),
            )
    return {"input": material.name, "lm": "yes" if use_lm else "no", "beam": beam, **count}


def measure(args: argparse.Namespace) -> None:
    """Compare everything and print the counts."""
    work = common.work_folder(args)
    found = [*decoders.materials(args, work, count=40), bytes_material(work, 60)]
    chosen = [material for material in found if args.input is None or material.name in args.input]
    rows = [compare(args, *config) for config in itertools.product(chosen, args.beam, (True, False))]
    common.print_table(rows)
    print("texts, scores, timesteps: utterances whose best result differs; lists: whose n best texts differ")


def main() -> None:
    """Compare what the arguments ask for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    decoders.add_arguments(parser)
    parser.add_argument("--input", nargs="*", help="only these of sharp, flat, bytes and the names of --probabilities")
    parser.add_argument("--beam", type=int, nargs="+", default=[100, 500])
    parser.add_argument("--count", type=int, help="utterances of every input (default: all)")
    parser.add_argument("--results", type=int, default=1, help="length of the lists of best results that are compared")
    common.main_of(measure, parser.parse_args())


if __name__ == "__main__":
    main()
