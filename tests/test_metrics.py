"""Error rates against plain dynamic programming, the picking of samples, and the report."""

import importlib.util
import json
import math
import random
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from util import tf
from util.errors import DataError
from util.metrics import (
    MetricsLog,
    Sample,
    character_error_rate,
    format_report,
    mean_loss,
    pick_samples,
    samples_to_json,
    score,
    word_error_rate,
    write_samples_json,
)


def _edits(reference: Sequence[str], hypothesis: Sequence[str]) -> int:
    """Levenshtein's distance by its definition, one row at a time."""
    row = list(range(len(hypothesis) + 1))
    for i, wanted in enumerate(reference, start=1):
        previous, row = row, [i]
        for j, found in enumerate(hypothesis, start=1):
            row.append(min(previous[j] + 1, row[-1] + 1, previous[j - 1] + (wanted != found)))
    return row[-1]


def _random_pairs(seed: int, count: int) -> list[tuple[str, str]]:
    rng = random.Random(seed)
    words = ["a", "an", "the", "cat", "c\u00e4t", "sat", "\u4e2d\u6587"]
    texts = [" ".join(rng.choices(words, k=rng.randrange(8))) for _ in range(2 * count)]
    return list(zip(texts[::2], texts[1::2], strict=True))


def _sample(wer: float, loss: float = 1.0, name: str = "a.wav") -> Sample:
    return Sample(name, "r", "h", loss, 0, 1, round(wer * 100), 100)


def test_distances_equal_the_definition():
    for reference, hypothesis in _random_pairs(seed=1, count=300):
        sample = score("a.wav", reference, hypothesis, 0.5)
        assert sample.char_distance == _edits(reference, hypothesis)
        assert sample.word_distance == _edits(reference.split(), hypothesis.split())
        assert sample.char_length == len(reference)
        assert sample.word_length == len(reference.split())


def test_rates_of_a_set_are_sums_over_sums():
    pairs = _random_pairs(seed=2, count=50)
    samples = [score("a.wav", *pair, 0.0) for pair in pairs]
    words = sum(_edits(r.split(), h.split()) for r, h in pairs) / sum(len(r.split()) for r, _ in pairs)
    assert word_error_rate(samples) == pytest.approx(words)
    characters = sum(_edits(r, h) for r, h in pairs) / sum(len(r) for r, _ in pairs)
    assert character_error_rate(samples) == pytest.approx(characters)


def test_a_long_wrong_sentence_weighs_more_than_a_short_right_one():
    samples = [score("a", "one", "one", 0), score("b", "one two three", "", 0)]
    assert word_error_rate(samples) == 3 / 4
    assert character_error_rate(samples) == 13 / 16


def test_spaces_count_as_characters_but_not_as_words():
    sample = score("a.wav", "ice cream", "icecream", 0.0)
    assert (sample.char_distance, sample.char_length) == (1, 9)
    assert (sample.word_distance, sample.word_length) == (2, 2)
    assert score("a.wav", "a  b\tc", "a b c", 0.0).wer == 0.0


def test_rates_are_not_capped():
    sample = score("a.wav", "no", "yes yes yes", 0.0)
    assert sample.wer == 3.0
    assert sample.cer > 1.0
    assert word_error_rate([sample]) == 3.0


def test_an_empty_reference():
    assert (score("a", "", "", 0).wer, score("a", "", "", 0).cer) == (0.0, 0.0)
    assert (score("a", "", "two words", 0).wer, score("a", "", "two words", 0).cer) == (2.0, 9.0)


def test_nothing_measured_is_not_a_number():
    assert math.isnan(word_error_rate([]))
    assert math.isnan(character_error_rate([]))
    assert math.isnan(mean_loss([]))


def test_mean_loss():
    assert mean_loss([_sample(0, loss) for loss in (1.0, 2.0, 6.0)]) == 3.0
    assert mean_loss(iter([_sample(0, math.inf), _sample(0, 1.0)])) == math.inf


def test_rates_take_an_iterator():
    assert word_error_rate(iter([_sample(0.5)])) == 0.5


def test_samples_are_picked_by_wer_then_loss():
    samples = [_sample(wer, loss) for wer in (0.2, 0.0, 0.4, 0.1, 0.3) for loss in (2.0, 1.0)]
    best, median, worst = pick_samples(samples, 2)
    assert [(s.wer, s.loss) for s in best] == [(0.0, 1.0), (0.0, 2.0)]
    assert [(s.wer, s.loss) for s in median] == [(0.2, 1.0), (0.2, 2.0)]
    assert [(s.wer, s.loss) for s in worst] == [(0.4, 2.0), (0.4, 1.0)]


@pytest.mark.parametrize("total", range(14))
@pytest.mark.parametrize("count", [0, 1, 3, 5])
def test_groups_never_overlap_and_none_is_wasted(total: int, count: int):
    samples = [_sample(i / 100, name=f"{i}.wav") for i in range(total)]
    random.Random(total).shuffle(samples)
    best, median, worst = pick_samples(samples, count)
    picked = best + median + worst
    assert len({s.wav_filename for s in picked}) == len(picked) == min(total, 3 * count)
    assert max(map(len, (best, median, worst))) <= count
    ranks = [s.word_distance for s in best + median + worst[::-1]]
    assert ranks == sorted(ranks)
    assert len(median) <= len(worst) <= len(best) <= len(median) + 1


def test_one_sample_is_the_best():
    only = _sample(0.5)
    assert pick_samples([only], 5) == ([only], [], [])


def test_a_loss_that_is_no_number_ranks_last():
    samples = [_sample(0.0, math.nan), _sample(0.0, 5.0), _sample(0.0, 1.0)]
    assert [s.loss for s in pick_samples(samples, 1)[0]] == [1.0]
    assert math.isnan(pick_samples(samples, 1)[2][0].loss)


