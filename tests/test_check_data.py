"""bin/check_data.py finds what is planted and nothing where there is nothing, and mends copies only."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
import urllib.parse
import urllib.request
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from conftest import ROOT, Program, speak
from numpy.typing import NDArray

TEXTS = [
    "a cat", "a bad cab", "act a dad", "cab", "add a tab", "bad", "fade a cab", "a face", "dab a bed", "feed a cat",
    "deaf", "bead",
]  # fmt: skip


@dataclass
class Set:
    """A CSV being made: files, transcripts and speakers."""

    folder: Path
    rows: list[tuple[str, str, str]] = field(default_factory=list)

    def add(self, name: str, text: str, sound: NDArray[np.int16] | None, speaker: str = "", rate: int = 16000) -> Path:
        """Add a row, and its audio file where there is a sound; return where that is."""
        path = self.folder / name
        if sound is not None:
            soundfile.write(path, sound, rate)
        self.rows.append((name, text, speaker))
        return path

    def write(self, name: str) -> Path:
        """Write the CSV; return where it is."""
        with (self.folder / name).open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(["wav_filename", "wav_filesize", "transcript", "speaker"])
            writer.writerows([name, "", text, speaker] for name, text, speaker in self.rows)
        return self.folder / name


@dataclass
class Done:
    """How the program ended."""

    status: int
    out: str
    err: str
    report: dict[str, Any]

    def findings(self) -> dict[str, list[str]]:
        """Return the files of every kind of finding."""
        found: dict[str, list[str]] = {}
        for finding in self.report["findings"]:
            found.setdefault(finding["kind"], []).append(finding["wav_filename"])
        return found


Check = Callable[..., Done]


@pytest.fixture(scope="module")
def check(decoy: Path, tmp_path_factory: pytest.TempPathFactory) -> Check:
    """Return a function that runs the program, which must not import TensorFlow."""

    def check(*arguments: object, folder: Path | None = None) -> Done:
        report = tmp_path_factory.mktemp("report") / "report.json"
        program = [sys.executable, str(ROOT / "bin" / "check_data.py"), "--json", str(report)]
        environment = {**os.environ, "PYTHONPATH": str(decoy)}
        command = [*program, *map(str, arguments)]
        done = subprocess.run(
            command, cwd=folder, env=environment, capture_output=True, text=True, timeout=100, check=False
        )
        assert "Traceback" not in done.stderr, done.stderr
        content = json.loads(report.read_text("utf-8")) if report.exists() else {}
        return Done(done.returncode, done.stdout, done.stderr, content)

    return check


def add_good(data: Set, texts: Sequence[str], prefix: str = "") -> None:
    for number, text in enumerate(texts):
        data.add(f"{prefix}good{number}.wav", text, speak(text), f"{prefix}{number % 3}")


def silence(seconds: float, rate: int = 16000) -> NDArray[np.int16]:
    return np.zeros(round(seconds * rate), np.int16)


@pytest.fixture(scope="module")
def clean(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Return CSVs of training and dev in which there is nothing to be found."""
    folder = tmp_path_factory.mktemp("clean")
    train, dev = Set(folder), Set(folder)
    add_good(train, TEXTS, "t")
    add_good(dev, ["a bee", "add a bead", "face"], "d")
    return train.write("train.csv"), dev.write("dev.csv")


