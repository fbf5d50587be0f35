"""The long short-term memory layer (Hochreiter and Schmidhuber 1997, with forget gates: Gers et al. 2000).

    i, f, o = sigmoid(..)    g = tanh(..)        of  [x_t, h_(t-1)] kernel + bias
    c_t = f c_(t-1) + i g    h_t = o tanh(c_t)

What makes it several times faster than the stock layers is what stays out of the loop over time: the
input projection is one matrix product before it, and every weight gradient one product after it, so
that a step of the loop holds a single recurrent product. Inside the loop the state is feature-major,
[n_hidden, batch], which lets that product read the weights row by row whatever the batch size.
"""

from __future__ import annotations

from typing import Any

from util import tf

Tensor = Any


def lstm(x: Tensor, kernel: Tensor, bias: Tensor, forget_bias: float) -> Tensor:
    """Run one LSTM layer over a sequence, from a zero state.

    Padding needs no mask: it lies behind the valid frames, and CTC sends no gradient into it.

    Args:
        x: float32 [time, batch, n_input].
        kernel: float32 [n_input + n_hidden, 4 n_hidden], input rows above recurrent rows, columns in
            the order input gate, candidate, forget gate, output gate (that of TensorFlow's cells and
            of every DeepSpeech checkpoint).
        bias: float32 [4 n_hidden], in the same order.
        forget_bias: added to the forget gate before its sigmoid.

    Returns:
        float32 [time, batch, n_hidden], the hidden state of every frame.
    """

    @tf.custom_gradient  # type: ignore[untyped-decorator]
    def layer(x: Tensor, kernel: Tensor, bias: Tensor) -> Any:
        n_input, n_hidden = x.shape[2], bias.shape[0] // 4
        recurrent = kernel[n_input:]  # [n_hidden, 4 n_hidden]
        shift = tf.reshape([0.0, 0.0, forget_bias, 0.0], [4, 1])
        shifted = tf.reshape(tf.reshape(bias, [4, n_hidden]) + shift, [4 * n_hidden])
        projected = _flat(x) @ kernel[:n_input] + shifted
        projected = _feature_major(_like(projected, x))  # [time, 4 n_hidden, batch]
        states, cells, gates = _forward_loop(projected, tf.transpose(recurrent))
        output = _feature_major(states)  # [time, batch, n_hidden]

        def gradient(d_output: Tensor) -> tuple[Tensor, Tensor, Tensor]:
            d_gates = _backward_loop(_feature_major(d_output), cells, gates, recurrent)
            d_gates = _flat(_feature_major(d_gates))  # [time * batch, 4 n_hidden]
            previous = tf.pad(output[:-1], [[1, 0], [0, 0], [0, 0]])
            d_kernel = tf.matmul(_flat(tf.concat([x, previous], 2)), d_gates, transpose_a=True)
            d_x = tf.matmul(d_gates, kernel[:n_input], transpose_b=True)
            return _like(d_x, x), d_kernel, tf.reduce_sum(d_gates, 0)

        return output, gradient

    return layer(x, tf.convert_to_tensor(kernel), tf.convert_to_tensor(bias))


def _forward_loop(projected: Tensor, weights: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Walk forward: float32 [time, 4 n_hidden, batch] and [4 n_hidden, n_hidden] to h, c and gates."""
    time, batch = tf.shape(projected)[0], tf.shape(projected)[2]
    n_hidden = weights.shape[1]
    zero = tf.zeros([n_hidden, batch])

    def step(t: Tensor, h: Tensor, c: Tensor, *history: Any) -> tuple[Any, ...]:
        z = projected[t] + weights @ h
        i = tf.sigmoid(z[:n_hidden])
        g = tf.tanh(z[n_hidden : 2 * n_hidden])
        f_o = tf.sigmoid(z[2 * n_hidden :])
        c = f_o[:n_hidden] * c + i * g
        h = f_o[n_hidden:] * tf.tanh(c)
        entries = h, c, tf.concat([i, g, f_o], 0)
        return t + 1, h, c, *(array.write(t, e) for array, e in zip(history, entries, strict=True))

    history = [tf.TensorArray(tf.float32, size=time) for _ in range(3)]
    _, _, _, *history = tf.while_loop(lambda t, *_: t < time, step, (0, zero, zero, *history), maximum_iterations=time)
    states, cells, gates = (array.stack() for array in history)
    return states, cells, gates


def _backward_loop(d_states: Tensor, cells: Tensor, gates: Tensor, weights: Tensor) -> Tensor:
    """Walk backward: the gradient of every gate before its nonlinearity, [time, 4 n_hidden, batch].

    All factors that do not depend on the gradient are computed for the whole sequence at once.
    """
    i, g, f, o = tf.split(gates, 4, axis=1)
    tanh_c = tf.tanh(cells)
    previous_cells = tf.pad(cells[:-1], [[1, 0], [0, 0], [0, 0]])
    dc_dh = o * (1 - tanh_c * tanh_c)
    di, dg, df = g * i * (1 - i), i * (1 - g * g), previous_cells * f * (1 - f)
    do = tanh_c * o * (1 - o)

    def step(t: Tensor, dh: Tensor, dc: Tensor, d_gates: Any) -> tuple[Any, ...]:
        dh = dh + d_states[t]
        dc = dc + dh * dc_dh[t]
        d_gate = tf.concat([dc * di[t], dc * dg[t], dc * df[t], dh * do[t]], 0)
        return t - 1, weights @ d_gate, dc * f[t], d_gates.write(t, d_gate)

    time = tf.shape(cells)[0]
    zero = tf.zeros_like(cells[0])
    d_gates = tf.TensorArray(tf.float32, size=time)
    *_, d_gates = tf.while_loop(lambda t, *_: t >= 0, step, (time - 1, zero, zero, d_gates), maximum_iterations=time)
    return d_gates.stack()


def _feature_major(x: Tensor) -> Tensor:
    """Swap the last two axes: [time, batch, features] to [time, features, batch] and back."""
    return tf.transpose(x, [0, 2, 1])


def _flat(x: Tensor) -> Tensor:
    """Fold time and batch: [time, batch, features] to [time * batch, features]."""
    return tf.reshape(x, [-1, x.shape[2]])


def _like(flat: Tensor, x: Tensor) -> Tensor:
    """Undo `_flat`: [time * batch, features] to [time, batch, features], as in `x`."""
    return tf.reshape(flat, tf.concat([tf.shape(x)[:2], tf.shape(flat)[1:]], 0))
