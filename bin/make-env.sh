#!/usr/bin/env bash
# Makes .venv, the environment every program here runs in, or leaves it alone when it is up to date.
#
#   bin/make-env.sh [requirements file]
#
# The requirements file is requirements.txt (training, the default) or requirements_dev.txt (what
# `make` needs as well). PYTHON=python3.12 chooses the interpreter; without it the first Python 3.11,
# 3.12 or 3.13 on the path is taken. Needs no root rights. The first time takes a few minutes and
# 3 GB of disk. An installation that was interrupted, or whose requirements changed, is made anew.
#
# Decoder and engine (native_client/python) are built with it, and again when their sources change. That needs a
# C++ compiler. Where there is none everything works but these two, and a line says so; a later run
# adds them. A build that fails ends only an installation of requirements_dev.txt.

set -euo pipefail

fail() {
  echo "bin/make-env.sh: $1" >&2
  exit 1
}

# A stamp holds the requirements it stands for, included ones too, and is written last.
wanted() {
  cat "$1"
  sed -n 's/^-r //p' "$1" | while read -r included; do cat "$included"; done
}

is_ready() {
  [[ -f .venv/made-from/$1 && $(wanted "$1") == "$(cat ".venv/made-from/$1")" ]]
}

suits() {
  "$1" -c 'import sys, ensurepip, venv; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' &>/dev/null
}

version_of() {
  "$1" -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null
}

find_python() {
  if [[ -n ${PYTHON:-} ]]; then
    suits "$PYTHON" || fail "PYTHON=$PYTHON is no Python 3.11, 3.12 or 3.13 with its venv module: name one that is."
    echo "$PYTHON"
    return
  fi
  local candidate
  for candidate in python3 python3.13 python3.12 python3.11; do
    if suits "$candidate"; then
      echo "$candidate"
      return
    fi
  done
  fail "no Python 3.11, 3.12 or 3.13 with its venv module is on the path (python3 is ${found:-missing}): \
install one (Debian and Ubuntu: python3.12 and python3.12-venv) or name it, as in PYTHON=/opt/bin/python3.12."
}

has_compiler() {
  local candidates=(c++ g++ clang++)
  [[ -z ${CXX:-} ]] || candidates=("${CXX%% *}")
  [[ -n $(type -P "${candidates[@]}") ]]
}

install_requirements() {
  local made_with sound stamp name python
  made_with=$(version_of .venv/bin/python || true)
  if [[ -n ${PYTHON:-} && $(version_of "$PYTHON" || true) != "$made_with" ]]; then
    made_with=
  fi
  if [[ -n $made_with ]] && is_ready "$requirements"; then
    return
  fi

  # What is there may be added to only if all of it is what its requirements still ask.
  sound=$made_with
  for stamp in .venv/made-from/*; do
    name=${stamp##*/}
    if [[ ! -f $name ]] || ! is_ready "$name"; then
      sound=
    fi
  done

  found=$(version_of python3 || true)
  if [[ -z $sound ]]; then
    python=$(find_python)
    echo "Making .venv with Python $(version_of "$python") from $requirements (a few minutes the first time)."
    rm -rf .venv
    "$python" -m venv .venv || fail "$python could not make $PWD/.venv: see its message above."
  else
    echo "Adding what $requirements asks to .venv."
  fi
  rm -rf .venv/made-from
  .venv/bin/python -m pip install --quiet --disable-pip-version-check -r "$requirements" ||
    fail "pip could not install $requirements (its message is above): check the network and run this again."

  mkdir .venv/made-from.new
  for name in "$requirements" $(sed -n 's/^-r //p' "$requirements"); do
    wanted "$name" >".venv/made-from.new/$name"
  done
  mv .venv/made-from.new .venv/made-from
}

# As with the requirements, a stamp holds what the decoder was built from and is written last.
install_decoder() {
  local stamp=.venv/decoder-made-from log=.venv/decoder.log sources
  sources=$(find native_client -type f ! -path 'native_client/tests/*' ! -name '*.pyc' -exec cksum {} + | sort)
  if [[ -f $stamp && $sources == "$(cat "$stamp")" ]]; then
    return
  fi
  if ! has_compiler; then
    echo "bin/make-env.sh: beam search and the package deepspeech are missing, for there is no C++ compiler to build" \
      "them: install one (Debian and Ubuntu: g++ and python3-dev) and run this again." >&2
    return
  fi
  rm -f "$stamp"
  echo "Building decoder and engine (about a minute)."
  if .venv/bin/python -m pip install --disable-pip-version-check ./native_client/python &>"$log"; then
    echo "$sources" >"$stamp"
  elif [[ $requirements == requirements.txt ]]; then
    echo "bin/make-env.sh: beam search and the package deepspeech are missing, for they could not be built: see" \
      "$PWD/$log, mend that and run this again." >&2
  else
    cat "$log" >&2
    fail "the decoder could not be built, see above: mend that and run this again."
  fi
}

if [[ ${1:-} == -h || ${1:-} == --help ]]; then
  sed -n '2,/^$/s/^# \{0,1\}//p' "$0"
  exit 0
fi
cd "$(dirname "${BASH_SOURCE[0]}")/.."
requirements=${1:-requirements.txt}
[[ -f $requirements && $requirements != */* ]] ||
  fail "'$requirements' is no requirements file of $PWD: give requirements.txt or requirements_dev.txt."

install_requirements
install_decoder
