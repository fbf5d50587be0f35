#!/usr/bin/env python3
"""Train and test a Deep Speech network: one program, read in the order in which things happen.

    1  Flags        everything that can be set
    2  Network      from feature vectors to label scores
    3  Update       loss, gradient, Adam, learning rate
    4  Evaluation   loss, WER and CER of a set
    5  Training     epochs, validation, checkpoints, when to stop
    6  Test         the report, a single recording
    7  Export       model files, compared with the network, and the model card
    8  Main         data, then what the flags ask for

Hannun et al. 2014, "Deep Speech: Scaling up end-to-end speech recognition", arXiv:1412.5567. Where we
differ from the paper: LSTM cells instead of plain recurrence, Adam instead of Nesterov's momentum, and
mel-frequency cepstra as input.
"""

from __future__ import annotations

import dataclasses
import itertools
import math
import os
import sys
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

try:
    import numpy as np
    from absl import flags
    from numpy.typing import NDArray
except ModuleNotFoundError:
    sys.exit("The Python packages are not installed here: run `. .venv/bin/activate`, or see README.md.")

from util import checkpoints, commandline, ctc, decoding, divergence, export, feeding, metrics, planning, tf
from util.adam import Adam
from util.augmentation import parse_augmentations
from util.augmenter import Augmenter
from util.cluster import Cluster
from util.decoding import Decoder
from util.dropout import Dropout, no_dropout
from util.errors import UsageError
from util.features import UNCHANGED, FeatureSet, Unchanged, mfcc, whiten
from util.joining import DeviceSettings, await_end, explain_losses, join_cluster, serve
from util.lstm import lstm
from util.model_card import FIELDS, Origin
from util.precision import has_bfloat16, in_bfloat16
from util.progress import DEBUG, INFO, WARNING, Console, StopRequest, duration
from util.rehearsal import try_longest
from util.scoring import Rounds, compare, recognise, same_everywhere, score_batches
from util.sources import inherit, is_training, read_labels, run_path, save_path
from util.starting import Start, is_dropped
from util.task import Task
from util.text import Alphabet, ByteAlphabet
from util.trained import BACKWARD, FORGET_BIAS, FORWARD, STREAMING, TrainedNetwork
from util.verified_export import export_verified

Tensor = Any
Drop = Callable[[Tensor, str], Tensor]  # dropout: of a tensor, by the name of its layer
Weights = dict[str, Any]
Sets = dict[str, list[feeding.Corpus]]  # by purpose

# ----------------------------------------------------------------------------------------- 1  Flags

FLAGS = flags.FLAGS
TABLE = commandline.FlagTable(flags, __doc__)
section, define = TABLE.section, TABLE.define

# fmt: off
section("Data")
define("list", "train_files", [], "CSV files (wav_filename,wav_filesize,transcript), SDB or tar files to train on, comma separated")
define("list", "dev_files", [], "CSV, SDB or tar files to validate on after each epoch")
define("list", "test_files", [], "CSV, SDB or tar files to test on, each with its own report")
define("list", "metrics_files", [], "CSV, SDB or tar files whose loss, WER and CER are logged with each validation")
define("integer", "train_batch_size", 1, "utterances per training batch", lower_bound=1)
define("integer", "dev_batch_size", 1, "utterances per validation batch", lower_bound=1)
define("integer", "test_batch_size", 1, "utterances per test batch", lower_bound=1)
define("integer", "batch_frames", 0, "most feature vectors in a training batch, padding included; 0: no limit", lower_bound=0)
define("integer", "limit_train", 0, "train on the first N utterances only; 0: all", lower_bound=0)
define("integer", "limit_dev", 0, "validate on the first N utterances only; 0: all", lower_bound=0)
define("integer", "limit_test", 0, "test on the first N utterances only; 0: all", lower_bound=0)
define("boolean", "reverse_train", False, "train on the longest utterances first instead of in random order")
define("boolean", "reverse_dev", False, "validate on the longest utterances first")
define("boolean", "reverse_test", False, "test on the longest utterances first")
define("boolean", "strict_data", False, "stop when the data check finds a fault instead of leaving the row out")
define("multi_string", "augment", [], "augmentation of training batches, 'name[p=0.5,key=value,..]', any number of times: doc/Augmentation.md")

section("Features")
define("integer", "audio_sample_rate", 16000, "Hz; audio of another rate is resampled", lower_bound=1000)
define("float", "feature_win_len", None, "analysis window in ms; default 25, with --nobidirectional 32", lower_bound=1)
define("float", "feature_win_step", 20, "distance of feature vectors in ms", lower_bound=1)

