"""How transcripts become what the network learns, in many languages, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from util.errors import UsageError
from util.text import Alphabet
from util.transcripts import Cleaning, RefusedError, keyed_lines, load_validator

CASES = [
    ("en", "  Hello,\tWORLD!  How are you? ", "hello world how are you"),
    ("en", "It\u2019s the \u201cgood\u201d one\u2026", "it's the good one"),
    ("en", "a well-known either/or \u2014 at 'em", "a well known either or at 'em"),
    ("en", "the U.S.A. at a.m.", "the usa at am"),
    ("en", "zero\u200bwidth and soft\u00adhyphen\ufeff", "zerowidth and softhyphen"),
    ("de", "Straße, ÄRGER und Übermut", "straße ärger und übermut"),
    ("fr", "L\u2019œuvre, «\u00a0déjà\u00a0» vue\u00a0!", "l'œuvre déjà vue"),
    ("es", "¿Qué tal? ¡Bien!", "qué tal bien"),
    ("tr", "ILIK İYİ", "\u0131l\u0131k iyi"),
    ("en", "ILL", "ill"),
    ("cs", "Kde je Ru\u030az\u030cena?", "kde je r\u016f\u017eena"),
    ("hi", "नमस्ते दुनिया।", "नमस्ते दुनिया"),
    ("ar", "كَيْفَ حالُكَ؟", "كَيْفَ حالُكَ"),
    ("el", "ΟΔΟΣ", "οδος"),
    ("th", "สวัสดีครับ", "สวัสดีครับ"),
    ("ru", "Ёлка, «снег»!", "ёлка снег"),
]


@pytest.mark.parametrize(("language", "text", "expected"), CASES)
def test_cleaning_and_again_changes_nothing(language: str, text: str, expected: str):
    clean = Cleaning(language)
    expected = expected.replace("οδος", "οδο\u03c2")  # the final sigma
    assert clean(text) == expected
    assert clean(expected) == expected


REFUSED = [
    ("born in 1984", "digits"),
    ("\u0663 times", "digits"),
    ("[laughter] yes", "markup"),
    ("five \u20ac", "markup"),
    ("rock & roll", "markup"),
    ("... - ?!", "transcript empty"),
    ("", "transcript empty"),
    ("lost \ufffd", "damaged transcript"),
    ("h\x00i\x00", "damaged transcript"),
]


@pytest.mark.parametrize(("text", "kind"), REFUSED)
def test_what_cannot_be_known_is_refused_with_its_kind(text: str, kind: str):
    with pytest.raises(RefusedError) as refusal:
        Cleaning("en")(text)
    assert refusal.value.kind == kind
    assert len(str(refusal.value)) > len(kind)


def test_letters_with_accents_become_plain_ones_where_asked():
    clean = Cleaning("fr", to_ascii=True)
    assert clean("L\u2019été déjà vu, ñandú") == "l'ete deja vu nandu"
    with pytest.raises(RefusedError, match="nothing is left"):
        clean("你好")


def test_an_alphabet_lets_pass_what_it_has():
    clean = Cleaning("en", alphabet=Alphabet(list(" abc'")))
    assert clean("A cab, BAC!") == "a cab bac"
    with pytest.raises(RefusedError, match=r"lacks 'd' \(U\+0064 LATIN SMALL LETTER D\)") as refusal:
        clean("bad")
    assert refusal.value.kind == "character outside the alphabet"


def test_a_validator_of_the_user_takes_the_place_of_the_rules(tmp_path: Path):
    path = tmp_path / "rules.py"
    path.write_text(
        "import re\ndef validate_label(text):\n    return None if 'x' in text else re.sub('1', 'one', text)\n"
    )
    clean = Cleaning("en", validate=load_validator(path))
    assert clean("Number 1") == "Number one"
    with pytest.raises(RefusedError) as refusal:
        clean("fox")
    assert refusal.value.kind == "transcript refused"


@pytest.mark.parametrize(
    ("content", "said"), [("validate = 1\n", "has no function validate_label"), ("def (\n", "expected a Python file")]
)
def test_a_validator_that_is_none_is_a_wrong_flag(tmp_path: Path, content: str, said: str):
    (tmp_path / "rules.py").write_text(content)
    with pytest.raises(UsageError, match=said):
        load_validator(tmp_path / "rules.py")
    with pytest.raises(UsageError, match="expected a Python file"):
        load_validator(tmp_path / "nothing.py")


def test_lines_with_keys(tmp_path: Path):
    path = tmp_path / "trans.txt"
    path.write_bytes(b"one  First words\r\n\r\ntwo\r\nthree\tMore words \n")
    assert keyed_lines(path) == {"one": "First words", "three": "More words"}
    assert keyed_lines(tmp_path / "missing.txt") == {}
