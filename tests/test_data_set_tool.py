"""bin/data_set_tool.py, bin/play.py and training, all on sets of every kind."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
import tarfile
from pathlib import Path

import numpy as np
import pytest
import soundfile
from conftest import ROOT, Program, speak, write_corpus

from util.audio import encode_audio, read_audio, read_info, read_stored
from util.sample_sets import read_set

GOLDEN = ROOT / "tests" / "golden" / "sets"
TEXTS = ["a cat", "bad", "a dog and a cab"]


def run(program: str, folder: Path, *arguments: object, **environment: str) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [sys.executable, str(ROOT / "bin" / program), *map(str, arguments)],
        cwd=folder,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        errors="surrogateescape",
        check=False,
    )
    assert "Traceback" not in done.stderr, done.stderr
    return done


def tool(folder: Path, *arguments: object) -> str:
    done = run("data_set_tool.py", folder, *arguments)
    assert done.returncode == 0, done.stderr
    return done.stdout


def refused(folder: Path, *arguments: object) -> str:
    before = sorted(folder.rglob("*"))
    done = run("data_set_tool.py", folder, *arguments)
    assert done.returncode == 2
    assert sorted(folder.rglob("*")) == before
    return done.stderr.removeprefix("Error: ").strip()


def texts(path: Path) -> list[str]:
    return [row.transcript for row in read_set(path)]


@pytest.mark.parametrize("name", ["wav.sdb", "opus.sdb"])
def test_a_copy_of_the_predecessors_database_has_the_same_bytes(tmp_path: Path, name: str):
    tool(tmp_path, GOLDEN / name, "copy.sdb", "--audio-type", name.removesuffix(".sdb"), "--sort", "none")
    assert (tmp_path / "copy.sdb").read_bytes() == (GOLDEN / name).read_bytes()


def test_everything_into_everything(tmp_path: Path):
    write_corpus(tmp_path, "a", TEXTS)
    sounds = {text: speak(text) for text in TEXTS}
    chain = ["a.csv", "b.sdb", "c.tar", "d.csv", "e.sdb", "f.tar", "g.csv"]
    forms = ["wav", "flac", "wav", "flac", "wav", "flac"]
    for source, target, form in zip(chain, chain[1:], forms, strict=False):
        said = tool(tmp_path, source, target, "--audio-type", form, "--sort", "none")
        assert said == f"{target}: 3 utterances, 0.00 h\n"
        assert texts(tmp_path / target) == TEXTS
        for row in read_set(tmp_path / target):
            np.testing.assert_array_equal(read_stored(row.audio)[0][:, 0], sounds[row.transcript])
    with (tmp_path / "g.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["wav_filename"] for row in rows] == [f"g/sample0000000{number}.flac" for number in range(3)]
    assert [int(row["wav_filesize"]) for row in rows] == [
        (tmp_path / row["wav_filename"]).stat().st_size for row in rows
    ]
    assert not list(tmp_path.glob(".*"))


def test_rates_channels_and_columns_are_kept(tmp_path: Path):
    stereo = np.stack([speak("a cat", 44100), speak("a dog", 44100)], 1)
    soundfile.write(tmp_path / "a.wav", stereo, 44100)
    (tmp_path / "a.csv").write_text("wav_filename,transcript,speaker\na.wav,hm,eva\n")
    for target in ("b.sdb", "b.tar", "c.csv"):
        tool(tmp_path, "a.csv", target, "--audio-type", "wav")
        (row,) = read_set(tmp_path / target)
        samples, rate = read_stored(row.audio)
        assert (rate, row.extra) == (44100, (("speaker", "eva"),))
        np.testing.assert_array_equal(samples, stereo)


def test_opus(tmp_path: Path):
    noisy = np.random.default_rng(0).normal(0, 3000, (48000, 2)).astype(np.int16)
    soundfile.write(tmp_path / "a.wav", noisy[:, 0], 16000)
    soundfile.write(tmp_path / "b.wav", noisy, 44100)
    (tmp_path / "a.csv").write_text("wav_filename,transcript\na.wav,one\nb.wav,two\n")
    for bitrate in (16000, 64000):
        for target in (f"{bitrate}.sdb", f"{bitrate}.tar"):
            tool(tmp_path, "a.csv", target, "--audio-type", "opus", "--bitrate", bitrate, "--sort", "none")
            one, two = read_set(tmp_path / target)
            assert (read_info(one.audio).n_samples, read_info(one.audio).sample_rate) == (48000, 16000)
            info = read_info(two.audio)  # 44100 Hz is none of Opus's rates
            assert (info.sample_rate, info.channels, info.n_samples) == (48000, 2, round(48000 * 480 / 441))
            for row, seconds in ((one, 3), (two, 48000 / 44100)):
                assert row.wav_filesize * 8 / seconds == pytest.approx(bitrate, rel=0.4)  # it varies
    tool(tmp_path, "64000.tar", "again.csv", "--audio-type", "opus", "--sort", "none")
    for row, copy in zip(read_set(tmp_path / "64000.tar"), read_set(tmp_path / "again.csv"), strict=True):
        np.testing.assert_array_equal(read_stored(row.audio)[0], read_stored(copy.audio)[0])  # not encoded again
    tool(tmp_path, "64000.sdb", "unboxed.tar", "--audio-type", "opus", "--sort", "none")
    for row, copy in zip(read_set(tmp_path / "64000.sdb"), read_set(tmp_path / "unboxed.tar"), strict=True):
        np.testing.assert_array_equal(read_stored(row.audio)[0], read_stored(copy.audio)[0])


def test_opus_of_a_database_is_delayed_as_the_predecessors_is_and_otherwise_the_same(tmp_path: Path):
    path = write_corpus(tmp_path, "a", ["a dog and a cab"])
    tool(tmp_path, path, "a.sdb", "--bitrate", "64000")
    (row,) = read_set(tmp_path / "a.sdb")
    heard, said = read_audio(row.audio, 16000).astype(float), speak("a dog and a cab").astype(float)
    assert len(heard) == len(said)
    lag = 104  # samples, 6.5 ms: the look-ahead of libopus's encoder (RFC 7845, section 4.2, and its own manual)
    assert np.corrcoef(heard[lag:], said[:-lag])[0, 1] > 0.99


def test_order_and_limit(tmp_path: Path):
    write_corpus(tmp_path, "a", TEXTS)
    write_corpus(tmp_path, "b", ["ab"], "flac")
    for options, expected in (
        ((), ["ab", "bad", "a cat", "a dog and a cab"]),
        (("--reverse",), ["a dog and a cab", "a cat", "bad", "ab"]),
        (("--sort", "none"), [*TEXTS, "ab"]),
        (("--sort", "none", "--limit", "2"), TEXTS[:2]),
        (("--limit", "1", "--reverse"), ["a dog and a cab"]),
    ):
        tool(tmp_path, "a.csv", "b.csv", "all.sdb", *options)
        assert texts(tmp_path / "all.sdb") == expected
    soundfile.write(tmp_path / "a1.wav", speak("bad"), 16000, subtype="FLOAT")
    tool(tmp_path, "a.csv", "all.sdb", "--sort", "size")
    assert texts(tmp_path / "all.sdb") == ["a cat", "bad", "a dog and a cab"]


def test_shards(tmp_path: Path):
    write_corpus(tmp_path, "a", TEXTS)
    (tmp_path / "alphabet.txt").write_text("a\n")
    said = tool(tmp_path, "a.csv", "s.tar", "--shard_size", 2, "--sort", "none", "--include", "alphabet.txt")
    assert said == "s-000000.tar to s-000001.tar: 3 utterances, 0.00 h\n"
    assert [texts(tmp_path / f"s-00000{number}.tar") for number in range(2)] == [TEXTS[:2], TEXTS[2:]]
    with tarfile.open(tmp_path / "s-000001.tar") as archive:
        assert archive.getnames() == ["alphabet.txt", "sample00000002.wav", "sample00000002.txt"]
    message = refused(tmp_path, "a.csv", "s.tar", "--shard_size", 1)
    assert message.endswith(
        "s-000000.tar is there, and might be taken for a part of this set: remove all 2 such files."
    )
    tool(tmp_path, "a.csv", "packed.tgz")
    with tarfile.open(tmp_path / "packed.tgz", "r:gz") as archive:
        assert len(archive.getnames()) == 6


def test_unlabeled_and_absolute(tmp_path: Path):
    write_corpus(tmp_path, "a", TEXTS)
    tool(tmp_path, "--sources", "a.csv", "--target", "b.sdb", "--unlabeled")
    assert texts(tmp_path / "b.sdb") == ["", "", ""]
    assert b"transcript" not in (tmp_path / "b.sdb").read_bytes()
    done = run("data_set_tool.py", tmp_path, "b.sdb", "c.csv")
    assert (done.returncode, done.stderr) == (
        1,
        "Error: b.sdb: there is no transcript; give --unlabeled if that is meant\n",
    )
    tool(tmp_path, "b.sdb", "c.csv", "--unlabeled", "--absolute-paths")
    with (tmp_path / "c.csv").open(newline="") as file:
        names = [row["wav_filename"] for row in csv.DictReader(file)]
    assert names == [f"{tmp_path}/c/sample0000000{number}.wav" for number in range(3)]


def test_what_cannot_be_read_is_named_and_left_out(tmp_path: Path):
    write_corpus(tmp_path, "a", TEXTS)
    (tmp_path / "a1.wav").write_bytes(b"")
    done = run("data_set_tool.py", tmp_path, "a.csv", "b.sdb")
    assert done.stderr.startswith(f"Warning: {tmp_path}/a1.wav is empty (0 bytes)")
    assert done.stderr.endswith("It is left out.\n")
    assert done.stdout == "b.sdb: 2 utterances, 0.00 h\n"
    assert texts(tmp_path / "b.sdb") == ["a cat", "a dog and a cab"]


def test_what_stops_in_the_middle_is_not_counted(tmp_path: Path):
    soundfile.write(tmp_path / "whole.wav", np.zeros(36 * 8000, np.int16), 8000)
    sound = bytearray(encode_audio(".flac", np.random.default_rng(0).normal(0, 9000, 36 * 8000).astype(np.int16), 8000))
    sound[len(sound) // 2 : len(sound) // 2 + 9000] = bytes(9000)  # its header and its end are there
    (tmp_path / "hurt.flac").write_bytes(sound)
    (tmp_path / "a.csv").write_text("wav_filename,transcript\nwhole.wav,a\nhurt.flac,b\n")
    done = run("data_set_tool.py", tmp_path, "a.csv", "b.sdb", "--audio-type", "wav")
    assert done.stdout == "b.sdb: 1 utterances, 0.01 h\n"  # 36 s
    assert "hurt.flac" in done.stderr


def test_a_set_stays_where_nothing_can_be_read(tmp_path: Path):
    (tmp_path / "a.csv").write_text("wav_filename,transcript\ngone.wav,a\n")
    (tmp_path / "b.sdb").write_bytes(b"precious")
    done = run("data_set_tool.py", tmp_path, "a.csv", "b.sdb")
    assert done.returncode == 1
    assert done.stderr.endswith("Error: a.csv: none of 1 recordings can be read; b.sdb is not written\n")
    assert (tmp_path / "b.sdb").read_bytes() == b"precious"


def test_a_wrong_command_line_is_one_sentence(tmp_path: Path):
    write_corpus(tmp_path, "a", TEXTS)
    (tmp_path / "b").mkdir()
    assert refused(tmp_path, "a.csv").startswith("Name the files to read")
    assert "expected a name that ends in .csv, .sdb, .tar" in refused(tmp_path, "a.csv", "b.zip")
    assert refused(tmp_path, "a.csv", "no/b.sdb") == f"There is no folder {tmp_path}/no for b.sdb: make it."
    assert "is read and would be overwritten" in refused(tmp_path, "a.csv", tmp_path / "a.csv")
    assert refused(tmp_path, "a.csv", "b.csv").startswith("b is there, where the audio files of b.csv would go: "
                                                         "remove it, or choose another name.")  # fmt: skip
    assert "--bitrate is for Opus, and --audio-type is wav" in refused(tmp_path, "a.csv", "b.tar", "--bitrate", 9000)
    assert "--bitrate is 3, expected 500 or more" in refused(tmp_path, "a.csv", "b.sdb", "--bitrate", 3)
    assert "--limit is -1" in refused(tmp_path, "a.csv", "b.sdb", "--limit", -1)
    assert "--include is for tar files" in refused(tmp_path, "a.csv", "b.sdb", "--include", "a.csv")
    (tmp_path / "c.tar").touch()
    assert "c.tar is read and would be overwritten" in refused(tmp_path, "a.csv", "c.tar", "--include", "c.tar")
    assert "--include names x, expected a file" in refused(tmp_path, "a.csv", "b.tar", "--include", "x")
    assert "--shard_size is for SDB and tar" in refused(tmp_path, "a.csv", "c.csv", "--shard_size", 2)


def test_playing_lists_and_pipes(tmp_path: Path):
    write_corpus(tmp_path, "a", TEXTS)
    tool(tmp_path, "a.csv", "a.sdb", "--sort", "none", "--audio-type", "wav")
    done = run("play.py", tmp_path, "a.sdb", "--list")
    lines = [line.split(None, 4) for line in done.stdout.splitlines()]
    seconds = [f"{len(text) * 0.08:.2f}" for text in TEXTS]  # see `speak`
    assert lines == [[str(i), seconds[i], "s", f"a.sdb#{i}", TEXTS[i]] for i in range(3)]
    assert run("play.py", tmp_path, "a.csv", "--list", "--start", -2, "--number", 1).stdout.endswith("a1.wav  bad\n")
    shuffled = run("play.py", tmp_path, "a.sdb", "--list", "--random", "--random_seed", 3).stdout.splitlines()
    assert sorted(shuffled) == done.stdout.splitlines() != shuffled
    for source in ("a.sdb", "a1.wav"):
        chosen = ["--start", 1, "--number", 1] if source == "a.sdb" else []
        command = [sys.executable, ROOT / "bin" / "play.py", source, "--pipe", *map(str, chosen)]
        piped = subprocess.run(command, cwd=tmp_path, capture_output=True, check=True)
        assert piped.stdout == encode_audio(".wav", speak("bad"), 16000)
        assert piped.stderr.endswith(b"bad\n" if source == "a.sdb" else b"a1.wav\n")


def test_a_list_that_is_not_read_to_its_end(tmp_path: Path):
    write_corpus(tmp_path, "a", TEXTS)
    command = [sys.executable, ROOT / "bin" / "play.py", "a.csv", "--list"]
    with subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as listing:
        assert listing.stdout
        assert listing.stderr
        listing.stdout.close()
        assert listing.stderr.read() == b""
    assert listing.returncode == 1


def test_playing_plays(tmp_path: Path):
    write_corpus(tmp_path, "a", TEXTS[:2])
    programs = tmp_path / "programs"
    programs.mkdir()
    player = programs / "aplay"
    player.write_text(f'#!/bin/sh\n/bin/cat "$2" >> {tmp_path}/heard; echo "$1" "${{2##*.}}" >> {tmp_path}/asked\n')
    player.chmod(0o755)
    done = run("play.py", tmp_path, "a.csv", PATH=str(programs))
    assert (done.returncode, len(done.stdout.splitlines())) == (0, 2)
    assert (tmp_path / "asked").read_text() == "-q wav\n-q wav\n"
    assert (tmp_path / "heard").read_bytes() == b"".join(encode_audio(".wav", speak(text), 16000) for text in TEXTS[:2])
    player.write_text("#!/bin/sh\necho no card >&2; exit 1\n")
    done = run("play.py", tmp_path, "a.csv", "--quiet", PATH=str(programs))
    assert done.returncode == 1
    assert done.stderr == f"Error: {player} cannot play: no card; check the sound device, or use --list or --pipe\n"
    player.unlink()
    done = run("play.py", tmp_path, "a.csv", PATH=str(programs))
    assert (done.returncode, done.stdout) == (1, "")
    assert "no program to play with was found (aplay, afplay," in done.stderr


def test_augmenting(tmp_path: Path):
    write_corpus(tmp_path, "a", TEXTS)
    soundfile.write(tmp_path / "a0.wav", np.stack([speak("a cat", 8000)] * 2, 1), 8000)
    options = (
        "--augment",
        "speed[factor=0.5]",
        "--augment",
        "volume[dbfs=-10:-30]",
        "--sort",
        "none",
        "--audio-type",
        "wav",
    )
    tool(tmp_path, "a.csv", "b.sdb", *options)
    for row, rate in zip(read_set(tmp_path / "b.sdb"), [8000, 16000, 16000], strict=True):
        samples, found = read_stored(row.audio)
        assert (found, samples.shape) == (rate, (len(row.transcript) * 2 * rate * 8 // 100, 1))
        peak = 20 * np.log10(np.abs(samples).max() / 32768) + 3.0103  # as 0.9.3 counts: a sine at full scale has 3.0103
        assert peak == pytest.approx(-20, abs=0.1)  # at half of the training
    noisy = "--augment", "add[stddev=0.1,domain=signal]", "--sort", "none", "--audio-type", "wav"
    for name, more in (("c", []), ("d", []), ("e", ["--random_seed", "1"])):
        tool(tmp_path, "a.csv", f"{name}.sdb", *noisy, *more)
    c, d, e = [(tmp_path / f"{name}.sdb").read_bytes() for name in "cde"]
    assert c == d != e
    command = [
        sys.executable,
        ROOT / "bin" / "play.py",
        "a2.wav",
        "--pipe",
        "--quiet",
        "--augment",
        "speed[factor=0.5]",
    ]
    piped = subprocess.run(command, cwd=tmp_path, capture_output=True, check=True)
    assert len(piped.stdout) == 44 + 2 * 2 * len(speak(TEXTS[2]))


def test_augmenting_refuses_what_is_for_training_only(tmp_path: Path):
    write_corpus(tmp_path, "a", TEXTS)
    message = refused(tmp_path, "a.csv", "b.sdb", "--augment", "pitch")
    assert message.startswith("--augment 'pitch' changes the spectrogram, which training computes, not the samples")
    assert "--clock is 2, expected a part" in refused(tmp_path, "a.csv", "b.sdb", "--augment", "reverb", "--clock", 2)


def test_playing_refuses_what_it_cannot(tmp_path: Path):
    write_corpus(tmp_path, "a", TEXTS)
    for options, words in (
        (["--pipe"], "--pipe writes one recording, and 3 are chosen"),
        (["--list", "--start", "3"], "--start is 3, and a.csv has 3 utterances"),
        (["--list", "--number", "-2"], "--number is -2"),
    ):
        done = run("play.py", tmp_path, "a.csv", *options)
        assert done.returncode == 2
        assert words in done.stderr
    (tmp_path / "a0.wav").write_bytes(b"")
    done = run("play.py", tmp_path, "a.csv", "--list")
    assert (done.returncode, len(done.stdout.splitlines())) == (1, 2)
    assert "a0.wav is empty" in done.stderr


def test_training_on_sets_of_every_kind(tmp_path: Path, deepspeech: Program):
    for name in "abc":
        write_corpus(tmp_path, name, [f"{text} {name}" for text in TEXTS])
    (tmp_path / "b2.wav").write_bytes((tmp_path / "b2.wav").read_bytes()[:-9])
    (tmp_path / "bad.csv").write_text((tmp_path / "c.csv").read_text().replace("bad c", ""))
    tool(tmp_path, "c.csv", "b.sdb", "--sort", "none")
    tool(tmp_path, "bad.csv", "c.tar", "--sort", "none")
    done = deepspeech(
        "--train_files=a.csv,b.sdb,c.tar", "--dev_files=b.sdb", "--test_files=c.tar", "--epochs=1",
        "--train_batch_size=2", "--checkpoint_dir=run", "--test_output_file=test.json",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "a.csv,b.sdb,c.tar: 8 utterances" in done.stderr
    assert "empty transcript: 1 of 9 utterances left out, the first is c.tar:sample00000001.wav: " in done.stderr
    with (tmp_path / "run" / "data_faults.csv").open(newline="") as file:
        assert [row["wav_filename"] for row in csv.DictReader(file)] == [":sample00000001.wav"] * 2
    tested = json.loads((tmp_path / "test.json").read_text())
    assert {Path(sample["wav_filename"]).name for sample in tested} == {
        "c.tar:sample00000000.wav",
        "c.tar:sample00000002.wav",
    }


def test_the_small_tools_on_a_database(tmp_path: Path):
    done = run("../stats.py", tmp_path, "-csv", f"{GOLDEN / 'opus.sdb'},{GOLDEN / 'csv.tar'}")
    assert "Total files: 6\n" in done.stdout
    assert "Shortest: 0.06 s" in done.stdout  # 1000 samples at 16000 Hz
    assert "longest: 0.09 s" in done.stdout  # 1501
    done = run("check_characters.py", tmp_path, "-csv", GOLDEN / "wav.sdb")
    assert done.stdout.splitlines()[-2:] == [
        "       1 'ß' (U+00DF LATIN SMALL LETTER SHARP S)",
        "       1 'ü' (U+00FC LATIN SMALL LETTER U WITH DIAERESIS)",
    ]


def test_checking_a_database(tmp_path: Path):
    write_corpus(tmp_path, "a", TEXTS)
    tool(tmp_path, "a.csv", "a.sdb", "--sort", "none", "--audio-type", "wav")
    done = run("check_data.py", tmp_path, "--train_files", "a.csv", "--dev_files", "a.sdb", "--html", "page.html")
    assert done.returncode == 1
    assert "train and dev share 3 recordings, the first is a.csv:2 and a.sdb#0" in done.stdout
    page = (tmp_path / "page.html").read_text()
    assert "a.sdb#2" in page
    assert 'src="data:;base64,UklGR' in page  # RIFF
    done = run("check_data.py", tmp_path, "a.sdb", "--fix", "fixed")
    assert done.returncode == 2
    assert "--fix writes CSVs, and a.sdb is SDB: make a CSV of it by bin/data_set_tool.py." in done.stderr
