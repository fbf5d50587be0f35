"""Greedy decoding and beam search against every path there is; scorers, hot words and files that do not fit."""

from __future__ import annotations

import itertools
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from util import tf
from util.corpus import Utterance
from util.decoding import (
    GROUP_PER_CORE,
    BeamDecoder,
    BeamSettings,
    GreedyDecoder,
    decode_each,
    missing_package,
    pad,
    parse_hot_words,
    read_probabilities,
    softmax,
    write_probabilities,
)
from util.errors import DataError, DecoderError, ScorerError, UsageError
from util.task import count_cores
from util.text import Alphabet, ByteAlphabet

LETTERS = Alphabet(["a", "b", "c", " "])
ANY = {
    "beam_width": 100,
    "cutoff_prob": 1.0,
    "cutoff_top_n": 300,
    "scorer_path": "",
    "lm_alpha": None,
    "lm_beta": None,
    "oov_penalty": None,
    "hot_words": "",
}

Scorer = Callable[..., str]


def settings(**changes: Any) -> BeamSettings:
    return BeamSettings.from_flags({**ANY, "other": "flags may be there", **changes})


def random_probabilities(time: int, labels: int, seed: int, peak: float = 1.0) -> NDArray[np.float32]:
    logits = np.random.default_rng(seed).normal(0, peak, [time, labels])
    exponents = np.exp(logits)
    return (exponents / exponents.sum(1, keepdims=True)).astype(np.float32)


def spell(text: str, alphabet: Alphabet = LETTERS, sure: float = 0.9) -> NDArray[np.float32]:
    """Return probabilities of which the best path says a text: a frame for each label, and a blank behind it."""
    n = len(alphabet) + 1
    path = [label for ch in alphabet.encode(text) for label in (ch, alphabet.blank)]
    rows = np.full([len(path), n], (1 - sure) / (n - 1), np.float32)
    rows[range(len(path)), path] = sure
    return rows


def collapse(path: tuple[int, ...], blank: int) -> tuple[int, ...]:
    return tuple(label for label, _ in itertools.groupby(path) if label != blank)


def sum_over_paths(probabilities: NDArray[np.float32]) -> dict[tuple[int, ...], float]:
    """Probability of every text: the sum over all paths that collapse to it (Graves et al. 2006, eq. 3)."""
    time, n = probabilities.shape
    texts: dict[tuple[int, ...], float] = {}
    for path in itertools.product(range(n), repeat=time):
        text = collapse(path, n - 1)
        texts[text] = texts.get(text, 0.0) + float(np.prod(probabilities[range(time), path]))
    return texts


def decode(decoder: Any, *rows: NDArray[np.float32]) -> list[str]:
    found: list[str] = decoder.decode(*pad(rows))
    return found


# ------------------------------------------------------------------------------------------- greedy


def test_the_greedy_decoder_takes_the_best_label_of_every_valid_frame():
    rows = [random_probabilities(time, 5, seed) for seed, time in enumerate([1, 9, 30])]
    for text, probabilities in zip(decode(GreedyDecoder(LETTERS), *rows), rows, strict=True):
        path = tuple(int(np.argmax(row)) for row in probabilities)
        assert text == "".join(LETTERS.labels[label] for label in collapse(path, 4))


def test_softmax_puts_the_utterance_first():
    logits = np.random.default_rng(0).normal(0, 3, [7, 2, 5]).astype(np.float32)
    found = softmax(tf.constant(logits)).numpy()
    assert found.shape == (2, 7, 5)
    for utterance, time in np.ndindex(2, 7):
        exponents = np.exp(logits[time, utterance].astype(np.float64))
        np.testing.assert_allclose(found[utterance, time], exponents / exponents.sum(), rtol=1e-5)


def test_padding():
    stack, lengths = pad([np.ones([2, 3], np.float32), np.ones([4, 3], np.float32)])
    assert stack.shape == (2, 4, 3)
    assert lengths.tolist() == [2, 4]
    assert stack.sum() == 18
    assert not stack[0, 2:].any()


def test_utterances_are_decoded_in_groups_whatever_comes_in():
    sizes: list[int] = []

    class Measuring:
        def decode(self, probabilities: NDArray[np.float32], feature_len: NDArray[np.int32]) -> list[str]:
            sizes.append(len(probabilities))
            return [str(length) for length in feature_len]

    outputs = [
        (("key", time), np.zeros([time, 3], np.float32)) for time in range(1, 4 * GROUP_PER_CORE * count_cores())
    ]
    found = list(decode_each(Measuring(), iter(outputs)))
    assert [(key, text) for key, _, text in found] == [(key, str(key[1])) for key, _ in outputs]
    assert all(rows is given for (_, rows, _), (_, given) in zip(found, outputs, strict=True))
    assert sizes == [GROUP_PER_CORE * count_cores()] * 3 + [GROUP_PER_CORE * count_cores() - 1]


