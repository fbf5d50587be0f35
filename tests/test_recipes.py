"""Training recipes as people have them for DeepSpeech 0.6 to 0.9.3: shell scripts that run here as they are."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from conftest import ROOT

from util.text import read_alphabet

SENTENCE = "she had your dark suit in greasy wash water all year"


# A language of its own with an alphabet and a scorer; trains, tests, exports twice, in a container's manner.
LANGUAGE = """
set -xe
export TF_CUDNN_RESET_RND_GEN_STATE=1
HOMEDIR="$PWD"
FLAGS_COMMON="--show_progressbar True --train_cudnn True --use_allow_growth True \\
  --alphabet_config_path ${HOMEDIR}/models/alphabet.txt --scorer ${HOMEDIR}/models/kenlm.scorer"
mkdir -p checkpoints
if [ ! -f checkpoints/checkpoint ]; then
  EARLY_STOP_FLAG="--early_stop"
  if [ "${EARLY_STOP:-0}" = "0" ]; then EARLY_STOP_FLAG="--noearly_stop"; fi
  python -W ignore -u DeepSpeech.py ${FLAGS_COMMON} \\
    --automatic_mixed_precision True \\
    --feature_cache sources/feature_cache \\
    --train_files corpus/train.csv,corpus/more.csv \\
    --dev_files corpus/dev.csv,corpus/more.csv \\
    --test_files corpus/test.csv \\
    --train_batch_size 2 --dev_batch_size 2 --test_batch_size 2 \\
    --n_hidden ${N_HIDDEN} --epochs 2 --learning_rate 0.0001 --dropout_rate 0.3 \\
    --lm_alpha 0.7 --lm_beta 1.6 \\
    ${EARLY_STOP_FLAG} --checkpoint_dir checkpoints --max_to_keep 2
fi
METADATA="--export_author_id someone --export_model_name own --export_model_version 1.0 --export_language fr-FR \\
  --export_license MPL-2.0 --export_contact_info a@b.c --export_description all --export_min_ds_version 0.9 \\
  --export_max_ds_version 0.9.3"
EXPORT="python -W ignore -u DeepSpeech.py ${FLAGS_COMMON} ${METADATA} --n_hidden ${N_HIDDEN} --beam_width 500 \\
  --load_evaluate best --checkpoint_dir checkpoints"
${EXPORT} --export_dir models
${EXPORT} --export_dir models/fr-fr --export_tflite --export_zip
"""

# The bare program with everything that measures, then the programs beside it.
MEASURES = """#!/bin/sh
set -e
if [ ! -f DeepSpeech.py ]; then
  echo "Please make sure you run this from DeepSpeech's top level directory." && exit 1
fi
export CUDA_VISIBLE_DEVICES=0
./DeepSpeech.py --noshow_progressbar --log_level 1 --summary_dir summaries \\
  --train_files corpus/train.csv --dev_files corpus/dev.csv --test_files corpus/test.csv,corpus/more.csv \\
  --alphabet_config_path models/alphabet.txt --metrics_files corpus/more.csv --n_hidden $N_HIDDEN --epochs 2 \\
  --cache_for_epochs 3 --read_buffer 4MB \\
  --reduce_lr_on_plateau true --plateau_epochs 1 --plateau_reduction 0.5 --force_initialize_learning_rate=true \\
  --load_train init --load_evaluate auto --checkpoint_secs 1800 --max_to_keep 1 --checkpoint_dir run \\
  --test_output_file results.json --wer_log_pattern '%s measured %s at %f' --report_count 1 "$@"
python3 evaluate.py --checkpoint_dir run --n_hidden $N_HIDDEN --test_files corpus/test.csv \\
  --scorer_path models/kenlm.scorer --alphabet_config_path models/alphabet.txt --test_output_file again.json
python lm_optimizer.py --show_progressbar True --checkpoint_dir run --n_hidden $N_HIDDEN --scorer models/kenlm.scorer \\
  --alphabet_config_path models/alphabet.txt --test_files corpus/test.csv --test_batch_size 2 \\
  --lm_alpha_max 3 --lm_beta_max 3 --n_trials 2
