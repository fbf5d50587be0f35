"""The LSTM against a Keras layer and finite differences, on ragged batches."""

import os
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from util import tf
from util.lstm import lstm

os.environ["KERAS_BACKEND"] = "tensorflow"

TIME, BATCH, N_INPUT, N_HIDDEN = 11, 4, 5, 7
LENGTHS = [11, 3, 1, 8]


def make(rng: np.random.Generator, *shape: int, scale: float = 0.5) -> NDArray[Any]:
    return rng.normal(0, scale, shape).astype(np.float32)


def to_keras_order(columns: NDArray[Any]) -> NDArray[Any]:
    """From input gate, candidate, forget gate, output to input, forget, candidate, output."""
    i, g, f, o = np.split(columns, 4, axis=-1)
    return np.concatenate([i, f, g, o], -1)


def from_keras_order(columns: NDArray[Any]) -> NDArray[Any]:
    return to_keras_order(columns)  # swaps the two in the middle


def keras_layer(kernel: NDArray[Any], bias: NDArray[Any], forget_bias: float, **options: Any) -> Any:
    import keras  # noqa: PLC0415 - seconds to import

    n_hidden = len(bias) // 4
    layer = keras.layers.LSTM(n_hidden, return_sequences=True, unit_forget_bias=False, **options)
    layer.build([None, None, len(kernel) - n_hidden])
    shift = np.repeat([0, forget_bias, 0, 0], n_hidden)
    kernel = to_keras_order(kernel)
    layer.set_weights([kernel[:-n_hidden], kernel[-n_hidden:], to_keras_order(bias) + shift])
    return layer


def mask_of(lengths: list[int], time: int) -> NDArray[Any]:
    return np.arange(time) < np.array(lengths)[:, np.newaxis]  # [batch, time]


def ours(x: Any, kernel: Any, bias: Any, forget_bias: float, upstream: Any) -> tuple[Any, list[Any]]:
    """Outputs and gradients, all float32, of one layer."""
    tensors = [tf.constant(value) for value in (x, kernel, bias)]
    with tf.GradientTape() as tape:
        tape.watch(tensors)
        output = lstm(*tensors, forget_bias)
    return output.numpy(), [g.numpy() for g in tape.gradient(output, tensors, upstream)]


@pytest.mark.parametrize("forget_bias", [0.0, 1.0])
@pytest.mark.parametrize(("time", "lengths"), [(TIME, LENGTHS), (TIME, [TIME]), (1, [1, 1, 1]), (1, [1])])
def test_a_keras_layer(forget_bias: float, time: int, lengths: list[int]):
    rng = np.random.default_rng(0)
    x = make(rng, time, len(lengths), N_INPUT)
    kernel, bias = make(rng, N_INPUT + N_HIDDEN, 4 * N_HIDDEN), make(rng, 4 * N_HIDDEN)
    valid = mask_of(lengths, time).T[..., np.newaxis]  # [time, batch, 1]
    upstream = make(rng, time, len(lengths), N_HIDDEN) * valid
    output, gradients = ours(x, kernel, bias, forget_bias, upstream)

    layer = keras_layer(kernel, bias, forget_bias)
    batch_major = tf.constant(x.transpose(1, 0, 2))
    with tf.GradientTape() as tape:
        tape.watch(batch_major)
        expected = layer(batch_major, mask=tf.constant(mask_of(lengths, time)))
    d_x, *d_weights = tape.gradient(
        expected, [batch_major, *(v.value for v in layer.trainable_variables)], upstream.transpose(1, 0, 2)
    )
    np.testing.assert_allclose(output * valid, expected.numpy().transpose(1, 0, 2) * valid, atol=1e-6)
    np.testing.assert_allclose(gradients[0], d_x.numpy().transpose(1, 0, 2), atol=2e-6)
    d_kernel = from_keras_order(np.concatenate([g.numpy() for g in d_weights[:2]]))
    np.testing.assert_allclose(gradients[1], d_kernel, atol=1e-5)
    np.testing.assert_allclose(gradients[2], from_keras_order(d_weights[2].numpy()), atol=1e-5)


