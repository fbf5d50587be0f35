"""The package ds_ctcdecoder against the definition: every path through the frames enumerated, every text scored."""

from __future__ import annotations

import itertools
import math
import re
import threading
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from util.text import Alphabet, ByteAlphabet

pytestmark = pytest.mark.usefixtures("native")

WIDE = 100_000  # no text of so few frames falls out of such a beam
LABELS = ["a", "b", " "]
TEXT = "ab ba\nba ab ab\nab\nabb ba\nba"
Texts = dict[str, float]


@pytest.fixture(scope="module")
def ds() -> Any:
    return pytest.importorskip("ds_ctcdecoder", reason="see the fixture `native`")


@pytest.fixture(scope="module")
def words(ds: Any, make_scorer: Callable[..., str]) -> Any:
    """A scorer of the words ab, ba and abb, order 2."""
    path = make_scorer(TEXT, Alphabet(LABELS))
    return lambda alpha, beta: ds.Scorer(alpha, beta, path, ds.Alphabet.from_labels(LABELS))


def random_frames(time: int, n: int, seed: int) -> NDArray[np.float32]:
    logits = np.random.default_rng(seed).normal(0, 1.5, [time, n])
    exponents = np.exp(logits)
    return (exponents / exponents.sum(1, keepdims=True)).astype(np.float32)


def texts_of(frames: NDArray[np.float32], labels: list[Any]) -> dict[tuple[Any, ...], float]:
    """Return ln P of every text, the sum over all paths that collapse to it (Graves et al. 2006, eq. 3)."""
    possible = [np.flatnonzero(frame) for frame in frames]
    sums: dict[tuple[Any, ...], float] = {}
    for path in itertools.product(*possible):
        text = tuple(labels[label] for label, _ in itertools.groupby(path) if label < len(labels))
        probability = math.prod(float(frame[label]) for frame, label in zip(frames, path, strict=True))
        sums[text] = sums.get(text, 0.0) + probability
    return {text: math.log(total) for text, total in sums.items()}


def spoken(frames: NDArray[np.float32]) -> Texts:
    return {"".join(text): score for text, score in texts_of(frames, LABELS).items()}


def found_in(ds: Any, frames: NDArray[np.float32], alphabet: Any = None, **options: Any) -> Texts:
    alphabet = alphabet or ds.Alphabet.from_labels(LABELS)
    results = ds.ctc_beam_search_decoder(frames, alphabet, WIDE, num_results=WIDE, **options)
    assert [confidence for confidence, _ in results] == sorted((c for c, _ in results), reverse=True)
    return {text: confidence for confidence, text in results}


def language_score(scorer: Any, text: str) -> float:
    """What the words of a text are worth; those before the last space, and the last if it is one."""
    history: list[str] = []
    total = 0.0
    for word in text.split():
        history.append(word)
        window = history[-scorer.get_max_order() :]
        begins = len(window) < scorer.get_max_order()
        total += scorer.alpha * scorer.get_log_cond_prob(window, bos=begins) + scorer.beta
    return total


def is_spaced_well(text: str) -> bool:
    return not text.startswith(" ") and "  " not in text


def compare(found: Texts, expected: Texts, tolerance: float = 1e-4) -> None:
    assert found.keys() == expected.keys()
    assert len(expected) > 10, "or this would prove nothing"
    for text, score in expected.items():
        assert found[text] == pytest.approx(score, abs=tolerance), text


SEEDS = range(5)


@pytest.mark.parametrize("seed", SEEDS)
def test_without_a_scorer_confidence_is_the_probability(ds, seed):
    frames = random_frames(6, 4, seed)
    compare(found_in(ds, frames), spoken(frames))


@pytest.mark.parametrize("look_ahead", [False, True])
@pytest.mark.parametrize("seed", SEEDS)
def test_a_scorer_weighs_words_of_its_dictionary(ds, words, seed, look_ahead):
    frames = random_frames(7, 4, seed)
    scorer = words(0.7, 1.3)
    expected = {}
    for text, score in spoken(frames).items():
        *done, last = text.split(" ")
        if (
            is_spaced_well(text)
            and all(word in {"ab", "ba", "abb"} for word in done)
            and last in {"", "ab", "ba", "abb"}
        ):
            expected[text] = score + language_score(scorer, text)
    found = found_in(ds, frames, scorer=scorer, look_ahead=look_ahead)
    unfinished = {text: found.pop(text) for text in list(found) if text not in expected}
    compare(found, expected)
    assert unfinished, "prefixes that end within a word are in the list, at the price 0.9.3 puts on them"
    for text, confidence in unfinished.items():
        assert confidence == pytest.approx(
            spoken(frames)[text] + language_score(scorer, text.rpartition(" ")[0]) - 1000 * 0.7 + 1.3, abs=1e-3
        )