section("Network")
define("boolean", "bidirectional", True, "LSTM in both directions (the paper); --no: one LSTM that can stream")
define("integer", "n_hidden", 2048, "units of every layer", lower_bound=1)
define("string", "alphabet_config_path", str(Path(__file__).parent / "data" / "alphabet.txt"), "labels of the network, one per line")
define("boolean", "bytes_output_mode", False, "labels are UTF-8 bytes instead of those of an alphabet file")
define("float", "relu_clip", 20.0, "upper clip of the rectified linear units", lower_bound=1e-6)
define("boolean", "layer_norm", False, "layer normalisation after layers 1, 2, 3 and 5")
define("float", "dropout_rate", 0.05, "dropout behind layer 1, and default for layers 2, 3 and 6", lower_bound=0, upper_bound=0.95)
define("float", "dropout_rate2", -1.0, "dropout behind layer 2; -1: dropout_rate", lower_bound=-1, upper_bound=0.95)
define("float", "dropout_rate3", -1.0, "dropout behind layer 3; -1: dropout_rate", lower_bound=-1, upper_bound=0.95)
define("float", "dropout_rate4", 0.0, "dropout before and behind the forward LSTM", lower_bound=0, upper_bound=0.95)
define("float", "dropout_rate5", 0.0, "dropout before and behind the backward LSTM", lower_bound=0, upper_bound=0.95)
define("float", "dropout_rate6", -1.0, "dropout behind layer 5; -1: dropout_rate", lower_bound=-1, upper_bound=0.95)

section("Optimiser")
define("float", "learning_rate", 0.001, "learning rate of Adam", lower_bound=0)
define("float", "beta1", 0.9, "decay of Adam's first moment", lower_bound=0, upper_bound=0.999999)
define("float", "beta2", 0.999, "decay of Adam's second moment", lower_bound=0, upper_bound=0.999999)
define("float", "epsilon", 1e-8, "numerical floor of Adam", lower_bound=0)
define("float", "max_grad_norm", 0.0, "scale gradients down to this global norm; 0: no clipping", lower_bound=0)
define("integer", "warmup_steps", 0, "steps over which the learning rate rises from 0", lower_bound=0)
define("enum", "lr_schedule", "constant", ["constant", "cosine"], "course of the learning rate over all epochs; cosine: down to 0")
define("boolean", "reduce_lr_on_plateau", False, "reload the best weights and reduce the learning rate on a plateau")
define("integer", "plateau_epochs", 10, "epochs without improvement that make a plateau", lower_bound=1)
define("float", "plateau_reduction", 0.1, "factor on the learning rate at a plateau", lower_bound=0, upper_bound=1)
define("boolean", "force_initialize_learning_rate", False, "forget the reductions of earlier plateaus when resuming")

section("Training")
define("boolean", "train", True, "--notrain: skip training although there are train_files")
define("integer", "epochs", 75, "train until this many epochs are done; negative: that many more")
define("integer", "validation_step", 1, "validate every N epochs; 0: never", lower_bound=0)
define("enum", "best_metric", "loss", ["loss", "wer"], "measure on dev_files by which the best checkpoint is chosen")
define("boolean", "early_stop", False, "stop when validation no longer improves")
define("integer", "es_epochs", 25, "validations without improvement after which to stop", lower_bound=1)
define("float", "es_min_delta", 0.05, "least change of the measure that counts as improvement", lower_bound=0)
define("boolean", "dry_run", False, "check the data, try the longest batch, estimate the time; write nothing")

section("Checkpoints")
define("string", "checkpoint_dir", "", "everything a run needs to go on; default: runs/ and the training set's name")
define("string", "load_checkpoint_dir", "", "load from here instead of checkpoint_dir")
define("string", "save_checkpoint_dir", "", "save here instead of in checkpoint_dir")
define("integer", "checkpoint_secs", 600, "save at least this often within an epoch, seconds; 0: only after epochs", lower_bound=0)
define("integer", "max_to_keep", 5, "newest checkpoints kept, beside the best", lower_bound=1)
define("enum", "load_train", "auto", ["auto", "last", "best", "init"], "weights to train on from; auto: last, else best, else new ones")
define("enum", "load_evaluate", "auto", ["auto", "last", "best"], "weights to test; auto: best, else last")
define("string", "initialize_from_frozen_model", "", "begin with the weights of this model file: .pb, .pbmm or .tflite")
define("integer", "drop_source_layers", 0, "new weights for the last N layers of the network that training begins with", lower_bound=0)
define("integer", "freeze_source_layers", 0, "epochs in which only those layers learn", lower_bound=0)

section("Decoder")
define("string", "scorer_path", "", "scorer (language model and dictionary) of the test; without one any letters make a word")
define("float", "lm_alpha", None, "weight of the language model; default: the scorer's own", lower_bound=0)
define("float", "lm_beta", None, "worth of each word, against its cost in the language model; default: the scorer's own")
define("integer", "beam_width", 1024, "prefixes that are followed at a time", lower_bound=1)
define("float", "cutoff_prob", 1.0, "follow only the likeliest labels of a frame that together reach this probability", lower_bound=0, upper_bound=1)
define("integer", "cutoff_top_n", 300, "follow this many labels of a frame at most", lower_bound=1)
define("float", "oov_penalty", None, "cost in nats of a word the scorer does not know; default: such words are never written", lower_bound=0)
define("string", "hot_words", "", "words or phrases to listen for, with the boost of each: 'latte:5,ice cream:7.5'")

section("Test")
define("boolean", "test", True, "--notest: skip the test although there are test_files")
define("integer", "report_count", 5, "samples shown of the best, the median and the worst", lower_bound=0)
define("string", "test_output_file", "", "JSON file for the result of every test utterance")
define("string", "probabilities_file", "", "NumPy archive (.npz) for the network's output on every test utterance")
define("string", "wer_log_pattern", "", "printf pattern for a line with date, set and WER, for instance '%s %s %s'")
define("string", "one_shot_infer", "", "transcribe this audio file with the checkpoint")

