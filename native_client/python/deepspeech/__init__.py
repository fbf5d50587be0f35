"""Speech to text with a model exported by DeepSpeech.py, under the names of deepspeech 0.9.3.

Programs written for 0.9.3 run as they are, and its models load. New: context managers, words with times and
confidence, `Model.sttBatch`, `Model.fromBytes`, `Model.setThreads`, `Model.info`, `Model.probabilities`, intermediate
results that count the audio still buffered, and errors that say what is wrong.

Audio is mono, int16 [samples], at the rate that `Model.sampleRate` tells. Models and streams may be used from several
threads at a time; the interpreter lock is free while they work.
"""

from __future__ import annotations

import operator
import os
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from numbers import Real
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from deepspeech import _engine
from deepspeech._engine import Error

__version__: str = _engine.__version__
__all__ = [
    "CandidateTranscript",
    "Error",
    "Metadata",
    "Model",
    "Stream",
    "TokenMetadata",
    "WordMetadata",
    "version",
]

_MOST = 2**32 - 1  # what an unsigned int of the C interface holds


def version() -> str:
    """Return the version of the package."""
    return __version__


@dataclass(frozen=True, repr=False)
class TokenMetadata:
    """A label that was heard.

    Attributes:
        text: a character; with a model of bytes one byte of UTF-8, as Python's `surrogateescape` writes it.
        timestep: number of the frame of its onset.
        start_time: the same in seconds.
    """

    text: str
    timestep: int
    start_time: float

    def __repr__(self) -> str:
        return f"TokenMetadata(text='{self.text}', timestep={self.timestep}, start_time={self.start_time})"


@dataclass(frozen=True)
class WordMetadata:
    """What stands between two spaces.

    Attributes:
        text: its characters.
        start_time: in seconds.
        end_time: in seconds.
        confidence: 0 to 1, geometric mean of the probabilities the network gave to its labels where each was clearest.
    """

    text: str
    start_time: float
    end_time: float
    confidence: float


@dataclass(frozen=True, repr=False)
class CandidateTranscript:
    """A transcript.

    Attributes:
        tokens: its labels, spaces too.
        confidence: natural logarithm of the score of the search, language model included; higher is better.
        words: its words.
        text: the whole.
    """

    tokens: list[TokenMetadata]
    confidence: float
    words: list[WordMetadata]
    text: str

    def __repr__(self) -> str:
        return f"CandidateTranscript(confidence={self.confidence}, tokens={_indent(self.tokens)})"


@dataclass(frozen=True, repr=False)
class Metadata:
    """The transcripts of a recording.

    Attributes:
        transcripts: best first; fewer than asked for where the search found fewer.
    """

    transcripts: list[CandidateTranscript]

    def __repr__(self) -> str:
        return f"Metadata(transcripts={_indent(self.transcripts)})"


