"""Alphabets: round trips, the files of the predecessors, and the sentence for every mistake."""

import random
import unicodedata
from pathlib import Path

import pytest

from util.errors import DataError
from util.text import Alphabet, ByteAlphabet, describe_character, normalize, read_alphabet, write_alphabet

ENGLISH = " abcdefghijklmnopqrstuvwxyz'"


def _write(tmp_path: Path, data: bytes) -> Path:
    path = tmp_path / "alphabet.txt"
    path.write_bytes(data)
    return path


def test_normalize_composes_an_umlaut():
    assert normalize("a\u0308") == "\u00e4"


@pytest.mark.parametrize(
    ("ch", "described"),
    [
        ("\u00e4", "'\u00e4' (U+00E4 LATIN SMALL LETTER A WITH DIAERESIS)"),
        ("\u0430", "'\u0430' (U+0430 CYRILLIC SMALL LETTER A)"),
        ("\n", "'\\n' (U+000A a control character)"),
        ("\ufeff", "'\\ufeff' (U+FEFF ZERO WIDTH NO-BREAK SPACE)"),
        ("\U0001f600", "'\U0001f600' (U+1F600 GRINNING FACE)"),
        ("\ue000", "'\\ue000' (U+E000 a character unnamed)"),
    ],
)
def test_a_character_is_described(ch: str, described: str):
    assert describe_character(ch) == described


@pytest.mark.parametrize("seed", range(5))
def test_text_of_the_alphabet_round_trips(seed: int):
    rng = random.Random(seed)
    labels = rng.sample(ENGLISH + "\u00e4\u00f6\u00fc\u00df\u0436\u4e2d", 20)
    alphabet = Alphabet(labels)
    for _ in range(50):
        text = "".join(rng.choices(labels, k=rng.randrange(30)))
        ids = alphabet.encode(text)
        assert ids == [labels.index(ch) for ch in text]
        assert alphabet.decode(ids) == text
        assert alphabet.missing(text) == []


def test_the_blank_follows_the_labels():
    alphabet = Alphabet(ENGLISH)
    assert len(alphabet) == alphabet.blank == 28
    assert alphabet.labels == tuple(ENGLISH)


def test_alphabets_are_equal_by_their_labels_and_immutable():
    assert Alphabet("ab") == Alphabet(["a", "b"])
    assert hash(Alphabet("ab")) == hash(Alphabet(["a", "b"]))
    assert Alphabet("ab") != Alphabet("ba")
    assert Alphabet("ab") != ("a", "b")
    with pytest.raises(AttributeError):
        Alphabet("ab").labels = ("c",)  # type: ignore[misc]


def test_both_sides_are_composed():
    alphabet = Alphabet(["a", "\u00e4"])
    assert alphabet.encode("aa\u0308") == [0, 1]
    assert Alphabet(["a", "a\u0308"]) == alphabet
    assert Alphabet(["a", "\u0308"]).decode([0, 1]) == "\u00e4"


def test_the_longest_label_wins():
    alphabet = Alphabet(["s", "c", "h", "ch", "sch", " "])
    assert alphabet.encode("sch ch schs") == [4, 5, 3, 5, 4, 0]
    assert alphabet.decode([4, 5, 3]) == "sch ch"
    assert alphabet.missing("schx") == ["x"]


def test_missing_characters_come_once_in_order():
    assert Alphabet("ab").missing("za\u0430bzq") == ["z", "\u0430", "q"]
    assert Alphabet(["ab"]).missing("aba") == ["a"]


def test_encoding_describes_every_missing_character():
    with pytest.raises(DataError) as caught:
        Alphabet("ab").encode("a\u0430b\n")
    assert str(caught.value) == (
        "'a\u0430b\\n' has '\u0430' (U+0430 CYRILLIC SMALL LETTER A), '\\n' (U+000A a control "
        "character), which the alphabet does not; add to the alphabet or change the transcript"
    )


def test_a_long_transcript_is_shortened_in_the_message():
    with pytest.raises(DataError) as caught:
        Alphabet("a").encode("a" * 500 + "b")
    assert "'" + "a" * 57 + "...' has 'b'" in str(caught.value)


@pytest.mark.parametrize("label_id", [-1, 2])
def test_an_id_without_a_label_is_not_decoded(label_id: int):
    with pytest.raises(ValueError, match=rf"label id {label_id} is outside 0\.\.1"):
        Alphabet("ab").decode([0, label_id])


