"""What --augment asks for: names, parameters, value ranges, and the values drawn from them.

The syntax is that of DeepSpeech 0.9.3: `name` or `name[p=0.1,key=value,..]`. What an augmentation does is in `effects`
(samples) and `spectral` (the graph).
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from util.errors import UsageError
from util.progress import Console

SAMPLE, SIGNAL, SPECTROGRAM, FEATURES = DOMAINS = "sample", "signal", "spectrogram", "features"  # in this order


class Change(Protocol):
    """How the utterances of a set are augmented.

    Attributes:
        n_numbers: numbers of an utterance that the graph augments it by.
    """

    n_numbers: int

    def __call__(
        self, position: int, samples: NDArray[np.int16], labels: NDArray[np.int32], /
    ) -> tuple[NDArray[np.int16], NDArray[np.float32]]:
        """Augment the utterance at a position of the set; return other samples, and float32 [n_numbers]."""

    def tell_costs(self, console: Console) -> None:
        """Say what it takes, once that is known."""


@dataclass(frozen=True, slots=True)
class Range:
    """A value that goes from `start` to `end` in the course of training, give or take `radius`.

    Attributes:
        start: at clock 0, the beginning of training.
        end: at clock 1.
        radius: largest deviation; every one up to it is equally likely.
        whole: round to a whole number.
    """

    start: float
    end: float
    radius: float = 0.0
    whole: bool = False

    def draw(self, random: np.random.Generator, clock: float) -> float:
        """Draw a value; takes one number from the Generator, whatever the range."""
        return self._kind(self.start + (self.end - self.start) * clock + self.radius * random.uniform(-1, 1))

    @property
    def low(self) -> float:
        """The least value that can be drawn."""
        return self._kind(min(self.start, self.end) - self.radius)

    @property
    def high(self) -> float:
        """The greatest value that can be drawn."""
        return self._kind(max(self.start, self.end) + self.radius)

    def is_ever_other_than(self, value: float) -> bool:
        """Whether anything but `value` can be drawn."""
        return (self.low, self.high) != (value, value)

    def _kind(self, value: float) -> float:
        return round(value) if self.whole else value


@dataclass(frozen=True, slots=True)
class Parameter:
    """A parameter of an augmentation: its default, and the least and greatest value that make sense."""

    default: Range
    low: float
    high: float


def _number(default: float, low: float, high: float, radius: float = 0.0) -> Parameter:
    return Parameter(Range(default, default, radius), low, high)


def _count(default: int, low: int, high: int) -> Parameter:
    return Parameter(Range(default, default, whole=True), low, high)


_SOURCES = "CSV, SDB or tar file, a folder or an audio file"


@dataclass(frozen=True, slots=True)
class Kind:
    """What can be said of an augmentation: where it acts (the default first), its parameters, and `source=`."""

    domains: tuple[str, ...]
    parameters: Mapping[str, Parameter]
    needs_source: bool = False


_FACTOR = 0.1, 10.0
KINDS = {
    "overlay": Kind((SAMPLE,), {"snr": _number(3, -100, 100), "layers": _count(1, 1, 100)}, True),
    "codec": Kind((SAMPLE,), {"bitrate": _count(3200, 500, 256000)}),
    "reverb": Kind((SAMPLE,), {"delay": _number(20, 0.1, 1000), "decay": _number(10, 0.1, 100)}),
    "resample": Kind((SAMPLE,), {"rate": _count(8000, 1000, 192000)}),
    "volume": Kind((SAMPLE,), {"dbfs": _number(3.0103, -100, 40)}),
    "speed": Kind((SAMPLE,), {"factor": _number(1, *_FACTOR, radius=0.1)}),  # Ko et al. 2015
    "rir": Kind((SAMPLE,), {}, True),
    "pitch": Kind((SPECTROGRAM,), {"pitch": _number(1.075, *_FACTOR, radius=0.125)}),
    "tempo": Kind((SPECTROGRAM,), {"factor": _number(1.1, *_FACTOR), "max_time": _number(-1, -1, 1e7)}),
    "warp": Kind((SPECTROGRAM,), {"nt": _count(1, 1, 50), "nf": _count(1, 1, 50),
                                  "wt": _number(0.1, -10, 10), "wf": _number(0, -10, 10)}),
    "frequency_mask": Kind((SPECTROGRAM,), {"n": _count(3, 0, 50), "size": _count(2, 0, 40)}),
    "time_mask": Kind((SPECTROGRAM, SIGNAL, FEATURES), {"n": _count(3, 0, 50), "size": _number(10, 0, 60000)}),
    "dropout": Kind((SPECTROGRAM, SIGNAL, FEATURES), {"rate": _number(0.05, 0, 1)}),
    "add": Kind((FEATURES, SIGNAL, SPECTROGRAM), {"stddev": _number(5, -1e4, 1e4)}),
    "multiply": Kind((FEATURES, SIGNAL, SPECTROGRAM), {"stddev": _number(5, -1e4, 1e4)}),
}  # fmt: skip
_ALIASES = {"num_t": "nt", "num_f": "nf", "warp_t": "wt", "warp_f": "wf"}  # Coqui's names


@dataclass(frozen=True)
class Augmentation:
    """One --augment.

    Attributes:
        name: a key of KINDS.
        domain: one of DOMAINS.
        p: probability that it is applied to an utterance.
        values: its numbers by name of the parameter.
        source: recordings it takes; "" where it takes none.
    """

    name: str
    domain: str
    p: float
    values: Mapping[str, Range]
    source: str = ""

    @property
    def is_in_graph(self) -> bool:
        """Whether it acts on features, which TensorFlow computes, rather than on samples."""
        return self.domain in (SPECTROGRAM, FEATURES)

    def draw(self, random: np.random.Generator, clock: float) -> dict[str, float] | None:
        """Draw whether it is applied and its values; None: it is not.

        Args:
            random: gives one number for p, then one for each parameter in the order of KINDS.
            clock: how much of the training is done, 0 to 1.
        """
        is_applied = random.random() < self.p
        values = {name: value.draw(random, clock) for name, value in self.values.items()}
        return values if is_applied else None

    def longest(self) -> dict[str, float]:
        """Return values that make an utterance as long, and cost as much, as they can."""
        return {name: value.low if name == "factor" else value.high for name, value in self.values.items()}


def parse_augmentations(texts: Sequence[str]) -> list[Augmentation]:
    """Parse the values of --augment.

    Raises:
        UsageError: one is not of the syntax, or an augmentation, parameter, value or source does not exist.
    """
    return [_parse(text) for text in texts]


@dataclass
class _Reader:
    """Reads one --augment, and says of what is wrong in which."""

    text: str
    given: dict[str, str] = field(default_factory=dict)

    def refuse(self, reason: str) -> UsageError:
        return UsageError(f"--augment '{self.text}': {reason}.")

    def read_values(self, name: str, inside: str) -> None:
        kind = KINDS[name]
        known = ["p", *(["source"] if kind.needs_source else []), *kind.parameters]
        known += ["domain"] if len(kind.domains) > 1 else []
        for item in inside.split(",") if inside.strip() else []:
            key, equals, value = (part.strip() for part in item.partition("="))
            if not equals:
                raise self.refuse(f"'{item.strip()}' has no name, expected key=value, and no comma in a value")
            key = _ALIASES.get(key, key) if name == "warp" else key
            if key not in known:
                raise self.refuse(f"{name} has no parameter '{key}', it has {', '.join(known)}")
            if key in self.given:
                raise self.refuse(f"{key} is given twice")
            self.given[key] = value

    def probability(self) -> float:
        value = _float(self.given.get("p", "1"))
        if value is None or not 0 <= value <= 1:
            raise self.refuse(f"the probability p is '{self.given['p']}', expected a number from 0 to 1")
        return value

    def domain(self, domains: Sequence[str]) -> str:
        value = self.given.get("domain", domains[0])
        if value not in domains:
            raise self.refuse(f"the domain is '{value}', expected one of {', '.join(domains)}")
        return value

    def source(self, name: str) -> str:
        if not KINDS[name].needs_source:
            return ""
        value = self.given.get("source", "")
        if not value:
            raise self.refuse(f"{name} needs recordings, source=PATH: a {_SOURCES}")
        if not Path(value).exists():
            raise self.refuse(f"the source {value} does not exist, expected a {_SOURCES}")
        return value

    def range(self, name: str, parameter: Parameter) -> Range:
        if name not in self.given:
            return parameter.default
        whole = parameter.default.whole
        found = _parse_range(self.given[name], whole)
        if not found:
            kind = "whole numbers" if whole else "numbers"
            forms = f"expected v, v~r, a:b or a:b~r with {kind}, r not negative"
            raise self.refuse(f"{name} is '{self.given[name]}', {forms}")
        low, high = parameter.low, parameter.high
        for value in (found.low, found.high):
            if not low <= value <= high:
                raise self.refuse(f"{name} can become {value:g}, expected nothing outside {low:g} to {high:g}")
        return found


def _parse(text: str) -> Augmentation:
    reader = _Reader(text)
    found = re.fullmatch(r"\s*(\w+)\s*(?:\[(.*)\])?\s*", text, re.DOTALL)
    if not found:
        raise reader.refuse("expected name or name[key=value,..]")
    name, inside = found[1], found[2] or ""
    if name not in KINDS:
        raise reader.refuse(f"there is no augmentation '{name}', there are {', '.join(KINDS)}")
    reader.read_values(name, inside)
    kind = KINDS[name]
    values = {key: reader.range(key, parameter) for key, parameter in kind.parameters.items()}
    return Augmentation(name, reader.domain(kind.domains), reader.probability(), values, reader.source(name))


def _parse_range(text: str, whole: bool) -> Range | None:
    """Return the range that v, v~r, a:b or a:b~r stands for; None where it is none of them."""
    middle, tilde, radius = text.partition("~")
    start, colon, end = middle.partition(":")
    numbers = [_float(start), _float(end if colon else start), _float(radius if tilde else "0")]
    values = [value for value in numbers if value is not None]
    if len(values) < len(numbers) or values[2] < 0 or (whole and any(value % 1 for value in values)):
        return None
    return Range(values[0], values[1], values[2], whole)


def _float(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) else None