class Model:
    """An acoustic model with its settings, which hold for what begins afterwards.

    A context manager that frees the model; streams that are open go on.

    Args:
        model_path: a .tflite, .pb or .pbmm file; the content decides which.

    Raises:
        RuntimeError: the file cannot be used. Here and in what follows it is an `Error`, whose attribute `code` is the
            number of the C interface.
    """

    def __init__(self, model_path: str | os.PathLike[str]):
        path = os.fspath(model_path)
        if not isinstance(path, str):
            raise TypeError(f"The model's path is {path!r}; expected a str or a pathlib.Path.")
        with _named("CreateModel"):
            self._native: _engine.Model | None = _engine.Model.load(path)

    @classmethod
    def fromBytes(cls, data: bytes | bytearray | memoryview) -> Model:
        """Return the model in the content of a file.

        Raises:
            RuntimeError: the content is not that of a model.
        """
        model = cls.__new__(cls)
        with _named("CreateModelFromBuffer"):
            model._native = _engine.Model.load_bytes(bytes(memoryview(data)))
        return model

    def __enter__(self) -> Model:
        return self

    def __exit__(self, *_: object) -> None:
        self.freeModel()

    def freeModel(self) -> None:
        """Let go of the memory, at the latest when the last stream ends. Nothing may be called afterwards."""
        self._native = None

    @property
    def _open(self) -> _engine.Model:
        if self._native is None:
            raise RuntimeError("Model object is not valid. Trying to use an already freed model?")
        return self._native

    def beamWidth(self) -> int:
        """Return how many prefixes the search follows at a time."""
        return int(self._open.beam_width)

    def setBeamWidth(self, beam_width: int) -> int:
        """Set how many prefixes the search follows at a time; return 0.

        Raises:
            RuntimeError: it is 0.
        """
        width = _count("beam_width", beam_width)
        with _named("SetModelBeamWidth"):
            self._open.beam_width = width
        return 0

    def sampleRate(self) -> int:
        """Return the rate of the audio, in Hz."""
        return int(self._open.sample_rate)

    def threads(self) -> int:
        """Return how many threads a stream or transcription works with."""
        return int(self._open.n_threads)

    def setThreads(self, threads: int) -> int:
        """Set how many threads a stream or transcription works with, 1 at first; return 0.

        Raises:
            RuntimeError: it is 0.
        """
        number = _count("threads", threads)
        with _named("SetModelThreads"):
            self._open.n_threads = number
        return 0

    def info(self) -> dict[str, Any]:
        """Return what the file says of itself, by name.

        `sample_rate` (Hz), `step_seconds` (length of a frame), `beam_width` (the present one), `labels` (list of str,
        the CTC blank not among them), `bytes_output_mode` (labels are the bytes of UTF-8), `language`,
        `graph_version`, `n_hidden`, `bidirectional`.
        """
        engine = self._open
        return {
            "sample_rate": engine.sample_rate,
            "step_seconds": engine.step_seconds,
            "beam_width": engine.beam_width,
            "labels": [_label(label) for label in engine.labels],
            "bytes_output_mode": engine.is_bytes,
            "language": _text(engine.language),
            "graph_version": engine.version,
            "n_hidden": engine.n_hidden,
            "bidirectional": not engine.can_stream,
        }

    def enableExternalScorer(self, scorer_path: str | os.PathLike[str]) -> None:
        """Search with a language model and its dictionary.

        Raises:
            RuntimeError: the file cannot be used; a scorer enabled before stays.
        """
        with _named("EnableExternalScorer"):
            self._open.enable_scorer(os.fsdecode(scorer_path))

    def disableExternalScorer(self) -> int:
        """Search without a scorer; return 0, or 0x2004 where none is enabled."""
        return _status(self._open.disable_scorer)

    def setScorerAlphaBeta(self, alpha: float, beta: float) -> int:
        """Set the weight of the language model and the worth of each word; return 0, or 0x2004 without a scorer."""
        weights = _number("alpha", alpha), _number("beta", beta)
        return _status(self._open.set_scorer_alpha_beta, *weights)

    def scorerAlphaBeta(self) -> tuple[float, float]:
        """Return the weights of the scorer: those of its file until they are set.

        Raises:
            RuntimeError: there is no scorer.
        """
        with _named("ScorerAlphaBeta"):
            alpha, beta = self._open.scorer_alpha_beta
        return alpha, beta

    def addHotWord(self, word: str, boost: float) -> None:
        """Listen for a word or phrase, with or without a scorer.

        Args:
            word: as the alphabet writes it.
            boost: in nats, weighted with alpha as the scorer's are; negative: less likely.

        Raises:
            RuntimeError: it is a hot word already, or the alphabet cannot write it.
        """
        with _named("AddHotWord"):
            self._open.add_hot_word(word, _number("boost", boost))

    def eraseHotWord(self, word: str) -> None:
        """Listen for a word no more.

        Raises:
            RuntimeError: it is no hot word.
        """
        with _named("EraseHotWord"):
            self._open.erase_hot_word(word)

    def clearHotWords(self) -> None:
        """Forget all hot words."""
        self._open.clear_hot_words()

    def stt(self, audio_buffer: ArrayLike) -> str:
        """Transcribe a recording.

        Args:
            audio_buffer: int16 [samples], see the module.

        Raises:
            TypeError: the audio is something else.
        """
        return _best(self._transcribe("SpeechToText", [audio_buffer], 1)[0])

    def sttWithMetadata(self, audio_buffer: ArrayLike, num_results: int = 1) -> Metadata:
        """Transcribe a recording, with times and alternatives.

        Args:
            audio_buffer: int16 [samples], see the module.
            num_results: most transcripts.

        Raises:
            TypeError: the audio is something else.
        """
        return self._transcribe("SpeechToTextWithMetadata", [audio_buffer], num_results)[0]

    def sttBatch(self, audio_buffers: Iterable[ArrayLike], num_results: int = 1) -> list[Metadata]:
        """Transcribe recordings together, which takes less time than one after the other.

        Args:
            audio_buffers: int16 [samples] each.
            num_results: most transcripts of each.

        Raises:
            TypeError: the audio is something else.
        """
        return self._transcribe("SpeechToTextBatch", audio_buffers, num_results)

    def probabilities(self, audio_buffer: ArrayLike) -> NDArray[np.float32]:
        """Return the network's output for a recording, float32 [frames, labels + 1], the CTC blank last.

        Args:
            audio_buffer: int16 [samples], see the module.
        """
        with _named("SpeechToText"):
            output: NDArray[np.float32] = self._open.probabilities(_samples(audio_buffer))
        return output

    def createStream(self) -> Stream:
        """Begin an utterance that arrives bit by bit.

        Raises:
            RuntimeError: the settings contradict each other.
        """
        with _named("CreateStream"):
            return Stream(self._open.create_stream())

    def _transcribe(self, function: str, recordings: Iterable[ArrayLike], num_results: int) -> list[Metadata]:
        batch = [_samples(recording) for recording in recordings]
        number = _count("num_results", num_results)
        with _named(function):
            return [_metadata(results) for results in self._open.transcribe(batch, number)]


