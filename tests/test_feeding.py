"""Plans are pure, whole and tight; batches come in order; the check counts every fault."""

import io
import random
from pathlib import Path

import numpy as np
import pytest
import soundfile

from util.corpus import read_csv
from util.errors import DataError
from util.features import FeatureSet
from util.feeding import Batch, Corpus, load_corpus, read_batch, read_batches, report_faults
from util.planning import plan_batches, plan_epoch
from util.progress import Console
from util.text import Alphabet

ALPHABET = Alphabet(list("abcdefghij "))
FEATURES = FeatureSet("classic")


def lognormal(n: int, seed: int = 0) -> list[int]:
    frames = np.random.default_rng(seed).lognormal(5.5, 0.5, n).astype(int) + 1
    return [int(f) for f in frames]


def padding(batches: list[list[int]], n_frames: list[int]) -> float:
    """Share of all frames that are padding."""
    computed = sum(len(batch) * max(n_frames[i] for i in batch) for batch in batches)
    return 1 - sum(n_frames) / computed


@pytest.mark.parametrize("budget", [0, 700])
@pytest.mark.parametrize("size", [1, 3, 16])
def test_every_utterance_exactly_once_within_the_limits(size: int, budget: int):
    rng = random.Random(0)
    for n in [0, 1, 2, size, size + 1, 32 * size - 1, 32 * size, 32 * size + 1, *rng.choices(range(700), k=10)]:
        n_frames = lognormal(n, seed=n)
        plans = [plan_epoch(n_frames, size, budget, seed=n, epoch=epoch) for epoch in range(3)]
        plans += [plan_batches(n_frames, size, budget, descending=turned) for turned in (False, True)]
        for plan in plans:
            assert sorted(i for batch in plan for i in batch) == list(range(n))
            assert all(0 < len(batch) <= size for batch in plan)
            for batch in plan:
                frames = len(batch) * max(n_frames[i] for i in batch)
                assert not budget or frames <= budget or len(batch) == 1
            assert all(isinstance(i, int) for batch in plan for i in batch)


def test_batches_are_full_where_nothing_stands_against_it():
    sizes = sorted(map(len, plan_epoch(lognormal(1000), 16, 0, seed=1, epoch=0)))
    assert sizes == [8] + [16] * 62
    assert [len(batch) for batch in plan_batches(lognormal(50), 16)] == [16, 16, 16, 2]
    assert plan_batches([10] * 9, 100, 40) == [[0, 1, 2, 3], [4, 5, 6, 7], [8]]


def test_a_plan_depends_on_seed_and_epoch_alone():
    n_frames = lognormal(300)
    plan = plan_epoch(n_frames, 8, 0, seed=3, epoch=5)
    np.random.seed(99)  # noqa: NPY002 - the global state must not matter
    random.seed(99)
    plan_epoch(n_frames, 8, 0, seed=1, epoch=1)
    assert plan_epoch(tuple(n_frames), 8, 0, seed=3, epoch=5) == plan
    others = [(3, 4), (3, 6), (4, 5), (5, 3), (0, 5), (3, 0)]
    plans = [plan_epoch(n_frames, 8, 0, seed=seed, epoch=epoch) for seed, epoch in others]
    assert all(plans.count(other) == 1 and other != plan for other in plans)


def test_companions_change_from_epoch_to_epoch():
    n_frames = lognormal(2000)
    first, second = (
        {frozenset(batch) for batch in plan_epoch(n_frames, 8, 0, seed=0, epoch=epoch)} for epoch in range(2)
    )
    assert not first & second


def test_epochs_do_not_go_from_short_to_long():
    n_frames = lognormal(2000)
    longest = [max(n_frames[i] for i in batch) for batch in plan_epoch(n_frames, 8, 0, seed=0, epoch=0)]
    assert abs(np.corrcoef(longest, range(len(longest)))[0, 1]) < 0.2