# --------------------------------------------------------------------------------------- beam search


def test_beam_search_finds_the_text_that_is_likeliest_over_all_its_paths(native):
    alphabet = Alphabet(["a", "b", " "])
    decoder, greedy = BeamDecoder(alphabet, settings()), GreedyDecoder(alphabet)
    rows = [random_probabilities(6, 4, seed) for seed in range(40)]
    differs = 0
    for text, best_path, probabilities in zip(decode(decoder, *rows), decode(greedy, *rows), rows, strict=True):
        texts = sum_over_paths(probabilities)
        best = max(texts, key=lambda key: texts[key])
        assert text == "".join(alphabet.labels[label] for label in best)
        differs += text != best_path
    assert differs > 5, "or this would prove nothing"


def test_bytes_make_text(native):
    alphabet = ByteAlphabet()
    assert decode(BeamDecoder(alphabet, settings()), spell("bäh 語", alphabet)) == ["bäh 語"]


def test_cutoffs_and_width_reach_the_decoder(native):
    """Of one frame only the best label is left; its runner-up makes the likelier text."""
    probabilities = np.array([[0.3, 0.1, 0, 0, 0.6], [0.3, 0.1, 0, 0, 0.6]], np.float32)  # "" 0.36, "a" 0.45
    assert decode(BeamDecoder(LETTERS, settings()), probabilities) == ["a"]
    for narrow in ({"cutoff_top_n": 1}, {"cutoff_prob": 0.5}):
        assert decode(BeamDecoder(LETTERS, settings(**narrow)), probabilities) == [""]


def test_hot_words_are_preferred(native):
    rows = spell("abc", sure=0.5) * 0.9 + spell("abb", sure=0.5) * 0.1
    assert decode(BeamDecoder(LETTERS, settings()), rows) == ["abc"]
    assert decode(BeamDecoder(LETTERS, settings(hot_words="abb:20")), rows) == ["abb"]


def test_a_scorer_allows_its_words_only(native, make_scorer):
    path = make_scorer("abc cab bab", LETTERS)
    assert decode(BeamDecoder(LETTERS, settings()), spell("abb")) == ["abb"]
    (found,) = decode(BeamDecoder(LETTERS, settings(scorer_path=path)), spell("abb"))
    assert found in {"abc", "cab", "bab"}
    free = BeamDecoder(LETTERS, settings(scorer_path=path, oov_penalty=0.1))
    assert decode(free, spell("abb", sure=0.999)) == ["abb"]


def test_the_weights_of_the_flags_win_over_those_of_the_scorer(native, make_scorer):
    path = make_scorer("abc cab bab", LETTERS)
    own = BeamDecoder(LETTERS, settings(scorer_path=path)).scorer
    assert (own.alpha, own.beta) != (0.25, 1.75)
    decoder = BeamDecoder(LETTERS, settings(scorer_path=path, lm_alpha=0.25))
    assert (decoder.scorer.alpha, decoder.scorer.beta) == (0.25, own.beta)
    decoder = BeamDecoder(LETTERS, settings(scorer_path=path, lm_alpha=0.25, lm_beta=1.75))
    assert (decoder.scorer.alpha, decoder.scorer.beta) == (0.25, 1.75)
    for words in (path, "alpha 0.25", "beta 1.75", "width 100"):
        assert words in str(decoder)


def one_sentence(error: pytest.ExceptionInfo[Exception]) -> str:
    sentence = str(error.value)
    assert "\n" not in sentence
    return sentence


def test_a_scorer_that_is_not_there_or_is_something_else(native, tmp_path: Path):
    (tmp_path / "page.scorer").write_text("<html></html>" * 9)
    for name in ("gone.scorer", "page.scorer", "."):
        with pytest.raises(ScorerError) as error:
            BeamDecoder(LETTERS, settings(scorer_path=str(tmp_path / name)))
        assert str(tmp_path / name) in one_sentence(error)
        assert "--scorer_path" in str(error.value)


def test_a_scorer_of_another_alphabet_or_mode(native, make_scorer):
    path = make_scorer("abc cab bab", LETTERS)
    for alphabet in (Alphabet(["a", "b", "d", " "]), ByteAlphabet()):
        with pytest.raises(ScorerError) as error:
            BeamDecoder(alphabet, settings(scorer_path=path))
        assert path in one_sentence(error)
    with pytest.raises(ScorerError) as error:
        BeamDecoder(LETTERS, settings(scorer_path=make_scorer("a b c", None)))
    assert "bytes" in one_sentence(error)


def test_a_hot_word_that_cannot_be_written(native):
    with pytest.raises(UsageError) as error:
        BeamDecoder(LETTERS, settings(hot_words="abc:1,bad:2"))
    for words in ("--hot_words", "'bad'", "U+0064"):
        assert words in one_sentence(error)
    BeamDecoder(ByteAlphabet(), settings(hot_words="bäd:2"))