class Stream:
    """An utterance that arrives bit by bit, made by `Model.createStream`; it keeps its model.

    A context manager that frees the stream. After it was finished or freed every method raises RuntimeError.
    """

    def __init__(self, native_stream: Any):
        self._native = native_stream
        self._lock = threading.Lock()

    def __enter__(self) -> Stream:
        return self

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._native = None

    def feedAudioContent(self, audio_buffer: ArrayLike) -> None:
        """Take the next samples, and recognise as much as they allow.

        Args:
            audio_buffer: int16 [samples], see the module.

        Raises:
            TypeError: the audio is something else.
        """
        with self._use("feed", "FeedAudioContent") as stream:
            stream.feed(_samples(audio_buffer))

    def intermediateDecode(self) -> str:
        """Return what has been recognised so far."""
        return _best(self.intermediateDecodeWithMetadata())

    def intermediateDecodeWithMetadata(self, num_results: int = 1) -> Metadata:
        """Return up to `num_results` transcripts of what has been recognised so far."""
        return self._decode(num_results, False)

    def intermediateDecodeFlushBuffers(self) -> str:
        """Return what is recognised when the audio that still waits for more to come counts too; the stream goes on."""
        return _best(self.intermediateDecodeWithMetadataFlushBuffers())

    def intermediateDecodeWithMetadataFlushBuffers(self, num_results: int = 1) -> Metadata:
        """Return up to `num_results` transcripts in which the audio that still waits counts too; the stream goes on."""
        return self._decode(num_results, True)

    def finishStream(self) -> str:
        """Return the transcript of the whole utterance and end the stream."""
        return _best(self.finishStreamWithMetadata())

    def finishStreamWithMetadata(self, num_results: int = 1) -> Metadata:
        """Return up to `num_results` transcripts of the whole utterance and end the stream."""
        number = _count("num_results", num_results)
        with self._use("finish", "FinishStream") as stream:
            self._native = None
            return _metadata(stream.finish(number))

    def freeStream(self) -> None:
        """End the stream without a transcript."""
        with self._use("free", "FreeStream"):
            self._native = None

    def _decode(self, num_results: int, flushes: bool) -> Metadata:
        number = _count("num_results", num_results)
        with self._use("decode", "IntermediateDecode") as stream:
            return _metadata(stream.decode(number, flushes))

    @contextmanager
    def _use(self, verb: str, function: str) -> Iterator[Any]:
        with self._lock, _named(function):
            if self._native is None:
                raise RuntimeError(
                    f"Stream object is not valid. Trying to {verb} an already finished stream? "
                    "Make a new one with Model.createStream()."
                )
            yield self._native


