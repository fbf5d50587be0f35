#!/usr/bin/env bash
# Trains on Fisher: 2000 hours of English telephone conversations.
#
#   bin/run-fisher.sh [flags of DeepSpeech.py, which win over the ones below]
#
# First imports the corpus (bin/import_fisher.py), which the Linguistic Data Consortium sells (LDC2004S13,
# LDC2004T19, LDC2005S13, LDC2005T19); the importer says what to put where.
#
# For GPUs. Two CPU cores would take over a week for one of the 20 epochs, an estimate from the 8.2 s of
# audio per s that they were measured to train (benchmarks/RESULTS.md). We have measured nothing on GPUs
# yet, and know no published result of DeepSpeech on Fisher alone. Batch, rate and epochs are those of 0.1.1;
# the dropout is that of its released model, which was trained on Fisher too (mozilla/DeepSpeech, pull
# request 1517).

set -euo pipefail

corpus=fisher
# shellcheck source=scenario.sh
. "$(dirname "${BASH_SOURCE[0]}")/scenario.sh"

has fisher-{train,dev,test}.csv || "$python" "$here/bin/import_fisher.py" "$data"

exec "$python" -u "$here/DeepSpeech.py" \
  --train_files "$data/fisher-train.csv" \
  --dev_files "$data/fisher-dev.csv" \
  --test_files "$data/fisher-test.csv" \
  --checkpoint_dir "$keep" \
  --train_batch_size 32 \
  --dev_batch_size 32 \
  --test_batch_size 32 \
  --n_hidden 2048 \
  --epochs 20 \
  --learning_rate 0.0001 \
  --dropout_rate 0.2367 \
  "$@"
