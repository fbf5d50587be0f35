"""The command line of DeepSpeech.py: what it takes, what it refuses, and that TensorFlow is not needed for that."""

from __future__ import annotations

import re
import time
from dataclasses import replace
from pathlib import Path

import pytest
from conftest import NO_TENSORFLOW, ROOT, Csvs, Program

from util import commandline

# Every flag of two releases with its default there; "" stands for the help text that 0.9.3 had as default.
FLAGS_0_1_1 = """
    train_files= dev_files= test_files= fulltrace=false ps_hosts= worker_hosts= job_name=localhost task_index=0
    replicas=-1 replicas_to_agg=-1 coord_retries=100 coord_host=localhost coord_port=2500 iters_per_worker=1
    train=true test=true epoch=75 use_warpctc=false display_step=0 validation_step=0 dropout_rate=0.05
    dropout_rate2=-1.0 dropout_rate3=-1.0 dropout_rate4=0.0 dropout_rate5=0.0 dropout_rate6=-1.0 relu_clip=20.0
    early_stop=false earlystop_nsteps=4 estop_mean_thresh=0.5 estop_std_thresh=0.5 beta1=0.9 beta2=0.999
    epsilon=1e-8 learning_rate=0.001 train_batch_size=1 dev_batch_size=1 test_batch_size=1 limit_train=0
    limit_dev=0 limit_test=0 checkpoint_dir= checkpoint_secs=600 max_to_keep=5 export_dir= export_version=1
    remove_export=false use_seq_length=true log_level=1 log_traffic=false wer_log_pattern= log_placement=false
    report_count=10 summary_dir= summary_secs=0 n_hidden=2048 random_seed=4567 default_stddev=0.046875
    b1_stddev=0.04 h1_stddev=0.04 b2_stddev=0.04 h2_stddev=0.04 b3_stddev=0.04 h3_stddev=0.04 b5_stddev=0.04
    h5_stddev=0.04 b6_stddev=0.04 h6_stddev=0.04 decoder_library_path=native_client/libctc_decoder_with_kenlm.so
    alphabet_config_path=data/alphabet.txt lm_binary_path=data/lm/lm.binary lm_trie_path=data/lm/trie
    beam_width=1024 lm_weight=1.75 word_count_weight=1.0 valid_word_count_weight=1.0 one_shot_infer=
    initialize_from_frozen_model=
"""
FLAGS_0_9_3 = """
    train_files= dev_files= test_files= metrics_files= read_buffer=1MB feature_cache= cache_for_epochs=0
    limit_train=0 limit_dev=0 limit_test=0 reverse_train=false reverse_dev=false reverse_test=false
    feature_win_len=32 feature_win_step=20 audio_sample_rate=16000 epochs=75 dropout_rate=0.05 dropout_rate2=-1.0
    dropout_rate3=-1.0 dropout_rate4=0.0 dropout_rate5=0.0 dropout_rate6=-1.0 relu_clip=20.0 beta1=0.9 beta2=0.999
    epsilon=1e-8 learning_rate=0.001 train_batch_size=1 dev_batch_size=1 test_batch_size=1 export_batch_size=1
    inter_op_parallelism_threads=0 intra_op_parallelism_threads=0 use_allow_growth=false train_cudnn=false
    load_cudnn=false automatic_mixed_precision=false checkpoint_dir= load_checkpoint_dir= save_checkpoint_dir=
    checkpoint_secs=600 max_to_keep=5 load_train=auto load_evaluate=auto drop_source_layers=0 export_dir=
    remove_export=false export_tflite=false n_steps=16 export_zip=false export_file_name=output_graph
    export_beam_width=500 export_author_id=author export_model_name=model export_model_version=0.0.1
    export_contact_info= export_license= export_language= export_min_ds_version= export_max_ds_version=
    export_description= log_level=1 wer_log_pattern= log_placement=false report_count=5 show_progressbar=true
    summary_dir= test_output_file= n_hidden=2048 layer_norm=false random_seed=4568 early_stop=false es_epochs=25
    es_min_delta=0.05 reduce_lr_on_plateau=false plateau_epochs=10 plateau_reduction=0.1
    force_initialize_learning_rate=false alphabet_config_path=data/alphabet.txt bytes_output_mode=false
    scorer_path= beam_width=1024 lm_alpha=0.931289039105002 lm_beta=1.1834137581510284 cutoff_prob=1.0
    cutoff_top_n=300 one_shot_infer= lm_alpha_max=5 lm_beta_max=5 n_trials=2400
"""
# Of Coqui STT 1.4.0 only.
FLAGS_COQUI = """
    auto_input_dataset= shuffle_batches=false shuffle_start=1 shuffle_buffer=1000 normalize_sample_rate=true
    skip_batch_test=false vocab_file= export_quantize=true export_savedmodel=false export_min_stt_version=
    export_max_stt_version=
"""
# Of releases in between, 0.2 to 0.6.
FLAGS_BETWEEN = """
    train_cached_features_path= dev_cached_features_path= test_cached_features_path= load=auto es_steps=4
    es_mean_th=0.5 es_std_th=0.5 utf8=false lm= trie= use_cudnn_rnn=false cudnn_checkpoint=
    data_aug_features_additive=0 data_aug_features_multiplicative=0 augmentation_spec_dropout_keeprate=1
    augmentation_sparse_warp=false augmentation_sparse_warp_num_control_points=1
    augmentation_sparse_warp_time_warping_para=20 augmentation_sparse_warp_interpolation_order=2
    augmentation_sparse_warp_regularization_weight=0.0 augmentation_sparse_warp_num_boundary_points=1
    augmentation_freq_and_time_masking=false augmentation_freq_and_time_masking_freq_mask_range=5
    augmentation_freq_and_time_masking_number_freq_masks=3 augmentation_freq_and_time_masking_time_mask_range=2
    augmentation_freq_and_time_masking_number_time_masks=3 augmentation_speed_up_std=0
    augmentation_pitch_and_tempo_scaling=false augmentation_pitch_and_tempo_scaling_min_pitch=0.95
    augmentation_pitch_and_tempo_scaling_max_pitch=1.2 augmentation_pitch_and_tempo_scaling_max_tempo=1.2
"""
DECODER = "--scorer_path= --lm_alpha=0 --lm_beta=-1 --beam_width=1 --cutoff_prob=0 --cutoff_top_n=1 --oov_penalty=0"
SECTIONS = ["Data", "Features", "Network", "Optimiser", "Training", "Checkpoints"]
SECTIONS += ["Decoder", "Test", "Export", "Cluster", "Runtime"]