section("Export")
define("string", "export_dir", "", "export the network to this folder, after the test or straight from a checkpoint")
define("string", "export_file_name", "output_graph", "name of the exported files, without ending")
define("boolean", "export_quantize", True, "int8 weights in the .tflite; --no: float32, four times as large")
define("enum", "export_compat", "", export.COMPATIBLE, "for programs with this version: an older form of .tflite, and .pb and .pbmm")
define("boolean", "export_graph", False, "write a frozen TensorFlow graph too, .pb (and .pbmm with --nobidirectional)")
define("boolean", "export_savedmodel", False, "write a SavedModel too")
define("boolean", "export_zip", False, "zip the export, with the scorer of --scorer_path, beside its folder")
define("boolean", "remove_export", False, "remove what earlier exports left in the folder")
define("integer", "export_beam_width", 500, "prefixes that clients follow unless told otherwise", lower_bound=1, upper_bound=2**31 - 1)
define("integer", "export_batch_size", 1, "for old command lines: utterances at a time, 1")
define("integer", "n_steps", 16, "frames that clients classify at a time in a stream", lower_bound=1, upper_bound=4096)
for field, (given, meaning) in FIELDS.items():
    define("string", f"export_{field}", given, f"model card: {meaning}")

section("Cluster")
define("string", "worker_hosts", "", "HOST:PORT of every worker, comma separated, the same on every task")
define("string", "ps_hosts", "", "HOST:PORT of every parameter server: training is asynchronous; without them workers train in step")
define("string", "chief_host", "", "HOST:PORT of the task that coordinates parameter servers; without one worker 0 does")
define("string", "job_name", "localhost", "which task this is: worker, ps or chief")
define("integer", "task_index", 0, "its number, counted from 0", lower_bound=0)
define("float", "cluster_timeout", 300, "seconds to wait for the other tasks at the start", lower_bound=1)
define("string", "listen_host", "", "interface to listen on, where it is not the host of the task's address; 0.0.0.0: all")

section("Runtime")
define("integer", "random_seed", 4568, "everything random comes from it")
define("integer", "log_level", 1, "0 debug, 1 info, 2 warnings, 3 errors", lower_bound=0, upper_bound=3)
define("boolean", "show_progressbar", True, "progress bars, where there is a terminal")
define("string", "summary_dir", "", "TensorBoard summaries; default: summaries/ beside the checkpoints")
define("integer", "inter_op_parallelism_threads", 0, "TensorFlow operations at a time; 0: as many as cores", lower_bound=0)
define("integer", "intra_op_parallelism_threads", 0, "threads per operation; 0: as many as cores", lower_bound=0)
define("boolean", "use_allow_growth", False, "take GPU memory as it is needed")
define("boolean", "log_placement", False, "log the device of every operation")
define("boolean", "automatic_mixed_precision", False, "train with matrix products in bfloat16, on processors that have it")

# fmt: on
TABLE.accept_old_flags()


def check_flags() -> None:
    """Refuse flags that contradict each other (UsageError), before anything is read."""
    feature_set().check()
    export.ExportSettings.from_flags(TABLE.values()).check(feature_set(), FLAGS.layer_norm)
    wanted = [name for name in ("train_files", "test_files", "one_shot_infer", "export_dir") if FLAGS[name].value]
    wanted = wanted if is_training(TABLE.values()) else [name for name in wanted if name != "train_files"]
    if not wanted or (FLAGS.dry_run and "train_files" not in wanted):
        raise UsageError(
            "Nothing to do: give --train_files (--dry_run too) without --notrain, --test_files, --one_shot_infer or"
            " --export_dir."
        )
    places = FLAGS.checkpoint_dir, FLAGS.load_checkpoint_dir, FLAGS.initialize_from_frozen_model
    if "train_files" not in wanted and not any(places):
        raise UsageError(f"--{wanted[0]} without training needs --checkpoint_dir, where the network is.")
    for name in ("early_stop", "reduce_lr_on_plateau"):
        if FLAGS[name].value and not (FLAGS.dev_files and FLAGS.validation_step):
            raise UsageError(f"--{name} looks at the validation: give --dev_files and a --validation_step above 0.")
    if FLAGS.automatic_mixed_precision and FLAGS.ps_hosts:
        raise UsageError("--automatic_mixed_precision is not for parameter servers: train in step, without --ps_hosts.")
    if FLAGS.probabilities_file and not (FLAGS.test and FLAGS.test_files):
        raise UsageError("--probabilities_file is for what the network says of test utterances: give --test_files.")
    parse_augmentations(FLAGS.augment)
    metrics.check_log_pattern(FLAGS.wer_log_pattern)


def feature_set() -> FeatureSet:
    """Return the features the flags ask for."""
    window_and_step = FLAGS.feature_win_len, FLAGS.feature_win_step
    return FeatureSet.of_network(FLAGS.bidirectional, FLAGS.audio_sample_rate, *window_and_step)


# --------------------------------------------------------------------------------------- 2  Network

