"""From label probabilities to text: greedily, or by beam search with hot words and a scorer.

The beam search is the package ds_ctcdecoder of native_client/python, imported where it is used: without
it everything else works, and `missing_package` says what to do.
"""

from __future__ import annotations

import dataclasses
import io
import itertools
import json
import math
import zipfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from util import tf
from util.corpus import Utterance
from util.errors import DataError, DecoderError, ScorerError, UsageError
from util.files import write_atomically
from util.progress import Console
from util.task import count_cores
from util.text import Alphabet, ByteAlphabet, describe_character, normalize

Tensor = Any
Key = TypeVar("Key")
Output = tuple[Utterance, NDArray[np.float32]]  # and its probabilities, [frames, n_labels + 1]

GROUP_PER_CORE = 4  # utterances decoded together: enough that no core waits long for the longest


@dataclass(frozen=True, slots=True)
class BeamSettings:
    """How to search.

    Attributes:
        beam_width: prefixes kept per frame.
        cutoff_prob: look only at the likeliest labels of a frame that together reach this probability.
        cutoff_top_n: look at this many of them at most.
        scorer_path: the language model; empty: none.
        lm_alpha: its weight; None: the scorer's own.
        lm_beta: what a word is worth; None: the scorer's own.
        oov_penalty: price of a word that the scorer does not know, in nats; None: such words are impossible.
        hot_words: words or phrases and their boosts, see `parse_hot_words`.
    """

    beam_width: int
    cutoff_prob: float
    cutoff_top_n: int
    scorer_path: str
    lm_alpha: float | None
    lm_beta: float | None
    oov_penalty: float | None
    hot_words: str

    @classmethod
    def from_flags(cls, flags: Mapping[str, Any]) -> BeamSettings:
        """Make settings of the flags that have their names."""
        return cls(**{field.name: flags[field.name] for field in dataclasses.fields(cls)})


class Decoder(Protocol):
    """Turns probabilities into text."""

    def decode(self, probabilities: NDArray[np.float32], feature_len: NDArray[np.int32]) -> list[str]:
        """Return the text of float32 [batch, time, n_labels + 1], blank last, with int32 [batch] valid frames."""


class GreedyDecoder:
    """Takes the best label of every frame."""

    def __init__(self, alphabet: Alphabet):
        self._alphabet = alphabet

    def decode(self, probabilities: NDArray[np.float32], feature_len: NDArray[np.int32]) -> list[str]:
        """See `Decoder`."""
        paths = probabilities.argmax(2).astype(np.int32)
        return [greedy_text(path[:length], self._alphabet) for path, length in zip(paths, feature_len, strict=True)]


class BeamDecoder:
    """Searches the likeliest text over all its alignments (Graves 2012, chapter 7.5), on all cores.

    Raises:
        DecoderError: ds_ctcdecoder is missing.
        ScorerError: the scorer cannot be read or does not fit the alphabet.
        UsageError: a hot word is written wrongly, or cannot be written in the alphabet.
    """

    def __init__(self, alphabet: Alphabet, settings: BeamSettings):
        if missing := missing_package():
            raise DecoderError(f"beam search needs a package: {missing}")
        import ds_ctcdecoder  # noqa: PLC0415 - see the top

        self._native, self._settings = ds_ctcdecoder, settings
        self._in_bytes = isinstance(alphabet, ByteAlphabet)
        self._hot_words = parse_hot_words(settings.hot_words)
        for word in self._hot_words:
            if absent := alphabet.missing(word):
                raise UsageError(
                    f"--hot_words has '{word}' with {describe_character(absent[0])}, which is not in the alphabet:"
                    " leave it out."
                )
        self._alphabet = (
            ds_ctcdecoder.UTF8Alphabet() if self._in_bytes else ds_ctcdecoder.Alphabet.from_labels(alphabet.labels)
        )
        self.scorer: Any = self._load_scorer() if settings.scorer_path else None

    def _load_scorer(self) -> Any:
        path, settings = self._settings.scorer_path, self._settings
        try:
            scorer = self._native.Scorer(settings.lm_alpha, settings.lm_beta, path, self._alphabet)
        except ValueError as error:
            raise ScorerError(f"--scorer_path: {error}") from error
        if scorer.is_utf8_mode() != self._in_bytes:
            kinds = "an alphabet", "UTF-8 bytes"
            raise ScorerError(
                f"--scorer_path {path} is made for {kinds[not self._in_bytes]} and the network for"
                f" {kinds[self._in_bytes]}: take another scorer, or --bytes_output_mode with both or neither."
            )
        return scorer

    def __str__(self) -> str:
        settings, scorer = self._settings, self.scorer
        model = f"{settings.scorer_path}, alpha {scorer.alpha:.4g}, beta {scorer.beta:.4g}" if scorer else "no scorer"
        return f"beam search, width {settings.beam_width}, {model}"

    def decode(self, probabilities: NDArray[np.float32], feature_len: NDArray[np.int32]) -> list[str]:
        """See `Decoder`."""
        settings = self._settings
        try:
            results = self._native.ctc_beam_search_decoder_batch(
                probabilities,
                feature_len,
                self._alphabet,
                settings.beam_width,
                count_cores(),
                settings.cutoff_prob,
                settings.cutoff_top_n,
                self.scorer,
                self._hot_words,
                look_ahead=True,
                oov_penalty=settings.oov_penalty,
            )
        except ValueError as error:
            raise DecoderError(f"the network's output cannot be decoded: {error}") from error
        return [normalize(best[0][1]) if best else "" for best in results]