@pytest.mark.parametrize("look_ahead", [False, True])
@pytest.mark.parametrize("seed", SEEDS)
def test_words_outside_the_dictionary_cost_the_penalty(ds, words, seed, look_ahead):
    """With alpha 0 nothing counts but beta and the penalty."""
    frames = random_frames(6, 4, seed)
    expected = {
        text: score + sum(0.5 if word in {"ab", "ba", "abb"} else 0.5 - 2.5 for word in text.split())
        for text, score in spoken(frames).items()
        if is_spaced_well(text)
    }
    compare(found_in(ds, frames, scorer=words(0, 0.5), oov_penalty=2.5, look_ahead=look_ahead), expected)


def test_an_unknown_word_counts_with_the_model_too(ds, words):
    """Another alpha changes the score of "bb" by as much as one ln P, whatever that is, and again by the same."""
    frames = random_frames(4, 4, 1)
    scores = [found_in(ds, frames, scorer=words(alpha, 0), oov_penalty=1)["bb"] for alpha in (0, 1, 2)]
    assert scores[1] < scores[0] - 0.5
    assert scores[2] - scores[1] == pytest.approx(scores[1] - scores[0], abs=1e-4)


def occurrences(phrase: str, text: str) -> int:
    return len(re.findall(rf"(?<![^ ])(?={re.escape(phrase)}(?![^ ]))", text))


HOT = {"ab": 1.25, "b a": 2.0, "ba": -1.5, "ab ab": 0.75}


@pytest.mark.parametrize("seed", SEEDS)
def test_hot_words_count_once_for_each_occurrence(ds, seed):
    frames = random_frames(7, 4, seed)
    expected = {
        text: score + sum(boost * occurrences(phrase, text) for phrase, boost in HOT.items())
        for text, score in spoken(frames).items()
    }
    compare(found_in(ds, frames, hot_words=HOT), expected)


@pytest.mark.parametrize("look_ahead", [False, True])
def test_hot_words_with_a_scorer_weigh_as_the_words_do(ds, words, look_ahead):
    frames = random_frames(7, 4, 3)
    plain = found_in(ds, frames, scorer=words(0.5, 1))
    hot = found_in(ds, frames, scorer=words(0.5, 1), hot_words={"ab": 3.0, b"ba ab": 2.0}, look_ahead=look_ahead)
    expected = {
        text: score + 0.5 * (3 * occurrences("ab", text) + 2 * occurrences("ba ab", text))
        for text, score in plain.items()
    }
    compare(hot, expected, 1e-3)


def test_hot_words_may_be_outside_the_dictionary(ds, words):
    frames = random_frames(6, 4, 4)
    alphabet = {"scorer": words(0.5, 1)}
    assert "bb" not in found_in(ds, frames, **alphabet)
    cool, hot = (found_in(ds, frames, **alphabet, hot_words={"bb": boost}) for boost in (1.0, 3.0))
    assert hot["bb"] - cool["bb"] == pytest.approx(0.5 * 2)
    assert hot["ab bb"] - cool["ab bb"] == pytest.approx(0.5 * 2)
    assert hot["ab"] == pytest.approx(cool["ab"])
    assert not any(re.search(r"\b(bbb|bba)\b", text) for text in hot)


def byte_frames(characters: str, seed: int) -> NDArray[np.float32]:
    """Frames in which only the bytes of some characters, and the blank, have a probability."""
    labels = sorted({label for character in characters for label in ByteAlphabet().encode(character)})
    frames = np.zeros([6, 256], np.float32)
    frames[:, [*labels, 255]] = random_frames(6, len(labels) + 1, seed)
    return frames


@pytest.mark.parametrize("look_ahead", [False, True])
@pytest.mark.parametrize("seed", SEEDS)
def test_in_bytes_mode_characters_are_the_units(ds, make_scorer, seed, look_ahead):
    alphabet = ds.UTF8Alphabet()
    scorer = ds.Scorer(0.6, 0.9, make_scorer("ж ю ж\nю\nж ж", None), alphabet)
    frames = byte_frames("жю", seed)
    expected = {}
    for labels, score in texts_of(frames, list(range(255))).items():
        data = bytes(label + 1 for label in labels)
        try:
            text = data.decode()
        except UnicodeDecodeError:
            continue
        if set(text) <= set("жю"):  # other combinations of their bytes are characters too, unknown ones
            expected[text] = score + language_score(scorer, " ".join(text))
    found = found_in(ds, frames, alphabet, scorer=scorer, look_ahead=look_ahead)
    found = {text: score for text, score in found.items() if "\ufffd" not in text}
    compare(found, expected)


