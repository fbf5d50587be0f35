#!/usr/bin/env bash
# Learns one sentence by heart and recognises it: the shortest way to see the whole trainer work.
#
#   bin/run-ldc93s1.sh [flags of DeepSpeech.py, which win over the ones below]
#
# Needs Python 3.11 to 3.13 and two CPU cores; half a minute, after the environment (.venv) has been
# made once. It ends with the reference, the transcript, and WER 0. Run again, it goes on from its
# checkpoints and so only tests; for a new run give another --checkpoint_dir.

set -euo pipefail

if [[ ${1:-} == -h || ${1:-} == --help ]]; then
  sed -n '2,/^$/s/^# \{0,1\}//p' "$0"
  exit 0
fi

caller=$PWD
cd "$(dirname "${BASH_SOURCE[0]}")/.."
here=$PWD

bin/make-env.sh requirements.txt
python=$here/.venv/bin/python
"$python" bin/import_ldc93s1.py data/ldc93s1

# From here on in the caller's folder, where relative paths in the flags given belong.
cd "$caller"
exec "$python" -u "$here/DeepSpeech.py" \
  --train_files "$here/data/ldc93s1/ldc93s1.csv" \
  --test_files "$here/data/ldc93s1/ldc93s1.csv" \
  --alphabet_config_path "$here/data/alphabet.txt" \
  --checkpoint_dir "${XDG_DATA_HOME:-$HOME/.local/share}/deepspeech/ldc93s1" \
  --train_batch_size 1 \
  --test_batch_size 1 \
  --n_hidden 100 \
  --epochs 200 \
  --learning_rate 0.001 \
  --dropout_rate 0 \
  "$@"