def make_decoder(alphabet: Alphabet, settings: BeamSettings | None, console: Console) -> Decoder:
    """Return beam search, or where that is missing and nothing asks for it, the greedy decoder.

    Args:
        alphabet: of the network.
        settings: how to search; None: greedily.
        console: told of what it is.
    """
    if settings is None:
        return GreedyDecoder(alphabet)
    missing = missing_package()
    if missing and not (settings.scorer_path or settings.hot_words):
        console.warn(f"The test decodes greedily, without beam search: {missing}")
        return GreedyDecoder(alphabet)
    decoder = BeamDecoder(alphabet, settings)
    console.say(f"The test decodes with {decoder}.")
    return decoder


def missing_package() -> str:
    """Return an empty text, or why there is no beam search and what to do."""
    try:
        import ds_ctcdecoder  # noqa: F401, PLC0415 - see the top
    except ModuleNotFoundError:
        fault = "ds_ctcdecoder is not installed"
    except ImportError as error:
        fault = f"ds_ctcdecoder does not load ({error})"
    else:
        return ""
    return f"{fault}; install a C++ compiler (Debian and Ubuntu: g++) and run bin/make-env.sh."


def greedy_path(logits: Tensor) -> Tensor:
    """Return the best label of every frame, int32 [batch, time], of logits [time, batch, labels]."""
    return tf.argmax(tf.transpose(logits, [1, 0, 2]), 2, tf.int32)


def softmax(logits: Tensor) -> Tensor:
    """Return the probabilities of the labels, float32 [batch, time, labels], of logits [time, batch, labels]."""
    return tf.nn.softmax(tf.transpose(logits, [1, 0, 2]))


def greedy_text(path: NDArray[np.int32], alphabet: Alphabet) -> str:
    """Return the text of the best labels of the frames, int32 [time]."""
    return alphabet.decode(collapse(path, alphabet.blank))


def collapse(path: NDArray[np.int32], blank: int) -> list[int]:
    """Merge repeated labels of a path, int32 [time], and drop the blanks (Graves et al. 2006, eq. 2)."""
    changes = np.flatnonzero(np.diff(path, prepend=-1))
    return [int(label) for label in path[changes] if label != blank]


def decode_each(
    decoder: Decoder, outputs: Iterable[tuple[Key, NDArray[np.float32]]]
) -> Iterator[tuple[Key, NDArray[np.float32], str]]:
    """Decode utterance by utterance, in groups that keep all cores busy whatever the batch size of the network.

    Args:
        decoder: decodes.
        outputs: anything that tells an utterance, and its probabilities, float32 [time, n_labels + 1].

    Yields:
        The same, with the text.
    """
    outputs = iter(outputs)
    while group := list(itertools.islice(outputs, GROUP_PER_CORE * count_cores())):
        texts = decoder.decode(*pad([probabilities for _, probabilities in group]))
        for (key, probabilities), text in zip(group, texts, strict=True):
            yield key, probabilities, text