def test_the_report(tmp_path: Path):
    wav = tmp_path / "a b.wav"
    samples = [
        score(str(wav), "one two", "one two", 0.25),
        score("/x/c.wav", "three", "tree", 0.75),
    ]
    lines = format_report("dev.csv", samples, count=5)
    assert lines[0] == "Test on dev.csv - WER: 0.333333, CER: 0.083333, loss: 0.500000"
    assert lines[1:6] == [
        "Best by WER:",
        "  WER: 0.000000, CER: 0.000000, loss: 0.250000",
        "    wav: " + wav.as_uri(),
        '    src: "one two"',
        '    res: "one two"',
    ]
    assert lines[6] == "Worst by WER:"
    assert lines[7] == "  WER: 1.000000, CER: 0.200000, loss: 0.750000"
    assert len(lines) == 11
    assert "%20" in lines[3]


def test_a_report_without_samples_to_show():
    assert format_report("t", [_sample(0.5, 2.0)], count=0) == [
        "Test on t - WER: 0.500000, CER: 0.000000, loss: 2.000000"
    ]


def test_a_report_without_losses():
    """An exported model tells none."""
    lines = format_report("t", [score("a.wav", "one two", "one to", math.nan)], count=1)
    assert lines[0] == "Test on t - WER: 0.500000, CER: 0.142857"
    assert lines[2] == "  WER: 0.500000, CER: 0.142857"


def test_samples_are_written_as_json(tmp_path: Path):
    path = tmp_path / "out.json"
    path.write_text("old")
    samples = [score("a.wav", "k\u00e4se", "kase", 1.5), score("b.wav", "x", "x", math.nan)]
    write_samples_json(path, samples)
    first, second = json.loads(path.read_text("utf-8"))
    assert first == {
        "wav_filename": "a.wav",
        "src": "k\u00e4se",
        "res": "kase",
        "loss": 1.5,
        "char_distance": 1,
        "char_length": 4,
        "word_distance": 1,
        "word_length": 1,
        "cer": 0.25,
        "wer": 1.0,
    }
    assert second["loss"] is None
    assert "NaN" not in path.read_text("utf-8")
    assert [path.name] == [p.name for p in tmp_path.iterdir()]
    assert samples_to_json([]) == []


def test_json_into_a_missing_folder(tmp_path: Path):
    with pytest.raises(DataError, match=r"cannot write .*out\.json: No such file or directory"):
        write_samples_json(tmp_path / "none" / "out.json", [])


def _events(path: Path) -> list[dict]:
    return [json.loads(line, parse_constant=pytest.fail) for line in path.read_text("utf-8").splitlines()]


def test_events_are_lines_of_json_and_are_appended(tmp_path: Path):
    path = tmp_path / "run" / "metrics.jsonl"
    MetricsLog(path, tmp_path / "summaries").write("epoch", 3, loss=0.5, epoch=1, set="d\u00e9v.csv", note=None)
    MetricsLog(path, tmp_path / "summaries").write("test", 0, wer=1.0)
    assert _events(path) == [
        {"event": "epoch", "step": 3, "loss": 0.5, "epoch": 1, "set": "d\u00e9v.csv", "note": None},
        {"event": "test", "step": 0, "wer": 1.0},
    ]
    assert "d\u00e9v" in path.read_text("utf-8")


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, np.float64("nan")])
def test_a_number_that_is_not_finite_is_written_as_null(tmp_path: Path, value: float):
    MetricsLog(tmp_path / "m.jsonl", tmp_path / "s").write("epoch", 1, loss=value, rate=0.1)
    assert _events(tmp_path / "m.jsonl") == [{"event": "epoch", "step": 1, "loss": None, "rate": 0.1}]


def test_a_log_that_cannot_be_written_is_one_sentence(tmp_path: Path):
    (tmp_path / "file").touch()
    with pytest.raises(DataError, match=r"cannot write .*m\.jsonl: Not a directory"):
        MetricsLog(tmp_path / "file" / "run" / "m.jsonl", tmp_path / "s").write("epoch", 1)
    log = MetricsLog(tmp_path / "m.jsonl", tmp_path / "s")
    (tmp_path / "m.jsonl").mkdir()
    with pytest.raises(DataError, match=r"cannot write .*m\.jsonl: Is a directory"):
        log.write("epoch", 1)


def test_without_tensorboard_there_is_a_notice_and_no_summaries(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    log = MetricsLog(tmp_path / "m.jsonl", tmp_path / "summaries")
    log.write("epoch", 1, loss=0.5)
    assert log.notice == "No TensorBoard summaries: the package tensorboard is not installed."
    assert not (tmp_path / "summaries").exists()
    assert len(_events(tmp_path / "m.jsonl")) == 1


def test_tensorboard_gets_the_numbers(tmp_path: Path):
    pytest.importorskip("tensorboard")
    log = MetricsLog(tmp_path / "m.jsonl", tmp_path / "summaries")
    log.write("validation", 7, set="dev.csv", loss=0.5, wer=math.nan, epoch=2)
    log.write("epoch", 8, loss=0.25)
    assert log.notice == ""
    (path,) = (tmp_path / "summaries").iterdir()
    found = {}
    for event in tf.compat.v1.train.summary_iterator(str(path)):
        for value in event.summary.value:
            found[value.tag, event.step] = float(tf.make_ndarray(value.tensor))
    assert found.pop(("epoch/loss", 8)) == 0.25
    assert found.pop(("validation/dev.csv/loss", 7)) == 0.5
    assert math.isnan(found.pop(("validation/dev.csv/wer", 7)))
    assert found == {}