@contextmanager
def _named(function: str) -> Iterator[None]:
    """Give the engine's errors the form of 0.9.3."""
    try:
        yield
    except Error as error:
        named = Error(f"{function} failed with '{error}' (0x{error.code:X})")
        named.code = error.code
        raise named from None


def _status(set_: Callable[..., None], *values: float) -> int:
    try:
        set_(*values)
    except Error as error:
        return int(error.code)
    return 0


def _samples(audio: Any) -> NDArray[np.int16]:
    """Return audio as contiguous int16 [samples].

    Raises:
        TypeError: it is anything that would have to be guessed at.
    """
    if isinstance(audio, (bytes, bytearray, str)) or audio is None:
        raise _not_audio(f"a {type(audio).__name__} object", "read raw PCM with numpy.frombuffer(data, numpy.int16)")
    try:
        array = np.asarray(audio)
    except ValueError as error:
        raise _not_audio(f"no array ({error})", "give one number for each sample") from None
    if array.ndim != 1:
        raise _not_audio(f"of the shape {list(array.shape)}", "give one channel, as in audio[:, 0]")
    if array.dtype.kind == "i" and array.dtype.itemsize == 2:
        return np.ascontiguousarray(array, np.int16)
    if isinstance(audio, Sequence) and not isinstance(audio, memoryview):  # numbers without a type
        if array.size == 0:
            return np.zeros(0, np.int16)
        if array.dtype.kind in "iu":
            if array.min() < -32768 or array.max() > 32767:
                raise _not_audio("numbers beyond 16 bits", "scale them to -32768 to 32767")
            return array.astype(np.int16)
    raise _not_audio(f"{array.dtype.name} [samples]", _advice(array.dtype))


def _advice(dtype: np.dtype[Any]) -> str:
    if dtype.kind == "f":
        return "convert samples of -1 to 1 with (audio * 32767).astype(numpy.int16)"
    if dtype.kind in "iu" and dtype.itemsize == 1:
        return "read the file with 16 bits, as soundfile.read(path, dtype='int16') does"
    return "scale the samples to 16 bits and convert them with astype(numpy.int16)"


def _not_audio(found: str, advice: str) -> TypeError:
    return TypeError(f"The audio is {found}; expected int16 [samples]: {advice}.")


def _count(name: str, value: Any) -> int:
    number = operator.index(value)
    if not 0 <= number <= _MOST:
        raise OverflowError(f"{name} is {number}; expected 0 to {_MOST}.")
    return number


def _number(name: str, value: Any) -> float:
    if not isinstance(value, Real):
        raise TypeError(f"{name} is {value!r}; expected a number.")
    return float(value)


def _metadata(results: Sequence[Any]) -> Metadata:
    return Metadata([_candidate(result) for result in results])


def _candidate(result: Any) -> CandidateTranscript:
    tokens = [TokenMetadata(_label(text), step, start) for text, step, start in result.tokens]
    words = [WordMetadata(_text(text), *place) for text, *place in result.words]
    return CandidateTranscript(tokens, result.confidence, words, _text(result.text))


def _best(metadata: Metadata) -> str:
    return metadata.transcripts[0].text if metadata.transcripts else ""


def _text(encoded: bytes) -> str:
    return encoded.decode("utf-8", errors="replace")


def _label(encoded: bytes) -> str:
    return encoded.decode("utf-8", errors="surrogateescape")


def _indent(items: Iterable[object]) -> str:
    lines = ",\n".join(map(repr, items)).split("\n")
    return "[\n" + "\n".join(f"  {line}" for line in lines) + "\n]"
