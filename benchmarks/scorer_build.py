#!/usr/bin/env python3
"""Time bin/build_scorer.py on a text, beside the programs DeepSpeech 0.9.3 built its language models with.

Those are KenLM's lmplz, filter and build_binary, compiled with Boost; they get the vocabulary for nothing (0.9.3
counted words in Python) and end where a dictionary and a trailer would still be missing. Both get the same order,
pruning and memory. CPU times can be compared on a busy machine.

    benchmarks/scorer_build.py --text text.txt --kenlm_bins kenlm/build/bin
"""

from __future__ import annotations

import argparse
import shlex
from collections import Counter
from pathlib import Path
from typing import Any

import common
from timed import ROOT, Run, check, run_timed

PRUNING = "0 0 1"


def write_vocabulary(text: Path, path: Path, top_k: int) -> Path:
    """Write the most frequent words of a text of plain letters."""
    counts: Counter[str] = Counter()
    with text.open(encoding="utf-8") as lines:
        for line in lines:
            counts.update(line.split())
    path.write_text("\n".join(word for word, _ in counts.most_common(top_k)) + "\n", encoding="utf-8")
    return path


def build_ours(args: argparse.Namespace, work: Path, log: Path) -> Run:
    """Build a scorer."""
    options = ["--alphabet", args.alphabet, "--output", work / "ours.scorer", "--top_k", args.top_k]
    options += ["--order", args.order, "--prune", PRUNING, "--memory", args.memory]
    program = [args.python, ROOT / "bin" / "build_scorer.py", "--text", args.text]
    return check(run_timed([str(word) for word in [*program, *options]], log), "bin/build_scorer.py")


def build_theirs(args: argparse.Namespace, work: Path, vocabulary: Path, log: Path) -> Run:
    """Build a language model."""
    lmplz, select, build_binary = (shlex.quote(str(args.kenlm_bins / n)) for n in ("lmplz", "filter", "build_binary"))
    here, text = shlex.quote(str(work)), shlex.quote(str(args.text))
    script = f"""set -e
{lmplz} --order {args.order} --prune {PRUNING} --memory {args.memory} --temp_prefix {here}/ --text {text} \
  --arpa {here}/lm.arpa
{select} single model:{here}/lm.arpa {here}/filtered.arpa < {shlex.quote(str(vocabulary))}
{build_binary} -a 255 -q 8 -v -S {args.memory} trie {here}/filtered.arpa {here}/lm.binary
rm {here}/lm.arpa {here}/filtered.arpa"""
    return check(run_timed(["bash", "-c", script], log), "KenLM")


def measure(args: argparse.Namespace) -> None:
    """Run both in turn; print every run and the ratio of the least CPU times."""
    work = common.work_folder(args)
    args.text = args.text.resolve()
    vocabulary = write_vocabulary(args.text, work / "vocabulary", args.top_k)
    rows: list[dict[str, Any]] = []
    for number in range(args.rounds):
        for name in ("ours", "kenlm") if args.kenlm_bins else ("ours",):
            log = work / f"{name}-{number}.log"
            run = build_ours(args, work, log) if name == "ours" else build_theirs(args, work, vocabulary, log)
            rows.append(
                {
                    "program": name,
                    "round": number,
                    "wall_s": round(run.wall_s, 1),
                    "cpu_s": round(run.cpu_s, 1),
                    "pss_mib": round(run.peak_pss / common.MIB),
                    "rss_mib": round(run.peak_rss / common.MIB),
                }
            )
            common.emit(benchmark="scorer_build", text_bytes=args.text.stat().st_size, **rows[-1])
    common.print_table(rows)
    least = {name: min(row["cpu_s"] for row in rows if row["program"] == name) for name in {r["program"] for r in rows}}
    if "kenlm" in least:
        common.emit(benchmark="scorer_build", cpu_share=round(least["ours"] / least["kenlm"], 2))


def main() -> None:
    """Read the arguments and measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--text", type=Path, required=True, help="normalised text, one sentence per line")
    parser.add_argument("--alphabet", type=Path, default=ROOT / "data" / "alphabet.txt")
    parser.add_argument("--kenlm_bins", type=Path, help="folder of KenLM's programs (default: measure ours only)")
    parser.add_argument("--order", type=int, default=5)
    parser.add_argument("--top_k", type=int, default=500_000)
    parser.add_argument("--memory", default="1G")
    parser.add_argument("--rounds", type=int, default=3, help="runs of each, in turn")
    common.add_arguments(parser, coqui=False)
    common.main_of(measure, parser.parse_args())


if __name__ == "__main__":
    main()