@pytest.mark.parametrize("size", [8, 32])
def test_little_padding(size: int):
    n_frames = lognormal(3000)
    order = np.random.default_rng(0).permutation(3000).tolist()
    in_random_order = [order[start : start + size] for start in range(0, 3000, size)]
    planned = padding(plan_epoch(n_frames, size, 0, seed=0, epoch=0), n_frames)
    assert planned < 0.3 < padding(in_random_order, n_frames)
    assert planned < 0.1
    assert padding(plan_batches(n_frames, size), n_frames) < planned


@pytest.mark.parametrize("descending", [False, True])
def test_batches_in_order_of_length(descending: bool):
    n_frames = lognormal(200)
    flat = [i for batch in plan_batches(n_frames, 7, descending=descending) for i in batch]
    lengths = [n_frames[i] for i in flat]
    assert lengths == sorted(n_frames, reverse=descending)
    assert [i for batch in plan_batches([5, 5, 5, 1], 2) for i in batch] == [3, 0, 1, 2]


def make_corpus(folder: Path, rows: list[tuple[str, int, int, int, str]], **options: int) -> tuple[Corpus, str]:
    """Write audio (name, samples, Hz, channels) with transcripts and load it; returns what the console says too."""
    lines = ["wav_filename,wav_filesize,transcript"]
    for number, (name, n_samples, rate, channels, transcript) in enumerate(rows):
        if n_samples:
            noise = np.random.default_rng(number).integers(-9000, 9000, [n_samples, channels])
            soundfile.write(folder / name, noise.astype(np.int16), rate)
        lines.append(f"{name},0,{transcript}")
    (folder / "set.csv").write_text("\n".join(lines), "utf-8")
    stream = io.StringIO()
    limit = options.get("limit", 0)
    corpus = load_corpus([str(folder / "set.csv")], ALPHABET, FEATURES, limit, Console(stream=stream))
    return corpus, stream.getvalue()


ROWS = [
    ("a.wav", 16000, 16000, 1, "abba"),
    ("b.wav", 4000, 16000, 1, "bad"),
    ("c.wav", 8000, 8000, 1, "cab"),
    ("d.flac", 24000, 16000, 2, "dada"),
    ("e.wav", 44100, 44100, 2, "deaf"),
    ("f.wav", 9000, 16000, 1, "fee?"),
    ("g.wav", 9000, 16000, 1, ""),
    ("h.wav", 2000, 16000, 1, "aaaaaaa"),
    ("i.wav", 0, 0, 0, "hide"),
    ("j.wav", 9000, 16000, 1, "jig é"),
]


def test_faults_and_conversions(tmp_path: Path):
    corpus, said = make_corpus(tmp_path, ROWS)
    assert [s.utterance.wav_filename for s in corpus.samples] == ["a.wav", "b.wav", "c.wav", "d.flac", "e.wav"]
    assert [f.utterance.wav_filename[0] for f in corpus.faults] == list("fghij")
    assert [f.kind for f in corpus.faults] == [
        "character not in alphabet",
        "empty transcript",
        "too short for its transcript",
        "unreadable audio",
        "character not in alphabet",
    ]
    assert "U+003F QUESTION MARK" in corpus.faults[0].reason
    assert corpus.faults[2].reason == (
        "0.12 s of audio make 6 frames of 20 ms, the transcript of 7 labels needs at least 13: "
        "cut the transcript to what is said, or leave the row out."
    )
    assert corpus.converted == {
        "resampled from 8000 to 16000 Hz": 1,
        "resampled from 44100 to 16000 Hz": 1,
        "mixed down from 2 channels": 2,
    }
    assert corpus.duration_s == pytest.approx(1 + 0.25 + 1 + 1.5 + 1)
    assert corpus.n_frames == [FEATURES.frames(n) for n in (16000, 4000, 16000, 24000, 16000)]
    assert [s.labels.tolist() for s in corpus.samples[:2]] == [[0, 1, 1, 0], [1, 0, 3]]
    lines = said.splitlines()
    assert lines[0] == f"{tmp_path}/set.csv: 5 utterances, 0.00 h"
    assert lines[1] == "  2 mixed down from 2 channels"
    assert lines[4].startswith(
        f"character not in alphabet: 2 of 10 utterances left out, the first is {tmp_path}/set.csv:7"
    )
    assert len(lines) == 8


