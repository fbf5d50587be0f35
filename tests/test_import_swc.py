"""The Spoken Wikipedia Corpora: where sentences are cut, and what their numbers are."""

from __future__ import annotations

import runpy
from pathlib import Path
from xml.etree import ElementTree

import miniatures
import pytest
from conftest import ROOT

SWC = runpy.run_path(str(ROOT / "bin" / "import_swc.py"), run_name="imported")
Word = SWC["Word"]


def words(*times: tuple[float, float]) -> list[tuple[float, float, str]]:
    return [Word(start, end, str(i)) for i, (start, end) in enumerate(times)]


def cut(spoken: list[tuple[float, float, str]], longest_s: float) -> list[str]:
    return ["".join(word[2] for word in part) for part in SWC["_cut"](spoken, longest_s)]


def test_cuts_nothing_that_is_short_enough():
    assert cut(words((0, 4), (6, 10)), 10) == ["01"]


def test_cuts_at_the_longest_pause():
    assert cut(words((0, 3), (3.2, 6), (6.5, 8), (8.1, 11)), 10) == ["01", "23"]


def test_cuts_in_the_middle_where_nobody_paused():
    assert cut(words(*((i, i + 1) for i in range(8))), 4) == ["0123", "4567"]


def test_cuts_until_no_part_is_too_long():
    assert cut(words((0, 3), (4, 6), (6.1, 9), (9.5, 12), (12, 13)), 4) == ["0", "1", "2", "34"]


def test_a_single_word_stays_whole():
    assert cut(words((0, 12)), 10) == ["0"]


def runs(body: str) -> list[str]:
    found = SWC["_runs"](ElementTree.fromstring(f"<article><d>{body}</d></article>"))
    return [" ".join(f"{word[2]}@{word[0]:g}-{word[1]:g}" for word in run) for run in found]


def word(text: str, start: int | None = None) -> str:
    times = "" if start is None else f' start="{start}" end="{start + 500}"'
    return f'<n pronunciation="{text}"{times}/>'


def test_a_word_that_was_not_found_parts_those_around_it():
    body = f"<p><s><t>a{word('a', 0)}</t><t>b{word('b')}</t><t>c{word('c', 1000)}{word('d', 1500)}</t></s></p>"
    assert runs(body) == ["a@0-0.5", "c@1-1.5 d@1.5-2"]


def test_signs_and_what_is_ignored_part_nothing():
    footnote = f"<ignored><t>[</t><t>1{word('eins')}</t><t>]</t></ignored>"
    body = f"<s><t>a{word('a', 0)}</t><t>,</t>{footnote}<t>b{word('b', 500)}</t></s>"
    assert runs(body + f"<ignored><s><t>c{word('c', 2000)}</t></s></ignored>") == ["a@0-0.5 b@0.5-1"]


def test_times_that_are_no_times_are_of_words_that_were_not_found():
    assert runs('<s><t>a<n pronunciation="a" start="x" end="500"/></t></s>') == []


@pytest.mark.parametrize(
    ("spelled", "read"),
    [
        ("im Jahr ein Tausend acht Hundert siebzig", "im jahr achtzehnhundert siebzig"),
        ("die ein Tausend neun Hundert neunzig er Jahre", "die neunzehnhundert neunziger jahre"),
        ("ein Tausend sieben Hundert", "ein tausend sieben hundert"),
        ("zwei Punkt null null null Menschen", "zwei tausend menschen"),
        ("drei Punkt null null null Punkt null null null", "drei millionen"),
        ("eins Punkt null null null Punkt null null null Punkt null null null", "eine milliarde"),
        ("acht Punkt null", "acht punkt null"),
    ],
)
def test_german_numbers_are_as_people_read_them(spelled: str, read: str):
    assert SWC["_respelled"](spelled) == read


def test_times_go_on_from_file_to_file(tmp_path: Path):
    audios = [tmp_path / f"audio{i}.ogg" for i in (1, 2, 3, 4)]
    for audio, seconds in zip(audios[:2], (1.5, 2.0), strict=True):
        audio.write_bytes(miniatures.audio(seconds, "OGG"))
    audios[2].write_bytes(b"torn")
    starts = [start for start, _ in SWC["_starts"](audios)]
    assert starts == [0.0, 1.5, 3.5]  # and nobody knows where the fourth begins