N_CONTEXT = 9  # feature vectors on each side of the one that is classified


def make_weights(n_input: int, n_labels: int) -> Weights:
    """Make the trainable variables, float32 by name; names and layouts are those of 0.9.3's checkpoints."""
    n = FLAGS.n_hidden
    recurrent = 2 * n if FLAGS.bidirectional else n
    shapes = {
        "layer_1/weights": ((2 * N_CONTEXT + 1) * n_input, n),
        "layer_2/weights": (n, n),
        "layer_3/weights": (n, recurrent),
        "layer_5/weights": (recurrent, n),
        "layer_6/weights": (n, n_labels + 1),
    }
    for cell in [FORWARD, BACKWARD] if FLAGS.bidirectional else [STREAMING]:
        shapes[f"{cell}/kernel"] = (recurrent + n, 4 * n)
    initial = {}
    for index, (name, shape) in enumerate(shapes.items()):
        limit = math.sqrt(6 / sum(shape))  # Glorot and Bengio 2010, eq. 16
        initial[name] = tf.random.stateless_uniform(shape, [FLAGS.random_seed, index], -limit, limit)
        initial[f"{name.rpartition('/')[0]}/bias"] = tf.zeros(shape[1:])
    for layer in ("layer_1", "layer_2", "layer_3", "layer_5") if FLAGS.layer_norm else ():
        initial[f"{layer}/LayerNorm/gamma"] = tf.ones_like(initial[f"{layer}/bias"])
        initial[f"{layer}/LayerNorm/beta"] = tf.zeros_like(initial[f"{layer}/bias"])
    largest_first = sorted(initial, key=lambda name: -tf.size(initial[name]))  # parameter servers take them in turn
    return {name: tf.Variable(initial[name], name=name) for name in largest_first}


def network(weights: Weights, vectors: Tensor, feature_len: Tensor, drop: Drop) -> Tensor:
    """Score the labels of every frame (Hannun et al. 2014, section 2).

    Args:
        weights: from `make_weights`.
        vectors: float32 [batch, time, n_input], zero behind the valid frames.
        feature_len: int32 [batch].
        drop: dropout, called with a tensor and the name of its layer.

    Returns:
        Logits, float32 [time, batch, n_labels + 1], blank last.
    """
    size = [tf.shape(vectors)[1], tf.shape(vectors)[0]]  # time, batch

    def dense(x: Tensor, layer: str) -> Tensor:
        return x @ weights[f"{layer}/weights"] + weights[f"{layer}/bias"]

    def activate(x: Tensor, layer: str) -> Tensor:
        x = tf.minimum(tf.nn.relu(x), FLAGS.relu_clip)
        if FLAGS.layer_norm:  # Ba et al. 2016, arXiv:1607.06450
            mean, variance = tf.nn.moments(x, 1, keepdims=True)
            scale, shift = weights[f"{layer}/LayerNorm/gamma"], weights[f"{layer}/LayerNorm/beta"]
            x = tf.nn.batch_normalization(x, mean, variance, shift, scale, 1e-12)
        return drop(x, layer)

    def turn(x: Tensor) -> Tensor:
        return tf.reverse_sequence(x, feature_len, seq_axis=0, batch_axis=1)

    def recur(x: Tensor, cell: str) -> Tensor:
        return drop(lstm(drop(x, cell), weights[f"{cell}/kernel"], weights[f"{cell}/bias"], FORGET_BIAS[cell]), cell)

    # a convolution over 9 + 1 + 9 vectors is the product with their concatenation, without making it
    n_window, n_input, n_hidden = 2 * N_CONTEXT + 1, vectors.shape[2], FLAGS.n_hidden
    kernel = tf.reshape(weights["layer_1/weights"], [n_window, n_input, n_hidden])
    x = tf.nn.conv1d(vectors, kernel, 1, "SAME") + weights["layer_1/bias"]  # [batch, time, n_hidden]
    x = tf.reshape(tf.transpose(x, [1, 0, 2]), [-1, n_hidden])  # [time * batch, n_hidden]
    x = activate(x, "layer_1")
    x = activate(dense(x, "layer_2"), "layer_2")
    x = activate(dense(x, "layer_3"), "layer_3")
    x = tf.reshape(x, [*size, x.shape[1]])  # [time, batch, n_hidden or 2 n_hidden]
    if FLAGS.bidirectional:
        x = tf.concat([recur(x, FORWARD), turn(recur(turn(x), BACKWARD))], 2)
    else:
        x = recur(x, STREAMING)
    x = tf.reshape(x, [-1, x.shape[2]])  # [time * batch, ..]
    x = activate(dense(x, "layer_5"), "layer_5")
    return tf.reshape(dense(x, "layer_6"), [*size, weights["layer_6/bias"].shape[0]])


def dropout_rates() -> dict[str, float]:
    """Return the dropout behind every layer, and before and behind every LSTM."""
    layers = "layer_1", "layer_2", "layer_3", "layer_5"
    rates = zip(layers, (-1.0, FLAGS.dropout_rate2, FLAGS.dropout_rate3, FLAGS.dropout_rate6), strict=True)
    lstms = {FORWARD: FLAGS.dropout_rate4, STREAMING: FLAGS.dropout_rate4, BACKWARD: FLAGS.dropout_rate5}
    return {layer: FLAGS.dropout_rate if rate < 0 else rate for layer, rate in rates} | lstms