python stats.py -csv corpus/train.csv,corpus/more.csv
"""

# 0.6: language model and trie apart, cuDNN, augmentation by flags; more flags from a file.
OLD = """
cat >flags.txt <<END
# shared by all runs
--train_files=corpus/train.csv
--dev_files=corpus/dev.csv
--nouse_seq_length
--learning_rate=0.0001
END
python -u DeepSpeech.py --flagfile flags.txt \\
  --test_files corpus/test.csv --test_output_file results.json --n_hidden ${N_HIDDEN} --epochs 1 --noearly_stop \\
  --es_steps 6 --report_count 100 --use_cudnn_rnn --automatic_mixed_precision=True --checkpoint_dir run \\
  --alphabet_config_path models/alphabet.txt --lm_binary_path lm/all.binary --lm_trie_path lm/all.trie \\
  --lm_alpha 0.75 --lm_beta 1.85 --data_aug_features_additive 0.2 --augmentation_spec_dropout_keeprate 0.80 \\
  --augmentation_freq_and_time_masking --augmentation_freq_and_time_masking_freq_mask_range 5 \\
  --augmentation_freq_and_time_masking_number_freq_masks 3 --augmentation_freq_and_time_masking_time_mask_range 2 \\
  --augmentation_pitch_and_tempo_scaling True --augmentation_pitch_and_tempo_scaling_max_tempo 1.2 "$@"
"""

AUGMENT = """
AUG_AUDIO="--augment volume[p=0.1,dbfs=-10:-40] --augment pitch[p=0.1,pitch=1.1~0.95] \\
  --augment tempo[p=0.1,factor=1.25~0.75]"
AUG_ADD_DROP="--augment dropout[p=0.1,rate=0.05] --augment add[p=0.1,domain=signal,stddev=0~0.5] \\
  --augment multiply[p=0.1]"
AUG_FREQ_TIME="--augment frequency_mask[p=0.1,n=1:3,size=1:5] \\
  --augment time_mask[p=0.1,domain=signal,n=3:10~2,size=50:100~40]"
AUG_EXTRA="--augment reverb[p=0.1,delay=50.0~30.0,decay=10.0:2.0~1.0] \\
  --augment resample[p=0.1,rate=12000:8000~4000] --augment codec[p=0.1,bitrate=48000:16000]"
AUG_NOISE="--augment overlay[p=0.5,source=corpus/more.csv,layers=2:1,snr=50:20~6]"
python3 -u DeepSpeech.py --train_files corpus/train.csv --dev_files corpus/dev.csv --test_files corpus/test.csv \\
  --n_hidden ${N_HIDDEN} --epochs 2 --train_batch_size 2 --checkpoint_dir run --show_progressbar True \\
  --feature_cache cache --cache_for_epochs 2 \\
  ${AUG_AUDIO} ${AUG_ADD_DROP} ${AUG_FREQ_TIME} ${AUG_EXTRA} ${AUG_NOISE}
"""

TRANSFER = """
set -e
python3 -u DeepSpeech.py --train_files corpus/train.csv --dev_files corpus/dev.csv --n_hidden ${N_HIDDEN} --epochs 1 \\
  --checkpoint_dir english
python3 DeepSpeech.py --drop_source_layers 1 --load_cudnn true --train_cudnn true --use_allow_growth true \\
  --alphabet_config_path models/alphabet.txt --load_checkpoint_dir english --save_checkpoint_dir french \\
  --train_files corpus/train.csv --dev_files corpus/dev.csv --n_hidden ${N_HIDDEN} --epochs 2 --learning_rate 0.0001
python3 -u evaluate.py --test_files corpus/test.csv --n_hidden ${N_HIDDEN} --alphabet_config_path models/alphabet.txt \\
  --load_cudnn true --checkpoint_dir french
