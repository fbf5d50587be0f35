#!/usr/bin/env python3
"""Lists the kinds of operations in a TensorFlow graph.

  bin/ops_in_graph.py output_graph.pb

Those are what a runtime has to know to load it.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

try:
    from util.graph_file import load_graph
except ModuleNotFoundError as error:
    sys.exit(f"ops_in_graph.py: {error}: run bin/make-env.sh, then `. .venv/bin/activate`, or see README.md.")
from util.commandline import report_errors
from util.progress import Console


def main() -> int:
    """Print the operations; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("graph", type=Path, metavar="FILE", help="a .pb or .pbmm")
    path = parser.parse_args().graph
    with report_errors(Console()) as outcome:
        print(*sorted({node.op for node in load_graph(path).node}), sep="\n")
    return outcome.status


if __name__ == "__main__":
    sys.exit(main())
