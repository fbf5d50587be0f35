"""CSVs: text stays text, rows round trip, and every mistake has its file, line and sentence."""

import csv
import io
import random
import time
from pathlib import Path

import pytest

from util.corpus import Fault, Utterance, read_csv, summarize_faults, write_csv, write_faults
from util.errors import DataError

HEADER = "wav_filename,wav_filesize,transcript"


def _write(tmp_path: Path, text: str | bytes) -> Path:
    path = tmp_path / "train.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def _message(path: Path) -> str:
    with pytest.raises(DataError) as caught:
        read_csv(path)
    message = str(caught.value)
    assert "\n" not in message
    return message


def _utterance(path: str, line: int = 2, **fields: object) -> Utterance:
    values = {"wav_filename": path, "path": path, "wav_filesize": 0, "transcript": "", "line": line}
    return Utterance(**{"source": "train.csv", **values, **fields})  # type: ignore[arg-type]


@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("bom", ["", "\ufeff"])
@pytest.mark.parametrize("end", ["", "\n"])
def test_rows_in_their_order(tmp_path: Path, newline: str, bom: str, end: str):
    text = f'{HEADER}\nb.wav,12,one\n\n"a, b.wav",,"two, ""2"""\n/x/c.wav,3.0, three {end}'
    path = _write(tmp_path, bom + text.replace("\n", newline))
    assert read_csv(path) == [
        Utterance("b.wav", str(tmp_path / "b.wav"), 12, "one", str(path), 2),
        Utterance("a, b.wav", str(tmp_path / "a, b.wav"), 0, 'two, "2"', str(path), 4),
        Utterance("/x/c.wav", "/x/c.wav", 3, "three", str(path), 5),
    ]


@pytest.mark.parametrize("word", ["null", "NA", "nan", "NaN", "None", "007", "1e5", "true", "#N/A"])
def test_text_stays_text(tmp_path: Path, word: str):
    path = _write(tmp_path, f"{HEADER},id\na.wav,1,{word},{word}\n{word},1,x,1\n")
    first, second = read_csv(path)
    assert first.transcript == word
    assert first.extra == (("id", word),)
    assert second.wav_filename == word


def test_transcripts_are_composed_and_stripped(tmp_path: Path):
    path = _write(tmp_path, f'{HEADER}\na.wav,1," a\u0308 b\u00a0\r\n"\nb.wav,1,\n')
    assert [u.transcript for u in read_csv(path)] == ["\u00e4 b", ""]


def test_lines_are_those_of_the_file(tmp_path: Path):
    path = _write(tmp_path, f'\n{HEADER}\na.wav,1,"x\ny\n"\n\nb.wav,1,"z"\n"c\n.wav",1,q\nd,1,r\n')
    assert [u.line for u in read_csv(path)] == [3, 7, 8, 10]


def test_names_start_at_the_folder_of_the_csv(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "sub").mkdir()
    _write(tmp_path / "sub", f"{HEADER}\nclips/a.wav,1,x\n../b.wav,1,x\n./c.wav,1,x\n")
    monkeypatch.chdir(tmp_path)
    utterances = read_csv("sub/train.csv")
    assert [u.path for u in utterances] == [str(tmp_path / name) for name in ("sub/clips/a.wav", "b.wav", "sub/c.wav")]
    assert utterances[0].wav_filename == "clips/a.wav"
    assert utterances[0].source == "sub/train.csv"


def test_columns_in_any_order_and_others_are_carried(tmp_path: Path):
    path = _write(tmp_path, "age, transcript ,wav_filename,sex\n30,hello,a.wav,\n")
    (utterance,) = read_csv(path)
    assert utterance.transcript == "hello"
    assert utterance.wav_filesize == 0
    assert utterance.extra == (("age", "30"), ("sex", ""))


def test_only_the_file_name_is_required(tmp_path: Path):
    (utterance,) = read_csv(_write(tmp_path, "wav_filename\na.wav\n"))
    assert (utterance.transcript, utterance.wav_filesize) == ("", 0)


def test_a_header_alone_has_no_rows(tmp_path: Path):
    assert read_csv(_write(tmp_path, HEADER)) == []