# ---------------------------------------------------------------------------------------- 3  Update


class Model:
    """The network with its alphabet, features, optimiser and compiled steps.

    Attributes:
        variables: weights and Adam's moments by name: what a checkpoint holds.
        train_step: parts (samples, n_samples, labels, label_len, numbers), step and rate to each part's losses
            float32 [batch] and, of the whole batch, sum and number of the finite ones and the norm of the gradient;
            makes an update unless that norm is not finite.
        score_step: parts to each one's losses float32 [batch], best labels int32 [batch, time] and feature_len
            int32 [batch].
        test_step: the same with probabilities float32 [batch, time, n_labels + 1] in place of the labels.
    """

    def __init__(self, alphabet: Alphabet, features: FeatureSet, augmenter: Augmenter, cluster: Cluster):
        self.alphabet, self.features, self.augmenter, self.cluster = alphabet, features, augmenter, cluster
        with cluster.strategy.scope():
            self.weights = make_weights(features.n_input, len(alphabet))
            self.adam = Adam(self.weights, FLAGS.beta1, FLAGS.beta2, FLAGS.epsilon)
        self.variables = self.weights | self.adam.moments
        batch = feeding.batch_types()
        self.train_step = self.make_train_step(list(self.weights))
        self.score_step = cluster.replicate(partial(self._score_step, decoding.greedy_path), batch)
        self.test_step = cluster.replicate(partial(self._score_step, decoding.softmax), batch)

    def make_train_step(self, names: Sequence[str]) -> Callable[..., Any]:
        """Make a training step in which the weights of these names learn."""
        step_and_rate = [tf.TensorSpec([], tf.int32), tf.TensorSpec([], tf.float32)]
        train_step = self.cluster.replicate(partial(self._train_step, names), feeding.batch_types(), step_and_rate)
        return in_bfloat16(train_step) if FLAGS.automatic_mixed_precision and has_bfloat16() else train_step

    def _train_step(self, names: Sequence[str], *inputs: Tensor) -> tuple[Tensor, ...]:
        samples, n_samples, labels, label_len, numbers, step, rate = inputs
        drop = Dropout(dropout_rates(), FLAGS.random_seed, step * self.cluster.n_parts + self.cluster.number())
        with tf.GradientTape() as tape:
            logits, feature_len = self._logits(samples, n_samples, drop, self.augmenter.in_graph(numbers))
            losses, finite = ctc.ctc_loss(logits, feature_len, labels, label_len)
            n_counted = self.cluster.sum(tf.reduce_sum(tf.cast(finite, tf.float32)))
            loss_sum = tf.reduce_sum(tf.where(finite, losses, 0.0))
            loss = loss_sum / tf.maximum(n_counted, 1.0)
        gradients = tape.gradient(loss, [self.weights[name] for name in names])
        *gradients, loss_sum = self.cluster.sum([*gradients, loss_sum])
        norm = self.adam.apply(
            dict(zip(names, gradients, strict=True)), FLAGS.max_grad_norm, step, rate, wanted=n_counted > 0
        )
        return losses, loss_sum, n_counted, norm

    def _score_step(self, read: Any, *inputs: Tensor) -> tuple[Tensor, ...]:
        logits, feature_len = self._logits(inputs[0], inputs[1], no_dropout, UNCHANGED)
        losses, _ = ctc.ctc_loss(logits, feature_len, *inputs[2:4])
        return losses, read(logits), feature_len

    def _logits(self, samples: Tensor, n_samples: Tensor, drop: Drop, change: Unchanged) -> tuple[Tensor, Tensor]:
        vectors, feature_len = mfcc(samples, n_samples, self.features, change)
        if self.features.name == "classic":
            vectors = whiten(vectors, feature_len)
        return network(self.weights, vectors, feature_len, drop), feature_len


# ------------------------------------------------------------------------------------ 4  Evaluation


def score_set(model: Model, step: Any, data: feeding.Corpus, purpose: str, console: Console) -> Rounds:
    """Run a set through a step of the model, round by round, by the flags of a purpose (`dev` or `test`)."""
    size, longest_first = FLAGS[f"{purpose}_batch_size"].value, FLAGS[f"reverse_{purpose}"].value
    plan = planning.plan_batches(data.n_frames, size, descending=longest_first)
    return score_batches(model.cluster, step, data, plan, console)


# -------------------------------------------------------------------------------------- 5  Training


def learning_rate(state: checkpoints.State, step: int, epochs: float) -> float:
    """Return the rate of a step, so many epochs after the start: warm-up, schedule, and the reductions at plateaus."""
    rate = state.reduction * FLAGS.learning_rate
    if FLAGS.lr_schedule == "cosine":  # Loshchilov and Hutter 2016, arXiv:1608.03983, without restarts
        rate *= 0.5 * (1 + math.cos(math.pi * epochs / state.target))
    return float(rate * min(1.0, (step + 1) / max(FLAGS.warmup_steps, 1)))


