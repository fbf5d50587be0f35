"""Adam against its paper in numpy and against Keras."""

import os
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from util import tf
from util.adam import Adam

os.environ["KERAS_BACKEND"] = "tensorflow"

SHAPES = {"kernel": (7, 5), "bias": (5,), "scale": ()}
BETA1, BETA2, EPSILON = 0.9, 0.99, 1e-8

Arrays = list[NDArray[Any]]


def make(seed: int, scale: float = 1.0) -> Arrays:
    rng = np.random.default_rng(seed)
    return [rng.normal(0, scale, shape).astype(np.float32) for shape in SHAPES.values()]


def start(epsilon: float = EPSILON) -> tuple[dict[str, Any], Adam]:
    variables = {name: tf.Variable(value) for name, value in zip(SHAPES, make(0), strict=True)}
    return variables, Adam(variables, BETA1, BETA2, epsilon)


def named(gradients: Arrays) -> dict[str, Any]:
    return {name: tf.constant(gradient) for name, gradient in zip(SHAPES, gradients, strict=True)}


def update(adam: Adam, gradients: Arrays, step: int, rate: float, max_norm: float = 0.0) -> float:
    @tf.function
    def run(step: Any, rate: Any) -> Any:
        return adam.apply(named(gradients), max_norm, step, rate)

    return float(run(tf.constant(step), tf.constant(rate)))


def values(variables: dict[str, Any]) -> Arrays:
    return [variable.numpy() for variable in variables.values()]


def paper(steps: list[tuple[Arrays, float]], epsilon: float) -> Arrays:
    """Algorithm 1 in the order of the end of its section 2, which adds epsilon before the bias correction.

    TensorFlow's fused operation computes this "epsilon hat" form; it differs from the first form of
    the algorithm (and from Keras) by a factor sqrt(1 - beta2^t) of epsilon.
    """
    theta = [value.astype(np.float64) for value in make(0)]
    m, v = ([np.zeros_like(value) for value in theta] for _ in range(2))
    for t, (gradients, rate) in enumerate(steps, start=1):
        for i, gradient in enumerate(gradients):
            g = gradient.astype(np.float64)
            m[i] = BETA1 * m[i] + (1 - BETA1) * g
            v[i] = BETA2 * v[i] + (1 - BETA2) * g * g
            corrected = rate * np.sqrt(1 - BETA2**t) / (1 - BETA1**t)
            theta[i] = theta[i] - corrected * m[i] / (np.sqrt(v[i]) + epsilon)
    return theta


@pytest.mark.parametrize("epsilon", [1e-8, 0.1])
def test_the_paper(epsilon: float):
    variables, adam = start(epsilon)
    steps = [(make(seed, 10.0 ** (seed % 3 - 2)), 0.01 * seed) for seed in range(1, 12)]
    for step, (gradients, rate) in enumerate(steps):
        update(adam, gradients, step, rate)
    for found, expected in zip(values(variables), paper(steps, epsilon), strict=True):
        np.testing.assert_allclose(found, expected, rtol=2e-5, atol=2e-6)


def test_keras():
    import keras  # noqa: PLC0415 - seconds to import

    variables, adam = start()
    theirs = [keras.Variable(value) for value in make(0)]
    optimizer = keras.optimizers.Adam(0.02, BETA1, BETA2, epsilon=EPSILON)
    for step in range(8):
        gradients = make(step + 1)
        update(adam, gradients, step, 0.02)
        optimizer.apply([tf.constant(g) for g in gradients], theirs)
    for found, expected in zip(values(variables), theirs, strict=True):
        np.testing.assert_allclose(found, expected.numpy(), rtol=2e-5, atol=2e-6)


@pytest.mark.parametrize("max_norm", [0.5, 1e6])
def test_clipping_by_global_norm(max_norm: float):
    variables, adam = start(epsilon=1.0)  # an epsilon this large keeps Adam from undoing the scale
    gradients = make(1, 3.0)
    norm = np.sqrt(sum(float((g.astype(np.float64) ** 2).sum()) for g in gradients))
    assert 0.5 < norm < 1e6
    assert update(adam, gradients, 0, 0.1, max_norm) == pytest.approx(norm, rel=1e-5)
    scale = min(1.0, max_norm / norm)
    expected = paper([([g * scale for g in gradients], 0.1)], 1.0)
    for found, wanted in zip(values(variables), expected, strict=True):
        np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-6)


def test_no_clipping_without_a_norm():
    found = []
    for max_norm in (0.0, 1e9):
        variables, adam = start(epsilon=1.0)
        update(adam, make(1, 1e4), 0, 0.1, max_norm)
        found.append(values(variables))
    for one, other in zip(*found, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-6)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("max_norm", [0.0, 1.0])
def test_a_gradient_that_is_not_finite_changes_nothing(bad: float, max_norm: float):
    variables, adam = start()
    update(adam, make(1), 0, 0.1)
    before = values(variables) + values(adam.moments)
    gradients = make(2)
    gradients[0][3, 2] = bad
    assert not np.isfinite(update(adam, gradients, 1, 0.1, max_norm))
    for now, then in zip(values(variables) + values(adam.moments), before, strict=True):
        np.testing.assert_array_equal(now, then)
    update(adam, make(2), 1, 0.1, max_norm)
    assert all((now != then).any() for now, then in zip(values(variables), before, strict=False))


def test_all_gradients_zero():
    variables, adam = start()
    update(adam, [np.zeros_like(g) for g in make(1)], 0, 0.1, max_norm=1.0)
    for now, then in zip(values(variables), make(0), strict=True):
        np.testing.assert_array_equal(now, then)


@pytest.mark.parametrize("step", [0, 1, 9, 5000])
def test_the_powers_of_the_betas(step: int):
    _, adam = start()
    powers = adam.powers(tf.constant(step))
    assert set(powers) == {"beta1_power", "beta2_power"}
    assert {value.dtype for value in powers.values()} == {tf.float32}
    assert float(powers["beta1_power"]) == pytest.approx(BETA1 ** (step + 1), rel=1e-5, abs=1e-30)
    assert float(powers["beta2_power"]) == pytest.approx(BETA2 ** (step + 1), rel=1e-4, abs=1e-30)


def test_the_names_of_the_moments():
    _, adam = start()
    assert list(adam.moments) == [f"{name}/Adam{suffix}" for name in SHAPES for suffix in ("", "_1")]
    assert [tuple(m.shape) for m in adam.moments.values()] == [s for s in SHAPES.values() for _ in range(2)]


def test_an_unwanted_update_changes_nothing_but_tells_the_norm():
    variables, adam = start()
    before, gradients = values(variables), make(1)

    @tf.function
    def run(wanted: Any) -> Any:
        return adam.apply(named(gradients), 0.0, tf.constant(0), tf.constant(0.1), wanted)

    norm = float(run(tf.constant(False)))
    assert norm == pytest.approx(np.sqrt(sum(float((g**2).sum()) for g in gradients)), rel=1e-5)
    for found, expected in zip(values(variables), before, strict=True):
        np.testing.assert_array_equal(found, expected)
    assert not any(moment.numpy().any() for moment in adam.moments.values())
    run(tf.constant(True))
    assert all(moment.numpy().any() for moment in adam.moments.values())