@pytest.mark.parametrize(
    ("text", "line", "sentence"),
    [
        (f"{HEADER}\na.wav,1,x\nb.wav,1\n", 3, "the row has 2 fields, expected 3 as in the header"),
        (f"{HEADER}\na.wav,1,one, two\n", 2, "the row has 4 fields, expected 3"),
        (f'{HEADER}\na.wav,1,"x\ny"\nb.wav\n', 4, "the row has 1 fields, expected 3"),
        (f"{HEADER}\na.wav,many,x\n", 2, "wav_filesize is 'many', expected a number of bytes"),
        (f"{HEADER}\na.wav,-1,x\n", 2, "wav_filesize is '-1', expected a number of bytes"),
        (f"{HEADER}\na.wav,nan,x\n", 2, "wav_filesize is 'nan', expected a number of bytes"),
        (f"{HEADER}\na.wav,inf,x\n", 2, "wav_filesize is 'inf', expected a number of bytes"),
        (f"{HEADER}\n ,1,x\n", 2, "wav_filename is empty; name a file or remove the row"),
        (f'{HEADER}\na.wav,1,x\nb.wav,1,"y\nc.wav,1,z\n', 3, "the row is not CSV"),
        (f'{HEADER}\na.wav,1,"he" said\n', 2, "the row is not CSV"),
        (f"{HEADER},transcript\n", 1, "the column transcript occurs twice; remove one of the two"),
        ("a.wav,1,hello\n", 1, f"the header is 'a.wav,1,hello', expected {HEADER}"),
        ("a.wav,1,hello\n", 1, "wav_filename is required; add the header"),
        ("wav_filename;wav_filesize;transcript\n", 1, "are separated by semicolons, use commas"),
        ("wav_filename\twav_filesize\ttranscript\n", 1, "are separated by tabs, use commas"),
    ],
)
def test_a_faulty_row(tmp_path: Path, text: str, line: int, sentence: str):
    path = _write(tmp_path, text)
    message = _message(path)
    assert message.startswith(f"{path}:{line}: ")
    assert sentence in message


def test_the_header_is_judged_before_the_rows(tmp_path: Path):
    message = _message(_write(tmp_path, "wav_filename;transcript\na.wav;one, two\n"))
    assert message.startswith(f"{tmp_path}/train.csv:1: the header is 'wav_filename;transcript'")


def _read_by_definition(text: str) -> list[tuple[int, list[str]]] | int:
    """Rows and their lines as the csv module has them; of faulty ones the line of the first."""
    rows, line = [], 1
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        for row in reader:
            if len(row) not in (0, 3):
                return line
            if row:
                rows.append((line, row))
            line = reader.line_num + 1
    except csv.Error:
        return line
    nameless = [line for line, row in rows if not row[0].strip()]
    return nameless[0] if nameless else rows


def test_any_text_is_read_as_the_csv_module_reads_it(tmp_path: Path):
    rng = random.Random(5)
    pieces = [
        "a.wav",
        "NA",
        ",",
        ",",
        "\n",
        "\n",
        "\r\n",
        "\r",
        '"',
        '"',
        '""',
        " ",
        "\u00e4",
        "a,,b\n",
        '"x\r\ny",,\n',
        ",,",
    ]
    outcomes = {list: 0, int: 0}
    for _ in range(400):
        rows = ["".join(rng.choices(pieces, k=rng.randrange(4))) for _ in range(2)]
        good = ['b.wav,,"c\nd"\r\n', "\n", "e,,\n"]
        text = "wav_filename,id,transcript\n" + "".join(rng.choices(good, k=3)) + "".join(rows)
        expected = _read_by_definition(text)
        outcomes[type(expected)] += 1
        path = _write(tmp_path, text)
        if isinstance(expected, int):
            assert _message(path).startswith(f"{path}:{expected}: "), text
        else:
            found = [(u.line, [u.wav_filename, dict(u.extra)["id"], u.transcript]) for u in read_csv(path)]
            assert found == [(line, [wav, name, said.strip()]) for line, (wav, name, said) in expected[1:]], text
    assert min(outcomes.values()) > 40


def test_a_large_file_is_read_in_seconds(tmp_path: Path):
    rows = (f'clips/{i}.wav,{i},"one, {i}"\n' for i in range(300_000))
    path = _write(tmp_path, f"{HEADER}\n" + "".join(rows))
    began = time.process_time()
    utterances = read_csv(path)
    assert time.process_time() - began < 10
    assert len(utterances) == 300_000
    last = utterances[-1]
    assert (last.line, last.wav_filesize, last.transcript) == (300_001, 299_999, "one, 299999")


