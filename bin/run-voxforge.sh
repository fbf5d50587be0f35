#!/usr/bin/env bash
# Trains on VoxForge: 100 hours of English read by volunteers.
#
#   bin/run-voxforge.sh [flags of DeepSpeech.py, which win over the ones below]
#
# First imports the corpus (bin/import_voxforge.py): 6000 small archives, 10 GB to download.
#
# For GPUs. Two CPU cores would take half a day for one epoch, an estimate from the 8.2 s of audio per s that
# they were measured to train (benchmarks/RESULTS.md). We have measured nothing on GPUs yet. The
# hyperparameters are those of bin/run-ted.sh, a corpus of about that size; we know no published result of
# them. It stops when the dev set has not improved for 5 epochs.

set -euo pipefail

corpus=voxforge
# shellcheck source=scenario.sh
. "$(dirname "${BASH_SOURCE[0]}")/scenario.sh"

has voxforge-{train,dev,test}.csv || "$python" "$here/bin/import_voxforge.py" "$data"

exec "$python" -u "$here/DeepSpeech.py" \
  --train_files "$data/voxforge-train.csv" \
  --dev_files "$data/voxforge-dev.csv" \
  --test_files "$data/voxforge-test.csv" \
  --checkpoint_dir "$keep" \
  --train_batch_size 16 \
  --dev_batch_size 16 \
  --test_batch_size 16 \
  --n_hidden 2048 \
  --epochs 50 \
  --early_stop \
  --es_epochs 5 \
  --learning_rate 0.0001 \
  --dropout_rate 0.3 \
  "$@"
