"""What DeepSpeech.py says about data that cannot be used, before TensorFlow is imported, and about data that can."""

from __future__ import annotations

import csv
import json
import unicodedata
from collections.abc import Callable, Sequence
from pathlib import Path
from subprocess import CompletedProcess

import numpy as np
import pytest
import soundfile
from conftest import NO_TENSORFLOW, Csvs, Program, speak

HTML = b"<!DOCTYPE html>\n<html><head><title>404 Not Found</title></head></html>\n"
HEADER = "wav_filename,wav_filesize,transcript"


def write_audio(path: Path, text: str = "a cat", rate: int = 16000, **form: str) -> None:
    soundfile.write(path, speak(text, rate) / 32768, rate, **form)


def truncate(path: Path) -> None:
    write_audio(path)
    path.write_bytes(path.read_bytes()[:-900])


def write_rows(folder: Path, name: str, rows: Sequence[tuple[str, str]], newline: str = "\n", bom: bytes = b"") -> Path:
    text = newline.join([HEADER, *(f"{wav},1,{transcript}" for wav, transcript in rows), ""])
    path = folder / name
    path.write_bytes(bom + text.encode())
    return path


def read_report(folder: Path) -> list[dict[str, str]]:
    with (folder / "data_faults.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


# name of the file, how it is made, transcript, kind of the fault, words of its reason
FAULTS: list[tuple[str, Callable[[Path], object], str, str, list[str]]] = [
    # 0.4 s make 20 frames; 19 letters fit, not with repeats between which CTC needs a blank
    ("short.wav", write_audio, "a cat and a dad and a cab", "too short", ["0.40 s", "20 frames", "25 labels", "25"]),
    ("repeats.wav", write_audio, "abbccddeeffgghhi", "too short", ["20 frames", "16 labels", "at least 23"]),
    ("empty.wav", write_audio, "", "empty transcript", ["write what is said"]),
    ("blank.wav", write_audio, "   ", "empty transcript", ["write what is said"]),
    ("capital.wav", write_audio, "A cat", "not in alphabet", ["'A'", "U+0041", "LATIN CAPITAL LETTER A"]),
    ("cyrillic.wav", write_audio, "a \u0441at", "not in alphabet", ["U+0441", "CYRILLIC SMALL LETTER ES"]),
    ("umlaut.wav", write_audio, "ba\u0308d", "not in alphabet", ["'ä'", "U+00E4", "WITH DIAERESIS"]),
    ("several.wav", write_audio, "a-cat 2", "not in alphabet", ["U+002D", "HYPHEN", "U+0032", "DIGIT TWO"]),
    ("page.wav", lambda path: path.write_bytes(HTML), "a", "unreadable", ["web page", "<!DOCTYPE", "download"]),
    ("nothing.wav", lambda path: path.write_bytes(b""), "a", "unreadable", ["0 bytes", "copy it again"]),
    ("zeros.wav", lambda path: path.write_bytes(bytes(4000)), "a", "unreadable", ["not audio", "WAV, FLAC"]),
    ("gone.wav", lambda _path: None, "a", "unreadable", ["No such file"]),
    ("folder.wav", lambda path: path.mkdir(), "a", "unreadable", ["folder"]),
    ("cut.flac", truncate, "a cat", "unreadable", ["cut short", "copy or download it again"]),
    ("cut.wav", truncate, "a cat", "unreadable", ["cut short", "bytes of sound"]),
    (
        "mp4.wav",
        lambda path: path.write_bytes(b"\0\0\0\x20ftypM4A " + bytes(99)),
        "a",
        "unreadable",
        ["M4A", "convert"],
    ),
    ("header.wav", lambda path: soundfile.write(path, np.zeros(0), 16000), "a", "unreadable", ["no samples"]),
]


@pytest.fixture(scope="module")
def faulty(tmp_path_factory: pytest.TempPathFactory, decoy: Path) -> tuple[CompletedProcess[str], Path]:
    """Run the program on a CSV of one good row and all faults; return how it ended and its checkpoint directory."""
    folder = tmp_path_factory.mktemp("faulty")
    write_audio(folder / "good.wav")
    for name, make, *_ in FAULTS:
        make(folder / name)
    write_rows(folder, "faulty.csv", [("good.wav", "a cat"), *((name, text) for name, _, text, *_ in FAULTS)])
    flags = "--train_files=faulty.csv", "--checkpoint_dir=a/run"
    return Program(folder, decoy)(*flags, tensorflow=False), folder / "a" / "run"


@pytest.mark.parametrize(("name", "_make", "_text", "kind", "words"), FAULTS, ids=[fault[0] for fault in FAULTS])
def test_each_fault_is_reported_with_its_reason(faulty, name: str, _make, _text: str, kind: str, words: list[str]):
    row = next(row for row in read_report(faulty[1]) if row["wav_filename"] == name)
    assert kind in row["kind"]
    for word in words:
        assert word in row["reason"]
    assert row["source"] == "faulty.csv"
    assert row["line"] == str(3 + [fault[0] for fault in FAULTS].index(name))


def test_faults_are_left_out_and_summed_up_by_kind(faulty):
    done, folder = faulty
    assert done.returncode == NO_TENSORFLOW, "training goes on without them"
    assert "faulty.csv: 1 utterances" in done.stderr
    lines = done.stderr.splitlines()
    for kind, count, first in [
        ("unreadable audio", 9, 11),
        ("character not in alphabet", 4, 7),
        ("too short for its transcript", 2, 3),
        ("empty transcript", 2, 5),
    ]:
        found = [line for line in lines if kind in line]
        assert len(found) == 1, "one line, however many there are"
        assert f"{count} of {len(FAULTS) + 1} utterances left out" in found[0]
        assert f"faulty.csv:{first}:" in found[0]
    assert len(read_report(folder)) == len(FAULTS)
    assert [line for line in lines if f"{len(FAULTS)} rows" in line and "a/run/data_faults.csv" in line]


def test_strict_data_ends_the_run(deepspeech: Program, tmp_path: Path):
    write_audio(tmp_path / "good.wav")
    path = write_rows(tmp_path, "a.csv", [("good.wav", "a cat"), ("good.wav", "")])
    done = deepspeech("--strict_data", "--train_files", path, "--checkpoint_dir=run", tensorflow=False)
    assert done.returncode == 1
    assert "Error: --strict_data: 1 row" in done.stderr
    assert "a.csv:3: The transcript is empty" in done.stderr
    assert [row["line"] for row in read_report(tmp_path / "run")] == ["3"]


@pytest.mark.parametrize("purpose", ["train", "dev", "test", "metrics"])
def test_a_set_without_a_usable_row_is_named(deepspeech: Program, csvs: Csvs, tmp_path: Path, purpose: str):
    path = write_rows(tmp_path, "useless.csv", [("gone.wav", "a cat"), ("lost.wav", "cab")])
    files = {"train": csvs.train} | {purpose: path}
    done = deepspeech(*(f"--{name}_files={path}" for name, path in files.items()), tensorflow=False)
    assert done.returncode == 1
    last = done.stderr.splitlines()[-1]
    assert last.startswith("Error: ")
    assert "useless.csv has no row that can be used (2 at fault)" in last


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", ["a.csv is empty", HEADER]),
        (f"{HEADER}\n".encode(), ["a.csv has no row"]),
        (b"file,text\na.wav,a\n", ["a.csv:1", "'file,text'", HEADER]),
        (b"wav_filename;wav_filesize;transcript\na.wav;1;a\n", ["a.csv:1", "semicolons", "commas"]),
        (f"{HEADER}\na.wav,1,one, two\n".encode(), ["a.csv:2", "4 fields", "expected 3", "quotes"]),
        (f"{HEADER}\n,1,a\n".encode(), ["a.csv:2", "wav_filename is empty"]),
        (f"{HEADER}\na.wav,large,a\n".encode(), ["a.csv:2", "'large'", "bytes"]),
        (f"{HEADER}\na.wav,1,\xe9\n".encode("latin-1"), ["a.csv:2", "0xE9", "UTF-8"]),
        (None, ["a.csv", "No such file", HEADER]),
    ],
    ids=["empty", "header only", "header", "semicolons", "comma", "no name", "size", "latin-1", "missing"],
)
def test_a_broken_csv_is_one_sentence(deepspeech: Program, tmp_path: Path, content: bytes | None, words: list[str]):
    if content is not None:
        (tmp_path / "a.csv").write_bytes(content)
    done = deepspeech("--train_files=a.csv", "--checkpoint_dir=run", tensorflow=False)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith("Error: ")
    for word in words:
        assert word in done.stderr.splitlines()[-1]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, ["letters.txt", "No such file", "one label on each line"]),
        (b"a\nb\na\n", ["letters.txt:3", "'a'", "line 1"]),
        (b"a\n\nb\n", ["letters.txt:2", "empty"]),
        (b"# nothing but this\n", ["letters.txt has no labels"]),
        (b"a\n\xe4\n", ["letters.txt:2", "0xE4", "UTF-8"]),
    ],
    ids=["missing", "twice", "gap", "no labels", "latin-1"],
)
def test_a_broken_alphabet_is_one_sentence(
    deepspeech: Program, csvs: Csvs, tmp_path: Path, content: bytes | None, words: list[str]
):
    if content is not None:
        (tmp_path / "letters.txt").write_bytes(content)
    done = deepspeech("--train_files", csvs.train, "--alphabet_config_path=letters.txt", tensorflow=False)
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    for word in words:
        assert word in done.stderr


