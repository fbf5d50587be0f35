"""What is drawn for an utterance depends on seed, epoch, position and place alone; transcripts keep their frames."""

from __future__ import annotations

import io
import re
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import soundfile
from conftest import speak, write_corpus
from numpy.typing import NDArray

from util import effects, tf
from util.augmentation import parse_augmentations
from util.augmenter import Augmenter
from util.ctc import frames_needed
from util.errors import DataError
from util.features import FeatureSet, mfcc
from util.feeding import load_corpus, read_batch
from util.planning import deal
from util.progress import Console
from util.text import Alphabet

CLASSIC = FeatureSet("classic")
STREAMING = FeatureSet("streaming", window_ms=32)
ALPHABET = Alphabet(list("abcdefghijklmnopqrstuvwxyz "))
LABELS = np.array([1, 2, 2, 3], np.int32)
SPEECH = speak("a bad cab")
MIXTURE = (
    "time_mask[n=1:5]", "volume[dbfs=-10~5]", "speed[p=0.5]", "reverb[p=0.7,decay=5:20]", "tempo[factor=1.1~0.3]",
    "time_mask[domain=signal,n=2]", "dropout[p=0.5]",
)  # fmt: skip


def augmenter_of(*texts: str, features: FeatureSet = CLASSIC, seed: int = 7) -> Augmenter:
    return Augmenter(parse_augmentations(texts), features, seed)


def peak_dbfs(samples: NDArray[np.int16]) -> float:
    """Return the peak in dB, where full scale is 3.0103."""
    return float(20 * np.log10(np.abs(samples.astype(float)).max() / 32768) + 3.0103)


# -------------------------------------------------------------------------------------------- draws


def test_draws_follow_the_formula():
    """SeedSequence of seed, epoch, position in the set and place on the command line; p first, then the value."""
    augmenter = augmenter_of("frequency_mask", "volume[p=0.5,dbfs=-30:-10~5]", seed=11)
    n_applied = 0
    for epoch in (0, 3):
        for position in range(40):
            random = np.random.Generator(np.random.PCG64(np.random.SeedSequence([11, epoch, position, 1])))
            is_applied, shift = random.random() < 0.5, 5 * random.uniform(-1, 1)
            samples, _ = augmenter.augment(SPEECH, LABELS, epoch, position, 0.25)
            if is_applied:
                assert peak_dbfs(samples) == pytest.approx(-25 + shift, abs=0.02)
            else:
                assert samples is SPEECH, "not even rounded"
            n_applied += is_applied
    assert 20 < n_applied < 60


def test_the_clock_runs_through_the_batches_of_all_epochs():
    """From 0 at the first batch of the first epoch towards 1 behind the last of the last."""
    augmenter = augmenter_of("volume[dbfs=-40:0]")
    plan = [[2, 0], [1], [3, 4], [5]]
    for epoch in range(5):
        change = augmenter.in_epoch(epoch, 5, plan)
        for number, members in enumerate(plan):
            for position in members:
                samples, _ = change(position, SPEECH, LABELS)
                assert peak_dbfs(samples) == pytest.approx(-40 + 40 * (epoch + number / 4) / 5, abs=0.05)


def test_seed_epoch_position_and_place_all_matter():
    changes = {
        augmenter_of(*texts, seed=seed).augment(SPEECH, LABELS, epoch, position, 0)[0].tobytes()
        for texts in (["volume[dbfs=-20~9]"], ["frequency_mask", "volume[dbfs=-20~9]"])
        for seed in (-1, 0, 1)
        for epoch in (0, 1)
        for position in (0, 1, 2)
    }
    assert len(changes) == 2 * 3 * 2 * 3


def test_augmentations_draw_independently():
    augmenter = augmenter_of("frequency_mask[p=0.5,n=1]", "time_mask[p=0.5,n=1]", "time_mask[p=0.5,n=1]")
    rows = np.array([augmenter.augment(SPEECH, LABELS, 0, position, 0)[1] for position in range(2000)])
    applied = rows[:, [1, 3, 5]] > 0  # the sizes of the masks
    np.testing.assert_allclose(applied.mean(0), 0.5, atol=0.04)
    correlation = np.corrcoef(applied.T.astype(float))
    assert np.abs(correlation[np.triu_indices(3, 1)]).max() < 0.07


