"""bin/import_folder.py: recordings beside texts or in a table, who is whom, and splits that stay what they are."""

from __future__ import annotations

import csv
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

import miniatures
import pytest
from conftest import ROOT
from test_importers import read_left_out, run

from util.audio import read_info

SPLITS = ("train", "dev", "test")
LETTERS = str.maketrans("0123456789/-", "abcdefghij  ")


def record(folder: Path, *names: str, seconds: float = 1) -> None:
    """Write a recording for each name, with a sentence of its own beside it."""
    for name in names:
        path = folder / f"{name}.wav"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(miniatures.audio(seconds))
        path.with_suffix(".txt").write_text(
            " ".join(name.replace("/", "").translate(str.maketrans("0123456789", "abcdefghij")))
        )


def write(folder: Path, files: Mapping[str, str | bytes]) -> None:
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)


def dealt(folder: Path, splits: tuple[str, ...] = SPLITS) -> dict[str, dict[str, str]]:
    """Return the speaker of each recording in each split."""
    found = {}
    for split in splits:
        with (folder / f"folder-{split}.csv").open(encoding="utf-8", newline="") as file:
            found[split] = {row["transcript"]: row.get("speaker", "") for row in csv.DictReader(file)}
    return found


def fails(done: subprocess.CompletedProcess[str], status: int, *words: object) -> None:
    assert done.returncode == status, done.stderr
    error = done.stderr.splitlines()[-1]
    assert error.startswith("Error: ")
    assert all(str(word) in error for word in words), error


@pytest.fixture
def mine(tmp_path: Path) -> Path:
    folder = tmp_path / "mine"
    folder.mkdir()
    return folder


def test_recordings_that_will_do_stay_where_they_are(mine, tmp_path):
    record(mine, "a/1", "b/1", "c/1")
    write(
        mine, {"d/1.wav": miniatures.audio(1, rate=8000), "d/1.txt": "telephone", "d/1.mp3": miniatures.audio(2, "MP3")}
    )
    done = run("folder", tmp_path / "out", "--source", mine)
    assert done.returncode == 0, done.stderr
    clips = sorted(str(path.relative_to(tmp_path / "out")) for path in tmp_path.glob("out/clips/**/*.wav"))
    assert clips == ["clips/d/1.mp3.wav", "clips/d/1.wav.wav"]
    assert {path.name for path in tmp_path.glob("out/*.txt")} == {"folder-alphabet.txt"}
    assert sum(map(len, dealt(tmp_path / "out").values())) == 4


def test_an_import_into_a_folder_inside_does_not_import_itself(mine):
    write(mine, {f"{name}/1.flac": miniatures.audio(1, "FLAC") for name in "abc"})
    write(mine, {f"{name}/1.txt": name for name in "abc"})
    for _ in range(2):
        done = run("folder", mine / "out", "--source", mine)
        assert done.returncode == 0, done.stderr
        assert read_left_out(mine / "out") == []


def test_who_speaks(mine, tmp_path):
    record(mine, *(f"talks/{name}-{number}" for name in ("ann", "bob", "eve", "joe") for number in (1, 2)))
    done = run("folder", tmp_path / "out", "--source", mine)
    assert {who for split in dealt(tmp_path / "out").values() for who in split.values()} == {""}
    speakers = {
        "folder": {"talks"},
        "none": {""},
        "prefix": {"ann", "bob", "eve", "joe"},
        r"[-](\d)": {"1", "2"},
        r"[aeiou]": {"a"},  # of talks
    }
    for how, expected in speakers.items():
        done = run("folder", tmp_path / how, "--source", mine, "--speaker_from", how)
        assert done.returncode == 0, done.stderr
        assert {who for split in dealt(tmp_path / how).values() for who in split.values()} == expected
    by_prefix = dealt(tmp_path / "prefix")
    assert sorted(len(set(split.values())) for split in by_prefix.values()) == [1, 1, 2]
    assert not set(by_prefix["dev"].values()) & set(by_prefix["test"].values())
    fails(
        run("folder", tmp_path / "x", "--source", mine, "--speaker_from", "(x)?"),
        1,
        "finds no speaker in talks/ann-1.wav",
    )
    fails(run("folder", tmp_path / "x", "--source", mine, "--speaker_from", "(x"), 2, "--speaker_from (x is no regular")


