#!/usr/bin/env bash
# What the trainings bin/run-<corpus>.sh have in common: each sets `corpus`, then sources bin/scenario.sh.
#
# It answers --help with the script's first comment, makes the environment, and sets: here (this checkout),
# python (of the environment), data (folder of the corpus) and keep (folder of the run).

set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
# shellcheck disable=SC2034 # the script that sources this uses it
python=$here/.venv/bin/python
data=${COMPUTE_DATA_DIR:-$here/data/${corpus:-}}
keep=${COMPUTE_KEEP_DIR:-${XDG_DATA_HOME:-$HOME/.local/share}/deepspeech/${corpus:-}}

# Tells whether all these files are in the folder of the corpus.
has() {
  local file
  for file; do [[ -f $data/$file ]] || return; done
}

if [[ ${1:-} == -h || ${1:-} == --help ]]; then
  sed -n '2,/^$/s/^# \{0,1\}//p' "$0"
  if [[ -n ${corpus:-} ]]; then
    echo
    echo "COMPUTE_DATA_DIR is the folder of the corpus, here $data;"
    echo "COMPUTE_KEEP_DIR that of the checkpoints, here $keep."
    echo "Run again, it goes on from them. --dry_run says how much memory and time training would take."
  fi
  exit 0
fi

"$here/bin/make-env.sh" requirements.txt
