"""doc/Migrating.md has every flag of the predecessors, and says of each what is true of the program."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import ROOT
from test_flags import FLAGS_0_1_1, FLAGS_0_9_3

from util.commandline import ALIASES, RETIRED

PAGE = ROOT / "doc" / "Migrating.md"
COQUI = """
    train_files dev_files test_files metrics_files auto_input_dataset vocab_file read_buffer feature_cache
    cache_for_epochs shuffle_batches shuffle_start shuffle_buffer feature_win_len feature_win_step audio_sample_rate
    normalize_sample_rate augment epochs dropout_rate dropout_rate2 dropout_rate3 dropout_rate4 dropout_rate5
    dropout_rate6 relu_clip beta1 beta2 epsilon learning_rate train_batch_size dev_batch_size test_batch_size
    export_batch_size skip_batch_test inter_op_parallelism_threads intra_op_parallelism_threads use_allow_growth
    load_cudnn train_cudnn automatic_mixed_precision limit_test reverse_test checkpoint_dir load_checkpoint_dir
    save_checkpoint_dir checkpoint_secs max_to_keep load_train load_evaluate drop_source_layers export_dir
    remove_export export_tflite export_quantize export_savedmodel n_steps export_zip export_file_name
    export_beam_width export_author_id export_model_name export_model_version export_contact_info export_license
    export_language export_min_stt_version export_max_stt_version export_description log_level wer_log_pattern
    log_placement report_count show_progressbar summary_dir test_output_file n_hidden layer_norm random_seed early_stop
    es_epochs es_min_delta reduce_lr_on_plateau plateau_epochs plateau_reduction force_initialize_learning_rate
    alphabet_config_path bytes_output_mode scorer_path beam_width lm_alpha lm_beta cutoff_prob cutoff_top_n
    one_shot_infer lm_alpha_max lm_beta_max n_trials
"""
BETWEEN = """
    train_cached_features_path dev_cached_features_path test_cached_features_path load es_steps es_mean_th es_std_th
    utf8 lm trie use_cudnn_rnn cudnn_checkpoint data_aug_features_additive data_aug_features_multiplicative
    augmentation_spec_dropout_keeprate augmentation_sparse_warp augmentation_freq_and_time_masking
    augmentation_speed_up_std augmentation_pitch_and_tempo_scaling scorer horovod
    augmentation_sparse_warp_num_control_points
    augmentation_sparse_warp_time_warping_para augmentation_sparse_warp_interpolation_order
    augmentation_sparse_warp_regularization_weight augmentation_sparse_warp_num_boundary_points
    augmentation_freq_and_time_masking_freq_mask_range
    augmentation_freq_and_time_masking_number_freq_masks
    augmentation_freq_and_time_masking_time_mask_range
    augmentation_freq_and_time_masking_number_time_masks
    augmentation_pitch_and_tempo_scaling_min_pitch augmentation_pitch_and_tempo_scaling_max_pitch
    augmentation_pitch_and_tempo_scaling_max_tempo
"""
GIVEN_THEN = dict(flag.split("=") for flag in f"{FLAGS_0_1_1} {FLAGS_0_9_3}".split())  # the later counts
OLD_FLAGS = sorted({*GIVEN_THEN, *COQUI.split(), *BETWEEN.split()})


@pytest.fixture(scope="module")
def rows() -> dict[str, tuple[str, str]]:
    """Return what the page says of each flag: the word and the remark."""
    found: dict[str, tuple[str, str]] = {}
    row = re.compile(r"^\| (`\w+`(?:, `\w+`)*) \| ([\w ]+) \| (.*) \|$", re.MULTILINE)
    for names, word, remark in row.findall(PAGE.read_text()):
        for name in re.findall(r"\w+", names):
            assert name not in found, f"{name} stands there twice"
            found[name] = word, remark
    return found


@pytest.fixture(scope="module")
def defaults() -> dict[str, str]:
    """Return the flags that the program has, and their defaults as the help shows them."""
    program = [sys.executable, str(ROOT / "DeepSpeech.py"), "--help"]
    text = subprocess.run(program, capture_output=True, text=True, check=True).stdout
    lines = re.findall(r"^  --(?:\[no\])?(\w+)(.*)$", text, re.MULTILINE)
    found = {}
    for name, rest in lines:
        default = re.search(r"\(([^(),]*)\)$", rest)
        found[name] = {"yes": "true", "no": "false"}.get(default[1], default[1]) if default else ""
    return found


def test_every_flag_of_the_predecessors_stands_there(rows: dict[str, tuple[str, str]]):
    assert len(OLD_FLAGS) > 160
    assert sorted(rows) == OLD_FLAGS


def is_equal(then: str, now: str) -> bool:
    try:
        return float(then) == float(now)
    except ValueError:
        return then == now or Path(now) == ROOT / then


@pytest.mark.parametrize("flag", OLD_FLAGS)
def test_what_it_says_is_true(rows: dict[str, tuple[str, str]], defaults: dict[str, str], flag: str):
    word, remark = rows[flag]
    if flag in RETIRED:
        assert (word, remark) == ("notice", RETIRED[flag])
    elif flag in ALIASES:
        assert (word, remark) == ("renamed", f"`--{ALIASES[flag]}`")
    elif flag not in defaults:
        assert word == "gone"
        assert remark
    elif flag in GIVEN_THEN and not is_equal(GIVEN_THEN[flag], defaults[flag]):
        assert word == "other default"
        assert remark
    else:
        assert word == "same"


def anchors(path: Path) -> set[str]:
    titles = re.findall(r"^#+ (.*)$", path.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles}


def test_its_links_lead_somewhere():
    links = re.findall(r"\]\(([^)]+)\)", PAGE.read_text())
    assert len(links) > 10
    for link in links:
        name, _, anchor = link.partition("#")
        assert not anchor or anchor in anchors(PAGE.parent / name if name else PAGE), link
