#!/usr/bin/env python3
"""Run the benchmarks one after the other: what `make bench` does.

The demo needs a recording of its sentence and the learning comparison a corpus, so these two run only
where they are given. Without COQUI_PYTHON and PREDECESSORS only the programs that need no predecessor run. Expect
about an hour and a half, and more with --train: leave the machine alone meanwhile.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent


def commands(args: argparse.Namespace) -> list[list[str]]:
    """Return the programs to run, with their arguments."""
    found = [["peak_share.py"], ["resume_torture.py"], ["cluster_speed.py"]]
    if os.environ.get("COQUI_PYTHON"):
        found.append(["train_speed.py"])
        if args.audio:
            found.append(["demo_time.py", "--audio", args.audio])
    else:
        print("run.py: COQUI_PYTHON is not set (see setup_predecessors.sh), so nothing is compared")
    if os.environ.get("PREDECESSORS"):
        found += [["decoder_parity.py"], ["decoder_speed.py"]]
    else:
        print("run.py: PREDECESSORS is not set, so decoders are not compared")
    if args.train and args.dev:
        found.append(["learning.py", "--train", args.train, "--dev", args.dev])
        if not os.environ.get("COQUI_PYTHON"):
            found[-1].append("--skip-coqui")
    return found


def main() -> None:
    """Run them all, whatever becomes of each, and fail if one failed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--audio", help="recording of the demo's sentence, for demo_time.py")
    parser.add_argument("--train", help="CSV to train on, for learning.py")
    parser.add_argument("--dev", help="CSV to validate on, for learning.py")
    failed = []
    for program, *words in commands(parser.parse_args()):
        print(f"== {program} {' '.join(words)}", flush=True)
        if subprocess.run([sys.executable, str(HERE / program), *words], check=False).returncode:
            failed.append(program)
    if failed:
        sys.exit(f"run.py: failed: {', '.join(failed)}")


if __name__ == "__main__":
    main()
