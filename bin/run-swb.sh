#!/usr/bin/env bash
# Trains on Switchboard: 260 hours of English telephone conversations.
#
#   bin/run-swb.sh [flags of DeepSpeech.py, which win over the ones below]
#
# First imports the corpus (bin/import_swb.py), which the Linguistic Data Consortium sells (LDC97S62); the
# importer says what to put where.
#
# For GPUs. Two CPU cores would take a day for one of the 15 epochs, an estimate from the 8.2 s of audio
# per s that they were measured to train (benchmarks/RESULTS.md). We have measured nothing on GPUs yet, and
# know no published result of these hyperparameters, which are those of 0.1.1.

set -euo pipefail

corpus=swb
# shellcheck source=scenario.sh
. "$(dirname "${BASH_SOURCE[0]}")/scenario.sh"

has swb-{train,dev,test}.csv || "$python" "$here/bin/import_swb.py" "$data"

exec "$python" -u "$here/DeepSpeech.py" \
  --train_files "$data/swb-train.csv" \
  --dev_files "$data/swb-dev.csv" \
  --test_files "$data/swb-test.csv" \
  --checkpoint_dir "$keep" \
  --train_batch_size 13 \
  --dev_batch_size 13 \
  --test_batch_size 13 \
  --n_hidden 2048 \
  --epochs 15 \
  --learning_rate 0.0001 \
  --dropout_rate 0.15 \
  "$@"
