#!/usr/bin/env bash
# Trains on Common Voice: version 1 (English, 500 hours, half of them confirmed), or a language of a later version.
#
#   bin/run-cv.sh [flags of DeepSpeech.py, which win over the ones below]
#   bin/run-cv.sh FOLDER [flags of DeepSpeech.py]
#
# FOLDER has the archive of one language, or is what is in it: validated.tsv and the like, and clips. Without a
# folder version 1 is trained, 12 GB to download. First imports either (bin/import_cv2.py, bin/import_cv.py);
# the alphabet of a later version is made of its transcripts.
#
# For GPUs. Two CPU cores would take over a day for one of the 15 epochs of version 1, an estimate from the
# 8.2 s of audio per s that they were measured to train (benchmarks/RESULTS.md). We have measured nothing on
# GPUs yet, and know no published result of these hyperparameters, which are those of bin/run-librivox.sh.

set -euo pipefail

corpus=cv
if [[ ${1:--} != -* ]]; then
  folder=$1 corpus=cv2/$(basename "$1")
  shift
fi
# shellcheck source=scenario.sh
. "$(dirname "${BASH_SOURCE[0]}")/scenario.sh"

if [[ $corpus == cv ]]; then
  sets=cv-valid alphabet=$here/data/alphabet.txt
  has cv-valid-{train,dev,test}.csv ||
    "$python" "$here/bin/import_cv.py" "$data" --sets valid-train valid-dev valid-test
else
  sets=cv2 alphabet=$data/cv2-alphabet.txt
  has cv2-{train,dev,test}.csv cv2-alphabet.txt ||
    "$python" "$here/bin/import_cv2.py" "$data" --source "$folder" --sets train dev test
fi

exec "$python" -u "$here/DeepSpeech.py" \
  --train_files "$data/$sets-train.csv" \
  --dev_files "$data/$sets-dev.csv" \
  --test_files "$data/$sets-test.csv" \
  --alphabet_config_path "$alphabet" \
  --checkpoint_dir "$keep" \
  --train_batch_size 12 \
  --dev_batch_size 12 \
  --test_batch_size 12 \
  --n_hidden 2048 \
  --epochs 15 \
  --learning_rate 0.0001 \
  --dropout_rate 0.3 \
  "$@"