def test_a_bidirectional_pair():
    import keras  # noqa: PLC0415

    rng = np.random.default_rng(1)
    x = make(rng, TIME, BATCH, N_INPUT)
    weights = [(make(rng, N_INPUT + N_HIDDEN, 4 * N_HIDDEN), make(rng, 4 * N_HIDDEN)) for _ in range(2)]
    valid = mask_of(LENGTHS, TIME).T[..., np.newaxis]
    upstream = make(rng, TIME, BATCH, 2 * N_HIDDEN) * valid

    inputs = tf.constant(x)
    flat = [tf.constant(w) for pair in weights for w in pair]
    with tf.GradientTape() as tape:
        tape.watch([inputs, *flat])
        forward = lstm(inputs, *flat[:2], 1.0)
        turned = tf.reverse_sequence(inputs, LENGTHS, seq_axis=0, batch_axis=1)
        backward = tf.reverse_sequence(lstm(turned, *flat[2:], 1.0), LENGTHS, seq_axis=0, batch_axis=1)
        output = tf.concat([forward, backward], 2)
    d_x, *d_ours = tape.gradient(output, [inputs, *flat], upstream)

    pair = keras.layers.Bidirectional(
        keras_layer(*weights[0], 1.0), backward_layer=keras_layer(*weights[1], 1.0, go_backwards=True)
    )
    batch_major = tf.constant(x.transpose(1, 0, 2))
    pair.build(batch_major.shape)
    for layer, (kernel, bias) in zip((pair.forward_layer, pair.backward_layer), weights, strict=True):
        layer.set_weights(keras_layer(kernel, bias, 1.0).get_weights())  # Bidirectional makes copies
    with tf.GradientTape() as tape:
        tape.watch(batch_major)
        expected = pair(batch_major, mask=tf.constant(mask_of(LENGTHS, TIME)))
    d_keras_x, *d_keras = tape.gradient(
        expected, [batch_major, *(v.value for v in pair.trainable_variables)], upstream.transpose(1, 0, 2)
    )
    np.testing.assert_allclose(output.numpy() * valid, expected.numpy().transpose(1, 0, 2) * valid, atol=1e-6)
    np.testing.assert_allclose(d_x.numpy(), d_keras_x.numpy().transpose(1, 0, 2), atol=2e-6)
    for direction in range(2):
        d_input, d_recurrent, d_bias = (g.numpy() for g in d_keras[3 * direction : 3 * direction + 3])
        d_kernel = from_keras_order(np.concatenate([d_input, d_recurrent]))
        np.testing.assert_allclose(d_ours[2 * direction].numpy(), d_kernel, atol=1e-5)
        np.testing.assert_allclose(d_ours[2 * direction + 1].numpy(), from_keras_order(d_bias), atol=1e-5)


def lstm_in_float64(x: NDArray[Any], kernel: NDArray[Any], bias: NDArray[Any], forget_bias: float) -> NDArray[Any]:
    """The equations of the module's docstring, one frame at a time."""
    n_hidden = len(bias) // 4
    h = c = np.zeros([x.shape[1], n_hidden])
    outputs = []
    for frame in x:
        i, g, f, o = np.split(np.concatenate([frame, h], 1) @ kernel + bias, 4, axis=1)
        c = c / (1 + np.exp(-f - forget_bias)) + np.tanh(g) / (1 + np.exp(-i))
        h = np.tanh(c) / (1 + np.exp(-o))
        outputs.append(h)
    return np.stack(outputs)


@pytest.mark.parametrize("forget_bias", [0.0, 1.0])
def test_finite_differences(forget_bias: float):
    rng = np.random.default_rng(2)
    arguments = [make(rng, 6, 3, 2), make(rng, 2 + 3, 12), make(rng, 12)]
    upstream = make(rng, 6, 3, 3)
    output, gradients = ours(*arguments, forget_bias, upstream)
    exact = [value.astype(np.float64) for value in arguments]
    np.testing.assert_allclose(output, lstm_in_float64(*exact, forget_bias), atol=1e-6)
    for value, gradient in zip(exact, gradients, strict=True):
        for place in np.ndindex(value.shape):
            kept, step = value[place], 1e-5
            sums = []
            for moved in (kept + step, kept - step):
                value[place] = moved
                sums.append((lstm_in_float64(*exact, forget_bias) * upstream).sum())
            value[place] = kept
            assert gradient[place] == pytest.approx((sums[0] - sums[1]) / (2 * step), abs=3e-6, rel=1e-5)


def test_nothing_flows_into_the_padding():
    rng = np.random.default_rng(3)
    x = make(rng, TIME, BATCH, N_INPUT)
    kernel, bias = make(rng, N_INPUT + N_HIDDEN, 4 * N_HIDDEN), make(rng, 4 * N_HIDDEN)
    valid = mask_of(LENGTHS, TIME).T[..., np.newaxis]
    upstream = make(rng, TIME, BATCH, N_HIDDEN) * valid
    _, gradients = ours(x, kernel, bias, 1.0, upstream)
    assert not gradients[0][~np.broadcast_to(valid, x.shape)].any()
    assert np.abs(gradients[0][np.broadcast_to(valid, x.shape)]).min() > 0
    _, others = ours(np.where(valid, x, 9.0).astype(np.float32), kernel, bias, 1.0, upstream)
    for gradient, other in zip(gradients, others, strict=True):
        np.testing.assert_allclose(gradient, other, atol=1e-6)