@pytest.mark.parametrize("seed", SEEDS)
def test_in_bytes_mode_hot_words_are_anywhere(ds, seed):
    frames = byte_frames("ж", seed)
    plain = found_in(ds, frames, ds.UTF8Alphabet())
    hot = found_in(ds, frames, ds.UTF8Alphabet(), hot_words={"ж": 1.5, "жж": 0.25})
    whole = [text for text in plain if "\ufffd" not in text]
    assert {"", "ж", "жж"} <= set(whole)
    for text in whole:
        boost = 1.5 * text.count("ж") + 0.25 * max(0, text.count("ж") - 1)
        assert hot[text] == pytest.approx(plain[text] + boost, abs=1e-4)


# ------------------------------------------------------------------------------------------ streams


def pieces(frames: NDArray[np.float32], seed: int) -> Iterator[NDArray[np.float32]]:
    random = np.random.default_rng(seed)
    at = 0
    while at < len(frames):
        size = int(random.integers(1, 40))
        yield frames[at : at + size]
        at += size


def test_a_stream_in_pieces_gives_what_the_whole_gives(ds, words):
    """Long enough that the beginning has left the tree, and with everything asked for on the way."""
    frames = np.concatenate([random_frames(1, 4, seed) for seed in range(3000)])
    alphabet = ds.Alphabet.from_labels(LABELS)
    for options in ({}, {"scorer": words(0.7, 1.3), "look_ahead": True, "hot_words": HOT}):
        whole = ds.Stream(alphabet, 20, **options)
        whole.feed(frames)
        stream = ds.Stream(alphabet, 20, **options)
        for piece in pieces(frames, 7):
            stream.feed(piece)
            now = stream.decode()[0]
            assert len(now.tokens) == len(now.timesteps)
        assert stream.finish(5) == whole.finish(5)
        best = whole.finish()[0]
        assert best.transcript == "".join(LABELS[token] for token in best.tokens)
        assert len(best.tokens) > 500
        assert best.timesteps == sorted(best.timesteps)


def test_timesteps_are_the_frames_of_the_labels(ds):
    frames = np.full([9, 4], 0.001, np.float32)
    for frame, label in enumerate([3, 0, 0, 3, 1, 3, 1, 2, 3]):
        frames[frame, label] = 0.997
    stream = ds.Stream(ds.Alphabet.from_labels(LABELS), 10)
    stream.feed(frames)
    assert stream.finish()[0][1:] == ("abb ", [0, 1, 1, 2], [1, 4, 6, 7])


def test_nothing_heard_is_an_empty_text(ds, words):
    alphabet = ds.Alphabet.from_labels(LABELS)
    for options in ({}, {"scorer": words(1, 1)}):
        assert ds.Stream(alphabet, 10, **options).finish(3) == [(0.0, "", [], [])]
        silence = np.array([[0, 0, 0, 1]] * 20, np.float32)
        assert ds.ctc_beam_search_decoder(silence, alphabet, 10, **options)[0] == (0.0, "")


def test_impossible_frames_do_not_end_the_search(ds, words):
    """Probabilities of exactly 0 and 1 that no word of the dictionary fits."""
    frames = np.zeros([200, 4], np.float32)
    frames[range(200), np.arange(200) % 3] = 1
    (result,) = ds.ctc_beam_search_decoder(frames, ds.Alphabet.from_labels(LABELS), 50, scorer=words(1, 1))
    assert math.isfinite(result[0])


def test_batches_on_threads_give_what_utterances_give(ds, words):
    alphabet, scorer = ds.Alphabet.from_labels(LABELS), words(0.7, 1.3)
    lengths = [30, 0, 17, 25, 1, 30, 8]
    frames = np.stack([random_frames(30, 4, seed) for seed in range(len(lengths))])
    alone = [
        ds.ctc_beam_search_decoder(utterance[:length], alphabet, 30, scorer=scorer, num_results=4)
        for utterance, length in zip(frames, lengths, strict=True)
    ]
    for threads in (1, 2, 16):
        found = ds.ctc_beam_search_decoder_batch(frames, lengths, alphabet, 30, threads, scorer=scorer, num_results=4)
        assert found == alone