def test_just_enough_frames(tmp_path: Path):
    seven = 400 + 12 * 160  # samples of 7 frames
    assert FEATURES.frames(seven) == 7
    assert FEATURES.frames(seven - 160) == 6
    corpus, _ = make_corpus(tmp_path, [(f"{n}.wav", n, 16000, 1, "abcddef"[:6]) for n in (seven, seven - 160)])
    assert [s.n_frames for s in corpus.samples] == [7]
    assert [f.kind for f in corpus.faults] == ["too short for its transcript"]


def test_the_first_rows_only(tmp_path: Path):
    corpus, _ = make_corpus(tmp_path, ROWS, limit=7)
    assert (len(corpus.samples), len(corpus.faults)) == (5, 2)


def test_a_set_of_several_files(tmp_path: Path):
    make_corpus(tmp_path, ROWS[:2])
    path = str(tmp_path / "set.csv")
    corpus = load_corpus([path, path], ALPHABET, FEATURES, 0, Console(stream=io.StringIO()))
    assert [s.utterance.line for s in corpus.samples] == [2, 3, 2, 3]
    assert corpus.name == f"{path},{path}"


def test_the_fingerprint(tmp_path: Path):
    for name in "ab":
        (tmp_path / name).mkdir()
    first = make_corpus(tmp_path / "a", ROWS[:3])[0].fingerprint
    assert make_corpus(tmp_path / "b", ROWS[:3])[0].fingerprint == first  # wherever it lies
    changes = [
        [*ROWS[:2], (*ROWS[2][:4], "cabs"[:2])],
        [ROWS[1], ROWS[0], ROWS[2]],
        ROWS[:2],
        [*ROWS[:2], ("c.wav", 9000, 8000, 1, "cab")],
        [*ROWS[:2], ("x.wav", *ROWS[2][1:])],
    ]
    found = [make_corpus(tmp_path / "a", rows)[0].fingerprint for rows in changes]
    assert len({first, *found}) == 6


def test_the_report(tmp_path: Path):
    corpus, _ = make_corpus(tmp_path, ROWS)
    stream = io.StringIO()
    report = tmp_path / "faults.csv"
    report_faults([corpus, corpus], False, report, Console(stream=stream))
    assert stream.getvalue() == f"Warning: 10 rows are left out; all of them with their reasons: {report}\n"
    rows = read_csv(report)
    assert [row.wav_filename for row in rows[:5]] == ["f.wav", "g.wav", "h.wav", "i.wav", "j.wav"]
    assert dict(rows[0].extra)["line"] == "7"
    with pytest.raises(DataError, match="--strict_data: 5 rows cannot be used; mend or remove them"):
        report_faults([corpus], True, None, Console(stream=stream))


def test_a_set_without_anything_fit_for_use(tmp_path: Path):
    corpus, _ = make_corpus(tmp_path, ROWS[5:])
    with pytest.raises(DataError, match=r"set\.csv has no row that can be used \(5 at fault\)"):
        report_faults([corpus], False, None, Console(stream=io.StringIO()))


def test_no_faults_no_report(tmp_path: Path):
    corpus, _ = make_corpus(tmp_path, ROWS[:1])
    report_faults([corpus], True, tmp_path / "faults.csv", Console(stream=io.StringIO()))
    assert not (tmp_path / "faults.csv").exists()


def check_batch(batch: Batch, corpus: Corpus, members: list[int]) -> None:
    assert batch.members == members
    assert batch.tensors[4].shape == (len(members), 0), "nothing is augmented"
    assert batch.samples.dtype == np.int16
    assert {a.dtype for a in (batch.n_samples, batch.labels, batch.label_len)} == {np.dtype(np.int32)}
    assert batch.samples.shape == (len(members), max(batch.n_samples))
    for row, n_samples, labels, label_len, i in zip(*batch.tensors[:4], members, strict=True):
        sample = corpus.samples[i]
        assert FEATURES.frames(int(n_samples)) == sample.n_frames
        assert not row[n_samples:].any()
        assert row[:n_samples].any()
        assert labels[:label_len].tolist() == sample.labels.tolist()
        assert not labels[label_len:].any()


