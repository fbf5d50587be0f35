"""Dropout: how much it drops, and that only the seed, the step and the place decide what."""

from __future__ import annotations

import numpy as np
import pytest

from util import tf
from util.dropout import Dropout, no_dropout

RATES = {"some": 0.3, "none": 0.0}


def masked(seed: int, step: int, calls: int = 1) -> list[np.ndarray]:
    drop = Dropout(RATES, seed, tf.constant(step))
    return [drop(tf.ones([200, 500]), "some").numpy() for _ in range(calls)]


def test_a_share_is_zeroed_and_the_rest_scaled_up():
    (x,) = masked(seed=1, step=0)
    assert np.mean(x == 0) == pytest.approx(0.3, abs=0.01)
    np.testing.assert_allclose(np.unique(x), [0, 1 / 0.7], rtol=1e-6)
    assert x.mean() == pytest.approx(1, abs=0.01), "so that the next layer sees the same mean"


def test_masks_are_a_function_of_seed_step_and_place():
    first, second = masked(seed=1, step=7, calls=2)
    again, _ = masked(seed=1, step=7, calls=2)
    np.testing.assert_array_equal(first, again)
    for other in (second, *masked(seed=2, step=7), *masked(seed=1, step=8)):
        assert np.mean(first != other) == pytest.approx(2 * 0.3 * 0.7, abs=0.01), "independent draws"


def test_all_masks_of_neighbouring_steps_differ():
    masks = [mask.tobytes() for step in (0, 1) for mask in masked(seed=1, step=step, calls=Dropout.MASKS)]
    assert len(set(masks)) == 2 * Dropout.MASKS


def test_without_a_rate_the_tensor_is_passed_on():
    x = tf.ones([2, 3])
    assert Dropout(RATES, 1, tf.constant(0))(x, "none") is x
    assert no_dropout(x, "some") is x
