"""CTC beam search with a KenLM scorer, under the names of ds_ctcdecoder 0.9.3.

Programs written for 0.9.3 run as they are. Beside its arguments the decoders take `look_ahead` (search with the
dictionary's unigram scores, which makes narrow beams better; off by default, as 0.9.3 has none) and `oov_penalty`
(allow words outside the scorer's dictionary at this price, in nats; None: none are). A `Stream` decodes while
frames arrive. Whatever a caller can get wrong raises ValueError.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from ds_ctcdecoder import _decoder

__version__ = "1.0.0.dev0"

DS_ERR_OK = 0x0000
DS_ERR_NO_MODEL = 0x1000
DS_ERR_INVALID_ALPHABET = 0x2000
DS_ERR_INVALID_SHAPE = 0x2001
DS_ERR_INVALID_SCORER = 0x2002
DS_ERR_MODEL_INCOMPATIBLE = 0x2003
DS_ERR_SCORER_NOT_ENABLED = 0x2004
DS_ERR_SCORER_UNREADABLE = 0x2005
DS_ERR_SCORER_INVALID_LM = 0x2006
DS_ERR_SCORER_NO_TRIE = 0x2007
DS_ERR_SCORER_INVALID_TRIE = 0x2008
DS_ERR_SCORER_VERSION_MISMATCH = 0x2009


class DecodeResult(NamedTuple):
    """A decoded utterance.

    Attributes:
        confidence: natural logarithm of its probability over all alignments, weighted by the scorer.
        transcript: its text.
        tokens: its label ids.
        timesteps: the frame in which each label was first heard.
    """

    confidence: float
    transcript: str
    tokens: list[int]
    timesteps: list[int]


class Alphabet:
    """The labels of a network, one per line of a file; the CTC blank comes after the last one.

    Raises:
        ValueError: the file cannot be read, has no labels, or has one twice.
    """

    def __init__(self, config_path: str | os.PathLike[str]):
        self._native = _decoder.Alphabet.read(os.fspath(config_path))

    @classmethod
    def from_labels(cls, labels: Sequence[str]) -> Alphabet:
        """Make an alphabet of labels in the order of their ids."""
        return cls._wrap(_decoder.Alphabet(list(labels)))

    @classmethod
    def _wrap(cls, native: Any) -> Alphabet:
        alphabet = Alphabet.__new__(cls)
        alphabet._native = native
        return alphabet

    @property
    def labels(self) -> list[str]:
        """The labels in the order of their ids; bytes that are no character by themselves as U+FFFD."""
        return [_text(label) for label in self._native.labels]

    def GetSize(self) -> int:
        """Return the number of labels, the blank not counted."""
        return int(self._native.size)

    def GetSpaceLabel(self) -> int:
        """Return the id of the space, -2 if there is none."""
        return self._native.space if self._native.space >= 0 else -2

    def IsSpace(self, label: int) -> bool:
        """Tell whether an id is that of the space."""
        return 0 <= label == self._native.space

    def CanEncodeSingle(self, text: str) -> bool:
        """Tell whether `text` is a label."""
        return text.encode() in self._native.labels

    def CanEncode(self, text: str) -> bool:
        """Tell whether `text` can be written with the labels."""
        return bool(self._native.can_encode(text.encode()))

    def EncodeSingle(self, text: str) -> int:
        """Return the id of a label."""
        if not self.CanEncodeSingle(text):
            raise ValueError(f"{text!r} is no label of the alphabet.")
        return int(self._native.labels.index(text.encode()))

    def Encode(self, text: str) -> list[int]:
        """Return the ids of the labels of `text`."""
        return list(self._native.encode(text.encode()))

    def DecodeSingle(self, label: int) -> str:
        """Return the label of an id."""
        return self.Decode([label])

    def Decode(self, labels: Sequence[int]) -> str:
        """Return the text of label ids."""
        return _text(self._native.decode([int(label) for label in labels]))

    def Serialize(self) -> bytes:
        """Return the labels as 0.9.3 stores them in models: little-endian 16-bit counts, ids and lengths."""
        labels = self._native.labels
        numbers = [(i, len(label)) for i, label in enumerate(labels)]
        if len(labels) > 0xFFFF:
            raise ValueError(f"The alphabet has {len(labels)} labels; the format holds 65535.")
        entries = [np.array(pair, "<u2").tobytes() + label for pair, label in zip(numbers, labels, strict=True)]
        return np.array(len(labels), "<u2").tobytes() + b"".join(entries)

    def Deserialize(self, data: bytes, size: int | None = None) -> int:
        """Become the alphabet that `Serialize` gave; return 0.

        Raises:
            ValueError: the data is no alphabet.
        """
        data = data[:size]
        labels: dict[int, bytes] = {}
        try:
            at = 2
            for _ in range(int.from_bytes(data[:2], "little")):
                label, length = np.frombuffer(data, "<u2", 2, at)
                labels[int(label)] = data[at + 4 : at + 4 + int(length)]
                at += 4 + int(length)
            if at != len(data):
                raise ValueError
            self._native = _decoder.Alphabet([labels[i].decode() for i in range(len(labels))])
        except (ValueError, KeyError):
            raise ValueError(f"The {len(data)} bytes are not those of a serialized alphabet.") from None
        return 0


class UTF8Alphabet(Alphabet):
    """The alphabet of every language: the bytes 1 to 255 of UTF-8, the id being the byte less one."""

    def __init__(self) -> None:
        self._native = _decoder.Alphabet.bytes()


class Scorer:
    """A language model with the dictionary of its words.

    Attributes:
        alpha: weight of the language model.
        beta: bonus of each word (in bytes mode: of each character).

    Args:
        alpha: see above; None: as the file says.
        beta: see above; None: as the file says.
        scorer_path: a .scorer file; None: `init` follows.
        alphabet: of the network.

    Raises:
        ValueError: the file cannot be read or does not fit the alphabet.
    """

    def __init__(
        self,
        alpha: float | None = None,
        beta: float | None = None,
        scorer_path: str | os.PathLike[str] | None = None,
        alphabet: Alphabet | None = None,
    ):
        self.alpha, self.beta = alpha, beta
        self._native: Any = None
        self._weights: dict[tuple[Any, ...], Any] = {}
        if scorer_path is not None or alphabet is not None:
            if scorer_path is None or alphabet is None:
                raise ValueError("A scorer needs both a scorer_path and an alphabet.")
            self.init(scorer_path, alphabet)

    def init(self, scorer_path: str | bytes | os.PathLike[str], alphabet: Alphabet) -> int:
        """Load a .scorer file; return 0."""
        self._native = _decoder.Scorer(os.fsdecode(scorer_path), alphabet._native)
        self._weights.clear()
        self.alpha = self._native.default_alpha if self.alpha is None else self.alpha
        self.beta = self._native.default_beta if self.beta is None else self.beta
        return 0

    def reset_params(self, alpha: float, beta: float) -> None:
        """Set the weights of searches that begin from now on."""
        self.alpha, self.beta = alpha, beta

    def is_utf8_mode(self) -> bool:
        """Tell whether the units are characters, made of bytes, instead of words."""
        return bool(self._loaded().is_bytes)

    def get_max_order(self) -> int:
        """Return the order of the language model."""
        return int(self._loaded().order)

    def get_log_cond_prob(self, words: Sequence[str | bytes], bos: bool = False, eos: bool = False) -> float:
        """Return ln P(last word | words before), -1000 where one is unknown.

        Args:
            words: at most as many as the order.
            bos: they begin the sentence.
            eos: return ln P(end of sentence | words) instead.
        """
        texts = [word.decode() if isinstance(word, bytes) else word for word in words]
        return float(self._loaded().log_cond_prob(texts, bos, eos))

    def weights(self, oov_penalty: float | None, look_ahead: bool) -> Any:
        """Return the present weights in the form that searches take."""
        key = self.alpha, self.beta, oov_penalty, look_ahead
        if key not in self._weights:
            self._weights = {key: self._loaded().make_weights(*key)}
        return self._weights[key]

    def _loaded(self) -> Any:
        if self._native is None:
            raise ValueError("The scorer is empty: load a file with init.")
        return self._native


def ctc_beam_search_decoder(
    probs_seq: Any,
    alphabet: Alphabet,
    beam_size: int,
    cutoff_prob: float = 1.0,
    cutoff_top_n: int = 40,
    scorer: Scorer | None = None,
    hot_words: Mapping[str | bytes, float] = {},
    num_results: int = 1,
    *,
    look_ahead: bool = False,
    oov_penalty: float | None = None,
) -> list[tuple[float, str]]:
    """Decode an utterance.

    Args:
        probs_seq: [time, n_labels + 1], probabilities of the labels, blank last.
        alphabet: the labels.
        beam_size: prefixes that are followed at a time.
        cutoff_prob: new labels are the most probable ones that together reach this probability.
        cutoff_top_n: and no more than this many.
        scorer: language model and dictionary; None: every sequence of labels is equally likely.
        hot_words: words and phrases with a boost each, in nats, weighted with alpha as their scores are.
        num_results: most results.
        look_ahead: see the module.
        oov_penalty: see the module.

    Returns:
        (confidence, text), best first; see DecodeResult.

    Raises:
        ValueError: an argument is wrong.
    """
    stream = Stream(
        alphabet,
        beam_size,
        cutoff_prob,
        cutoff_top_n,
        scorer,
        hot_words,
        look_ahead=look_ahead,
        oov_penalty=oov_penalty,
    )
    stream.feed(probs_seq)
    return [(result.confidence, result.transcript) for result in stream.finish(num_results)]


def ctc_beam_search_decoder_batch(
    probs_seq: Any,
    seq_lengths: Sequence[int],
    alphabet: Alphabet,
    beam_size: int,
    num_processes: int,
    cutoff_prob: float = 1.0,
    cutoff_top_n: int = 40,
    scorer: Scorer | None = None,
    hot_words: Mapping[str | bytes, float] = {},
    num_results: int = 1,
    *,
    look_ahead: bool = False,
    oov_penalty: float | None = None,
) -> list[list[tuple[float, str]]]:
    """Decode utterances on several threads.

    What is not described here is as for `ctc_beam_search_decoder`: `probs_seq` is [batch, time, n_labels + 1],
    `seq_lengths` [batch] has the frames of each utterance, `num_processes` is the number of threads.

    Returns:
        A list as that of `ctc_beam_search_decoder` for each utterance.
    """
    settings = _settings(alphabet, beam_size, cutoff_prob, cutoff_top_n, scorer, hot_words, look_ahead, oov_penalty)
    lengths = [_count("seq_lengths", length, least=0) for length in seq_lengths]
    batch = _decoder.decode_batch(
        settings,
        _frames(probs_seq, 3),
        lengths,
        _count("num_results", num_results),
        _count("num_processes", num_processes),
    )
    return [[(confidence, _text(text)) for confidence, text, _, _ in results] for results in batch]


class Stream:
    """Decodes an utterance while it arrives; arguments and errors as of `ctc_beam_search_decoder`."""

    def __init__(
        self,
        alphabet: Alphabet,
        beam_size: int,
        cutoff_prob: float = 1.0,
        cutoff_top_n: int = 40,
        scorer: Scorer | None = None,
        hot_words: Mapping[str | bytes, float] = {},
        *,
        look_ahead: bool = False,
        oov_penalty: float | None = None,
    ):
        self._settings = _settings(
            alphabet, beam_size, cutoff_prob, cutoff_top_n, scorer, hot_words, look_ahead, oov_penalty
        )
        self._search = _decoder.BeamSearch(self._settings)

    def feed(self, probs_seq: Any) -> None:
        """Take the next frames, [time, n_labels + 1]."""
        self._search.advance(_frames(probs_seq, 2))

    def decode(self, num_results: int = 1) -> list[DecodeResult]:
        """Return the best results so far, as if the utterance ended here; more frames may follow."""
        results = self._search.decode(self._settings, _count("num_results", num_results))
        return [DecodeResult(confidence, _text(text), tokens, times) for confidence, text, tokens, times in results]

    finish = decode


def _settings(
    alphabet: Alphabet,
    beam_size: int,
    cutoff_prob: float,
    cutoff_top_n: int,
    scorer: Scorer | None,
    hot_words: Mapping[str | bytes, float],
    look_ahead: bool,
    oov_penalty: float | None,
) -> Any:
    if scorer is not None and scorer.is_utf8_mode() != isinstance(alphabet, UTF8Alphabet):
        raise ValueError("The scorer and the alphabet disagree whether labels are UTF-8 bytes.")
    words = [(word.decode() if isinstance(word, bytes) else word, boost) for word, boost in hot_words.items()]
    return _decoder.Settings(
        alphabet._native,
        _count("beam_size", beam_size),
        cutoff_prob,
        _count("cutoff_top_n", cutoff_top_n),
        scorer and scorer._loaded(),
        scorer and scorer.weights(oov_penalty, look_ahead),
        words,
    )


def _frames(probabilities: Any, n_axes: int) -> Any:
    try:
        frames = np.ascontiguousarray(probabilities, np.float32)
    except (TypeError, ValueError) as error:
        raise ValueError(f"The probabilities are no array of numbers: {error}.") from None
    if frames.ndim != n_axes:
        axes = ["batch", "time", "n_labels + 1"][-n_axes:]
        raise ValueError(f"The probabilities have the shape {frames.shape}; expected [{', '.join(axes)}].")
    return frames


def _count(name: str, value: Any, least: int = 1) -> int:
    count = int(value)
    if count != value or count < least:
        raise ValueError(f"{name} is {value}; expected a whole number of at least {least}.")
    return count


def _text(encoded: bytes) -> str:
    return encoded.decode("utf-8", errors="replace")
