#!/usr/bin/env bash
# Learns one sentence by heart and recognises it: the shortest way to see the whole trainer work.
#
#   bin/run-ldc93s1.sh [flags of DeepSpeech.py, which win over the ones below]
#
# Needs Python 3.11 to 3.13 and two CPU cores; half a minute, after the environment (.venv) has been
# made once. It ends with the reference, the transcript, and WER 0. Run again, it only tests; for a
# new run give another --checkpoint_dir.

set -euo pipefail

corpus=ldc93s1
# shellcheck source=scenario.sh
. "$(dirname "${BASH_SOURCE[0]}")/scenario.sh"

"$python" "$here/bin/import_ldc93s1.py" "$data"

exec "$python" -u "$here/DeepSpeech.py" \
  --train_files "$data/ldc93s1.csv" \
  --test_files "$data/ldc93s1.csv" \
  --alphabet_config_path "$here/data/alphabet.txt" \
  --checkpoint_dir "$keep" \
  --train_batch_size 1 \
  --test_batch_size 1 \
  --n_hidden 100 \
  --epochs 200 \
  --learning_rate 0.001 \
  --dropout_rate 0 \
  "$@"