def test_output_that_cannot_be_decoded(native):
    with pytest.raises(DecoderError) as error:
        decode(BeamDecoder(LETTERS, settings()), np.full([3, 5], np.nan, np.float32))
    one_sentence(error)


def test_without_the_package_a_sentence_says_what_to_do(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "ds_ctcdecoder", None)
    for words in ("ds_ctcdecoder is not installed", "C++ compiler", "bin/make-env.sh"):
        assert words in missing_package()
    with pytest.raises(DecoderError) as error:
        BeamDecoder(LETTERS, settings())
    assert missing_package() in one_sentence(error)


def test_a_package_that_does_not_load_says_why(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    (tmp_path / "ds_ctcdecoder.py").write_text("raise ImportError('libstdc++.so.6: no such file')\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "ds_ctcdecoder", raising=False)
    for words in ("ds_ctcdecoder does not load", "libstdc++.so.6: no such file", "bin/make-env.sh"):
        assert words in missing_package()


# --------------------------------------------------------------------------------------------- words


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", {}),
        ("latte:5", {"latte": 5}),
        ("latte:5,tea:-2.5", {"latte": 5, "tea": -2.5}),
        (" ice  cream : 7.5 , tea:1e1", {"ice cream": 7.5, "tea": 10}),
        ("a:b:3", {"a:b": 3}),
        ("ba\u0308d:1", {"b\u00e4d": 1}),
    ],
)
def test_hot_words(text: str, words: dict[str, float]):
    assert parse_hot_words(text) == words


@pytest.mark.parametrize("text", ["latte", "latte:", ":5", "latte:much", "latte:5,", ",", "a:nan", "a:inf", "a b"])
def test_hot_words_written_wrongly(text: str):
    with pytest.raises(UsageError, match="--hot_words") as error:
        parse_hot_words(text)
    one_sentence(error)


def test_a_hot_word_twice():
    with pytest.raises(UsageError, match="'tea' twice"):
        parse_hot_words("tea:1, tea:2")


# --------------------------------------------------------------------------------------------- files


def utterance(line: int, transcript: str) -> Utterance:
    return Utterance(f"{line}.wav", f"/audio/{line}.wav", 1, transcript, source="test.csv", line=line)


@pytest.mark.parametrize("alphabet", [LETTERS, ByteAlphabet()], ids=repr)
def test_probabilities_survive_a_file(tmp_path: Path, alphabet: Alphabet):
    path = tmp_path / "out.npz"
    rows = [random_probabilities(time, len(alphabet) + 1, time) for time in (3, 1, 8)]
    outputs = [
        (utterance(line, text), row) for line, text, row in zip([9, 2, 5], ["cab", "a b", "bb"], rows, strict=True)
    ]
    flags = {"bytes_output_mode": alphabet != LETTERS, "hot_words": "", "lm_alpha": None, "test_files": ["test.csv"]}
    write_probabilities(path, outputs, alphabet, flags)
    assert [entry.name for entry in tmp_path.iterdir()] == ["out.npz"]
    found = read_probabilities(path)
    assert found.transcripts == ["a b", "bb", "cab"], "in the order of the CSV"
    assert found.wav_filenames == ["/audio/2.wav", "/audio/5.wav", "/audio/9.wav"]
    assert found.flags == flags
    assert found.alphabet == alphabet
    for one, other in zip(found.probabilities, [rows[1], rows[2], rows[0]], strict=True):
        assert one.dtype == np.float32
        np.testing.assert_array_equal(one, other)
    with np.load(path) as file:  # the promise of doc/Decoder.md
        assert file["probabilities"].shape == (12, len(alphabet) + 1)
        assert file["feature_len"].tolist() == [1, 8, 3]
        assert tuple(file["labels"]) == alphabet.labels


def test_probabilities_that_cannot_be_written_or_read(tmp_path: Path):
    outputs = [(utterance(1, "a"), random_probabilities(3, 5, 0))]
    with pytest.raises(DataError, match=r"gone/out\.npz"):
        write_probabilities(tmp_path / "gone" / "out.npz", outputs, LETTERS, {})
    np.savez(tmp_path / "other.npz", x=[1])
    np.savez(tmp_path / "pickled.npz", wav_filenames=np.array([{}], object))
    np.save(tmp_path / "single.npy", [1, 2])
    (tmp_path / "page.npz").write_text("<html></html>")
    (tmp_path / "empty.npz").write_bytes(b"")
    write_probabilities(tmp_path / "whole.npz", outputs, LETTERS, {})
    (tmp_path / "cut.npz").write_bytes((tmp_path / "whole.npz").read_bytes()[:-100])
    for name in ("gone.npz", "other.npz", "pickled.npz", "single.npy", "page.npz", "empty.npz", "cut.npz"):
        with pytest.raises(DataError, match=name) as error:
            read_probabilities(tmp_path / name)
        assert "--probabilities_file" in one_sentence(error)
