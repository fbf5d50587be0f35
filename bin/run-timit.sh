#!/usr/bin/env bash
# Trains on TIMIT: five hours of English sentences from 630 speakers.
#
#   bin/run-timit.sh [flags of DeepSpeech.py, which win over the ones below]
#
# First imports the corpus (bin/import_timit.py), which the Linguistic Data Consortium sells (LDC93S1); the
# importer says what to put where. TIMIT has no dev set: as in 0.1.1 the test set chooses the checkpoint, so
# the WER of the test flatters.
#
# Two CPU cores are enough: about two hours, an estimate from the 123 s of audio per s that they were measured
# to train with 512 units (benchmarks/RESULTS.md). The result has not been measured. The size is that of
# 0.1.1, the rest the recipe for little speech in doc/Training.md.

set -euo pipefail

corpus=timit
# shellcheck source=scenario.sh
. "$(dirname "${BASH_SOURCE[0]}")/scenario.sh"

has timit-{train,test}.csv || "$python" "$here/bin/import_timit.py" "$data"

exec "$python" -u "$here/DeepSpeech.py" \
  --train_files "$data/timit-train.csv" \
  --dev_files "$data/timit-test.csv" \
  --test_files "$data/timit-test.csv" \
  --checkpoint_dir "$keep" \
  --train_batch_size 8 \
  --dev_batch_size 16 \
  --test_batch_size 16 \
  --n_hidden 494 \
  --layer_norm \
  --epochs 50 \
  --learning_rate 0.001 \
  --lr_schedule cosine \
  --warmup_steps 200 \
  --max_grad_norm 200 \
  --dropout_rate 0.3 \
  --dropout_rate3 0 \
  --dropout_rate4 0.4 \
  --dropout_rate5 0.4 \
  --best_metric wer \
  "$@"
