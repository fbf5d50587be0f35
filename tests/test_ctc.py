"""CTC against the forward algorithm in numpy and against brute force over every path."""

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from util import tf
from util.ctc import ctc_loss, frames_needed
from util.decoding import collapse, greedy_path

BLANK = 4  # of labels 0..3


def collapse_path(path: Sequence[int]) -> list[int]:
    return [label for label, _ in itertools.groupby(path) if label != BLANK]


def forward_algorithm(logits: NDArray[Any], labels: Sequence[int]) -> float:
    """Negative log likelihood of float64 [time, labels + 1], by Graves et al. 2006, section 4.1, in logarithms."""
    logs = logits - np.logaddexp.reduce(logits, axis=1, keepdims=True)
    states = [BLANK] + [s for label in labels for s in (label, BLANK)]
    alpha = np.full(len(states), -np.inf)
    alpha[:2] = logs[0, states[:2]]
    for frame in logs[1:]:
        moved = alpha.copy()
        for s, label in enumerate(states):
            if s >= 1:
                moved[s] = np.logaddexp(moved[s], alpha[s - 1])
            if s >= 2 and label not in (BLANK, states[s - 2]):
                moved[s] = np.logaddexp(moved[s], alpha[s - 2])
        alpha = moved + frame[states]
    return float(-np.logaddexp.reduce(alpha[-2:]))


def padded(labels: Sequence[Sequence[int]], filler: int = 0) -> NDArray[np.int32]:
    table = np.full([len(labels), max(map(len, labels))], filler, np.int32)
    for row, line in zip(table, labels, strict=True):
        row[: len(line)] = line
    return table


def compute(
    logits: NDArray[Any], lengths: Sequence[int], labels: Sequence[Sequence[int]], upstream: Sequence[float] = ()
) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
    """Losses, whether they are finite, and the gradient of the logits."""
    inputs = tf.constant(logits, tf.float32)
    with tf.GradientTape() as tape:
        tape.watch(inputs)
        losses, finite = ctc_loss(
            inputs, tf.constant(lengths), tf.constant(padded(labels)), tf.constant([len(line) for line in labels])
        )
    weights = tf.constant(list(upstream) or [1.0] * len(labels))
    return losses.numpy(), finite.numpy(), tape.gradient(losses, inputs, weights).numpy()


def make_logits(time: int, batch: int, seed: int = 0) -> NDArray[Any]:
    return np.random.default_rng(seed).normal(0, 2, [time, batch, BLANK + 1]).astype(np.float32)


@pytest.mark.parametrize(
    ("labels", "frames"),
    [([], 0), ([1], 1), ([1, 2], 2), ([1, 1], 3), ([1, 1, 1], 5), ([1, 2, 1], 3), ([0, 0, 1, 1, 2], 7)],
)
def test_frames_needed(labels: list[int], frames: int):
    assert frames_needed(labels) == frames
    for time in range(frames + 2):
        paths = (list(path) for path in itertools.product([*set(labels), BLANK], repeat=time))
        assert any(collapse_path(path) == labels for path in paths) == (time >= frames)


def test_the_forward_algorithm_sums_over_all_paths():
    logits = make_logits(5, 1)[:, 0].astype(np.float64)
    logs = logits - np.logaddexp.reduce(logits, axis=1, keepdims=True)
    for labels in ([1], [2, 2], [0, 1, 3]):
        paths = itertools.product(range(BLANK + 1), repeat=5)
        total = sum(np.exp(logs[range(5), path].sum()) for path in paths if collapse_path(path) == labels)
        assert forward_algorithm(logits, labels) == pytest.approx(-np.log(total))


LABELS = [[1, 2, 2, 0], [3], [0, 0, 0], [1, 2, 3, 1, 2]]
LENGTHS = [9, 4, 5, 7]


def test_the_loss():
    logits = make_logits(9, 4)
    losses, finite, _ = compute(logits, LENGTHS, LABELS)
    assert finite.all()
    for i, (length, labels) in enumerate(zip(LENGTHS, LABELS, strict=True)):
        expected = forward_algorithm(logits[:length, i].astype(np.float64), labels)
        assert losses[i] == pytest.approx(expected, rel=1e-5)


def test_the_gradient_by_finite_differences():
    logits = make_logits(9, 4)
    upstream = [1.0, 0.5, -2.0, 0.25]
    _, _, gradient = compute(logits, LENGTHS, LABELS, upstream)
    exact = logits.astype(np.float64)
    for i, (length, labels) in enumerate(zip(LENGTHS, LABELS, strict=True)):
        assert not gradient[length:, i].any()
        for t, k in np.ndindex(length, BLANK + 1):
            column = exact[:length, i].copy()
            sums = []
            for step in (1e-5, -1e-5):
                column[t, k] = exact[t, i, k] + step
                sums.append(forward_algorithm(column, labels))
            expected = upstream[i] * (sums[0] - sums[1]) / 2e-5
            assert gradient[t, i, k] == pytest.approx(expected, abs=1e-5)


def test_what_pads_the_labels_does_not_matter():
    logits = tf.constant(make_logits(9, 4))
    label_len = tf.constant([len(line) for line in LABELS])
    found = [
        ctc_loss(logits, tf.constant(LENGTHS), tf.constant(padded(LABELS, filler)), label_len)[0].numpy()
        for filler in (0, 3, BLANK, -1)
    ]
    assert all((losses == found[0]).all() for losses in found)


def assert_others_unchanged(logits: NDArray[Any], lengths: list[int], labels: list[list[int]], spoilt: int) -> None:
    losses, finite, gradient = compute(logits, lengths, labels)
    assert finite.tolist() == [i != spoilt for i in range(len(labels))]
    assert not np.isfinite(losses[spoilt])
    assert (gradient[:, spoilt] == 0).all()
    others = [i for i in range(len(labels)) if i != spoilt]
    alone = compute(logits[:, others], [lengths[i] for i in others], [labels[i] for i in others])
    np.testing.assert_array_equal(losses[others], alone[0])
    np.testing.assert_array_equal(gradient[:, others], alone[2])
    assert np.abs(alone[2]).max() > 0.01


@pytest.mark.parametrize("impossible", [[1, 1, 1, 1, 1], [1, 1, 2, 2, 3, 3, 0], [0, 1, 2, 3, 0, 1, 2, 3, 0, 1]])
@pytest.mark.parametrize("place", [0, 2, 4])
def test_an_impossible_utterance_harms_no_other(impossible: list[int], place: int):
    labels, lengths = LABELS.copy(), LENGTHS.copy()
    labels.insert(place, impossible)
    lengths.insert(place, frames_needed(impossible) - 1)
    time = max(lengths)
    assert_others_unchanged(make_logits(time, 5), lengths, labels, place)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_bad_logits_of_one_utterance_harm_no_other(value: float):
    logits = make_logits(9, 4)
    logits[:, 2] = value
    assert_others_unchanged(logits, LENGTHS, LABELS, 2)


def test_one_nan_in_one_frame():
    logits = make_logits(9, 4)
    logits[3, 0, 1] = np.nan
    assert_others_unchanged(logits, LENGTHS, LABELS, 0)


def test_the_best_path():
    logits = make_logits(8, 3)
    path = greedy_path(tf.constant(logits)).numpy()
    assert path.dtype == np.int32
    for i, t in np.ndindex(3, 8):
        assert logits[t, i, path[i, t]] == max(logits[t, i])


def test_collapsing_every_path():
    for time in range(6):
        for path in itertools.product([0, 1, BLANK], repeat=time):
            assert collapse(np.array(path, np.int32), BLANK) == collapse_path(path)
