#!/bin/sh
# Make a virtual environment with the trainer that the benchmarks measure against: Coqui STT 1.4.0,
# the last continuation of the TensorFlow 1.15 training code. Safe to run again.
#
# usage: benchmarks/setup_predecessors.sh DIR
#   PY37  the Python 3.7 to use (default python3.7); TensorFlow 1.15 has no wheel for a newer one
#
# Afterwards: export COQUI_PYTHON=DIR/train37/bin/python
set -eu

if [ $# -ne 1 ]; then
    echo "usage: $0 DIR" >&2
    exit 2
fi
mkdir -p "$1"
dir=$(cd "$1" && pwd)
py37=${PY37:-python3.7}
if ! command -v "$py37" >/dev/null; then
    echo "$0: no interpreter '$py37'; install Python 3.7 and name it in PY37" >&2
    exit 1
fi

venv=$dir/train37
python=$venv/bin/python
[ -x "$python" ] || "$py37" -m venv "$venv"
if ! "$python" -c 'import pkg_resources as p; p.require("coqui-stt-training==1.4.0")' 2>/dev/null; then
    "$python" -m pip install --quiet --upgrade pip wheel
    # One dependency (sox) is a source package that needs numpy while it is built, and TensorFlow
    # 1.15 breaks with newer numpy, so these come first.
    "$python" -m pip install --quiet 'setuptools<60' 'numpy<1.19' 'sox<1.5' typing_extensions
    "$python" -m pip install --quiet coqui-stt-training==1.4.0
fi
echo "COQUI_PYTHON=$python"
