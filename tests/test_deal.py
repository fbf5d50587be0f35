"""util/clips.deal: every split filled, nobody in two, and nobody moved by those who come later."""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path

import pytest

from util.clips import DEALT, Clip, deal


def draw(seed: int) -> list[Clip]:
    """Return clips of some speakers, many of one and few of another."""
    chance = random.Random(seed)
    clips = []
    for speaker in range(chance.randrange(3, 12)):
        name = f"{seed}-{speaker}"
        count = chance.choice((1, 2, 5, 40))
        clips += [Clip(Path(f"{name}-{i}.wav"), f"{name} {i}", speaker=name) for i in range(count)]
    return clips


def splits_of(clips: Sequence[Clip]) -> dict[str, str]:
    """Return everybody's split, and make sure that there is but one."""
    found = {clip.speaker: clip.split for clip in clips}
    assert all(found[clip.speaker] == clip.split for clip in clips)
    return found


@pytest.mark.parametrize("seed", range(40))
def test_every_split_gets_somebody_and_nobody_moves(seed):
    first = deal(draw(seed))
    assert set(splits_of(first).values()) == set(DEALT)
    more = [*draw(seed), *draw(seed + 1000)]
    random.Random(seed).shuffle(more)
    second = splits_of(deal(more, first))
    assert set(second.values()) == set(DEALT)
    assert {speaker: second[speaker] for speaker in splits_of(first)} == splits_of(first)
    third = deal([clip for clip in more if second[clip.speaker] != "test"], deal(more, first))
    assert set(splits_of(third).values()) == set(DEALT)  # although all of test have left


def test_the_order_of_clips_does_not_matter():
    for seed in range(20):
        clips = draw(seed)
        assert splits_of(deal(clips[::-1])) == splits_of(deal(clips))


def test_fewer_than_three_groups_are_not_torn_apart():
    clips = [Clip(Path(f"{i}.wav"), text) for i, text in enumerate(["one", "one", "two"])]
    splits = [clip.split for clip in deal(clips)]
    assert splits[0] == splits[1]


def test_those_dealt_by_another_rule_are_dealt_anew():
    before = [Clip(Path("1.wav"), "one", "train", "ann"), Clip(Path("2.wav"), "two", "test", "ann")]
    before.append(Clip(Path("3.wav"), "three", "dev", "bob"))
    after = splits_of(deal([Clip(Path("x.wav"), "x", speaker=name) for name in ("ann", "bob", "eve")], before))
    assert after["bob"] == "dev"
    assert set(after.values()) == set(DEALT)


def test_a_split_that_the_corpus_tells_stays():
    clips = [Clip(Path("1.wav"), "one", "mine", "ann"), *draw(1)]
    assert deal(clips)[0].split == "mine"