def pad(rows: Sequence[NDArray[np.float32]]) -> tuple[NDArray[np.float32], NDArray[np.int32]]:
    """Stack probabilities of different lengths, filled up with zeros; return the stack and the lengths."""
    lengths = np.array([len(row) for row in rows], np.int32)
    stack = np.zeros([len(rows), lengths.max(), rows[0].shape[1]], np.float32)
    for place, row in zip(stack, rows, strict=True):
        place[: len(row)] = row
    return stack, lengths


def parse_hot_words(text: str) -> dict[str, float]:
    """Read `word:boost,two words:boost`, as the clients of 0.9.3 take it.

    Raises:
        UsageError: it is written otherwise.
    """
    hot_words: dict[str, float] = {}
    for part in text.split(",") if text.strip() else []:
        word, _, number = part.rpartition(":")
        word = normalize(" ".join(word.split()))
        try:
            boost = float(number)
        except ValueError:
            boost = math.nan
        if not word or not math.isfinite(boost):
            raise UsageError(
                f"--hot_words has '{part}', expected a word or phrase and its boost, as 'ice cream:5.5' is."
            )
        if word in hot_words:
            raise UsageError(f"--hot_words has '{word}' twice: leave one of them out.")
        hot_words[word] = boost
    return hot_words


@dataclass(frozen=True)
class AcousticOutput:
    """What the network made of a test: enough to decode it again in other ways.

    Attributes:
        wav_filenames: the utterances.
        transcripts: their references.
        probabilities: float32 [frames, n_labels + 1] of each, blank last.
        labels: of the alphabet.
        flags: of the program that made it.
    """

    wav_filenames: list[str]
    transcripts: list[str]
    probabilities: list[NDArray[np.float32]]
    labels: Sequence[str]
    flags: Mapping[str, Any]

    @property
    def alphabet(self) -> Alphabet:
        """The alphabet of the network."""
        return ByteAlphabet() if self.flags["bytes_output_mode"] else Alphabet(self.labels)


def write_probabilities(
    path: str | Path,
    outputs: Sequence[Output],
    alphabet: Alphabet,
    flags: Mapping[str, Any],
) -> None:
    """Write what a network says of utterances as a NumPy archive (.npz), atomically.

    Its arrays: `wav_filenames`, `transcripts`, `labels`; `probabilities`, the frames of all utterances
    behind each other; `feature_len`, how many each has; `flags`, JSON.

    Args:
        path: the file.
        outputs: utterances and probabilities; written in the order of their CSVs.
        alphabet: of the network.
        flags: of the program.

    Raises:
        DataError: the file cannot be written.
    """
    outputs = sorted(outputs, key=lambda output: (output[0].source, output[0].line))
    file = io.BytesIO()
    np.savez(
        file,
        wav_filenames=[utterance.path for utterance, _ in outputs],
        transcripts=[utterance.transcript for utterance, _ in outputs],
        labels=list(alphabet.labels),
        probabilities=np.concatenate([rows for _, rows in outputs]),
        feature_len=np.array([len(rows) for _, rows in outputs], np.int32),
        flags=json.dumps(flags),
    )
    write_atomically(path, file.getvalue())


def read_probabilities(path: str | Path) -> AcousticOutput:
    """Read what `write_probabilities` wrote.

    Raises:
        DataError: the file is missing or is something else.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
            ends = np.cumsum(arrays["feature_len"])[:-1]
            return AcousticOutput(
                arrays["wav_filenames"].tolist(),
                arrays["transcripts"].tolist(),
                np.split(arrays["probabilities"], ends),
                tuple(arrays["labels"].tolist()),
                json.loads(arrays["flags"].item()),
            )
    except (OSError, ValueError, KeyError, EOFError, AttributeError, TypeError, zipfile.BadZipFile) as error:
        raise DataError(
            f"cannot read {path} as the acoustic output of a test ({error}); make it with ./DeepSpeech.py"
            " --test_files test.csv --probabilities_file"
        ) from error
