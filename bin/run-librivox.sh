#!/usr/bin/env bash
# Trains on LibriSpeech: 960 hours of English read aloud. Tests on clean and on difficult recordings.
#
#   bin/run-librivox.sh [flags of DeepSpeech.py, which win over the ones below]
#
# First imports the corpus (bin/import_librivox.py): 61 GB to download, twice that on the disk.
#
# For GPUs. Two CPU cores would take five days for one of the 15 epochs, an estimate from the 8.2 s of
# audio per s that they were measured to train (benchmarks/RESULTS.md). We have measured nothing on GPUs
# yet. In 2017 DeepSpeech took 11 hours an epoch on four Titan X of 12 GB and came to a WER of 12 % on
# dev-clean and 22 % on both dev sets, with the same size, rate and dropout (mozilla/DeepSpeech, issue 333).

set -euo pipefail

corpus=librivox
# shellcheck source=scenario.sh
. "$(dirname "${BASH_SOURCE[0]}")/scenario.sh"

has librivox-{train-{clean-100,clean-360,other-500},{dev,test}-{clean,other}}.csv ||
  "$python" "$here/bin/import_librivox.py" "$data" --audio_format flac

train=$data/librivox-train
exec "$python" -u "$here/DeepSpeech.py" \
  --train_files "$train-clean-100.csv,$train-clean-360.csv,$train-other-500.csv" \
  --dev_files "$data/librivox-dev-clean.csv,$data/librivox-dev-other.csv" \
  --test_files "$data/librivox-test-clean.csv,$data/librivox-test-other.csv" \
  --checkpoint_dir "$keep" \
  --train_batch_size 12 \
  --dev_batch_size 12 \
  --test_batch_size 12 \
  --n_hidden 2048 \
  --epochs 15 \
  --learning_rate 0.0001 \
  --dropout_rate 0.3 \
  "$@"