def test_who_was_dealt_stays_there(mine, tmp_path):
    """Speaker by speaker, with one who speaks most and one who leaves."""
    out, was = tmp_path / "out", {}
    for number in range(9):
        record(mine, f"{number}/1", *(f"{number}/{i}" for i in range(2, 9) if number == 3))
        done = run("folder", out, "--source", mine)
        if number < 2:
            assert done.returncode == 1
            continue
        assert done.returncode == 0, done.stderr
        now = {who: split for split, rows in dealt(out).items() for who in rows.values()}
        assert len(now) == number + 1
        if number > 2:
            assert {who: now[who] for who in was} == was
        was = now


def test_sentences_are_in_one_split_where_speakers_are_not_known(mine, tmp_path):
    texts = ["one", "two", "three", "four", "five", "six"]
    for i in range(18):
        write(mine, {f"{i}.wav": miniatures.audio(1), f"{i}.txt": texts[i % 6]})
    assert run("folder", tmp_path / "out", "--source", mine, "--speaker_from", "none").returncode == 0
    found = [set(split) for split in dealt(tmp_path / "out").values()]
    assert sum(map(len, found)) == 6
    assert set().union(*found) == set(texts)


def test_folders_named_like_splits_are_splits(mine, tmp_path):
    record(mine, "Training/ann/1", "Training/ann/2", "valid/bob/1")
    assert run("folder", tmp_path / "out", "--source", mine).returncode == 0
    found = dealt(tmp_path / "out", ("train", "dev"))
    assert [set(split.values()) for split in found.values()] == [{"ann"}, {"bob"}]
    assert not (tmp_path / "out" / "folder-test.csv").exists()
    record(mine, "more/eve/1")
    assert run("folder", tmp_path / "all", "--source", mine).returncode == 0
    speakers = sorted(who for split in dealt(tmp_path / "all").values() for who in split.values())
    assert speakers == ["ann", "ann", "bob", "eve"]


TABLES = {
    "header.csv": 'Client_ID,path,sentence\nann,a/1,"hello, world"\nbob,b\\1.wav,good day\neve,./c/1.wav,bye\n',
    "plain.csv": 'a/1.wav;"hello; world"\nb/1.wav;good day\nc/1.wav;bye\n',
    "lines.txt": 'a/1|hello, world|Hello, "world"\r\nb/1|good day|Good day\r\n\r\nc/1|bye|Bye\r\n',
    "tabs.tsv": '\ufeffspeaker\tfile\ttranscript\nann\ta/1.wav\thello "world\nbob\tb/1.wav\tgood day\neve\tc/1\tbye',
    "deep/below.csv": "file,text\n../a/1.wav,hello world\n../b/1.wav,good day\n../c/1.wav,bye\n",
}


@pytest.mark.parametrize("name", TABLES)
def test_tables(mine, tmp_path, name):
    record(mine, "a/1", "b/1", "c/1")
    write(mine, {name: TABLES[name], "a/1.txt": "of no account"})
    done = run("folder", tmp_path / "out", "--source", mine, "--table", mine / name)
    assert done.returncode == 0, done.stderr
    assert read_left_out(tmp_path / "out") == []
    found = {text: who for split in dealt(tmp_path / "out").values() for text, who in split.items()}
    told = ("ann", "bob", "eve") if "ann" in TABLES[name] else ("a", "b", "c")
    assert found == dict(zip(["hello world", "good day", "bye"], told, strict=True))


def test_a_table_may_name_splits_and_lists_what_is_missing(mine, tmp_path):
    record(mine, "wavs/1", "wavs/2", "wavs/3", "wavs/u\u0308ber")
    table = "path,sentence,set\n1,one,train\n2,two,Validation\n\u00fcber,over,mine\n9.wav,gone,train\n3.wav,,train\n"
    write(mine, {"list.csv": table, "wavs/4.wav": miniatures.audio(1)})
    done = run("folder", tmp_path / "out", "--source", mine, "--table", "list.csv")
    assert done.returncode == 0, done.stderr
    assert {split: list(rows) for split, rows in dealt(tmp_path / "out", ("train", "dev", "mine")).items()} == {
        "train": ["one"],
        "dev": ["two"],
        "mine": ["over"],
    }
    left_out = {(kind, Path(name).name) for kind, name in read_left_out(tmp_path / "out")}
    assert left_out == {("no audio file", "9.wav"), ("transcript empty", "3.wav"), ("no transcript", "4.wav")}
    assert "list.csv does not list it" in (tmp_path / "out" / "folder-skipped.csv").read_text()