def test_every_way_to_write_text_and_sound_is_understood(deepspeech: Program, tmp_path: Path):
    """Byte order marks, newlines of Windows, decomposed umlauts, words that look like missing values; any WAV."""
    alphabet = tmp_path / "letters.txt"
    alphabet.write_bytes(b"\xef\xbb\xbf# German\r\n" + "\r\n".join(" abcdefghijklmnopqrstuvwxyzNA07ä").encode())
    write_audio(tmp_path / "float.wav", "null", subtype="FLOAT")
    write_audio(tmp_path / "24.wav", "nan", subtype="PCM_24")
    write_audio(tmp_path / "8.wav", "aa", subtype="PCM_U8")
    write_audio(tmp_path / "32.wav", "cab", subtype="PCM_32")
    write_audio(tmp_path / "a.flac", "ba", format="FLAC")
    texts = "null", "NA", "007", unicodedata.normalize("NFD", "bäd"), "nan"
    rows = list(zip(["float.wav", "24.wav", "8.wav", "32.wav", "a.flac"], texts, strict=True))
    write_rows(tmp_path, "words.csv", rows, "\r\n", b"\xef\xbb\xbf")
    names = "--train_files=words.csv", "--test_files=words.csv", "--alphabet_config_path=letters.txt"
    once = "--epochs=1", "--test_output_file=samples.json", "--strict_data", "--checkpoint_dir=run"
    done = deepspeech(*names, *once, "--train_batch_size=2", "--test_batch_size=5")
    assert done.returncode == 0, done.stderr
    assert "words.csv: 5 utterances" in done.stderr
    assert "left out" not in done.stderr
    written = json.loads((tmp_path / "samples.json").read_text("utf-8"))
    assert [sample["src"] for sample in written] == ["null", "NA", "007", "bäd", "nan"]


