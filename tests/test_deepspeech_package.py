"""The package deepspeech: what it hears, the interface of 0.9.3, and what becomes of mistakes."""

from __future__ import annotations

import array
import gc
import inspect
import itertools
import json
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from conftest import BIDIRECTIONAL, ROOT, SPOKEN, STREAMING, speak

from util.text import Alphabet

pytestmark = pytest.mark.usefixtures("native")
ds = pytest.importorskip("deepspeech", reason="the package is not built: pip install ./native_client/python")

SENTENCE = SPOKEN[0]
AUDIO = speak(SENTENCE)
LETTER = 0.08  # s; the lengths of what `speak` says


@pytest.fixture
def loaded(model: Path) -> Any:
    return ds.Model(str(model))


@pytest.fixture(params=[STREAMING, BIDIRECTIONAL])
def either(request: pytest.FixtureRequest, export: Callable[..., Path]) -> Any:
    return ds.Model(export(request.param))


@pytest.fixture(scope="module")
def scorer(make_scorer: Callable[..., str]) -> str:
    labels = [" ", *"abcdefghijklmnopqrstuvwxyz'"]
    return make_scorer("\n".join(SPOKEN), Alphabet(labels))


# ------------------------------------------------------------------------------------------ what it hears


@pytest.mark.parametrize("text", SPOKEN)
def test_what_was_learnt_is_heard(either: Any, text: str):
    assert either.stt(speak(text)) == text
    assert either.stt(audio_buffer=speak(text).tolist()) == text


def test_tokens_and_words_are_where_they_were_spoken(loaded: Any):
    metadata = loaded.sttWithMetadata(AUDIO, num_results=3)
    best = metadata.transcripts[0]
    assert 1 < len(metadata.transcripts) <= 3
    assert [t.confidence for t in metadata.transcripts] == sorted(t.confidence for t in metadata.transcripts)[::-1]
    assert "".join(token.text for token in best.tokens) == best.text == SENTENCE
    for place, token in enumerate(best.tokens):
        assert token.start_time == pytest.approx(0.02 * token.timestep)
        assert abs(token.start_time - place * LETTER) < 3 * LETTER
    assert [word.text for word in best.words] == SENTENCE.split()
    begin = 0
    for word in best.words:
        assert word.start_time == pytest.approx(begin * LETTER, abs=3 * LETTER)
        assert word.end_time == pytest.approx((begin + len(word.text)) * LETTER, abs=3 * LETTER)
        assert 0.5 < word.confidence <= 1
        begin += len(word.text) + 1
    assert all(a.end_time <= b.start_time for a, b in itertools.pairwise(best.words))


def test_greedy_reading_of_the_probabilities_is_the_text(either: Any):
    """The definition of CTC: the best label of every frame, repetitions merged, blanks dropped."""
    output = either.probabilities(AUDIO)
    labels = either.info()["labels"]
    assert output.dtype == np.float32
    assert output.shape[1] == len(labels) + 1
    np.testing.assert_allclose(output.sum(1), 1, atol=1e-5)
    read = [label for label, _ in itertools.groupby(output.argmax(1)) if label < len(labels)]
    assert "".join(labels[label] for label in read) == SENTENCE


def test_a_batch_says_what_each_says_alone(either: Any):
    recordings = [speak(text) for text in SPOKEN] + [AUDIO[:0]]
    batch = either.sttBatch(recordings, num_results=2)
    assert [found.transcripts[0].text for found in batch[:-1]] == list(SPOKEN)
    for recording, found in zip(recordings, batch, strict=True):
        alone = either.sttWithMetadata(recording, 2)
        assert [t.tokens for t in found.transcripts] == [t.tokens for t in alone.transcripts]
    assert either.sttBatch([]) == []


def test_tokens_of_a_model_of_bytes_are_bytes(export: Callable[..., Path]):
    text = "bäd öl"
    loaded = ds.Model(export("--bytes_output_mode", (text, text)))
    assert loaded.info()["bytes_output_mode"]
    best = loaded.sttWithMetadata(speak(text)).transcripts[0]
    written = [token.text.encode("utf-8", "surrogateescape") for token in best.tokens]
    assert written == [bytes([byte]) for byte in text.encode()]
    assert best.text == text
    assert [word.text for word in best.words] == text.split()


@pytest.mark.parametrize("size", [1000, 320, 4001, 10**6])
def test_a_stream_says_what_the_whole_says(either: Any, size: int):
    whole = either.sttWithMetadata(AUDIO).transcripts[0]
    stream = either.createStream()
    for begin in range(0, len(AUDIO), size):
        stream.feedAudioContent(AUDIO[begin : begin + size])
    found = stream.finishStreamWithMetadata().transcripts[0]
    assert found.tokens == whole.tokens
    assert found.confidence == pytest.approx(whole.confidence, abs=1e-3)


