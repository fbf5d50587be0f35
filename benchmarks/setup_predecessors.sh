#!/bin/sh
# Make virtual environments with what the benchmarks measure against. Safe to run again.
#
# usage: benchmarks/setup_predecessors.sh DIR             the trainer: Coqui STT 1.4.0, the last
#                                                         continuation of the TensorFlow 1.15 code
#        benchmarks/setup_predecessors.sh DIR decoders    ds_ctcdecoder 0.9.3, coqui_stt_ctcdecoder
#                                                         1.4.0, pyctcdecode, flashlight, KenLM's programs
#        benchmarks/setup_predecessors.sh DIR clients     deepspeech 0.9.3, deepspeech-tflite 0.9.3, stt 1.4.0, and
#                                                         the Armenian model inside armspeech 0.1.4
#   PY37, PY39, PY310, PY311  the interpreters to use (default python3.7 ...): the trainer needs 3.7, the decoders 3.7,
#                             3.9 and 3.11, the clients 3.9 and 3.10, because the wheels of each stop there
#
# KenLM is built from its source package with cmake, a compiler and boost; on Debian:
#   libboost-program-options-dev libboost-system-dev libboost-thread-dev libboost-test-dev
#
# Afterwards: export COQUI_PYTHON=DIR/train37/bin/python, export PREDECESSORS=DIR
set -eu

if [ $# -lt 1 ] || [ $# -gt 2 ] || { [ "${2:-decoders}" != decoders ] && [ "$2" != clients ]; }; then
    echo "usage: $0 DIR [decoders|clients]" >&2
    exit 2
fi
mkdir -p "$1"
dir=$(cd "$1" && pwd)

# lacks NAME INTERPRETER WANTED: make DIR/NAME where it is missing; true if it has not WANTED (a requirement)
lacks() {
    if ! command -v "$2" >/dev/null; then
        echo "$0: no interpreter '$2'; install that Python and name it in PY37, PY39, PY310 or PY311" >&2
        exit 1
    fi
    python=$dir/$1/bin/python
    [ -x "$python" ] || "$2" -m venv "$dir/$1"
    ! "$python" -c "import pkg_resources as p; p.require('$3')" 2>/dev/null
}

if [ $# -eq 1 ]; then
    if lacks train37 "${PY37:-python3.7}" coqui-stt-training==1.4.0; then
        "$python" -m pip install --quiet --upgrade pip wheel
        # One dependency (sox) is a source package that needs numpy while it is built, and TensorFlow
        # 1.15 breaks with newer numpy, so these come first.
        "$python" -m pip install --quiet 'setuptools<60' 'numpy<1.19' 'sox<1.5' typing_extensions
        "$python" -m pip install --quiet coqui-stt-training==1.4.0
    fi
    echo "COQUI_PYTHON=$python"
    exit
fi

if [ "$2" = clients ]; then
    for client in ds39:deepspeech==0.9.3 dst39:deepspeech-tflite==0.9.3 stt310:stt==1.4.0; do
        case $client in stt310:*) interpreter=${PY310:-python3.10} ;; *) interpreter=${PY39:-python3.9} ;; esac
        if lacks "${client%%:*}" "$interpreter" "${client#*:}"; then
            "$python" -m pip install --quiet 'numpy<2' "${client#*:}"
        fi
    done
    if [ ! -f "$dir/armspeech-0.1.4/src/model/model.tflite" ]; then
        "$python" -m pip install --quiet setuptools wheel  # its source package says nothing of how to build it
        "$python" -m pip download --quiet --no-deps --no-build-isolation --no-binary armspeech --dest "$dir" armspeech==0.1.4
        tar -xf "$dir/armspeech-0.1.4.tar.gz" -C "$dir"
    fi
    echo "PREDECESSORS=$dir"
    exit
fi

if lacks dec37 "${PY37:-python3.7}" ds-ctcdecoder==0.9.3; then
    "$python" -m pip install --quiet 'numpy<1.22' ds-ctcdecoder==0.9.3
fi
if lacks dec39 "${PY39:-python3.9}" coqui-stt-ctcdecoder==1.4.0; then
    "$python" -m pip install --quiet 'numpy<1.22' coqui-stt-ctcdecoder==1.4.0
fi
if lacks alt311 "${PY311:-python3.11}" ufal.flashlight-text==0.0.7.1; then
    "$python" -m pip install --quiet pyctcdecode==0.5.0 kenlm==0.3.0 ufal.flashlight-text==0.0.7.1
fi
if [ ! -x "$dir/kenlm/build/bin/lmplz" ]; then
    mkdir -p "$dir/kenlm/build"
    "$python" -m pip download --quiet --no-deps --no-binary kenlm --dest "$dir/kenlm" kenlm==0.3.0
    tar -xf "$dir/kenlm/kenlm-0.3.0.tar.gz" -C "$dir/kenlm"
    cmake -S "$dir/kenlm/kenlm-0.3.0" -B "$dir/kenlm/build" -DCMAKE_BUILD_TYPE=Release >/dev/null
    cmake --build "$dir/kenlm/build" --target lmplz build_binary >/dev/null
fi
echo "PREDECESSORS=$dir"