@pytest.mark.parametrize(
    ("labels", "sentence"),
    [
        ([], "has no labels"),
        (["a", ""], "has an empty label"),
        (["a", "b", "a"], "has the label 'a' twice"),
        (["\u00e4", "a\u0308"], "has the label '\u00e4' twice"),
    ],
)
def test_labels_that_make_no_alphabet(labels: list[str], sentence: str):
    with pytest.raises(DataError, match=sentence):
        Alphabet(labels)


def test_bytes_round_trip_in_every_script():
    alphabet = ByteAlphabet()
    assert len(alphabet) == alphabet.blank == len(set(alphabet.labels)) == 255
    rng = random.Random(1)
    for _ in range(200):
        drawn = "".join(chr(rng.randrange(1, 0xD800)) for _ in range(rng.randrange(20)))
        text = unicodedata.normalize("NFC", drawn)
        ids = alphabet.encode(text)
        assert ids == [byte - 1 for byte in text.encode()]
        assert alphabet.decode(ids) == text
        assert alphabet.missing(text) == []


def test_any_bytes_decode():
    alphabet = ByteAlphabet()
    assert alphabet.decode([0xC3 - 1, ord("a") - 1]) == "\ufffda"
    rng = random.Random(2)
    for _ in range(200):
        ids = [rng.randrange(255) for _ in range(rng.randrange(20))]
        assert alphabet.decode(ids) == unicodedata.normalize(
            "NFC", bytes(i + 1 for i in ids).decode("utf-8", errors="replace")
        )


def test_bytes_mode_has_no_zero_and_no_half_surrogates():
    assert ByteAlphabet().missing("a\0b\ud800\0") == ["\0", "\ud800"]
    with pytest.raises(DataError, match=r"U\+0000 a control character"):
        ByteAlphabet().encode("a\0")


@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("end", ["", "N", "NN"])
@pytest.mark.parametrize("bom", [b"", b"\xef\xbb\xbf"])
def test_an_alphabet_file_is_read(tmp_path: Path, newline: str, end: str, bom: bytes):
    text = f"#a comment,N N\\#Na\u0308N'N\u2028N# the last line{end}".replace("N", newline)
    alphabet = read_alphabet(_write(tmp_path, bom + text.encode()))
    assert alphabet.labels == (" ", "#", "\u00e4", "'", "\u2028")


def test_an_alphabet_file_is_written(tmp_path: Path):
    labels = (" ", "#", "#a", "\\", "\u00e4", "ch", "\u2028")
    path = tmp_path / "alphabet.txt"
    write_alphabet(path, labels)
    assert path.read_bytes().startswith(b" \n\\#\n\\#a\n\\\n")
    assert read_alphabet(path).labels == labels


def test_the_alphabet_of_the_predecessors_is_read(tmp_path: Path):
    lines = [
        "# Each line in this file represents the Unicode codepoint (UTF-8 encoded)",
        "# associated with a numeric label.",
        *ENGLISH,
        "# The last (non-comment) line needs to end with a newline.",
    ]
    alphabet = read_alphabet(_write(tmp_path, "\n".join(lines).encode() + b"\n"))
    assert alphabet == Alphabet(ENGLISH)
    assert alphabet.encode("ab z'") == [1, 2, 0, 26, 27]


@pytest.mark.parametrize(
    ("data", "where", "sentence"),
    [
        (b"a\nb\n#c\na\n", ":4", "the label 'a' is already on line 1; remove one of the two"),
        ("\u00e4\na\u0308\n".encode(), ":2", "the label '\u00e4' is already on line 1"),
        (b"a\r\n\r\nb\r\n", ":2", "the line is empty, expected a label"),
        (b"\na\n", ":1", "the line is empty, expected a label"),
        (b"a\nb\n\xe4\n", ":3", "the byte 0xE4 at position 4 is not UTF-8; save the file as UTF-8"),
        (b"\xff\xfea\0\n\0", ":1", "the byte 0xFF at position 0 is not UTF-8"),
        (b"", "", " has no labels, expected one character on each line"),
        (b"# only\n# comments\n", "", " has no labels"),
    ],
)
def test_a_faulty_alphabet_file(tmp_path: Path, data: bytes, where: str, sentence: str):
    path = _write(tmp_path, data)
    with pytest.raises(DataError) as caught:
        read_alphabet(path)
    assert str(caught.value).startswith(f"{path}{where}{':' if where else ''}")
    assert sentence in str(caught.value)


def test_a_missing_alphabet_file(tmp_path: Path):
    with pytest.raises(DataError, match=r"cannot read .*none\.txt: No such file.*one label on each line"):
        read_alphabet(tmp_path / "none.txt")
    with pytest.raises(DataError, match="it is a folder; expected a text file with one label"):
        read_alphabet(tmp_path)