def test_a_stream_tells_what_it_has_so_far(loaded: Any):
    with loaded.createStream() as stream:
        assert stream.intermediateDecode() == ""
        texts = []
        for begin in range(0, len(AUDIO), 1600):
            stream.feedAudioContent(AUDIO[begin : begin + 1600])
            texts.append(stream.intermediateDecode())
        assert texts == sorted(texts, key=len)
        assert SENTENCE.startswith(texts[len(texts) // 2])
        assert len(texts[-1]) < len(SENTENCE), "the end still waits for more audio"
        assert stream.intermediateDecodeFlushBuffers() == SENTENCE
        assert stream.intermediateDecodeWithMetadataFlushBuffers(num_results=2).transcripts[0].text == SENTENCE
        assert stream.intermediateDecode() == texts[-1], "flushing changed the stream"
        assert stream.finishStream() == SENTENCE


def test_streams_keep_their_model(model: Path):
    loaded = ds.Model(model)
    stream = loaded.createStream()
    loaded.freeModel()
    del loaded
    gc.collect()
    stream.feedAudioContent(AUDIO)
    assert stream.finishStream() == SENTENCE


def test_streams_of_one_model_are_fed_from_threads(either: Any):
    found: dict[str, set[str]] = {text: set() for text in SPOKEN}

    def listen(text: str) -> None:
        audio = speak(text)
        for _ in range(5):
            stream = either.createStream()
            for begin in range(0, len(audio), 700):
                stream.feedAudioContent(audio[begin : begin + 700])
            found[text].add(stream.finishStream())

    threads = [threading.Thread(target=listen, args=[text]) for text in SPOKEN for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == {text: {text} for text in SPOKEN}


def test_a_model_comes_from_bytes(model: Path):
    for data in (model.read_bytes(), bytearray(model.read_bytes()), memoryview(model.read_bytes())):
        assert ds.Model.fromBytes(data).stt(AUDIO) == SENTENCE
    with pytest.raises(RuntimeError, match=r"CreateModelFromBuffer failed with '.+' \(0x2003\)"):
        ds.Model.fromBytes(b"no model at all" * 100)


def test_threads_change_nothing(either: Any):
    alone = either.sttWithMetadata(AUDIO).transcripts[0]
    assert either.setThreads(threads=2) == 0
    assert either.threads() == 2
    assert either.sttWithMetadata(AUDIO).transcripts[0].tokens == alone.tokens


# ------------------------------------------------------------------------------------------ settings


def test_a_scorer_allows_its_words_only(loaded: Any, make_scorer: Callable[..., str]):
    other = make_scorer("a cab", Alphabet([" ", *"abcdefghijklmnopqrstuvwxyz'"]))
    loaded.enableExternalScorer(scorer_path=other)
    assert set(loaded.stt(AUDIO).split()) <= {"a", "cab"}
    assert loaded.setScorerAlphaBeta(alpha=0.5, beta=1.0) == 0
    assert loaded.disableExternalScorer() == 0
    assert loaded.stt(AUDIO) == SENTENCE


def test_the_weights_of_a_scorer_are_told(loaded: Any, scorer: str):
    with pytest.raises(RuntimeError, match="0x2004"):
        loaded.scorerAlphaBeta()
    loaded.enableExternalScorer(scorer)
    decoder = pytest.importorskip("ds_ctcdecoder")
    labels = decoder.Alphabet.from_labels([" ", *"abcdefghijklmnopqrstuvwxyz'"])
    own = decoder.Scorer(None, None, scorer, labels)
    assert loaded.scorerAlphaBeta() == (own.alpha, own.beta)
    loaded.setScorerAlphaBeta(0.5, -1.5)
    assert loaded.scorerAlphaBeta() == (0.5, -1.5)


def test_without_a_scorer_its_settings_have_a_status(loaded: Any):
    assert loaded.disableExternalScorer() == 0x2004
    assert loaded.setScorerAlphaBeta(0.5, 1.0) == 0x2004


def test_a_scorer_that_cannot_be_used_leaves_the_former(loaded: Any, scorer: str, tmp_path: Path):
    loaded.enableExternalScorer(scorer)
    (tmp_path / "bad.scorer").write_bytes(b"no scorer" * 100)
    with pytest.raises(RuntimeError, match=r"EnableExternalScorer failed with '.*bad.scorer"):
        loaded.enableExternalScorer(tmp_path / "bad.scorer")
    assert loaded.disableExternalScorer() == 0


def test_hot_words(loaded: Any):
    plain = loaded.sttWithMetadata(AUDIO).transcripts[0]
    loaded.addHotWord(word="cab", boost=3)
    hot = loaded.sttWithMetadata(AUDIO).transcripts[0]
    assert hot.text == SENTENCE
    assert hot.confidence == pytest.approx(plain.confidence + 3, abs=0.1), "in nats, without a scorer"
    with pytest.raises(RuntimeError, match=r"AddHotWord failed with '.*cab.*' \(0x3008\)") as caught:
        loaded.addHotWord("cab", 1)
    assert caught.value.code == 0x3008
    loaded.eraseHotWord(word="cab")
    with pytest.raises(RuntimeError, match=r"EraseHotWord failed with .*0x3010"):
        loaded.eraseHotWord("cab")
    loaded.addHotWord("cab", 3)
    loaded.clearHotWords()
    assert loaded.sttWithMetadata(AUDIO).transcripts[0].confidence == pytest.approx(plain.confidence)


def test_beam_width(loaded: Any):
    assert loaded.setBeamWidth(beam_width=7) == 0
    assert loaded.beamWidth() == 7
    with pytest.raises(RuntimeError, match="SetModelBeamWidth failed with"):
        loaded.setBeamWidth(0)
    assert loaded.beamWidth() == 7


# ------------------------------------------------------------------------------------------ the interface of 0.9.3

CALLS = {
    "Model": ["model_path"],
    "Model.beamWidth": [],
    "Model.setBeamWidth": ["beam_width"],
    "Model.sampleRate": [],
    "Model.enableExternalScorer": ["scorer_path"],
    "Model.disableExternalScorer": [],
    "Model.addHotWord": ["word", "boost"],
    "Model.eraseHotWord": ["word"],
    "Model.clearHotWords": [],
    "Model.setScorerAlphaBeta": ["alpha", "beta"],
    "Model.stt": ["audio_buffer"],
    "Model.sttWithMetadata": ["audio_buffer", "num_results=1"],
    "Model.createStream": [],
    "Stream.feedAudioContent": ["audio_buffer"],
    "Stream.intermediateDecode": [],
    "Stream.intermediateDecodeWithMetadata": ["num_results=1"],
    "Stream.finishStream": [],
    "Stream.finishStreamWithMetadata": ["num_results=1"],
    "Stream.freeStream": [],
    "version": [],
}


@pytest.mark.parametrize("name", CALLS)
def test_arguments_have_the_names_places_and_defaults_of_093(name: str):
    function: Any = ds
    for part in name.split("."):
        function = getattr(function, part)
    parameters = list(inspect.signature(function).parameters.values())
    found = [p.name if p.default is p.empty else f"{p.name}={p.default}" for p in parameters if p.name != "self"]
    assert found == CALLS[name]
    assert all(p.kind is p.POSITIONAL_OR_KEYWORD for p in parameters)


def test_metadata_is_written_as_093_writes_it():
    tokens = [ds.TokenMetadata("h", 3, 0.06), ds.TokenMetadata("i", 5, 0.1)]
    metadata = ds.Metadata([ds.CandidateTranscript(tokens, -1.5, [], "hi"), ds.CandidateTranscript([], -2.0, [], "")])
    assert repr(metadata) == "\n".join(
        [
            "Metadata(transcripts=[",
            "  CandidateTranscript(confidence=-1.5, tokens=[",
            "    TokenMetadata(text='h', timestep=3, start_time=0.06),",
            "    TokenMetadata(text='i', timestep=5, start_time=0.1)",
            "  ]),",
            "  CandidateTranscript(confidence=-2.0, tokens=[",
            "    ",
            "  ])",
            "])",
        ]
    )
    with pytest.raises(AttributeError):
        tokens[0].text = "x"


def test_a_program_written_for_093_finds_what_it_found_there(model: Path, tmp_path: Path):
    soundfile.write(tmp_path / "a.wav", AUDIO, 16000)
    program = ROOT / "tests" / "golden" / "client_093.py"
    command = [sys.executable, program, model, tmp_path / "a.wav"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found.pop("heard")["text"] == SENTENCE
    assert found == json.loads(program.with_suffix(".json").read_text())


# ------------------------------------------------------------------------------------------ mistakes

ARRAYS = {
    "contiguous": AUDIO,
    "every second": np.repeat(AUDIO, 2)[::2],
    "big endian": AUDIO.astype(">i2"),
    "read only": np.frombuffer(AUDIO.tobytes(), np.int16),
    "array": array.array("h", AUDIO.tobytes()),
    "memoryview": memoryview(AUDIO),
    "list": AUDIO.tolist(),
    "tuple": tuple(AUDIO.tolist()),
}


@pytest.mark.parametrize("kind", ARRAYS)
def test_audio_of_16_bits_is_taken(loaded: Any, kind: str):
    assert loaded.stt(ARRAYS[kind]) == SENTENCE


@pytest.mark.parametrize(
    ("audio", "told"),
    [
        (AUDIO / 32768, "is float64 [samples]; expected int16 [samples]: convert samples of -1 to 1 with"),
        ((AUDIO >> 8).astype(np.int8), "is int8 [samples]; expected int16 [samples]: read the file with 16 bits"),
        ((AUDIO >> 8).astype(np.uint8), "is uint8"),
        (AUDIO.astype(np.int32), "is int32 [samples]; expected int16 [samples]: scale the samples"),
        (AUDIO > 0, "is bool"),
        (AUDIO.reshape(1, -1), f"is of the shape [1, {len(AUDIO)}]; expected int16 [samples]: give one channel"),
        (AUDIO.tobytes(), "is a bytes object; expected int16 [samples]: read raw PCM with numpy.frombuffer("),
        (bytearray(AUDIO.tobytes()), "is a bytearray object"),
        ("a.wav", "is a str object"),
        (None, "is a NoneType object"),
        ([0, 40000], "is numbers beyond 16 bits; expected int16 [samples]: scale them to -32768 to 32767"),
        ([0.5, -0.5], "is float64"),
        ([[1, 2], [3]], "is no array"),
        (3, "is of the shape []"),
    ],
)
def test_other_audio_is_told_what_to_do(loaded: Any, audio: Any, told: str):
    stream = loaded.createStream()
    for call in (loaded.stt, loaded.sttWithMetadata, loaded.probabilities, stream.feedAudioContent):
        with pytest.raises(TypeError) as caught:
            call(audio)
        assert told in str(caught.value)
    stream.feedAudioContent(AUDIO)
    assert stream.finishStream() == SENTENCE, "a mistake leaves the stream as it was"


@pytest.mark.parametrize(
    ("path", "error", "told"),
    [
        ("/no/model.tflite", RuntimeError, "CreateModel failed with '.*/no/model.tflite.*' \\(0x3000\\)"),
        ("", RuntimeError, "CreateModel failed with '.*' \\(0x1000\\)"),
        (__file__, RuntimeError, "CreateModel failed with '.*' \\(0x2003\\)"),
        (None, TypeError, "NoneType"),
        (b"model.tflite", TypeError, "expected a str or a pathlib.Path"),
    ],
)
def test_a_model_that_cannot_be_loaded(path: Any, error: type[Exception], told: str):
    with pytest.raises(error, match=told):
        ds.Model(path)


@pytest.mark.parametrize("end", ["finishStream", "finishStreamWithMetadata", "freeStream", "__exit__"])
def test_an_ended_stream_refuses_everything(loaded: Any, end: str):
    stream = loaded.createStream()
    stream.feedAudioContent(AUDIO[:8000])
    getattr(stream, end)()
    calls = {
        "feed": lambda: stream.feedAudioContent(AUDIO),
        "decode": stream.intermediateDecode,
        "finish": stream.finishStream,
        "free": stream.freeStream,
    }
    calls_too = [
        ("decode", stream.intermediateDecodeWithMetadata),
        ("decode", stream.intermediateDecodeFlushBuffers),
        ("finish", stream.finishStreamWithMetadata),
    ]
    for verb, call in [*calls.items(), *calls_too]:
        message = f"Stream object is not valid. Trying to {verb} an already finished stream?"
        with pytest.raises(RuntimeError, match=message.replace("?", "\\?")):
            call()


def test_a_freed_model_refuses_everything(model: Path):
    with ds.Model(model) as loaded:
        assert loaded.sampleRate() == 16000
    calls = loaded.sampleRate, loaded.beamWidth, loaded.createStream, loaded.clearHotWords, lambda: loaded.stt(AUDIO)
    for call in calls:
        with pytest.raises(RuntimeError, match="Model object is not valid"):
            call()


@pytest.mark.parametrize(("value", "error"), [(-1, OverflowError), (2**32, OverflowError), (1.5, TypeError)])
def test_numbers_that_count_nothing(loaded: Any, value: Any, error: type[Exception]):
    stream = loaded.createStream()
    calls = [
        loaded.setBeamWidth,
        loaded.setThreads,
        lambda n: loaded.sttWithMetadata(AUDIO, n),
        lambda n: loaded.sttBatch([AUDIO], n),
        stream.intermediateDecodeWithMetadata,
        stream.finishStreamWithMetadata,
    ]
    for call in calls:
        with pytest.raises(error):
            call(value)
    stream.feedAudioContent(AUDIO)
    assert stream.finishStream() == SENTENCE


def test_weights_have_to_be_numbers(loaded: Any):
    with pytest.raises(TypeError, match="alpha is '1'"):
        loaded.setScorerAlphaBeta("1", 1)
    with pytest.raises(TypeError, match="boost is None"):
        loaded.addHotWord("cab", None)
