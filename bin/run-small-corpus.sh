#!/usr/bin/env bash
# Trains on little speech, about an hour, without a GPU: from CSVs to a model and a scorer to transcribe with.
#
#   bin/run-small-corpus.sh TRAIN.csv [DEV.csv [TEST.csv ...]] [flags of DeepSpeech.py, which win over the ones below]
#
# The first CSV is trained on, with augmentation. The second chooses the checkpoint and the weights of the scorer.
# The others are tested; without any the second is, whose WER then flatters. Nobody should speak in two of them:
# bin/import_folder.py makes such CSVs of recordings. The alphabet is made of the characters of all transcripts.
# The scorer knows the sentences of the first CSV, which is right for orders and commands, where people say much
# the same again; for free speech give one of more text (doc/Scorer.md): --scorer_path my.scorer.
#
# COMPUTE_KEEP_DIR, by default small-corpus beside the first CSV, gets everything: checkpoints, alphabet.txt,
# transcripts.scorer, and in model/ what to transcribe with. Run again, it goes on from there.
#
# On 450 recordings of spoken orders (1.1 h, more than 50 people): 22.2 % WER on 53 recordings of other
# people decoded greedily, 7.9 % with the scorer, after 74 minutes on one core (benchmarks/RESULTS.md).

set -euo pipefail

csvs=()
while [[ ${1:--} != -* ]]; do
  csvs+=("$1")
  shift
done
[[ ${#csvs[@]} -gt 0 ]] || set -- --help
[[ $* == *--help* ]] || : "${COMPUTE_KEEP_DIR:=$(dirname "${csvs[0]}")/small-corpus}"

# shellcheck source=scenario.sh
. "$(dirname "${BASH_SOURCE[0]}")/scenario.sh"

# Runs a program that is told when this script is asked to end, and has time to save.
run() {
  "$@" &
  local program=$!
  trap 'kill "$program"' INT TERM
  while kill -0 "$program" 2>/dev/null; do wait "$program" || true; done
  trap - INT TERM
  wait "$program"
}

# Prints the scorer that flags name, if they name one.
given_scorer() {
  local flag own=
  while [[ $# -gt 0 ]]; do
    flag=${1/#--/-}
    shift
    case $flag in
      -scorer_path=* | -scorer=*) own=${flag#*=} ;;
      -scorer_path | -scorer) own=${1:-} ;;
    esac
  done
  echo "$own"
}

mkdir -p "$keep"
alphabet=$keep/alphabet.txt scorer=$keep/transcripts.scorer
if [[ ! -f $alphabet ]]; then
  all=$(printf ',%s' "${csvs[@]}")
  "$python" "$here/bin/check_characters.py" -csv "${all:1}" -alpha >"$alphabet.new"
  mv "$alphabet.new" "$alphabet"
fi
network=(--alphabet_config_path "$alphabet" --checkpoint_dir "$keep" --n_hidden 256 --layer_norm)

run "$python" -u "$here/DeepSpeech.py" "${network[@]}" \
  --train_files "${csvs[0]}" \
  --dev_files "${csvs[1]:-}" \
  --train_batch_size 8 \
  --dev_batch_size 16 \
  --epochs 100 \
  --learning_rate 0.001 \
  --lr_schedule cosine \
  --warmup_steps 200 \
  --max_grad_norm 200 \
  --dropout_rate 0.25 \
  --dropout_rate3 0 \
  --dropout_rate4 0.35 \
  --dropout_rate5 0.35 \
  --augment 'speed[factor=1~0.2]' \
  --augment 'pitch[p=0.5,pitch=1~0.12]' \
  --augment 'time_mask[n=4,size=20:400~20]' \
  --automatic_mixed_precision \
  --best_metric wer \
  "$@"
[[ " $* " != *" --dry_run "* ]] || exit 0

build=("$python" "$here/bin/build_scorer.py" --text "${csvs[0]}" --alphabet "$alphabet" --output "$scorer")
chosen=$(given_scorer "$@")
chosen=${chosen:-$scorer} weights=()
[[ $chosen != "$scorer" ]] || "${build[@]}"
if [[ ${#csvs[@]} -gt 1 ]]; then
  run "$python" "$here/bin/lm_optimizer.py" "${network[@]}" --scorer_path "$chosen" --test_files "${csvs[1]}" \
    --test_batch_size 16 --lm_alpha_max 10 --lm_beta_max 10 "$@" | tee "$keep/tuning.txt"
  read -r alpha beta < <(sed -n 's/.* --lm_alpha \(.*\) --lm_beta \(.*\)/\1 \2/p' "$keep/tuning.txt")
  weights=(--lm_alpha "$alpha" --lm_beta "$beta")
  [[ $chosen != "$scorer" ]] || "${build[@]}" --default_alpha "$alpha" --default_beta "$beta"
fi

tests=("${csvs[@]:2}")
[[ ${#tests[@]} -gt 0 ]] || tests=("${csvs[@]:1}")
tested=$(printf ',%s' "${tests[@]}")
run "$python" -u "$here/DeepSpeech.py" "${network[@]}" --scorer_path "$chosen" "${weights[@]}" \
  --test_files "${tested:1}" --test_batch_size 16 --export_dir "$keep/model" "$@" --train_files=
[[ $chosen != "$scorer" ]] || weights=() # they are stored in it
echo "To transcribe: deepspeech --model $keep/model/output_graph.tflite --scorer $chosen" "${weights[@]}" "--audio a.wav"
