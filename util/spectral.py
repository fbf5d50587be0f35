"""Augmentation of the spectrum, in the graph: pitch, tempo, warp, masks, noise.

What is drawn for an utterance travels to the graph as a row of numbers, in which zeros change nothing. First the
spectrum is stretched along frequency and time (pitch, tempo, warp); then, in the order of the command line, its mel
bands are changed as logarithms, and at last the cepstra. What is masked becomes the mean of its band (or cepstrum) over
the utterance, which is nothing remarkable: a zero would be a silence as no recording has it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from util import tf
from util.augmentation import FEATURES, SPECTROGRAM, Augmentation
from util.features import FeatureSet, FloatArray, Unchanged

Tensor = Any
Values = Mapping[str, float]
Random = np.random.Generator

MOVES = "pitch", "tempo", "warp"  # what changes where in the spectrum something is
SEEDS = 1 << 24  # whole numbers below it are exact in float32
MOST_SHIFT = 0.9  # of half the distance between anchors of a warp
LEAST_FACTOR = 0.01  # of an energy, under multiplicative noise


@dataclass(frozen=True)
class Slot:
    """An augmentation of the graph and the place of its numbers: `first` and the `count` from there."""

    augmentation: Augmentation
    first: int
    count: int


def arrange(augmentations: Sequence[Augmentation]) -> list[Slot]:
    """Give augmentations of the graph, in the order in which they act, their places in a row of numbers."""
    slots: list[Slot] = []
    for augmentation in augmentations:
        first = slots[-1].first + slots[-1].count if slots else 0
        slots.append(Slot(augmentation, first, _count_numbers(augmentation)))
    return slots


def _count_numbers(augmentation: Augmentation) -> int:
    if augmentation.name == "warp":
        return 2 * int(augmentation.values["nt"].high + augmentation.values["nf"].high)
    if augmentation.name in ("frequency_mask", "time_mask"):
        return 2 * int(augmentation.values["n"].high)
    return {"pitch": 1, "tempo": 1}.get(augmentation.name, 3)


# ------------------------------------------------------------------------------------- on the host


def make_numbers(
    slot: Slot, values: Values, random: Random, n_frames: int, needed: int, features: FeatureSet
) -> list[float]:
    """Turn drawn values into the numbers of one utterance.

    Args:
        slot: the augmentation.
        values: as drawn.
        random: for positions and the seeds of noise.
        n_frames: length of the utterance by now.
        needed: frames that its transcript needs, which tempo leaves it.
        features: the feature set.

    Returns:
        pitch: the ratio less 1; tempo: frames more or less; warp: anchors and shifts in time, the same in frequency;
        masks: starts and sizes; noise: its amount and two seeds.
    """
    name = slot.augmentation.name
    if name == "pitch":
        return [values["pitch"] - 1]
    if name == "tempo":
        most = values["max_time"] / features.step_ms if values["max_time"] > 0 else n_frames / values["factor"]
        return [max(int(min(n_frames / values["factor"], most)), min(needed, n_frames), 1) - n_frames]
    if name == "warp":
        ranges = slot.augmentation.values
        in_time = _warp_numbers(int(values["nt"]), values["wt"], int(ranges["nt"].high), random)
        return in_time + _warp_numbers(int(values["nf"]), values["wf"], int(ranges["nf"].high), random)
    if name == "frequency_mask":
        return _mask_numbers(int(values["n"]), int(values["size"]), features.n_bands, slot.count // 2, random)
    if name == "time_mask":
        size = max(1, round(values["size"] / features.step_ms)) if values["size"] else 0
        return _mask_numbers(int(values["n"]), size, n_frames, slot.count // 2, random)
    amount = values["rate" if name == "dropout" else "stddev"]
    return [amount, *random.integers(0, SEEDS, 2).tolist()]


def _warp_numbers(count: int, amount: float, room: int, random: Random) -> list[float]:
    """Place `count` anchors evenly on an axis from 0 to 1 and shift them.

    Args:
        count: of the anchors.
        amount: standard deviation of the shifts, in half distances between anchors, as in 0.9.3. They stay below one,
            so that no anchor overtakes its neighbour.
        room: places for anchors.
        random: the shifts.
    """
    half = 0.5 / (count + 1)
    shifts = half * np.clip(amount * random.standard_normal(count), -MOST_SHIFT, MOST_SHIFT)
    unused = [0.0] * (room - count)
    return [*unused, *(np.arange(1, count + 1) / (count + 1)), *unused, *shifts]


def _mask_numbers(count: int, size: int, extent: int, room: int, random: Random) -> list[float]:
    size = min(size, extent)
    unused = [0.0] * (room - count)
    starts = random.integers(0, extent - size + 1, count).tolist()
    return [*starts, *unused, *[float(size)] * count, *unused]


# ------------------------------------------------------------------------------------ in the graph


class SpectralChange(Unchanged):
    """The augmentation of one batch."""

    def __init__(self, slots: Sequence[Slot], features: FeatureSet, numbers: Tensor):
        """Begin.

        Args:
            slots: from `arrange`.
            features: the feature set.
            numbers: float32 [batch, numbers], rows of `make_numbers`.
        """
        self._features = features
        self._parts = [
            (slot.augmentation, numbers[:, slot.first : slot.first + slot.count]) for slot in slots if slot.count
        ]

    def filters(self, filterbank: FloatArray) -> Tensor:
        """Return filters that make bands of a spectrum stretched along frequency: bin f shows what was at f / pitch.

        To filter a stretched spectrum is to stretch the filters, which are the same for all frames. Beyond the highest
        frequency the last bin stands in.
        """
        last = filterbank.shape[0] - 1
        position = tf.range(last + 1, dtype=tf.float32)[tf.newaxis]  # [1, bins]
        plain = position
        for augmentation, numbers in reversed(self._parts):  # as in `in_time`
            if augmentation.name == "pitch":
                position = tf.minimum(position / (1 + numbers), float(last))
            elif augmentation.name == "warp" and augmentation.values["wf"].is_ever_other_than(0):
                _, in_frequency = _warps(augmentation, numbers)
                position += last * _displacement(position / last, *in_frequency)
        if position is plain:
            return filterbank
        weight = tf.maximum(0.0, 1 - tf.abs(position[:, :, tf.newaxis] - plain[:, tf.newaxis]))  # [batch, bins, bins]
        return tf.einsum("boi,ok->bik", weight, filterbank)

    def in_time(self, bands: Tensor, feature_len: Tensor) -> tuple[Tensor, Tensor]:
        """Return bands stretched and warped along time, and their new lengths."""
        changes = [numbers[:, 0] for augmentation, numbers in self._parts if augmentation.name == "tempo"]
        warps = [
            _warps(augmentation, numbers)[0]
            for augmentation, numbers in self._parts
            if augmentation.name == "warp" and augmentation.values["wt"].is_ever_other_than(0)
        ]
        if not (changes or warps):
            return bands, feature_len
        new_len = feature_len + tf.cast(sum(changes), tf.int32) if changes else feature_len
        last = tf.cast(tf.maximum(feature_len, 1) - 1, tf.float32)[:, tf.newaxis]
        new_last = tf.cast(tf.maximum(new_len, 1) - 1, tf.float32)[:, tf.newaxis]
        frame = tf.range(tf.reduce_max(new_len), dtype=tf.float32)[tf.newaxis]
        position = tf.math.divide_no_nan(frame * last, new_last)  # whole where nothing changes
        for warp in reversed(warps):  # the last one says where it looks in what came before
            position += last * _displacement(tf.math.divide_no_nan(position, last), *warp)
        position = tf.clip_by_value(position, 0.0, last)
        before = tf.floor(position)
        share = (position - before)[:, :, tf.newaxis]
        before, after = (tf.cast(frame, tf.int32) for frame in (before, tf.minimum(before + 1, last)))
        earlier, later = (tf.gather(bands, frames, axis=1, batch_dims=1) for frames in (before, after))
        return earlier + share * (later - earlier), new_len

    def log_bands(self, bands: Tensor, feature_len: Tensor) -> Tensor:
        """Return log energies with masks and noise."""
        return self._disturb(bands, feature_len, SPECTROGRAM)

    def cepstra(self, vectors: Tensor, feature_len: Tensor) -> Tensor:
        """Return cepstra with masks and noise."""
        return self._disturb(vectors, feature_len, FEATURES)

    def _disturb(self, x: Tensor, feature_len: Tensor, domain: str) -> Tensor:
        """Apply masks and noise to float32 [batch, time, bands]."""
        mean = _mean(x, feature_len)
        for augmentation, numbers in self._parts:
            if augmentation.domain != domain:
                continue
            if augmentation.name == "frequency_mask":  # the energy of the frame, behind the bands, is no band
                inside = _inside(numbers, self._features.n_bands, x.shape[2])[:, tf.newaxis]
                x = tf.where(inside, mean, x)
            elif augmentation.name == "time_mask":
                extent = tf.shape(x)[1]
                x = tf.where(_inside(numbers, extent, extent)[:, :, tf.newaxis], mean, x)
            elif augmentation.name == "dropout":
                x = tf.where(_noise(tf.random.stateless_uniform, x, numbers) < _amount(numbers), mean, x)
            elif augmentation.name == "add":
                x += _amount(numbers) * _noise(tf.random.stateless_normal, x, numbers)
            elif augmentation.name == "multiply":
                factor = 1 + _amount(numbers) * _noise(tf.random.stateless_normal, x, numbers)
                x = x * factor if domain == FEATURES else x + tf.math.log(tf.maximum(tf.abs(factor), LEAST_FACTOR))
        return x


def _warps(augmentation: Augmentation, numbers: Tensor) -> tuple[list[Tensor], list[Tensor]]:
    """Return anchors and shifts, float32 [batch, parts], in time and in frequency."""
    n_time, n_frequency = (int(augmentation.values[name].high) for name in ("nt", "nf"))
    *in_time, anchors, shifts = tf.split(numbers, [n_time, n_time, n_frequency, n_frequency], 1)
    return in_time, [anchors, shifts]


def _displacement(x: Tensor, anchors: Tensor, shifts: Tensor) -> Tensor:
    """Return how far before or behind x (0 to 1) lies what is to be seen there; linear between the anchors.

    Args:
        x: float32 [batch or 1, points].
        anchors: float32 [batch, parts], ascending.
        shifts: float32 [batch, parts], by which each of them is moved.
    """
    edge = tf.zeros_like(anchors[:, :1])
    knots = tf.concat([edge, anchors + shifts, edge + 1], 1)
    heights = tf.concat([edge, -shifts, edge], 1)
    total = tf.zeros_like(x)
    for part in range(anchors.shape[1] + 1):
        left, right = knots[:, part, tf.newaxis], knots[:, part + 1, tf.newaxis]
        low, high = heights[:, part, tf.newaxis], heights[:, part + 1, tf.newaxis]
        height = low + (high - low) * tf.math.divide_no_nan(x - left, right - left)
        total += tf.where((x >= left) & (x < right), height, 0.0)
    return total


def _inside(numbers: Tensor, n_points: Tensor, size: Tensor) -> Tensor:
    """Return bool [batch, size], whether a point lies in one of the masks; those from `n_points` on never do."""
    starts, sizes = tf.split(numbers, 2, 1)
    points = tf.range(size, dtype=tf.int32)
    starts, sizes = (tf.cast(number, tf.int32)[:, :, tf.newaxis] for number in (starts, sizes))
    return tf.reduce_any((points >= starts) & (points < starts + sizes) & (points < n_points), 1)


def _mean(x: Tensor, feature_len: Tensor) -> Tensor:
    """Return the mean over valid frames, float32 [batch, 1, bands]."""
    valid = tf.sequence_mask(feature_len, tf.shape(x)[1])[:, :, tf.newaxis]
    count = tf.cast(tf.maximum(feature_len, 1), tf.float32)[:, tf.newaxis, tf.newaxis]
    return tf.reduce_sum(tf.where(valid, x, 0.0), 1, keepdims=True) / count


def _amount(numbers: Tensor) -> Tensor:
    return numbers[:, :1, tf.newaxis]


def _noise(draw: Any, x: Tensor, numbers: Tensor) -> Tensor:
    """Draw numbers of the shape of x, each utterance's from its own seeds and so the same in any company."""
    shape = tf.shape(x)[1:]
    drawn = tf.map_fn(
        lambda seed: draw(shape, seed, alg="philox"),
        tf.cast(numbers[:, 1:], tf.int32),
        fn_output_signature=tf.TensorSpec([None, x.shape[2]], tf.float32),
    )
    return tf.ensure_shape(drawn, [None, None, x.shape[2]])