@pytest.fixture(scope="module")
def messy(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Return CSVs of training and dev in which everything is planted that is looked for."""
    folder = tmp_path_factory.mktemp("messy")
    train, dev = Set(folder), Set(folder)
    add_good(train, TEXTS, "t")
    square = np.tile(np.repeat(np.array([32767, -32768], np.int16), 40), 200)  # 1 s
    train.add("clipped.wav", "a cab bad dad", square)
    train.add("nothing.wav", "a cab bad act", silence(1.04))
    train.add("late.wav", "a bad" * 9, np.concatenate([silence(3), speak("bad faced")]))
    train.add("early.wav", "a cab" * 9, np.concatenate([speak("cab decaf"), silence(3)]))
    train.add("mute.wav", "ab cd" * 14, np.concatenate([silence(0.5), speak("cab"), silence(0.5), silence(4)]))
    train.add("slow.wav", "a b", np.tile(speak("abc def"), 3))
    train.add("fast.wav", "a b c d e f g h i", speak("adefdefd"))
    train.add("other-rate.wav", "beef", speak("beef", 8000), rate=8000)
    train.add("again.flac", TEXTS[0], speak(TEXTS[0]))
    train.add("contrary.flac", "a dog", speak(TEXTS[0]))
    train.add("leaked.wav", "cafe", speak("cafe"))
    # what training leaves out: lines 25 to 30 of the CSV
    train.add("cut.wav", "a cat", speak("a cat")).write_bytes((folder / "tgood0.wav").read_bytes()[:-900])
    train.add("missing.wav", "a cat", None)
    train.add("page.wav", "a cat", None).write_bytes(b"<!DOCTYPE html>\n<html></html>\n")
    train.add("empty.wav", " ", speak("fee"))
    train.add("umlaut.wav", "b\u00e4d", speak("bed"))
    train.add("short.wav", "a cat and a dad and a cab", speak("abbac"))
    add_good(dev, ["a bee", "add a bead", "face"], "d")
    dev.add("copy.flac", "cafe", speak("cafe"))
    dev.add("same-speaker.wav", "decade", speak("decade"), "t1")
    return train.write("train.csv"), dev.write("dev.csv")


@pytest.fixture(scope="module")
def found(check: Check, messy: tuple[Path, Path]) -> Done:
    return check("--train_files", messy[0], "--dev_files", messy[1])


def test_nothing_is_found_where_there_is_nothing(check: Check, clean: tuple[Path, Path]):
    done = check("--train_files", clean[0], "--dev_files", clean[1])
    assert done.status == 0
    assert done.report["clean"] is True
    assert [done.report[name] for name in ("faults", "leaks", "findings")] == [[], [], []]
    assert all(character["covered"] for character in done.report["characters"])
    assert done.out.splitlines()[-1] == "Clean: training uses all 15 rows."
    for word in ("Leaks", "Worth a look", "leaves out", "not in the alphabet"):
        assert word not in done.out


FAULTS = [
    (25, "cut.wav", "unreadable audio", "cut short"),
    (26, "missing.wav", "unreadable audio", "No such file"),
    (27, "page.wav", "unreadable audio", "web page"),
    (28, "empty.wav", "empty transcript", "write what is said"),
    (29, "umlaut.wav", "character not in alphabet", "U+00E4"),
    (30, "short.wav", "too short for its transcript", "20 frames"),
]


def test_faults_are_found(found: Done, messy: tuple[Path, Path]):
    assert found.status == 1
    faults = found.report["faults"]
    assert [(fault["line"], fault["wav_filename"], fault["kind"]) for fault in faults] == [row[:3] for row in FAULTS]
    for fault, (*_, words) in zip(faults, FAULTS, strict=True):
        assert words in fault["reason"]
        assert fault["source"] == str(messy[0])
        assert fault["split"] == "train"
    assert "unreadable audio: 3 of 34 utterances left out, the first is" in found.out
    assert "Training leaves out 6 of 34 rows" in found.out.splitlines()[-1]


def test_training_leaves_out_the_same_rows(deepspeech: Program, found: Done, messy: tuple[Path, Path]):
    deepspeech("--train_files", messy[0], "--checkpoint_dir=run", tensorflow=False)
    with (deepspeech.folder / "run" / "data_faults.csv").open(encoding="utf-8", newline="") as file:
        left_out = [(row["line"], row["kind"], row["reason"]) for row in csv.DictReader(file)]
    assert left_out == [(str(fault["line"]), fault["kind"], fault["reason"]) for fault in found.report["faults"]]


def test_what_deserves_a_look_is_found(found: Done):
    assert found.findings() == {
        "too many characters for its length": ["short.wav", "fast.wav"],
        "too few characters for its length": ["slow.wav"],
        "recording repeated": ["again.flac"],
        "recording repeated with another transcript": ["contrary.flac"],
        "another sample rate than most": ["other-rate.wav"],
        "clipped": ["clipped.wav"],
        "nearly empty": ["nothing.wav"],
        "long silence at the beginning": ["late.wav"],
        "mostly silence": ["mute.wav"],
        "long silence at the end": ["early.wav"],
    }
    for kind, names in found.findings().items():
        assert f"  {kind}: {len(names)}, " in found.out
    reasons = {finding["wav_filename"]: finding["reason"] for finding in found.report["findings"]}
    assert reasons["clipped.wav"] == "100.0% of the samples are at full scale"
    assert reasons["late.wav"] == "3.0 s"
    assert "train.csv:2, which says 'a cat'" in reasons["contrary.flac"]


def test_leaks_are_found(found: Done):
    recordings, speakers = found.report["leaks"]
    assert (recordings["what"], recordings["splits"]) == ("recording", ["train", "dev"])
    ((first, second),) = [shared["rows"] for shared in recordings["shared"]]
    assert [row["wav_filename"] for row in first + second] == ["leaked.wav", "copy.flac"]
    assert (speakers["what"], [shared["key"] for shared in speakers["shared"]]) == ("speaker", ["t1"])
    first, second = speakers["shared"][0]["rows"]
    assert [row["line"] for row in first] == [3, 6, 9, 12]
    assert [row["wav_filename"] for row in second] == ["same-speaker.wav"]
    assert "train and dev share 1 recording, the first is" in found.out
    assert "train and dev share 1 speaker, the first is 't1'" in found.out


def test_a_leak_alone_is_a_fault(check: Check, tmp_path: Path):
    one, two = Set(tmp_path), Set(tmp_path)
    one.add("a.wav", "a cat", speak("a cat"))
    two.add("b.flac", "a cat", speak("a cat"))
    done = check(one.write("one.csv"), two.write("two.csv"))
    assert done.status == 1
    assert done.report["faults"] == []
    assert done.report["leaks"][0]["splits"] == [str(tmp_path / "one.csv"), str(tmp_path / "two.csv")]


def test_files_of_one_set_do_not_leak_into_each_other(check: Check, clean: tuple[Path, Path]):
    done = check("--train_files", f"{clean[0]},{clean[1]},{clean[0]}")
    assert done.status == 0
    assert done.report["leaks"] == []
    assert done.report["splits"][0]["files"] == [str(clean[0]), str(clean[1]), str(clean[0])]


def test_characters(found: Done):
    characters = {entry["character"]: entry for entry in found.report["characters"]}
    umlaut = characters["\u00e4"]
    assert (umlaut["code_point"], umlaut["name"]) == ("U+00E4", "LATIN SMALL LETTER A WITH DIAERESIS")
    assert (umlaut["count"], umlaut["covered"], umlaut["first"]["line"]) == (1, False, 29)
    assert characters["g"]["covered"]
    assert "'\u00e4' (U+00E4 LATIN SMALL LETTER A WITH DIAERESIS) 1 x, first" in found.out
    assert {"z", "'"} <= set(found.report["unused_labels"])
    assert not {"a", "\u00e4"} & set(found.report["unused_labels"])


def test_sets_are_summed_up(found: Done):
    train, dev = found.report["splits"]
    assert (train["name"], train["rows"], train["usable"]) == ("train", 29, 23)
    assert (dev["name"], dev["rows"], dev["usable"]) == ("dev", 5, 5)
    assert train["sample_rates"] == {"16000": 25, "8000": 1}
    assert (train["speakers"], dev["speakers"]) == (3, 4)
    assert train["faults"]["unreadable audio"] == 3
    seconds = [0.08 * len(text) for text in ("a bee", "add a bead", "face", "cafe", "decade")]
    assert dev["usable_hours"] == pytest.approx(sum(seconds) / 3600, abs=1e-6)
    durations = dev["measures"]["duration_s"]
    assert durations == {
        "least": 0.32, "p05": 0.32, "median": pytest.approx(0.4), "p95": pytest.approx(0.736), "most": 0.8,
    }  # fmt: skip


def test_rows_have_all_their_measures(found: Done):
    rows = {row["wav_filename"]: row for row in found.report["rows"]}
    assert len(rows) == 34
    assert rows["clipped.wav"]["clipped"] == 1
    assert rows["nothing.wav"]["silent"] == 1
    assert rows["late.wav"]["silence_before_s"] == pytest.approx(3, abs=0.021)
    assert rows["early.wav"]["silence_after_s"] == pytest.approx(3, abs=0.021)
    assert rows["tgood0.wav"]["characters_per_second"] == 12.5
    assert rows["tgood0.wav"]["digest"] == rows["again.flac"]["digest"] != rows["tgood1.wav"]["digest"]
    assert rows["other-rate.wav"]["sample_rate"] == 8000
    assert rows["missing.wav"]["duration_s"] is rows["missing.wav"]["silent"] is None
    assert rows["missing.wav"]["fault"] == "unreadable audio"


def test_the_network_decides_what_fits(check: Check, tmp_path: Path):
    data = Set(tmp_path)
    data.add("a.wav", "abcdefghijklmnopqrst", speak("abcde"))  # 20 labels; 0.4 s make 20 frames of 20 ms, or 40 of 10
    table = data.write("a.csv")
    assert check(table).status == 0
    streaming = check(table, "--nobidirectional")  # (6400 - 512) // 320 + 1 = 19 windows of 32 ms
    assert [fault["kind"] for fault in streaming.report["faults"]] == ["too short for its transcript"]
    assert check(table, "--nobidirectional", "--feature_win_step=10").status == 0
    assert streaming.report["checked_with"]["features"] == "streaming"


def test_bytes_need_no_alphabet(check: Check, tmp_path: Path):
    data = Set(tmp_path)
    data.add("a.wav", "\u00e4\u732b", speak("abcde"))
    table = data.write("a.csv")
    assert check(table).status == 1
    done = check(table, "--bytes_output_mode", "--fix", tmp_path / "fixed")
    assert done.status == 0
    assert done.report["unused_labels"] == []
    assert sorted(path.name for path in (tmp_path / "fixed").iterdir()) == ["a.csv"]


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def read_rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_fixed_files_are_clean_and_originals_untouched(check: Check, messy: tuple[Path, Path], tmp_path: Path):
    before = contents(messy[0].parent)
    fixed = tmp_path / "new" / "fixed"
    done = check("--train_files", messy[0], "--dev_files", messy[1], "--fix", fixed)
    assert done.status == 1, "the originals are not clean"
    assert contents(messy[0].parent) == before
    assert f"{fixed / 'train.csv'}: 23 of the 29 rows of {messy[0]}" in done.out
    left = {Path(row["wav_filename"]).name for row in read_rows(fixed / "train.csv")}
    names = {row[1] for row in FAULTS} - {"umlaut.wav"}
    assert not left & names
    assert "umlaut.wav" in left, "for the alphabet is made to fit"
    assert "leaked.wav" not in left
    dev = read_rows(fixed / "dev.csv")
    assert [Path(row["wav_filename"]).name for row in dev] == [
        "dgood0.wav", "dgood1.wav", "dgood2.wav", "copy.flac", "same-speaker.wav",
    ]  # fmt: skip
    assert dev[-1]["speaker"] == "t1"
    assert dev[0]["wav_filesize"] == str((messy[0].parent / "dgood0.wav").stat().st_size)
    letters = set().union(*(row["transcript"] for row in read_rows(fixed / "train.csv") + dev))
    assert (fixed / "alphabet.txt").read_text("utf-8").split("\n")[:-1] == sorted(letters) > [" "]
    again = check(
        "--train_files", fixed / "train.csv", "--dev_files", fixed / "dev.csv",
        "--alphabet_config_path", fixed / "alphabet.txt",
    )  # fmt: skip
    assert again.report["faults"] == []
    assert [leak["what"] for leak in again.report["leaks"]] == ["speaker"], "which needs a person to decide"
    assert again.report["unused_labels"] == []


def test_an_alphabet_that_was_chosen_is_kept(check: Check, tmp_path: Path):
    data = Set(tmp_path)
    data.add("a.wav", "a#b", speak("abc"))
    data.add("b.wav", "acb", speak("acb"))
    alphabet = tmp_path / "letters.txt"
    alphabet.write_text("# few\nb\n\\#\na\nx\n")
    table = data.write("a.csv")
    done = check(table, "--alphabet_config_path", alphabet, "--fix", tmp_path / "fixed")
    assert done.status == 1
    assert [Path(row["wav_filename"]).name for row in read_rows(tmp_path / "fixed" / "a.csv")] == ["a.wav"]
    assert (tmp_path / "fixed" / "alphabet.txt").read_text() == "b\n\\#\na\nx\n"
    check(table, "--fix", tmp_path / "fixed")
    assert (tmp_path / "fixed" / "alphabet.txt").read_text() == "\\#\na\nb\nc\n"


def test_control_characters_get_no_label(check: Check, tmp_path: Path):
    data = Set(tmp_path)
    data.add("a.wav", "a\nb", speak("abc"))
    data.add("b.wav", "cab", speak("cab"))
    check(data.write("a.csv"), "--fix", tmp_path / "fixed")
    assert [row["transcript"] for row in read_rows(tmp_path / "fixed" / "a.csv")] == ["cab"]
    assert (tmp_path / "fixed" / "alphabet.txt").read_text() == "a\nb\nc\n"


def test_fixed_files_of_one_name_are_told_apart(check: Check, tmp_path: Path):
    tables = []
    for number, name in enumerate(["a/t.csv", "b/t.csv", "b/t-2.csv", "c/alphabet.txt"]):
        folder = (tmp_path / name).parent
        folder.mkdir(exist_ok=True)
        data = Set(folder)
        text = "abcdef"[number : number + 3]
        data.add(f"{number}.wav", text, speak(text))
        tables.append(data.write(Path(name).name))
    done = check(*tables, "--fix", tmp_path / "fixed")
    assert done.status == 0
    written = {path.name: read_rows(path)[0]["transcript"] for path in (tmp_path / "fixed").glob("*-*")}
    assert read_rows(tmp_path / "fixed" / "t.csv")[0]["transcript"] == "abc"
    assert written == {"t-2.csv": "bcd", "t-2-2.csv": "cde", "alphabet-2.txt": "def"}
    assert (tmp_path / "fixed" / "alphabet.txt").read_text() == "a\nb\nc\nd\ne\nf\n"


@pytest.mark.parametrize(
    "flags",
    [["--fix", "."], ["--json", "a.csv"], ["--html", "./a.csv"], ["--html", "letters.txt"], ["--fix", "letters"]],
    ids=" ".join,
)
def test_what_is_read_is_never_written(check: Check, tmp_path: Path, flags: list[str]):
    data = Set(tmp_path)
    data.add("a.wav", "abc", speak("abc"))
    data.write("a.csv")
    (tmp_path / "letters").mkdir()
    (tmp_path / "letters" / "alphabet.txt").write_text("a\nb\nc\n")
    (tmp_path / "letters.txt").symlink_to("letters/alphabet.txt")
    before = contents(tmp_path)
    done = check("a.csv", "--alphabet_config_path=letters.txt", *flags, folder=tmp_path)
    assert done.status == 2
    assert done.err.startswith("Error: ")
    assert "would be overwritten" in done.err
    assert contents(tmp_path) == before


@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        ([], 2, "nothing to check"),
        (["--train_files", ""], 2, "nothing to check"),
        (["--colour"], 2, "--colour"),
        (["lost.csv", "--audio_sample_rate=0"], 2, "--audio_sample_rate is 0"),
        (["lost.csv", "--feature_win_step=0.03125"], 2, "--feature_win_step"),
        (["lost.csv"], 1, "lost.csv: No such file"),
        (["lost.csv", "--alphabet_config_path=letters.txt"], 1, "letters.txt: No such file"),
    ],
)
def test_mistakes_are_one_sentence(check: Check, tmp_path: Path, arguments: list[str], status: int, words: str):
    done = check(*arguments, folder=tmp_path)
    assert done.status == status
    assert words in done.err
    assert done.out == ""


class Page(HTMLParser):
    """What a browser would see; fails where tags do not close."""

    def __init__(self, text: str):
        super().__init__()
        self.tags: list[str] = []
        self.open: list[str] = []
        self.sources: list[str] = []
        self.text: list[str] = []
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note the tag and its addresses."""
        self.tags.append(tag)
        if tag not in {"meta", "br"}:
            self.open.append(tag)
        self.sources += [value or "" for name, value in attrs if name in {"src", "href"}]

    def handle_startendtag(self, tag: str, _attrs: list[tuple[str, str | None]]) -> None:
        """Note a tag that closes itself."""
        self.tags.append(tag)

    def handle_endtag(self, tag: str) -> None:
        """Demand that it is the one opened last."""
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        """Note the text."""
        self.text.append(data)


def test_the_page_shows_everything_in_one_file(check: Check, messy: tuple[Path, Path]):
    page_file = messy[0].parent / "check.html"
    try:
        check("--train_files", messy[0], "--dev_files", messy[1], "--html", page_file)
        page = Page(page_file.read_text("utf-8"))
    finally:
        page_file.unlink(missing_ok=True)
    assert not {"script", "link", "img", "iframe"} & set(page.tags)
    assert page.tags.count("svg") == 7 * 2, "seven measures of two sets"
    text = " ".join(page.text)
    for words in [row[2] for row in FAULTS]:
        assert words in text
    for words in ["clipped", "mostly silence", "train and dev share 1 speaker", "U+00E4", "contrary.flac"]:
        assert words in text
    assert page.sources
    assert all((messy[0].parent / urllib.parse.unquote(source)).is_file() for source in page.sources)
    assert not any("missing.wav" in source for source in page.sources)


def test_the_page_escapes_what_others_wrote(check: Check, tmp_path: Path):
    nasty = "\"><script>alert('1')</script> & <b>"
    name = "a\"'<i>#1%41?&.wav"
    (tmp_path / "pages").mkdir()
    data = Set(tmp_path)
    data.add(name, nasty, speak("abcdefghij" * 2), "<u>eva</u>")
    table = data.write("<s>.csv")
    other = tmp_path / "<em>.csv"
    other.write_bytes(table.read_bytes())
    done = check(table, other, "--html", tmp_path / "pages" / "check.html", folder=tmp_path)
    assert done.status == 1
    page = Page((tmp_path / "pages" / "check.html").read_text("utf-8"))
    assert not {"script", "b", "i", "u", "s", "em"} & set(page.tags)
    text = "".join(page.text)
    for words in [nasty, name, "<u>eva</u>", "<s>.csv"]:
        assert words in text
    assert {Path(urllib.request.url2pathname(source.removeprefix("file://"))) for source in page.sources} == {
        tmp_path / name
    }
    assert all(source.startswith("file:///") for source in page.sources), "it is not below the page"


def test_an_empty_set_is_reported_too(check: Check, tmp_path: Path):
    table = Set(tmp_path).write("none.csv")
    lost = Set(tmp_path)
    lost.add("lost.wav", "a", None)
    done = check(table, lost.write("lost.csv"), "--html", tmp_path / "a.html", "--fix", tmp_path / "fixed")
    assert done.status == 1
    assert [split["usable"] for split in done.report["splits"]] == [0, 0]
    assert done.report["splits"][0]["measures"]["duration_s"] == {}
    assert read_rows(tmp_path / "fixed" / "none.csv") == []
    Page((tmp_path / "a.html").read_text("utf-8"))


def test_the_json_is_what_the_page_about_it_says(found: Done):
    told = (ROOT / "doc" / "Data.md").read_text("utf-8")
    assert found.report["format"] == 1
    for key in found.report:
        assert f"`{key}`" in told
    for group in ("splits", "faults", "leaks", "findings", "characters", "rows"):
        for key in found.report[group][0]:
            assert f"`{key}`" in told, f"{group}: {key}"
    for kind in [*found.findings(), *{fault["kind"] for fault in found.report["faults"]}]:
        assert kind in told