@pytest.mark.parametrize("bom", [b"", b"\xef\xbb\xbf"])
def test_bytes_that_are_not_utf8(tmp_path: Path, bom: bytes):
    data = bom + f"{HEADER}\r\na.wav,1,k\u00e4se\r\n".encode("latin-1")
    message = _message(_write(tmp_path, data))
    assert message == (
        f"{tmp_path}/train.csv:2: the byte 0xE4 at position {data.index(0xE4)} is not UTF-8; "
        "save the file as UTF-8 text"
    )


@pytest.mark.parametrize("text", ["", "\ufeff", "\n\n"])
def test_an_empty_file(tmp_path: Path, text: str):
    path = _write(tmp_path, text)
    assert _message(path) == f"{path} is empty, expected a CSV with the header {HEADER}"


def test_no_file(tmp_path: Path):
    assert _message(tmp_path / "no.csv") == (
        f"cannot read {tmp_path}/no.csv: No such file or directory; expected a CSV with the header {HEADER}"
    )
    assert f"cannot read {tmp_path}: it is a folder; " in _message(tmp_path)


def test_csv_round_trip(tmp_path: Path):
    rng = random.Random(3)
    alphabet = 'ab ,;"\n\t\u00e4\u4e2d\U0001f600\\#'
    path = tmp_path / "out.csv"
    utterances = []
    for i in range(200):
        text, note = ("".join(rng.choices(alphabet, k=rng.randrange(12))) for _ in range(2))
        folder = rng.choice([tmp_path, tmp_path / "clips", Path("/elsewhere")])
        utterances.append(
            _utterance(
                f"{folder}/{i}.wav",
                wav_filesize=rng.randrange(10**9),
                transcript=text.strip(),
                extra=(("note", note), ("id", str(i))),
            )
        )
    write_csv(path, utterances)
    again = read_csv(path)
    assert [(u.path, u.wav_filesize, u.transcript, u.extra) for u in again] == [
        (u.path, u.wav_filesize, u.transcript, u.extra) for u in utterances
    ]
    assert {u.wav_filename.startswith("/") for u in again if "elsewhere" not in u.path} == {False}
    assert {u.wav_filename.startswith("/") for u in again if "elsewhere" in u.path} == {True}


def test_the_written_csv(tmp_path: Path):
    path = tmp_path / "out.csv"
    write_csv(
        path,
        [
            _utterance(str(tmp_path / "a.wav"), wav_filesize=5, transcript="\u00e4"),
            _utterance(f"{tmp_path}2/b.wav", transcript="x, y", extra=(("age", "30"),)),
        ],
    )
    assert path.read_bytes().decode() == (f'{HEADER},age\na.wav,5,\u00e4,\n{tmp_path}2/b.wav,0,"x, y",30\n')


def test_writing_replaces_the_old_file_or_leaves_it(tmp_path: Path):
    path = _write(tmp_path, "old")

    def stop() -> Utterance:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_csv(path, [_utterance("/a.wav"), stop()])
    assert path.read_text() == "old"
    write_csv(path, [])
    assert path.read_text() == f"{HEADER}\n"
    assert list(tmp_path.iterdir()) == [path]
    with pytest.raises(DataError, match=r"cannot write .*out\.csv: No such file or directory"):
        write_csv(tmp_path / "none" / "out.csv", [])


def test_faults_are_summarized_by_kind():
    faults = [
        Fault(_utterance("a.wav", 7), "too short", "a.wav has 3 frames, 5 are needed"),
        Fault(_utterance("b.wav", 4), "unreadable audio", "b.wav is empty"),
        Fault(_utterance("c.wav", 9), "unreadable audio", "c.wav is text"),
    ]
    assert summarize_faults(faults, 50) == [
        "unreadable audio: 2 of 50 utterances left out, the first is train.csv:4: b.wav is empty",
        "too short: 1 of 50 utterances left out, the first is train.csv:7: a.wav has 3 frames, 5 are needed",
    ]
    assert summarize_faults([], 50) == []


def test_faults_are_written_as_csv(tmp_path: Path):
    path = tmp_path / "faults.csv"
    utterance = _utterance("a.wav", 7, transcript="null, \u00e4")
    write_faults(path, [Fault(utterance, "empty", 'it "is"')])
    with path.open(encoding="utf-8", newline="") as file:
        assert list(csv.DictReader(file)) == [
            {
                "source": "train.csv",
                "line": "7",
                "wav_filename": "a.wav",
                "kind": "empty",
                "reason": 'it "is"',
                "transcript": "null, \u00e4",
            }
        ]
    assert list(tmp_path.iterdir()) == [path]
