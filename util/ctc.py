"""Connectionist temporal classification (Graves et al. 2006): the loss and the frames it needs.

Of TensorFlow's losses only the sparse-label operation is used: the dense ones are an order of magnitude
slower on a CPU and give impossible utterances a finite loss and a gradient, in silence.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np

from util import tf

Tensor = Any


def frames_needed(labels: Sequence[int]) -> int:
    """Count the frames an alignment needs: one per label and a blank between equal neighbours."""
    repeats = sum(a == b for a, b in itertools.pairwise(labels))
    return len(labels) + repeats


def ctc_loss(logits: Tensor, feature_len: Tensor, labels: Tensor, label_len: Tensor) -> tuple[Tensor, Tensor]:
    """Compute the loss of every utterance; those whose loss is not finite send back no gradient.

    Args:
        logits: float32 [time, batch, n_labels + 1], blank last.
        feature_len: int32 [batch], valid frames.
        labels: int32 [batch, labels], padded with anything.
        label_len: int32 [batch], valid labels.

    Returns:
        float32 [batch], negative log likelihood in nats (infinite: impossible), and bool [batch],
        whether it is finite.
    """
    positions = tf.where(tf.sequence_mask(label_len, tf.shape(labels)[1]))  # [labels of all, 2]

    @tf.custom_gradient  # type: ignore[untyped-decorator]
    def finite_loss(logits: Tensor) -> Any:
        losses, d_logits = tf.raw_ops.CTCLoss(
            inputs=logits,
            labels_indices=positions,
            labels_values=tf.gather_nd(labels, positions),
            sequence_length=feature_len,
            ctc_merge_repeated=True,
            ignore_longer_outputs_than_inputs=True,  # an error would end the whole batch
        )
        losses = tf.where(label_len > feature_len, np.inf, losses)  # there the operation says 0
        finite = tf.math.is_finite(losses)

        def gradient(upstream: Tensor) -> Tensor:
            # a product with zero would keep the NaN it has to remove
            return tf.where(finite[tf.newaxis, :, tf.newaxis], d_logits, 0.0) * upstream[:, tf.newaxis]

        return losses, gradient

    losses = finite_loss(logits)
    return losses, tf.math.is_finite(losses)