def test_batches_threads_and_workers_change_nothing(tmp_path: Path):
    texts = ["a cat", "a bad cab", "act a dad", "cab", "add a tab", "bad"]
    corpus = load_corpus(
        [str(write_corpus(tmp_path, "set", texts))], ALPHABET, CLASSIC, 0, Console(stream=io.StringIO())
    )
    plan = [[5, 0, 3], [1, 2, 4]]

    def utterances(groups: Sequence[Sequence[int]], threads: int) -> dict[int, tuple[bytes, bytes]]:
        change = augmenter_of(*MIXTURE, "overlay[source=" + str(tmp_path) + ",snr=5]").in_epoch(2, 4, plan)
        with ThreadPoolExecutor(threads) as pool:
            batches = list(pool.map(lambda members: read_batch(corpus, members, change), groups))
        return {
            member: (samples[:length].tobytes(), numbers.tobytes())
            for batch in batches
            for member, samples, length, numbers in zip(
                batch.members, batch.samples, batch.n_samples, batch.numbers, strict=True
            )
        }

    one_worker = utterances(plan, 1)
    assert sorted(one_worker) == list(range(6))
    two_workers = [part for members in plan for part in deal(members, 2)]
    for groups in (two_workers, two_workers[::-1], [[member] for member in range(6)]):
        assert utterances(groups, 3) == one_worker


# --------------------------------------------------------------------------- order, samples, numbers


def test_domains_come_in_order_and_within_them_the_command_line():
    texts = "add time_mask volume time_mask[domain=signal] dropout[domain=features] pitch frequency_mask reverb tempo"
    names = [(each.name, each.domain) for _, each in augmenter_of(*texts.split()).augmentations]
    assert names == [
        ("volume", "sample"), ("reverb", "sample"), ("time_mask", "signal"), ("pitch", "spectrogram"),
        ("tempo", "spectrogram"), ("time_mask", "spectrogram"), ("frequency_mask", "spectrogram"), ("add", "features"),
        ("dropout", "features"),
    ]  # fmt: skip


def test_effects_are_applied_one_after_the_other_to_float_samples():
    samples, numbers = augmenter_of("resample[rate=4000]", "frequency_mask", "volume[dbfs=-6]").augment(
        SPEECH, LABELS, 0, 0, 0
    )
    random = np.random.default_rng(0)  # neither takes anything from it
    expected = effects.resample(SPEECH.astype(np.float32) / 32768, 16000, random, 4000)
    expected = effects.volume(expected, 16000, random, -6)
    assert samples.dtype == np.int16
    np.testing.assert_allclose(samples / 32768, expected, atol=0.51 / 32768)
    assert numbers.dtype == np.float32
    assert numbers[3:].tolist() == [2, 2, 2], "three masks of two bands"


def test_full_scale_is_not_exceeded():
    loud = np.full(4000, -32768, np.int16)
    loud[::2] = 32767
    samples, _ = augmenter_of("volume[dbfs=40]").augment(loud, LABELS, 0, 0, 0)
    assert (samples.min(), samples.max()) == (-32768, 32767)


def test_nothing_asked_for_nothing_done(tmp_path: Path):
    augmenter = Augmenter.from_flags({"augment": ["rir[source=gone]"], "random_seed": 1}, CLASSIC, [], Console())
    assert augmenter.n_numbers == 0, "without a training set a source need not be there"
    samples, numbers = augmenter.augment(SPEECH, LABELS, 0, 0, 0)
    assert samples is SPEECH
    assert numbers.shape == (0,)
    empty = np.zeros(0, np.int16)
    samples, numbers = augmenter_of("reverb", "time_mask").augment(empty, LABELS, 0, 0, 0)
    assert (len(samples), numbers.tolist()) == (0, [0] * 6)


def test_a_source_without_recordings_is_one_sentence(tmp_path: Path):
    with pytest.raises(DataError, match=str(tmp_path)):
        augmenter_of(f"overlay[source={tmp_path}]")


# -------------------------------------------------------------------------------------- feasibility


