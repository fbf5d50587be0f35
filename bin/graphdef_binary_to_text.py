#!/usr/bin/env python3
"""Writes a TensorFlow graph as text, for people and diff: model.pb becomes model.pbtxt.

  bin/graphdef_binary_to_text.py output_graph.pb

The text appears beside the graph.
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
    sys.exit(
        f"graphdef_binary_to_text.py: {error}: run bin/make-env.sh, then `. .venv/bin/activate`, or see README.md."
    )
from util.commandline import report_errors
from util.files import write_atomically
from util.progress import Console


def main() -> int:
    """Write the text; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("graph", type=Path, metavar="FILE", help="a .pb or .pbmm")
    path = parser.parse_args().graph
    with report_errors(Console()) as outcome:
        write_atomically(f"{path}txt", str(load_graph(path)))
    return outcome.status


if __name__ == "__main__":
    sys.exit(main())