def test_conversions_are_one_line_for_each_kind_and_csv(deepspeech: Program, tmp_path: Path):
    for name in ("a", "b", "c"):
        write_audio(tmp_path / f"{name}.wav", rate=8000)
    sound = speak("a cat")
    soundfile.write(tmp_path / "stereo.wav", np.stack([sound, sound], 1), 16000)
    rows = [(f"{name}.wav", "a cat") for name in ("a", "b", "c", "stereo")]
    write_rows(tmp_path, "one.csv", rows)
    write_rows(tmp_path, "two.csv", rows[2:])
    done = deepspeech("--train_files=one.csv", "--dev_files=two.csv", tensorflow=False)
    assert done.returncode == NO_TENSORFLOW
    one, two = done.stderr.index("one.csv: 4"), done.stderr.index("two.csv: 2")
    for text, rates, channels in [(done.stderr[one:two], 3, 1), (done.stderr[two:], 1, 1)]:
        assert text.count("Hz") == 1
        assert f"{rates} resampled from 8000 to 16000 Hz" in text
        assert f"{channels} mixed down from 2 channels" in text
    warnings = [line for line in done.stderr.splitlines() if line.startswith("Warning")]
    assert ["share 2 recordings" in line for line in warnings] == [True], "of nothing else"


def write_speakers(path: Path, rows: Sequence[tuple[str, str, str]], column: str) -> Path:
    path.write_text("\n".join([f"{HEADER},{column}", *(f"{wav},,{text},{speaker}" for wav, text, speaker in rows)]))
    return path


