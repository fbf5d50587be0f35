"""Exported networks, run on recordings as clients run them, and compared with the checkpoint."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from util import decoding, tf
from util.audio import as_float
from util.text import Alphabet
from util.trained import Array, TrainedNetwork

Call = Callable[[Mapping[str, Any]], Mapping[str, Any]]  # from inputs to outputs, by name
Pcm = NDArray[np.int16]

FLOAT32_TOLERANCE = 1e-3  # greatest difference of a probability; the text has to be the same
INT8_TOLERANCE = 0.1  # mean over the frames of half the sum of the differences
INT8_LOST = 0.01  # part of the clear frames where int8 weights may find another best label


class TfliteModel:
    """A .tflite file in TensorFlow Lite's interpreter."""

    def __init__(self, path: Path):
        self._interpreter = tf.lite_interpreter(str(path))
        self._interpreter.allocate_tensors()
        self._features = None
        if "compute_features" in self._interpreter.get_signature_list():
            other = tf.lite_interpreter(str(path))  # one that has given a part away does not run the whole any more
            self._features = other.get_signature_runner("compute_features")

    def features(self, values: Mapping[str, Any]) -> Mapping[str, Any]:
        """Run the part that computes features; in files that name none, the whole."""
        return self.run(values) if self._features is None else self._features(**values)

    def run(self, values: Mapping[str, Any]) -> Mapping[str, Any]:
        """Run the file on inputs by name; what is not given is zero, what it does not have left out."""
        interpreter = self._interpreter
        for detail in interpreter.get_input_details():
            shape = np.shape(values.get(detail["name"], np.zeros(detail["shape"])))
            if list(shape) != list(detail["shape"]):
                interpreter.resize_tensor_input(detail["index"], shape)
                interpreter.allocate_tensors()
        for detail in interpreter.get_input_details():
            zero = np.zeros(detail["shape"], detail["dtype"])
            interpreter.set_tensor(detail["index"], values.get(detail["name"], zero))
        interpreter.invoke()
        return {d["name"]: interpreter.get_tensor(d["index"]) for d in interpreter.get_output_details()}


def run_whole(call: Call, samples: Pcm) -> Array:
    """Run a bidirectional network on an utterance.

    Args:
        call: runs it.
        samples: int16 [n_samples].

    Returns:
        Probabilities, float32 [n_frames, n_classes].
    """
    probabilities: Array = call({"input_samples": as_float(samples)})["logits"]
    return probabilities


def run_stream(network: TrainedNetwork, features: Call, call: Call, samples: Pcm) -> Array:
    """Run a streaming network on an utterance, chunk by chunk.

    As clients do, but for the last window, which they fill up with zeros: training has no such window.

    Args:
        network: the network; its weights are not looked at.
        features: computes the feature vector of a window.
        call: runs `n_steps` frames.
        samples: int16 [n_samples], at least a window.

    Returns:
        Probabilities, float32 [n_frames, n_classes].
    """
    wanted, n_steps = network.features, network.n_steps
    signal = as_float(samples)
    begins = range(0, wanted.frames(len(signal)) * wanted.step, wanted.step)
    vectors = [features({"input_samples": signal[begin : begin + wanted.window]})["mfccs"][0] for begin in begins]
    padded = np.pad(vectors, ((network.n_context, network.n_context), (0, 0)))
    windows = sliding_window_view(padded, network.n_window, 0).transpose(0, 2, 1)  # [n_frames, n_window, n_input]
    c = h = np.zeros([1, network.n_hidden], np.float32)
    probabilities = []
    for begin in range(0, len(windows), n_steps):
        chunk = windows[begin : begin + n_steps]
        filled = np.zeros([1, n_steps, *chunk.shape[1:]], np.float32)
        filled[0, : len(chunk)] = chunk
        length = np.array([len(chunk)], np.int32)
        state = {"previous_state_c": c, "previous_state_h": h, "input_lengths": length}
        outputs = call({"input_node": filled} | state)
        c, h = outputs["new_state_c"], outputs["new_state_h"]
        probabilities.append(outputs["logits"].reshape(n_steps, -1)[: len(chunk)])
    return np.concatenate(probabilities)


@dataclass(frozen=True)
class Comparison:
    """How an exported file differs from the checkpoint on a recording.

    Attributes:
        largest: largest difference of a probability.
        distance: mean over the frames of half the sum of all differences (total variation), 0 to 1.
        clear: frames where the checkpoint's best label leads by the margin.
        lost: how many of them have another best label in the file.
        texts: greedy transcripts, of checkpoint and file.
    """

    largest: float
    distance: float
    clear: int
    lost: int
    texts: tuple[str, str]

    def __str__(self) -> str:
        text = "the same text" if self.texts[0] == self.texts[1] else "'{}' in place of '{}'".format(*self.texts[::-1])
        return (
            f"probabilities differ by {self.distance:.2g} on average and {self.largest:.2g} at most, the best label in"
            f" {self.lost} of {self.clear} clear frames, {text}"
        )

    def is_faithful(self, is_quantised: bool) -> bool:
        """Tell whether the file says what the checkpoint says, as far as its weights can."""
        if is_quantised:
            return self.distance <= INT8_TOLERANCE and self.lost <= INT8_LOST * self.clear
        return self.largest <= FLOAT32_TOLERANCE and self.texts[0] == self.texts[1]


def compare(expected: Array, found: Array, margin: float, alphabet: Alphabet) -> Comparison:
    """Compare probabilities, float32 [n_frames, n_classes].

    Args:
        expected: of the checkpoint.
        found: of the file.
        margin: by which the best label leads in frames that count as clear.
        alphabet: of the network.

    Raises:
        ValueError: there are not as many of them, or some are not numbers.
    """
    if expected.shape != found.shape:
        raise ValueError(f"it says {list(found.shape)} probabilities where the checkpoint says {list(expected.shape)}")
    if not np.isfinite(found).all():
        raise ValueError("it says probabilities that are not numbers")
    difference = np.abs(expected - found)
    second, first = np.sort(expected, 1)[:, -2:].T
    is_clear = first - second >= margin
    paths: list[NDArray[np.int32]] = [rows.argmax(1).astype(np.int32) for rows in (expected, found)]
    return Comparison(
        float(difference.max()),
        float(difference.sum(1).mean() / 2),
        int(is_clear.sum()),
        int((is_clear & (paths[0] != paths[1])).sum()),
        (decoding.greedy_text(paths[0], alphabet), decoding.greedy_text(paths[1], alphabet)),
    )
