"""Reading text for a language model, and choosing its words."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
from collections import Counter
from pathlib import Path

import pytest

from util.errors import DataError
from util.progress import Console
from util.text import Alphabet, ByteAlphabet
from util.words import choose_words, describe_unspellable, read_text

QUIET = Console(stream=io.StringIO())
LETTERS = Alphabet([" ", *"abcdefghijklmnopqrstuvwxyz"])


def read(tmp_path, *contents: bytes, name: str = "source", **options):
    sources = []
    for i, content in enumerate(contents):
        sources.append(tmp_path / f"{name}{i}")
        sources[-1].write_bytes(content)
    text = read_text(sources, tmp_path / "text", QUIET, **options)
    return text, text.path.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("content", "lines"),
    [
        (b"two words\nthree more words", "two words\nthree more words\n"),
        (b"\n\n  spaces \t around \n\n \n lines\n\n", "spaces around\nlines\n"),
        (b"dos\r\nlines\r\nold mac\rlines", "dos\nlines\nold mac\nlines\n"),
        (b"\xef\xbb\xbfmark", "mark\n"),
        ("no\u00a0break ideo\u3000graphic\x85next nul\0byte".encode(), "no break ideo graphic next nul byte\n"),
        ("u\u0308ber".encode(), "\u00fcber\n"),
    ],
)
def test_lines_are_made_ready(content, lines, tmp_path):
    text, written = read(tmp_path, content)
    assert " ".join(written.split()) == " ".join(lines.split())
    assert [" ".join(line.split()) for line in written.splitlines()] == lines.splitlines()
    assert text.counts == Counter(lines.split())


def test_symbols_of_kenlm_are_left_out_and_counted(tmp_path):
    text, written = read(tmp_path, b"<s> a </s>\n<unk> b <UNK> <sil> x<s>\n")
    assert written.split() == ["a", "b", "<sil>", "x<s>"]
    assert text.symbols == 4


def test_capitals_change_only_when_asked(tmp_path):
    assert read(tmp_path, "Ärger IM Amt".encode())[1].split() == ["Ärger", "IM", "Amt"]
    assert read(tmp_path, "Ärger IM Amt".encode(), lowercase=True)[1].split() == ["ärger", "im", "amt"]


def test_characters_become_words(tmp_path):
    text, written = read(tmp_path, "你好 世界\nab".encode(), into_characters=True)
    assert [line.split() for line in written.splitlines()] == [["你", "好", "世", "界"], ["a", "b"]]
    assert text.counts == Counter("你好世界ab")


@pytest.mark.parametrize("compress", [gzip.compress, lzma.compress, bz2.compress])
def test_compressed_text(compress, tmp_path):
    assert read(tmp_path, b"plain\n", compress(b"one\ntwo\n"))[1] == "plain\none\ntwo\n"


def test_transcripts_of_a_csv(tmp_path):
    table = b'wav_filename,wav_filesize,transcript\na.wav,1,one two\nb.wav,2,"three, four"\n'
    assert read(tmp_path, table)[1] == "one two\nthree, four\n"


@pytest.mark.parametrize("name", ["opus.sdb", "csv.tar"])
def test_transcripts_of_a_sample_database(name, tmp_path):
    stored = Path(__file__).parent / "golden" / "sets" / name
    assert read(tmp_path, stored.read_bytes())[1] == "a low tone\ngrüße\ntwo tones\n"


def test_text_of_several_mebibytes_stays_whole(tmp_path):
    lines = [f"wörd{i} again" for i in range(200_000)]
    text, written = read(tmp_path, "\n".join(lines).encode())
    assert written.splitlines() == lines
    assert text.counts["again"] == 200_000


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"fine\nfine\nnot \xff fine\n", "source0:3: the byte 0xFF is not UTF-8"),
        (b" \n\n", "there are no words in"),
        (gzip.compress(b"one two three four")[:-9], "source0"),
        (b"BZh9 no such thing", "source0"),
        (b"wav_filename,transcript\na.wav\n", "source0:2: the row has 1 fields"),
    ],
)
def test_what_cannot_be_read_is_told(content, told, tmp_path):
    with pytest.raises(DataError, match=told):
        read(tmp_path, content)


def test_missing_source_is_told(tmp_path):
    with pytest.raises(DataError, match=r"cannot read nowhere\.txt: No such file"):
        read_text(["nowhere.txt"], tmp_path / "text", QUIET)


def test_the_most_frequent_spellable_words_are_chosen():
    counts = Counter({"the": 50, "café": 30, "of": 10, "3rd": 8, "rare": 2})
    chosen = choose_words(counts, LETTERS, 2)
    assert (chosen.words, chosen.rare, chosen.unspellable) == (["the", "of"], 1, ["café", "3rd"])
    assert chosen.unspellable_share == 0.38
    assert choose_words(counts, None, 9).words == ["the", "café", "of", "3rd", "rare"]
    assert choose_words(counts, ByteAlphabet(), 9).unspellable == []


def test_unspellable_words_are_told_with_code_points():
    told = describe_unspellable(["café", "3rd", "a-b", "x!"], LETTERS)
    assert told == (
        "'café' has 'é' (U+00E9 LATIN SMALL LETTER E WITH ACUTE), '3rd' has '3' (U+0033 DIGIT THREE), "
        "'a-b' has '-' (U+002D HYPHEN-MINUS), ..."
    )