"""


class Place:
    """A checkout's top level with a small corpus, where a recipe runs."""

    def __init__(self, root: Path) -> None:
        self.root = root
        for name in (
            "DeepSpeech.py",
            "evaluate.py",
            "lm_optimizer.py",
            "transcribe.py",
            "stats.py",
            "bin",
            "util",
            "data",
        ):
            (root / name).symlink_to(ROOT / name)
        corpus = root / "corpus"
        corpus.mkdir()
        shutil.copy(ROOT / "data" / "smoke_test" / "she_had_your_dark_suit.wav", corpus / "spoken.wav")
        size = (corpus / "spoken.wav").stat().st_size
        for name in ("train", "dev", "test"):
            (corpus / f"{name}.csv").write_text(f"wav_filename,wav_filesize,transcript\nspoken.wav,{size},{SENTENCE}\n")
        header, row = "accent,wav_filename,up_votes,transcript,wav_filesize", f"us,spoken.wav,2,{SENTENCE},{size}"
        (corpus / "more.csv").write_text(f"{header}\n{row}\n{row}\n")  # as importers of 0.9.3 write for others
        (root / "models").mkdir()
        letters = [" ", *"abcdefghijklmnopqrstuvwxyz'éàç"]
        (root / "models" / "alphabet.txt").write_text("# an own one\n" + "\n".join(letters) + "\n", encoding="utf-8")

    def run(self, recipe: str) -> subprocess.CompletedProcess[str]:
        """Run a recipe to its end, with the environment's Python and a small network."""
        (self.root / "recipe.sh").write_text(recipe)
        path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
        environment |= {"PATH": path, "N_HIDDEN": "16"}
        command = ["bash", "recipe.sh"]
        done = subprocess.run(
            command, capture_output=True, text=True, cwd=self.root, env=environment, timeout=300, check=False
        )
        assert done.returncode == 0, done.stderr
        assert "Traceback" not in done.stderr, done.stderr
        return done


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


@pytest.fixture
def scorer(place: Place, make_scorer) -> None:
    shutil.copy(
        make_scorer(SENTENCE, read_alphabet(place.root / "models" / "alphabet.txt")), place.root / "models/kenlm.scorer"
    )


def test_a_language_of_its_own(place: Place, scorer: None, native: None):
    done = place.run(LANGUAGE)
    assert "Test on corpus/test.csv - WER: " in done.stdout
    assert "--feature_cache is accepted for old command lines only" in done.stderr
    models = place.root / "models"
    for folder in (models, models / "fr-fr"):
        assert {"output_graph.tflite", "someone_own_1.0.md"} <= {path.name for path in folder.iterdir()}
    with zipfile.ZipFile(models / "fr-fr.zip") as archive:
        assert {"fr-fr/output_graph.tflite", "fr-fr/kenlm.scorer"} <= set(archive.namelist())
    assert "fr-FR" in (models / "someone_own_1.0.md").read_text("utf-8")


def test_everything_that_measures(place: Place, scorer: None, native: None):
    done = place.run(MEASURES)
    reports = [line.split(" - ")[0] for line in done.stdout.splitlines() if line.startswith("Test on")]
    assert reports == [f"Test on corpus/{name}.csv" for name in ("test", "more", "test", "test")]
    assert re.search(r"^\d{4}-\S+ measured corpus/more.csv at \d\.\d+$", done.stdout, re.MULTILINE)
    assert [sample["src"] for sample in json.loads((place.root / "results.json").read_text())] == [SENTENCE] * 3
    assert len(json.loads((place.root / "again.json").read_text())) == 1
    assert "corpus/more.csv: loss" in done.stderr, "a validation of --metrics_files"
    assert re.search(r"--lm_alpha [\d.]+ --lm_beta [\d.]+$", done.stdout, re.MULTILINE)
    assert "Total files: 3\nTotal time: 0:00:09" in done.stdout  # of 3.07 s each


def test_the_flags_of_06(place: Place, native: None):
    done = place.run(OLD)
    assert "Test on corpus/test.csv - WER: " in done.stdout
    retired = re.findall(r"Warning: --(\w+) is accepted for old command lines only: ", done.stderr)
    assert {"lm_binary_path", "use_cudnn_rnn", "es_steps", "use_seq_length"} <= set(retired)
    assert {"augmentation_freq_and_time_masking_freq_mask_range", "data_aug_features_additive"} <= set(retired)


def test_augmentation(place: Place, native: None):
    done = place.run(AUGMENT)
    assert "Test on corpus/test.csv - WER: " in done.stdout


def test_transfer(place: Place, native: None):
    done = place.run(TRANSFER)
    assert "Test on corpus/test.csv - WER: " in done.stdout