@pytest.mark.parametrize(
    ("table", "words"),
    [
        ("path,words\n1,one\n", "t.csv:1: no column has the transcript (expected transcript, sentence,"),
        ("path,text\n1,one,two\n", "t.csv:2: 3 columns, expected 2"),
        ("path,text\n1,'one'\n2,\"two\n", "t.csv:3: unexpected end of data; mend the quotes"),
        ("path\n1\n", "t.csv:1: expected columns parted by"),
        ("", "t.csv:1: expected columns parted by"),
        (",\n", "t.csv:1: expected columns parted by"),
        ('"1,one"\n', "t.csv:1: expected columns parted by"),
        ("path,text,speaker\n1,one,\n", "t.csv:2: the speaker is empty"),
        ("path,text\n1,one\n./1.wav,two\n", "t.csv:3: an earlier row says something else of ./1.wav"),
        ("path,text\n3,three\n", "t.csv:2: 3 may be "),
        ("path,text\n../../3.wav,three\n", "t.csv:2: ../../3.wav lies outside "),
        ("path,text,split\n1,one,a/b\n", "the table has the split 'a/b'"),
        ("path,text\n1,\xfcber\n", "t.csv:2: the byte 0xFC"),
    ],
)
def test_a_table_at_fault_is_one_sentence(mine, tmp_path, table, words):
    record(mine, "1", "2", "a/3", "b/3")
    write(mine, {"t.csv": table.encode("latin-1")})
    fails(run("folder", tmp_path / "out", "--source", mine, "--table", mine / "t.csv"), 1, words)


def test_what_cannot_be_imported_is_one_sentence(mine, tmp_path):
    out = "folder", tmp_path / "out"
    fails(run(*out), 2, "--source is None, expected a folder")
    fails(run(*out, "--source", tmp_path / "no"), 2, "expected a folder of recordings or an archive")
    fails(run("folder", mine, "--source", mine), 2, "expected another folder")
    fails(run(*out, "--source", mine), 1, f"none of 0 recordings in {mine} has a .txt")
    fails(run(*out, "--source", tmp_path / "no.zip"), 1, "There is no no.zip in")
    record(mine, "1")
    fails(run(*out, "--source", mine, "--table", "no.csv"), 1, f"cannot read {mine}/no.csv: No such")
    write(mine, {"1.m4a": b"\0\0\0\x20ftypM4A ", "2.m4a": b"\0\0\0\x20ftypM4A ", "2.txt": "what for"})
    fails(run(*out, "--source", mine), 1, "2.m4a is MP4 or M4A", "convert it")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_stopped_import_goes_on_where_it_was(tmp_path: Path, number: signal.Signals):
    """Clips that take a while each, many of them: stopped at once, none half there, none done again."""
    source, folder = tmp_path / "source", tmp_path / "corpus"
    source.mkdir()
    recording = miniatures.audio(20, "FLAC", 48000)
    for index in range(300):
        (source / f"clip{index:03d}.flac").write_bytes(recording)
        (source / f"clip{index:03d}.txt").write_text(f"some words {'abcdefghij'[index % 10]}")
    command = [sys.executable, ROOT / "bin" / "import_folder.py", folder, "--source", source]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as started:
        while len(list(folder.rglob("clip*.wav"))) < 20:
            assert started.poll() is None, started.stderr.read() if started.stderr else ""
            time.sleep(0.01)
        started.send_signal(number)
        began = time.monotonic()
        said = started.communicate(timeout=30)[1]
    assert time.monotonic() - began < 5
    assert (started.returncode, said.splitlines()[-1]) == (130, "Error: Interrupted.")
    assert not list(folder.glob("*.csv"))
    done = {path: path.stat().st_mtime_ns for path in folder.rglob("clip*.wav")}
    assert 20 <= len(done) < 300
    assert all(read_info(path).n_samples == 20 * 16000 for path in done)

    again = subprocess.run(command, capture_output=True, text=True, check=False)
    assert again.returncode == 0, again.stderr
    assert {path: path.stat().st_mtime_ns for path in done} == done
    tables = [folder / f"folder-{split}.csv" for split in ("train", "dev", "test")]
    assert sum(len(table.read_text().splitlines()) - 1 for table in tables) == 300