@pytest.fixture
def missing(tmp_path: Path) -> tuple[str, ...]:
    """Flags that are in order but name a CSV that is not there: the end of every check of flags."""
    return "--train_files", "missing.csv", "--checkpoint_dir", str(tmp_path / "run")


@pytest.fixture
def refused(deepspeech: Program):
    """Run a command line that must end with a usage error; return its sentence."""

    def run(*flags: object) -> str:
        done = deepspeech(*flags, tensorflow=False)
        assert done.returncode == 2, done.stderr
        assert done.stdout == ""
        assert done.stderr.startswith("Error: ")
        assert done.stderr.count("\n") == 1, "one sentence, on one line"
        return done.stderr

    return run


def test_help_is_quick_and_tells_the_story_in_order(deepspeech: Program):
    began = time.monotonic()
    done = deepspeech("--help", tensorflow=False)
    assert time.monotonic() - began < 1
    assert done.returncode == 0
    assert done.stderr == ""
    titles = [line for line in done.stdout.splitlines() if re.fullmatch(r"[A-Z][a-z]+", line)]
    assert titles == SECTIONS
    for flag, value in {"n_hidden": "(2048)", "[no]early_stop": "(no)", "epochs": "(75)", "beta2": "(0.999)"}.items():
        assert re.search(rf"^  --{re.escape(flag)} .*{re.escape(value)}", done.stdout, re.MULTILINE)
    assert re.search(r"^  --augment +augmentation .*: doc/Augmentation\.md\n\nFeatures$", done.stdout, re.MULTILINE)


@pytest.mark.parametrize(
    ("flags", "count"),
    [(FLAGS_0_1_1, 78), (FLAGS_0_9_3, 91), (FLAGS_COQUI, 11), (FLAGS_BETWEEN, 31)],
    ids=["0.1.1", "0.9.3", "Coqui", "between"],
)
def test_every_flag_of_the_predecessors_is_known(deepspeech: Program, missing: tuple[str, ...], flags: str, count: int):
    """With the defaults of then, so also those of what comes later; --augment, whose default was nothing, apart."""
    command = [f"--{flag}" for flag in flags.split()]
    assert len(command) == count
    done = replace(deepspeech, folder=ROOT)(*command, *missing, tensorflow=False)  # data/alphabet.txt is there
    assert done.returncode == 1
    assert "Error: cannot read missing.csv" in done.stderr
    text = deepspeech("--help", tensorflow=False).stdout
    known = set(re.findall(r"--(?:\[no\])?(\w+)", text)) | set(commandline.ALIASES)
    assert {flag.partition("=")[0] for flag in flags.split()} | {"augment"} <= known