class Trainer:
    """Trains a model epoch by epoch from wherever its state says it stands."""

    def __init__(self, model: Model, sets: Sets, console: Console, log: metrics.MetricsLog):
        self.model, self.cluster, self.console, self.log = model, model.cluster, console, log
        self.data, self.dev, self.extra = sets["train"][0], sets["dev"], sets["metrics"]
        start = Start(TABLE.values(), model, console)
        self.directory, self.state = start.own, start.begin_training()
        new = [name for name in model.weights if is_dropped(name, self.state.dropped)]
        self.frozen_step = model.make_train_step(new) if new else model.train_step
        if self.cluster.is_chief:
            self.directory.describe(flags=TABLE.values(), train_set=self.data.fingerprint)
        self.guard = divergence.Guard(3, self.directory.path, console)  # steps without a finite gradient end it
        if FLAGS.automatic_mixed_precision and not has_bfloat16():
            console.warn("--automatic_mixed_precision changes nothing: this processor has no avx512_bf16 or amx_bf16.")
        self.stop = StopRequest()
        self.saved_at = time.monotonic()
        self.began = self.saved_at - self.state.elapsed

    def run(self) -> None:
        """Train to the target epoch, or until validation stops improving."""
        state = self.state
        with self.stop:
            while state.validated < state.epoch or (state.epoch < state.target and not self.is_stale()):
                if state.validated == state.epoch:
                    self.run_epoch()
                validates = self.dev and FLAGS.validation_step and state.epoch % FLAGS.validation_step == 0
                improved = self.validate() if validates else False
                state.validated = state.epoch
                self.save(["best_dev", "train"] if improved else ["train"])
                self.obey_stop()
        if self.is_stale():
            self.console.say(f"Stopping early: the dev {FLAGS.best_metric} was best, {state.best:.4f}, at step {state.best_step} and"
                             f" has not improved by {FLAGS.es_min_delta:g} in {state.stale} validations.")  # fmt: skip
        self.console.say(f"Training is complete: {state.epoch} epochs, {state.step} steps, {duration(state.elapsed)}.")

    def is_stale(self) -> bool:
        """Tell whether to stop early."""
        return bool(FLAGS.early_stop) and self.state.stale >= FLAGS.es_epochs

    def run_epoch(self) -> None:
        """Train on the batches of the present epoch that are still to come."""
        state = self.state
        plan = plan_epoch(self.data, state.epoch, self.cluster.n_parts)
        digest = planning.digest(plan, self.data.fingerprint)
        if state.batch and state.plan != digest:
            self.console.warn(f"The training set or its batches have changed: epoch {state.epoch + 1} begins anew.")
            state.batch, state.loss_sum, state.n_losses = 0, 0.0, 0
        state.plan = digest
        begin, waited_s, todo = time.monotonic(), 0.0, plan[state.batch :]
        audio_s = sum(self.data.samples[member].duration_s for members in todo for member in members)
        own = self.cluster.own(planning.deal(members, self.cluster.n_parts) for members in todo)
        change = self.model.augmenter.in_epoch(state.epoch, state.target, plan)
        batches = feeding.read_batches(self.data, own, self.console, change)
        steps = range(state.step, state.step + len(todo))
        rates = [learning_rate(state, step, state.epoch + 1 - (steps[-1] + 1 - step) / len(plan)) for step in steps]
        pauses = lambda: self.is_save_due() or self.cluster.any(self.stop)  # noqa: E731
        train_step = self.frozen_step if state.epoch < state.frozen_epochs else self.model.train_step
        run = self.cluster.run(train_step, batches, zip(steps, rates, strict=True), pauses)
        with self.console.track(f"Epoch {state.epoch + 1}", len(plan), state.batch) as tracker:
            for parts, results in run:
                self.take_in(parts, results)
                state.step, state.batch = state.step + 1, state.batch + 1
                waited_s += sum(part.waited_s for part in parts)
                tracker.advance(f"loss {state.loss:.3f}")
                if not self.cluster.in_flight:
                    if self.is_save_due() and self.guard.is_well:
                        self.save(["train"])
                    self.obey_stop()
        seconds, loss = time.monotonic() - begin, state.loss
        state.epoch, state.batch, state.loss_sum, state.n_losses = state.epoch + 1, 0, 0.0, 0
        self.console.say(metrics.format_epoch(state.epoch, state.target, loss, rates[-1], seconds, audio_s, waited_s))
        self.log.write("epoch", state.step, epoch=state.epoch, loss=loss, learning_rate=rates[-1], seconds=seconds,
                       audio_seconds=audio_s, input_wait=waited_s / seconds)  # fmt: skip

    def take_in(self, parts: list[feeding.Batch], results: list[tuple[NDArray[Any], ...]]) -> None:
        """Count the losses of a batch; utterances without a finite one are named and have no part in it."""
        losses = np.concatenate([result[0][: len(part.members)] for part, result in zip(parts, results, strict=True)])
        loss_sum, n_counted, norm = map(float, results[0][1:])
        paths = [self.data.samples[member].utterance.path for part in parts for member in part.members]
        self.guard.check(losses, n_counted, norm, self.state.step + 1, paths)
        self.state.count(loss_sum, int(n_counted))

    def is_save_due(self) -> bool:
        """Tell whether the last checkpoint is too old."""
        return bool(0 < FLAGS.checkpoint_secs <= time.monotonic() - self.saved_at)

    def validate(self) -> bool:
        """Measure the dev set and act on it; return whether it is the best so far."""
        state = self.state
        scored: list[metrics.Sample] = []
        for data in [*self.dev, *self.extra]:
            texts: dict[tuple[int, float], str] = {}
            for scored_round in score_set(self.model, self.model.score_step, data, "dev", self.console):
                texts |= {key: decoding.greedy_text(path, self.model.alphabet) for key, path in scored_round}
                self.obey_stop()
            samples = compare(data, texts)
            for line in metrics.format_validation(data.name, samples):
                self.console.say(line)
            self.log.write("validation", state.step, set=data.name, epoch=state.epoch, **metrics.summarize(samples),
                           elapsed=time.monotonic() - self.began)  # fmt: skip
            scored += samples if data in self.dev else []
        measure = metrics.summarize(scored)[FLAGS.best_metric]
        improved = state.take_measure(measure, FLAGS.es_min_delta)
        if FLAGS.reduce_lr_on_plateau and state.stale and state.stale % FLAGS.plateau_epochs == 0:
            state.reduction *= FLAGS.plateau_reduction
            if not improved:
                self.directory.load_best(state.best_step) if self.cluster.is_chief else None
                self.cluster.copy_from_chief(self.model.variables)
            self.console.say(f"Plateau: no improvement by {FLAGS.es_min_delta:g} in {state.stale} validations; on from the best"
                             f" weights (step {state.best_step}) at {state.reduction:g} of the learning rate.")  # fmt: skip
        return improved

    def save(self, kinds: Sequence[str]) -> None:
        """Write a checkpoint, as all the given kinds."""
        state = self.state
        state.elapsed = time.monotonic() - self.began
        rate = np.float32(FLAGS.learning_rate * state.reduction)
        counters = {"global_step": np.int64(state.step), "learning_rate": rate}  # as in 0.9.3
        counters |= self.model.adam.powers(state.step)
        if self.cluster.is_chief:
            self.directory.save(kinds, dataclasses.asdict(state), counters, FLAGS.max_to_keep)
        self.saved_at = time.monotonic()

    def obey_stop(self) -> None:
        """Save and end when the process has been asked to."""
        if self.cluster.any(self.stop):
            self.save(["train"])
            path = self.directory.path
            self.console.say(f"Stopped on request; saved in {path}, the same command goes on from there.")
            sys.exit(commandline.STOPPED)


