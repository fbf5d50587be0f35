#!/usr/bin/env bash
# Trains on TED-LIUM 2: 207 hours of English talks.
#
#   bin/run-ted.sh [flags of DeepSpeech.py, which win over the ones below]
#
# First imports the corpus (bin/import_ted.py): 35 GB to download, 100 GB on the disk.
#
# For GPUs. Two CPU cores would take a day for one epoch, an estimate from the 8.2 s of audio per s that
# they were measured to train (benchmarks/RESULTS.md). We have measured nothing on GPUs yet. In 2017
# DeepSpeech took 2 h 24 min an epoch on four Titan X and came to a WER in the mid to high twenties, with
# 2048 units and dropout 0.3; 10 epochs were too few and 50 too many (mozilla/DeepSpeech, issues 629 and
# 630). So this stops when the dev set has not improved for 5 epochs.

set -euo pipefail

corpus=ted
# shellcheck source=scenario.sh
. "$(dirname "${BASH_SOURCE[0]}")/scenario.sh"

has ted-{train,dev,test}.csv || "$python" "$here/bin/import_ted.py" "$data"

exec "$python" -u "$here/DeepSpeech.py" \
  --train_files "$data/ted-train.csv" \
  --dev_files "$data/ted-dev.csv" \
  --test_files "$data/ted-test.csv" \
  --checkpoint_dir "$keep" \
  --train_batch_size 16 \
  --dev_batch_size 8 \
  --test_batch_size 8 \
  --n_hidden 2048 \
  --epochs 50 \
  --early_stop \
  --es_epochs 5 \
  --learning_rate 0.0001 \
  --dropout_rate 0.3 \
  "$@"