def test_retired_flags_are_accepted_each_with_its_notice(deepspeech: Program, missing: tuple[str, ...]):
    switches = [f"--{name}" for name in sorted(commandline.RETIRED_SWITCHES)]
    others = [f"--{name}=1" for name in commandline.RETIRED if name not in commandline.RETIRED_SWITCHES]
    done = deepspeech(*switches, *others, *missing, tensorflow=False)
    assert done.returncode == 1
    for name, notice in commandline.RETIRED.items():
        lines = [line for line in done.stderr.splitlines() if f"--{name} " in line and notice in line]
        assert len(lines) == 1, name
        assert lines[0].startswith("Warning: ")
    text = deepspeech("--help", tensorflow=False).stdout
    for successor in re.findall(r"--(\w+)", " ".join(commandline.RETIRED.values())):
        assert re.search(rf"--(\[no\])?{successor}\s", text)


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--epoochs=3"], ["epoochs", "Did you mean", "epochs"]),
        (["--n_hiden", "3"], ["n_hiden", "n_hidden"]),
        (["--n_hidden=many"], ["--n_hidden", "many", "whole number"]),
        (["--n_hidden=0"], ["--n_hidden", "0", "positive"]),
        (["--n_hidden"], ["n_hidden", "Missing value"]),
        (["--train_batch_size=0"], ["--train_batch_size"]),
        (["--dropout_rate=0.99"], ["--dropout_rate", "0.99", "0.95"]),
        (["--learning_rate=-1"], ["--learning_rate", "-1"]),
        (["--beta1=1"], ["--beta1"]),
        (["--checkpoint_secs=1.5"], ["--checkpoint_secs", "1.5"]),
        (["--max_to_keep=0"], ["--max_to_keep"]),
        (["--load_train=first"], ["--load_train", "first", "auto", "last", "best", "init"]),
        (["--load_evaluate=init"], ["--load_evaluate", "init"]),
        (["--best_metric=cer"], ["--best_metric", "cer", "loss", "wer"]),
        (["--lr_schedule=linear"], ["--lr_schedule", "linear", "cosine"]),
        (["--log_level=9"], ["--log_level", "9"]),
        (["--early_stop=perhaps"], ["--early_stop", "perhaps"]),
        (["more.csv"], ["more.csv", "argument"]),
        (["--nodry_run", "perhaps"], ["perhaps", "argument"]),
        (["--flagfile=nowhere.txt"], ["nowhere.txt"]),
        (["--augment=echo"], ["--augment 'echo'", "no augmentation 'echo'", "overlay", "rir"]),
        (["--augment", "volume", "--augment=reverb[delay=long]"], ["'reverb[delay=long]'", "delay is 'long'", "a:b~r"]),
        (["--augment", "volume", "speed[factor=0]"], ["'speed[factor=0]'", "factor can become 0", "0.1 to 10"]),
        (["--augment=rir[source=gone]"], ["'rir[source=gone]'", "source gone does not exist"]),
        (["--augment"], ["--augment", "Missing value"]),
        (["--beam_width=0"], ["--beam_width", "0"]),
        (["--cutoff_prob=1.5"], ["--cutoff_prob", "1.5"]),
        (["--cutoff_top_n=0"], ["--cutoff_top_n"]),
        (["--lm_alpha=-1"], ["--lm_alpha", "-1"]),
        (["--oov_penalty=-1"], ["--oov_penalty", "-1"]),
        (["--hot_words=tea", "--test_files=t.csv"], ["--hot_words", "'tea'", "'ice cream:5.5'"]),
        (["--probabilities_file=p.npz"], ["--probabilities_file", "--test_files"]),
        (["--probabilities_file=p.npz", "--test_files=t.csv", "--notest"], ["--probabilities_file", "--test_files"]),
        (["--feature_win_len=25.01"], ["--feature_win_len", "25.01", "16000 Hz"]),
        (["--feature_win_step=0.5"], ["--feature_win_step"]),
        (["--audio_sample_rate=22051"], ["--feature_win_", "22051 Hz"]),
        (["--early_stop"], ["--early_stop", "--dev_files"]),
        (["--reduce_lr_on_plateau", "--dev_files=d.csv", "--validation_step=0"], ["--reduce_lr_on_plateau"]),
        (["--wer_log_pattern=%d %d %d"], ["--wer_log_pattern", "%d %d %d", "%s"]),
        (["--wer_log_pattern=only %s"], ["--wer_log_pattern", "only %s"]),
    ],
    ids=" ".join,
)
def test_a_wrong_flag_is_one_sentence(refused, missing: tuple[str, ...], flags: list[str], words: list[str]):
    sentence = refused(*missing, *flags)
    for word in words:
        assert word in sentence


@pytest.mark.parametrize("flags", [[], ["--epochs=3"], ["--dev_files=d.csv"], ["--train_files="],
    ["--train_files=t.csv", "--notrain"], ["--train_files=t.csv", "--notrain", "--dry_run"]])  # fmt: skip