def test_batches_are_read_in_order_and_padded(tmp_path: Path):
    corpus, _ = make_corpus(tmp_path, ROWS)
    plan = [[3, 0], [1], [4, 2, 1, 0, 3], [2], [0], [1, 4]]
    batches = list(read_batches(corpus, plan, Console(stream=io.StringIO())))
    for batch, members in zip(batches, plan, strict=True):
        check_batch(batch, corpus, members)
        assert batch.errors == []
        assert batch.waited_s >= 0
    stored, _ = soundfile.read(tmp_path / "b.wav", dtype="int16")
    np.testing.assert_array_equal(batches[1].samples[0], stored)
    assert list(read_batches(corpus, [], Console(stream=io.StringIO()))) == []


def test_reading_can_be_stopped(tmp_path: Path):
    corpus, _ = make_corpus(tmp_path, ROWS)
    planned = []

    def plan():
        for i in range(1000):
            planned.append(i)
            yield [i % 5]

    batches = read_batches(corpus, plan(), Console(stream=io.StringIO()))
    next(batches)
    batches.close()
    assert len(planned) < 10


def test_a_file_that_vanishes_is_left_out_and_named(tmp_path: Path):
    corpus, _ = make_corpus(tmp_path, ROWS)
    (tmp_path / "b.wav").unlink()
    (tmp_path / "c.wav").write_bytes(b"")
    stream = io.StringIO()
    one, two, three = read_batches(corpus, [[0, 1, 3], [1, 2], [4]], Console(stream=stream))
    check_batch(one, corpus, [0, 3])
    assert one.errors[0].startswith(f"{tmp_path}/set.csv:3: cannot read {tmp_path}/b.wav: No such file or directory")
    assert two.members == []
    assert len(two.errors) == 2
    samples, n_samples, labels, label_len, numbers = two.tensors
    assert numbers.shape == (1, 0)
    assert not samples.any(), "silence"
    assert labels.shape == (1, *label_len), "with a transcript"
    assert label_len > n_samples / 16, "that would not fit at a label for each millisecond"
    check_batch(three, corpus, [4])
    warnings = stream.getvalue().splitlines()
    assert len(warnings) == 3
    assert warnings[0] == f"Warning: {one.errors[0]}. It is left out of its batch."


class Halved:
    """Changes samples, notes of each utterance its position and the number of its labels, and says so at the end."""

    n_numbers = 2

    def __call__(self, position, samples, labels):
        """Cut and weaken the utterance."""
        return samples[: len(samples) // 2] // 2, np.array([position, len(labels)], np.float32)

    def tell_costs(self, console: Console) -> None:
        """Say so."""
        console.say("halved")


def test_batches_are_augmented(tmp_path: Path):
    corpus, _ = make_corpus(tmp_path, ROWS)
    plain = list(read_batches(corpus, [[3, 0], [1]], Console(stream=io.StringIO())))
    (tmp_path / "c.wav").write_bytes(b"")
    stream = io.StringIO()
    batches = list(read_batches(corpus, [[3, 0], [1, 2], [2]], Console(stream=stream), Halved()))
    assert stream.getvalue().splitlines()[-1] == "halved"
    for row, n_samples, before, n_before in zip(*batches[0].tensors[:2], *plain[0].tensors[:2], strict=True):
        assert n_samples == n_before // 2
        np.testing.assert_array_equal(row[:n_samples], before[:n_samples] // 2)
        assert not row[n_samples:].any()
    for batch, members in zip(batches, ([3, 0], [1], []), strict=True):
        assert batch.members == members
        lengths = [len(corpus.samples[member].labels) for member in members]
        np.testing.assert_array_equal(batch.numbers, np.reshape([*zip(members, lengths, strict=True)], [-1, 2]))
    np.testing.assert_array_equal(batches[2].tensors[4], [[0, 0]], "silence that nothing is done to")


def test_an_empty_batch():
    batch = read_batch(Corpus("", 16000, [], [], None), [])  # type: ignore[arg-type]
    assert batch.members == batch.errors == []
    assert batch.samples.shape == (0, 0)