def test_recordings_and_speakers_in_training_and_elsewhere(deepspeech: Program, tmp_path: Path):
    """By name, by content and by speaker; neither length and transcript nor somebody unnamed make a leak."""
    write_audio(tmp_path / "a.wav", "a cat")
    write_audio(tmp_path / "b.wav", "a bat")
    write_audio(tmp_path / "c.wav", "a cad")
    write_audio(tmp_path / "copy-of-b.wav", "a bat")
    write_audio(tmp_path / "d.wav", "a tab")
    train = [("a.wav", "a cat", "eva"), ("b.wav", "a bat", ""), ("c.wav", "a cad", "max")]
    write_speakers(tmp_path / "train.csv", train, "speaker")
    write_speakers(tmp_path / "dev.csv", [("copy-of-b.wav", "a bat", ""), ("a.wav", "a cat", "")], "speaker")
    write_speakers(tmp_path / "test.csv", [("d.wav", "a cad", "max"), ("d.wav", "a tab", "max")], "client_id")
    write_speakers(tmp_path / "fair.csv", [("d.wav", "a cad", "kim"), ("d.wav", "a bat", "")], "speaker")
    flags = "--train_files=train.csv", "--dev_files=dev.csv,fair.csv", "--test_files=test.csv,train.csv"
    done = deepspeech(*flags, "--metrics_files=dev.csv", "--strict_data", tensorflow=False)
    assert done.returncode == NO_TENSORFLOW, "training goes on"
    assert [line for line in done.stderr.splitlines() if line.startswith("Warning")] == [
        f"Warning: train.csv and {what}: results look better than they are; keep each {word} in one of the two"
        " (bin/check_data.py lists all)."
        for what, word in [
            ("dev.csv share 2 recordings, the first is train.csv:2 and dev.csv:3", "recording"),
            ("test.csv share 1 speaker, the first is 'max', train.csv:4 and test.csv:2", "speaker"),
        ]
    ]


@pytest.mark.parametrize(
    "batch_size",
    [
        3,
        1,
    ],
)
def test_a_file_that_disappears_is_named_and_the_run_goes_on(deepspeech: Program, tmp_path: Path, batch_size: int):
    for name in ("a", "b", "c"):
        write_audio(tmp_path / f"{name}.wav")
    write_rows(tmp_path, "a.csv", [(f"{name}.wav", "a cat") for name in ("a", "b", "c")])
    names = "--train_files=a.csv", "--dev_files=a.csv", "--test_files=a.csv", "--checkpoint_dir=run"
    sizes = [f"--{purpose}_batch_size={batch_size}" for purpose in ("train", "dev", "test")]
    with deepspeech.start(*names, *sizes, "--epochs=2") as process:
        for line in process.stderr:
            if "TensorFlow" in line:  # every set is checked, nothing has been read yet
                (tmp_path / "b.wav").unlink()
                break
        out, err = process.communicate(timeout=100)
    assert process.returncode == 0, err
    assert "Traceback" not in err
    warnings = [line for line in err.splitlines() if line.startswith("Warning: ")]
    assert len(warnings) == 2 + 2 + 1, "two epochs, two validations, one test"
    for warning in warnings:
        assert "a.csv:3: cannot read" in warning
        assert "b.wav: No such file" in warning
    assert f"Training is complete: 2 epochs, {6 // batch_size} steps" in err
    assert "Test on a.csv" in out