def test_nothing_to_do(refused, flags: list[str]):
    sentence = refused(*flags)
    for name in ("Nothing to do", "--train_files", "--test_files", "--one_shot_infer"):
        assert name in sentence


@pytest.mark.parametrize("others", [[], ["--train_files=t.csv", "--notrain"]], ids=" ".join)
@pytest.mark.parametrize("flag", ["--test_files=t.csv", "--one_shot_infer=a.wav"])
def test_a_network_is_needed_where_none_is_trained(refused, flag: str, others: list[str]):
    sentence = refused(flag, *others)
    assert flag.partition("=")[0] in sentence
    assert "--checkpoint_dir" in sentence


@pytest.mark.parametrize(
    ("flags", "strict"),
    [
        (["--strict_data"], True),
        (["--strict_data", "True"], True),
        (["--strict_data=true"], True),
        (["--strict_data=1"], True),
        (["-strict_data", "true"], True),
        (["--nostrict_data"], False),
        (["--strict_data", "False"], False),
        (["--strict_data", "false"], False),
        (["--strict_data=False"], False),
        (["--strict_data", "--nostrict_data"], False),
        (["--flagfile=strict.txt"], True),
        (["--flagfile", "strict.txt", "--strict_data=false"], False),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else str(value),
)
def test_every_spelling_of_a_switch(deepspeech: Program, csvs: Csvs, tmp_path: Path, flags: list[str], strict: bool):
    """A fault in the data ends the program where --strict_data is on; where not, it goes on to TensorFlow."""
    (tmp_path / "faulty.csv").write_text(csvs.train.read_text() + "gone.wav,1,a\n")
    for audio in csvs.train.parent.glob("train*.wav"):
        (tmp_path / audio.name).symlink_to(audio)
    (tmp_path / "strict.txt").write_text("# comment\n--strict_data\n--epochs=3\n")
    done = deepspeech("--train_files=faulty.csv", *flags, tensorflow=False)
    assert done.returncode == (1 if strict else NO_TENSORFLOW)
    assert ("Error: --strict_data: 1 " in done.stderr) == strict


def test_a_program_without_its_packages_says_what_to_do(deepspeech: Program, tmp_path: Path):
    (tmp_path / "absl.py").write_text("raise ModuleNotFoundError\n")
    done = replace(deepspeech, decoy=tmp_path)("--help", tensorflow=False)
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert "README" in done.stderr


def test_a_scorer_is_looked_at_before_anything_else(
    native, deepspeech: Program, missing: tuple[str, ...], tmp_path: Path
):
    """A mistyped path must not come to light after a week of training; where nothing is tested it does not matter."""
    (tmp_path / "page.scorer").write_text("<html></html>")
    for name in ("gone.scorer", "page.scorer"):
        for flag in ("--test_files=test.csv", "--one_shot_infer=a.wav"):
            done = deepspeech(*missing, flag, f"--scorer={name}", tensorflow=False)
            assert done.returncode == 1
            assert done.stderr.startswith("Error: --scorer_path")
            assert name in done.stderr
            assert done.stderr.count("\n") == 1
    for flags in (["--notest", "--test_files=t.csv"], []):
        assert "missing.csv" in deepspeech(*missing, "--scorer=gone.scorer", *flags, tensorflow=False).stderr


def test_every_decoder_flag_is_taken(native, deepspeech: Program, missing: tuple[str, ...]):
    flags = *DECODER.split(), "--hot_words=a:1,b c:-1.5", "--test_files=test.csv"
    done = deepspeech(*missing, *flags, tensorflow=False)
    lines = done.stderr.splitlines()
    assert lines[0] == "The test decodes with beam search, width 1, no scorer."
    assert "missing.csv" in lines[1]


def test_without_the_decoder_beam_search_is_missing_only_where_it_is_wanted(
    deepspeech: Program, missing: tuple[str, ...], tmp_path: Path
):
    (tmp_path / "ds_ctcdecoder.py").write_text("raise ModuleNotFoundError\n")
    program = replace(deepspeech, decoy=tmp_path)
    done = program(*missing, "--test_files=test.csv", "--beam_width=500", tensorflow=False)
    lines = done.stderr.splitlines()
    assert len(lines) == 2
    for words in ("Warning: ", "greedily", "ds_ctcdecoder", "C++ compiler", "bin/make-env.sh"):
        assert words in lines[0]
    assert "missing.csv" in lines[1]
    for flag in ("--scorer_path=my.scorer", "--hot_words=a:1"):
        done = program(*missing, "--test_files=test.csv", flag, tensorflow=False)
        assert done.returncode == 1
        assert done.stderr.count("\n") == 1
        for words in ("Error: ", "ds_ctcdecoder is not installed", "bin/make-env.sh"):
            assert words in done.stderr
    assert "greedily" not in program(*missing, tensorflow=False).stderr, "nothing is tested"