def plan_epoch(data: feeding.Corpus, epoch: int, parts: int) -> list[list[int]]:
    """Return the batches of a training epoch, always the same for the same data, flags and number of parts."""
    seed = None if FLAGS.reverse_train else FLAGS.random_seed
    return planning.plan_epoch(data.n_frames, FLAGS.train_batch_size, FLAGS.batch_frames, seed, epoch, parts)


# ------------------------------------------------------------------------------------------ 6  Test


def test(model: Model, decoder: Decoder, sets: list[feeding.Corpus], console: Console, log: metrics.MetricsLog) -> None:
    """Report on every test set."""
    tested: list[metrics.Sample] = []
    kept: list[decoding.Output] = []
    for data in sets:
        texts, greedy = {}, {}
        scored = itertools.chain.from_iterable(score_set(model, model.test_step, data, "test", console))
        if not model.cluster.is_chief:
            for _ in scored:
                pass  # this worker's share
            continue
        for key, probabilities, text in decoding.decode_each(decoder, scored):
            texts[key], greedy[key] = text, decoding.greedy_text(probabilities.argmax(1), model.alphabet)
            if FLAGS.probabilities_file:
                kept.append((data.samples[key[0]].utterance, probabilities))
        samples = compare(data, texts)
        measures = metrics.summarize(samples)
        for line in metrics.format_report(data.name, samples, FLAGS.report_count, compare(data, greedy)):
            print(line)
        if FLAGS.wer_log_pattern:
            print(metrics.format_log(FLAGS.wer_log_pattern, data.name, measures["wer"]))
        log.write("test", 0, set=data.name, **measures)
        tested += samples
    if FLAGS.test_output_file:
        metrics.write_samples_json(FLAGS.test_output_file, tested)
    if FLAGS.probabilities_file:
        decoding.write_probabilities(FLAGS.probabilities_file, kept, model.alphabet, TABLE.values())


# ---------------------------------------------------------------------------------------- 7  Export

VERIFIED = 3, 10  # recordings on which an export has to say what the checkpoint says, and seconds of each
SMOKE_TEST = Path(__file__).parent / "data" / "smoke_test" / "she_had_your_dark_suit.wav"