def test_streams_of_one_scorer_on_threads(ds, words):
    alphabet, scorer = ds.Alphabet.from_labels(LABELS), words(0.7, 1.3)
    frames = [random_frames(400, 4, seed) for seed in range(4)]
    expected = [ds.ctc_beam_search_decoder(utterance, alphabet, 50, scorer=scorer) for utterance in frames]
    found: dict[int, Any] = {}

    def decode(place: int) -> None:
        found[place] = ds.ctc_beam_search_decoder(frames[place], alphabet, 50, scorer=scorer)

    threads = [threading.Thread(target=decode, args=[place]) for place in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [found[place] for place in range(4)] == expected


def test_an_alphabet_of_thousands(ds):
    labels = [chr(0x4E00 + i) for i in range(5000)]
    alphabet = ds.Alphabet.from_labels(labels)
    frames = np.full([40, 5001], 0.1 / 5001, np.float32)
    text = [4999, 7, 7, 71, 135]  # the last two share a bit of the children's mask with the one before
    for place, label in enumerate(text):
        frames[8 * place + 3, label] = frames[8 * place + 4, label] = 0.9
    frames[frames.max(1) < 0.5, 5000] = 0.9
    (result,) = ds.ctc_beam_search_decoder(frames, alphabet, 50)
    assert result[1] == "".join(labels[label] for label in text)


# ------------------------------------------------------------------------------------------- errors


WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "width": ({"beam_size": 0}, "beam_size is 0; expected a whole number of at least 1."),
    "half a width": ({"beam_size": 1.5}, "beam_size is 1.5"),
    "cutoff": ({"cutoff_prob": 0.0}, "cutoff_prob is 0.000000; expected more than 0 and at most 1."),
    "top": ({"cutoff_top_n": 0}, "cutoff_top_n is 0"),
    "results": ({"num_results": 0}, "num_results is 0"),
    "classes": ({"probs_seq": np.ones([2, 7]) / 7}, "of 7 classes, and the alphabet has 3 labels"),
    "axes": ({"probs_seq": np.ones(4) / 4}, "shape (4,); expected [time, n_labels + 1]."),
    "logits": ({"probs_seq": [[0.5, -3.0, 1.0, 2.0]]}, "class 1 in frame 0 is -3.000000; expected 0 to 1"),
    "nan": ({"probs_seq": [[0.1] * 4, [0.1, 0.1, 0.1, math.nan]]}, "class 3 in frame 1 is nan"),
    "words": ({"probs_seq": [["a", "b", "c", "d"]]}, "no array of numbers"),
    "hot letters": ({"hot_words": {"axe": 2}}, "'axe' has 'x', which the alphabet does not."),
    "hot spaces": ({"hot_words": {"a  b": 2}}, "has spaces to spare"),
    "hot number": ({"hot_words": {"a": math.inf}}, "boost of the hot word 'a' is inf"),
}


@pytest.mark.parametrize("what", WRONG)
def test_wrong_input_is_one_sentence(ds, what):
    changed, sentence = WRONG[what]
    arguments = {"probs_seq": random_frames(3, 4, 0), "alphabet": ds.Alphabet.from_labels(LABELS), "beam_size": 5}
    with pytest.raises(ValueError, match=re.escape(sentence)):
        ds.ctc_beam_search_decoder(**arguments | changed)


def test_wrong_batches_are_one_sentence(ds):
    frames, alphabet = random_frames(3, 4, 0)[np.newaxis], ds.Alphabet.from_labels(LABELS)
    for lengths, sentence in (([4], "length 4, and the batch has 3 frames"), ([3, 3], "2 lengths for 1 utterances")):
        with pytest.raises(ValueError, match=sentence):
            ds.ctc_beam_search_decoder_batch(frames, lengths, alphabet, 5, 1)


def test_wrong_weights_are_one_sentence(ds, words):
    alphabet = ds.Alphabet.from_labels(LABELS)
    wrong = (math.nan, 0, None), (-1, 0, None), (101, 0, None), (1, math.inf, None), (1, 1, -2), (1, 1, math.nan)
    for alpha, beta, penalty in wrong:
        with pytest.raises(ValueError, match=r"expected (a finite number|alpha from 0 to 100)"):
            ds.ctc_beam_search_decoder(
                random_frames(3, 4, 0), alphabet, 5, scorer=words(alpha, beta), oov_penalty=penalty
            )
    with pytest.raises(ValueError, match="The scorer is empty"):
        ds.ctc_beam_search_decoder(random_frames(3, 4, 0), alphabet, 5, scorer=ds.Scorer())
