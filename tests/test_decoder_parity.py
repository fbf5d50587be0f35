"""The decoder answers as ds_ctcdecoder 0.9.3 and coqui_stt_ctcdecoder 1.4.0 did.

The expected answers were given by those packages (tests/golden/make_decoder_golden.py), on scorers made with KenLM's
own programs.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

FOLDER = Path(__file__).resolve().parent / "golden" / "decoder"
GOLDEN = json.loads((FOLDER / "golden.json").read_text(encoding="utf-8"))
INPUTS = np.load(FOLDER / "inputs.npz")
ONE = 2**24
DEFAULTS = (0.75, 1.25)
# They add up logarithms in float32, whose steps are 4e-6 at the size of these scores; the frames add up.
CONFIDENCE_TOLERANCE = 2e-4

ds = pytest.importorskip("ds_ctcdecoder", reason="the decoder is not built: pip install ./native_client/python")


def name_of(case: dict[str, Any]) -> str:
    return "-".join(f"{value}" for key, value in case.items() if key not in ("ds", "coqui"))


def probabilities(case: dict[str, Any]) -> np.ndarray:
    return INPUTS[case["input"]].astype(np.float64) / ONE


def alphabet_named(name: str) -> Any:
    return ds.UTF8Alphabet() if name.startswith("bytes") else ds.Alphabet(str(FOLDER / "alphabet.txt"))


def scorer_named(name: str, alpha: float = DEFAULTS[0], beta: float = DEFAULTS[1]) -> Any:
    return ds.Scorer(alpha, beta, str(FOLDER / f"{name}.scorer"), alphabet_named(name))


def arguments_of(case: dict[str, Any]) -> tuple[list[Any], dict[str, Any]]:
    weights = [case.get("alpha", DEFAULTS[0]), case.get("beta", DEFAULTS[1])]
    scorer = scorer_named(case["scorer"], *weights) if case["scorer"] else None
    names = ("cutoff_prob", "cutoff_top_n", "hot_words")
    options = {name: case[name] for name in names if name in case}
    return [alphabet_named(case["input"]), case["beam_size"]], {"scorer": scorer, **options}


def is_cut(case: dict[str, Any]) -> bool:
    """Return whether labels are cut off, where we differ on purpose.

    They cut blanks and repetitions too, and with that all prefixes (a score of -FLT_MAX), and have no effect of
    `cutoff_top_n` alone.
    """
    classes = INPUTS[case["input"]].shape[1]
    return case.get("cutoff_prob", 1.0) < 1 or case.get("cutoff_top_n", 40) < classes


WHOLE = [case for case in GOLDEN["cases"] if not is_cut(case)]


@pytest.mark.parametrize("case", WHOLE, ids=name_of)
def test_same_texts_and_confidences(case: dict[str, Any]) -> None:
    positional, options = arguments_of(case)
    n = case.get("num_results", 1)
    found = ds.ctc_beam_search_decoder(probabilities(case), *positional, num_results=n, **options)
    alphabet = positional[0]
    texts = [text if isinstance(text, str) else alphabet.Decode(text) for _, text, _ in case["ds"]]
    assert [text for _, text in found] == texts
    assert [confidence for confidence, _ in found] == pytest.approx(
        [confidence for confidence, *_ in case["ds"]], abs=CONFIDENCE_TOLERANCE
    )


@pytest.mark.parametrize("case", [case for case in GOLDEN["cases"] if is_cut(case) and not case["scorer"]], ids=name_of)
def test_cutoffs_lose_less_than_theirs(case: dict[str, Any]) -> None:
    positional, options = arguments_of(case)
    ((confidence, _),) = ds.ctc_beam_search_decoder(probabilities(case), *positional, **options)
    assert confidence >= case["ds"][0][0] - CONFIDENCE_TOLERANCE


@pytest.mark.parametrize("case", WHOLE, ids=name_of)
def test_same_tokens_and_timesteps(case: dict[str, Any]) -> None:
    positional, options = arguments_of(case)
    stream = ds.Stream(*positional, **options)
    stream.feed(probabilities(case).astype(np.float32))
    alphabet = positional[0]
    for result, (_, text, timesteps) in zip(stream.finish(case.get("num_results", 1)), case["ds"], strict=True):
        tokens = (alphabet.Encode(text) if text else []) if isinstance(text, str) else text
        assert list(result.tokens) == tokens
        assert list(result.timesteps) == timesteps


@pytest.mark.parametrize("name", ["words", "trie", "probing", "bytes"])
def test_scorers_say_the_same_of_themselves(name: str) -> None:
    scorer = scorer_named(name)
    for fact_of, method, arguments, expected in GOLDEN["scorer"]:
        if fact_of == name:
            assert getattr(scorer, method)(*arguments) == pytest.approx(expected, abs=2e-6), (method, arguments)


MENDED = {
    ("labels", "CanEncode", ""): True,  # an empty text has no label that is missing
    ("labels", "Encode", ""): [],
    ("bytes", "CanEncodeSingle", "é"): False,  # two labels; theirs says yes and dies of EncodeSingle
    ("bytes", "CanEncodeSingle", ""): False,
    ("bytes", "DecodeSingle", 254): "\ufffd",  # a byte that is no character
    ("bytes", "Decode", (194,)): "\ufffd",
}


def expected_of(name: str, method: str, arguments: list[Any], answer: dict[str, Any]) -> Any:
    """Return the value, or what we raise where the predecessor died."""
    key = name, method, *(tuple(value) if isinstance(value, list) else value for value in arguments)
    return MENDED.get(key, answer.get("value", ValueError))  # type: ignore[call-overload]


@pytest.mark.parametrize("name", ["labels", "bytes"])
def test_alphabets_answer_the_same(name: str) -> None:
    alphabet = alphabet_named(name)
    for fact_of, method, arguments, answer in GOLDEN["alphabet"]:
        if fact_of != name:
            continue
        expected = expected_of(name, method, arguments, answer)
        if isinstance(expected, type):
            with pytest.raises(expected):
                getattr(alphabet, method)(*arguments)
        else:
            assert getattr(alphabet, method)(*arguments) == expected, (method, arguments)


@pytest.mark.parametrize(("text", "labels", "space"), GOLDEN["alphabet_files"])
def test_alphabet_files_are_read_the_same(text: str, labels: list[str], space: int | None, tmp_path: Path) -> None:
    path = tmp_path / "alphabet.txt"
    path.write_bytes(text.encode())
    if len(set(labels)) < max(1, len(labels)):  # none, or one twice: theirs takes it, and nothing works with it
        with pytest.raises(ValueError, match=r"has no labels|twice"):
            ds.Alphabet(str(path))
        return
    alphabet = ds.Alphabet(str(path))
    assert [alphabet.DecodeSingle(i) for i in range(alphabet.GetSize())] == labels
    assert [i for i in range(len(labels)) if alphabet.IsSpace(i)] == ([] if space is None else [space])


def calls_that_cannot_work() -> dict[str, Any]:
    labels, probs = alphabet_named("labels"), INPUTS["sharp0"].astype(np.float64) / ONE
    one, many = ds.ctc_beam_search_decoder, ds.ctc_beam_search_decoder_batch
    return {
        "a class too many": lambda: one(np.c_[probs, probs[:, :1]], labels, 10),
        "a class too few": lambda: one(probs[:, 1:], labels, 10),
        "no classes": lambda: one(probs[:, :0], labels, 10),
        "beam size 0": lambda: one(probs, labels, 0),
        "negative beam size": lambda: one(probs, labels, -1),
        "logits": lambda: one(np.log(probs + 1e-9) + 20, labels, 10),
        "not a number": lambda: one(np.full_like(probs, np.nan), labels, 10),
        "infinity": lambda: one(np.full_like(probs, np.inf), labels, 10),
        "one axis": lambda: one(probs[0], labels, 10),
        "three axes": lambda: one(probs[None], labels, 10),
        "batch with a class too many": lambda: many(np.c_[probs, probs[:, :1]][None], [len(probs)], labels, 10, 1),
        "batch with a length too long": lambda: many(probs[None], [len(probs) + 1000000], labels, 10, 1),
        "batch with a length too few": lambda: many(probs[None], [], labels, 10, 1),
        "no threads": lambda: many(probs[None], [len(probs)], labels, 10, 0),
        "missing scorer": lambda: ds.Scorer(1.0, 1.0, "/nonexistent", labels),
        "missing alphabet": lambda: ds.Alphabet("/nonexistent"),
    }


@pytest.mark.parametrize("what", [what for what, _ in GOLDEN["deaths"]])
def test_what_ended_the_process_is_an_error_in_one_sentence(what: str) -> None:
    with pytest.raises(ValueError, match=r"\w") as caught:
        calls_that_cannot_work()[what]()
    assert "\n" not in str(caught.value)