@pytest.mark.parametrize("features", [CLASSIC, STREAMING], ids=lambda f: f.name)
@pytest.mark.parametrize(
    "texts",
    [["speed[factor=3~2]"], ["speed[factor=5]", "speed[factor=2]", "tempo[factor=3]"], ["tempo[factor=4]"]],
    ids=len,
)
def test_an_utterance_keeps_the_frames_of_its_transcript(texts: list[str], features: FeatureSet):
    augmenter, random = augmenter_of(*texts, features=features), np.random.default_rng(1)
    n_limits = 0
    for position in range(150):
        samples = random.integers(-9000, 9000, random.integers(1000, 20000)).astype(np.int16)
        before = features.frames(len(samples))
        labels = np.arange(random.integers(1, before + 1), dtype=np.int32) % 3
        changed, numbers = augmenter.augment(samples, labels, 0, position, 0)
        change = augmenter.in_graph(tf.constant(numbers[np.newaxis]))
        _, (n_frames,) = mfcc(tf.constant(changed[np.newaxis]), tf.constant([len(changed)]), features, change)
        assert min(frames_needed(labels), before) <= n_frames
        n_limits += int(n_frames <= len(labels) + 1)
    assert n_limits > 20, "or this would prove nothing"


def test_speed_is_what_was_drawn_where_the_transcript_allows_it():
    for factor in (0.8, 1.25):
        samples, _ = augmenter_of(f"speed[factor={factor}]").augment(SPEECH, LABELS, 0, 0, 0)
        assert len(samples) == round(len(SPEECH) / factor)


def test_as_long_as_it_can_become():
    texts = "speed[factor=1~0.2,p=0.01]", "tempo[factor=0.8:1.5]", "time_mask[n=1~1,p=0]"
    change = augmenter_of(*texts).at_longest()
    samples, numbers = change(0, SPEECH, LABELS)
    assert len(samples) == len(SPEECH) / 0.8
    n_frames = CLASSIC.frames(len(samples))
    assert numbers[0] == int(n_frames / 0.8) - n_frames
    assert numbers[3:].tolist() == [1, 1], "and every mask there may be"


def test_the_announcement_counts_utterances_that_limit_the_speed(tmp_path: Path):
    """0.6 s make 29 classic frames; at 2.4 times the speed 12 are left."""
    path = write_corpus(tmp_path, "set", ["abababa"] * 4)
    header, *rows = path.read_text().splitlines()
    texts = ["a" * 7, "ab" * 6, "abc" * 4 + "a", "aabb" * 3]  # 13, 12, 13 and 18 frames are needed
    for row in range(4):
        soundfile.write(tmp_path / f"set{row}.wav", np.ones(9600, np.int16), 16000)
    lines = [",".join([*row.split(",")[:2], text]) for row, text in zip(rows, texts, strict=True)]
    path.write_text("\n".join([header, *lines]) + "\n")
    corpus = load_corpus([str(path)], ALPHABET, CLASSIC, 0, Console(stream=io.StringIO()))
    assert [sample.n_frames for sample in corpus.samples] == [30] * 4
    stream = io.StringIO()
    values = {"augment": ["speed[factor=1:2]", "tempo[p=0.5,factor=1.2]", "volume"], "random_seed": 1}
    Augmenter.from_flags(values, CLASSIC, [corpus], Console(stream=stream))
    announced, limited = stream.getvalue().splitlines()
    assert announced == (
        "Training batches are augmented: speed (p 1, sample), volume (p 1, sample), tempo (p 0.5, spectrogram)."
    )
    assert limited == (
        "Augmentation speed and tempo is limited for 3 of 4 utterances: faster, they would be too short for their"
        " transcripts."
    )
    stream = io.StringIO()
    Augmenter.from_flags({"augment": ["speed"], "random_seed": 1}, CLASSIC, [corpus], Console(stream=stream))
    assert stream.getvalue().count("\n") == 1, "at a factor of 1.1 nothing is limited"


def test_costs_are_told_once(tmp_path: Path):
    augmenter, stream = augmenter_of("reverb", "volume[p=0]", "time_mask", "pitch", "time_mask"), io.StringIO()
    change = augmenter.in_epoch(0, 1, [[0, 1]])
    for position in range(2):
        change(position, SPEECH, LABELS)
    for _ in range(2):
        change.tell_costs(Console(stream=stream))
    (line,) = stream.getvalue().splitlines()
    assert re.fullmatch(
        r"Augmentation costs per utterance reverb \d+\.\d\d ms, volume 0\.00 ms;"
        r" within the training step pitch, time_mask\.",
        line,
    )
    augmenter_of().in_epoch(0, 1, [[0]]).tell_costs(Console(stream=stream))
    assert stream.getvalue().count("\n") == 1
    augmenter_of("warp").in_epoch(0, 1, [[0]]).tell_costs(Console(stream=stream))
    assert stream.getvalue().endswith("\nAugmentation costs within the training step warp.\n")