def export_model(model: Model, sets: Sets, origin: Origin, console: Console) -> None:
    """Write what the flags ask for, each file compared with the network it is made of: all of it, or nothing."""
    settings = export.ExportSettings.from_flags(TABLE.values())
    weights = {name: variable.numpy() for name, variable in model.weights.items()}
    cells = [(cell, bias) for cell, bias in FORGET_BIAS.items() if f"{cell}/kernel" in weights]
    network = TrainedNetwork(weights, cells, model.features, model.alphabet.serialize(), N_CONTEXT, FLAGS.n_steps,
                             FLAGS.relu_clip, FLAGS.export_beam_width, FLAGS.export_language)  # fmt: skip
    corpora = sets["dev"] or sets["test"] or sets["train"]
    recordings = feeding.first_recordings(corpora, *VERIFIED, SMOKE_TEST, model.features)
    say = partial(recognise, model.cluster, model.test_step)
    export_verified(network, settings, origin, recordings, say, model.alphabet, console)


# ------------------------------------------------------------------------------------------ 8  Main


def load_sets(alphabet: Alphabet, features: FeatureSet, console: Console, is_chief: bool) -> Sets:
    """Read and check the files of every purpose; the training files make one set."""
    train = [FLAGS.train_files] if is_training(TABLE.values()) else []
    wanted = {
        "train": (train, FLAGS.limit_train),
        "dev": ([[path] for path in FLAGS.dev_files if train or FLAGS.export_dir], FLAGS.limit_dev),
        "metrics": ([[path] for path in FLAGS.metrics_files if train], FLAGS.limit_dev),
        "test": ([[path] for path in FLAGS.test_files if FLAGS.test], FLAGS.limit_test),
    }
    report = save_path(TABLE.values()) / "data_faults.csv" if train and is_chief and not FLAGS.dry_run else None
    return feeding.load_sets(wanted, alphabet, features, console, FLAGS.strict_data, report, is_chief)


def run(task: Task, settings: DeviceSettings, console: Console) -> None:
    """Do what the flags ask for."""
    alphabet = ByteAlphabet() if FLAGS.bytes_output_mode else read_labels(FLAGS.alphabet_config_path)
    decodes = task.is_chief and ((FLAGS.test and FLAGS.test_files) or FLAGS.one_shot_infer)
    beams = decoding.BeamSettings.from_flags(TABLE.values()) if decodes else None
    decoder = decoding.make_decoder(alphabet, beams, console)  # early, to know that there is one
    features = feature_set()
    cluster = join_cluster(task, settings, console) if task.hosts else None  # early, for the others wait
    console.configure(FLAGS.log_level if task.is_chief else WARNING, FLAGS.show_progressbar and task.is_chief)
    sets = load_sets(alphabet, features, console, task.is_chief)
    cluster = cluster or join_cluster(task, settings, console)
    with explain_losses(task):
        if cluster.n_workers > 1:
            cluster.agree(same_everywhere(TABLE.values(), alphabet.labels, sets))
        augmenter = Augmenter.from_flags(TABLE.values(), features, sets["train"], console)
        model = Model(alphabet, features, augmenter, cluster)
        if FLAGS.dry_run:
            data, longest = sets["train"][0], augmenter.at_longest()
            found = try_longest(cluster, model.train_step, data, plan_epoch(data, 0, cluster.n_parts), console, longest)
            console.say(f"{found} Nothing was written.")
        else:
            train_and_test(decoder, model, sets, console)


def train_and_test(decoder: Decoder, model: Model, sets: Sets, console: Console) -> None:
    """Train, test, export and transcribe, as far as the flags ask for it."""
    directory = run_path(TABLE.values())  # none where there is only a model file
    path = directory or Path()
    summaries = Path(FLAGS.summary_dir or path / "summaries")
    log = metrics.MetricsLog(path / "metrics.jsonl", summaries, bool(directory) and model.cluster.is_chief)
    if sets["train"]:
        console.say(log.notice, INFO if log.notice else DEBUG)
        Trainer(model, sets, console, log).run()
    if sets["test"] or FLAGS.one_shot_infer or FLAGS.export_dir:
        state = Start(TABLE.values(), model, console).load_trained()
        test(model, decoder, sets["test"], console, log)
    if FLAGS.export_dir and model.cluster.is_chief:
        export_model(model, sets, Origin.read(directory, state), console)
    if FLAGS.one_shot_infer and model.cluster.is_chief:
        samples = feeding.read_recording(FLAGS.one_shot_infer, model.features)
        probabilities = recognise(model.cluster, model.test_step, samples)
        print(decoder.decode(*decoding.pad([probabilities]))[0])


def main() -> int:
    """Run the program; return its exit status."""
    console, task = Console(), Task()
    with commandline.report_errors(console) as outcome:
        if not TABLE.parse(sys.argv, inherit):
            print(TABLE.help_page() if "--helpmarkdown" in sys.argv else TABLE.help_text())
            return 0
        task = Task.from_flags(TABLE.values(), os.environ)
        console.configure(FLAGS.log_level, FLAGS.show_progressbar)
        if TABLE.inherited:
            console.say(TABLE.inherited)
        for notice in TABLE.notices():
            console.warn(notice)
        if not task.only_serves:
            check_flags()
        (serve if task.only_serves else run)(task, DeviceSettings.from_flags(TABLE.values()), console)
    if task.hosts:  # TensorFlow's threads would go on waiting for tasks that have ended
        if outcome.status in (0, commandline.STOPPED):
            await_end(task)
        sys.stdout.flush()
        os._exit(outcome.status)
    return outcome.status


if __name__ == "__main__":
    sys.exit(main())
