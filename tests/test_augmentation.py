"""--augment is read as the census of 0.9.3 describes it, what is wrong is one sentence, and values follow the clock."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from util.augmentation import KINDS, Augmentation, Range, parse_augmentations
from util.errors import UsageError

# Names, domains and defaults of 0.9.3; a range v~r as (v, v, r)
DEFAULTS_0_9_3 = {
    "codec": ("sample", {"bitrate": 3200}),
    "reverb": ("sample", {"delay": 20, "decay": 10}),
    "resample": ("sample", {"rate": 8000}),
    "volume": ("sample", {"dbfs": 3.0103}),
    "pitch": ("spectrogram", {"pitch": (1.075, 1.075, 0.125)}),
    "tempo": ("spectrogram", {"factor": 1.1, "max_time": -1}),
    "warp": ("spectrogram", {"nt": 1, "nf": 1, "wt": 0.1, "wf": 0.0}),
    "frequency_mask": ("spectrogram", {"n": 3, "size": 2}),
    "time_mask": ("spectrogram", {"n": 3, "size": 10}),
    "dropout": ("spectrogram", {"rate": 0.05}),
    "add": ("features", {"stddev": 5}),
    "multiply": ("features", {"stddev": 5}),
}
WHOLE = {"bitrate", "rate of resample", "nt", "nf", "n", "size of frequency_mask", "layers"}


def parse(text: str) -> Augmentation:
    (augmentation,) = parse_augmentations([text])
    return augmentation


def refuse(text: str) -> str:
    with pytest.raises(UsageError) as caught:
        parse_augmentations(["volume", text])
    message = str(caught.value)
    assert message.startswith(f"--augment '{text}': ")
    assert "\n" not in message
    return message


@pytest.mark.parametrize("name", DEFAULTS_0_9_3)
def test_a_bare_name_has_the_defaults_of_old(name: str):
    domain, defaults = DEFAULTS_0_9_3[name]
    found = parse(name)
    assert (found.name, found.domain, found.p, found.source) == (name, domain, 1.0, "")
    assert list(found.values) == list(defaults)
    for parameter, default in defaults.items():
        value = found.values[parameter]
        start, end, radius = default if isinstance(default, tuple) else (default, default, 0)
        assert (value.start, value.end, value.radius) == (start, end, radius)
        assert value.whole == bool({parameter, f"{parameter} of {name}"} & WHOLE)


def test_what_takes_recordings(tmp_path: Path):
    for name, defaults in {"overlay": {"snr": 3, "layers": 1}, "rir": {}}.items():
        found = parse(f"{name}[source={tmp_path}]")
        assert (found.domain, found.source) == ("sample", str(tmp_path))
        assert {key: (value.start, value.radius) for key, value in found.values.items()} == {
            key: (value, 0) for key, value in defaults.items()
        }
        assert "source=PATH: a CSV, SDB or tar file, a folder or an audio file" in refuse(name)
        assert "source=PATH" in refuse(f"{name}[source=]")
        assert f"{tmp_path}/gone does not exist" in refuse(f"{name}[source={tmp_path}/gone]")
    named = tmp_path / "a=b [1]~2:3.csv"
    named.touch()
    assert parse(f"overlay[p=0.5,source={named}]").source == str(named)


def test_speed_is_that_of_ko_et_al():
    factor = parse("speed").values["factor"]
    assert (factor.start, factor.end, factor.radius) == (1, 1, 0.1)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2", (2, 2, 0)),
        ("2~1", (2, 2, 1)),
        ("2:5", (2, 5, 0)),
        ("5:2~1.5", (5, 2, 1.5)),
        (".5", (0.5, 0.5, 0)),
        ("-1.5:+2e1", (-1.5, 20, 0)),
        (" 1 : 2 ~ 3 ", (1, 2, 3)),
    ],
)
def test_every_form_of_a_range(text: str, expected: tuple[float, float, float]):
    value = parse(f"volume[dbfs={text}]").values["dbfs"]
    assert (value.start, value.end, value.radius) == expected
    assert not value.whole


NO_RANGES = ["", "x", "1~", "~1", "1:", ":2", "1:2:3", "1~2~3", "1~2:3", "1~-1", "nan", "inf", "1 2"]


@pytest.mark.parametrize("text", NO_RANGES)
def test_what_is_no_range(text: str):
    message = refuse(f"volume[dbfs={text}]")
    assert f"dbfs is '{text}', expected v, v~r, a:b or a:b~r with numbers" in message


@pytest.mark.parametrize("text", ["1.5", "1~0.5", "1:2.5"])
def test_whole_numbers(text: str):
    assert f"n is '{text}', expected v, v~r, a:b or a:b~r with whole numbers" in refuse(f"time_mask[n={text}]")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "expected name or name[key=value,..]"),
        ("volume[dbfs=1", "expected name or name[key=value,..]"),
        ("volume dbfs=1", "expected name or name[key=value,..]"),
        ("echo", "there is no augmentation 'echo', there are overlay, codec, reverb"),
        ("reverb[20]", "'20' has no name, expected key=value"),
        ("reverb[delay=20,]", "'' has no name"),
        ("reverb[delai=20]", "reverb has no parameter 'delai', it has p, delay, decay"),
        ("reverb[source=x]", "reverb has no parameter 'source'"),
        ("reverb[domain=signal]", "reverb has no parameter 'domain'"),
        ("reverb[delay=20,delay=30]", "delay is given twice"),
        ("warp[nt=1,num_t=2]", "nt is given twice"),
        ("volume[p=1.1]", "the probability p is '1.1', expected a number from 0 to 1"),
        ("volume[p=-0.1]", "the probability p is '-0.1'"),
        ("volume[p=0.1~0.1]", "the probability p is '0.1~0.1'"),
        ("add[domain=time]", "the domain is 'time', expected one of features, signal, spectrogram"),
        ("speed[factor=0]", "factor can become 0, expected nothing outside 0.1 to 10"),
        ("speed[factor=1~1]", "factor can become 0,"),
        ("tempo[factor=1:-1]", "factor can become -1,"),
        ("time_mask[size=-1]", "size can become -1, expected nothing outside 0 to"),
        ("frequency_mask[n=1~2]", "n can become -1,"),
        ("codec[bitrate=200000:300000]", "bitrate can become 300000, expected nothing outside 500 to 256000"),
        ("dropout[rate=0.9:1~0.1]", "rate can become 1.1, expected nothing outside 0 to 1"),
    ],
)
def test_faults(text: str, words: str):
    assert words in refuse(text)


def test_lists_keep_their_order_and_coquis_names_are_known():
    texts = ["time_mask[domain=signal,p=0]", " reverb [ p = 0.25 , delay = 3 ] ", "time_mask[]"]
    texts.append("warp[num_t=2,num_f=3,warp_t=0.2,warp_f=0.1]")
    first, second, third, warp = parse_augmentations(texts)
    assert (first.name, first.domain, first.p, first.is_in_graph) == ("time_mask", "signal", 0, False)
    assert (second.name, second.p, second.values["delay"].start, second.is_in_graph) == ("reverb", 0.25, 3, False)
    assert (third.domain, third.is_in_graph) == ("spectrogram", True)
    assert [warp.values[name].start for name in ("nt", "nf", "wt", "wf")] == [2, 3, 0.2, 0.1]


def test_the_example_of_the_old_documentation(tmp_path: Path):
    """The augmentations of the training documentation of 0.9.3, but for the path of the noise."""
    example = f"""
        overlay[p=0.5,source={tmp_path},layers=1,snr=50:20~10] reverb[p=0.1,delay=50.0~30.0,decay=10.0:2.0~1.0]
        resample[p=0.1,rate=12000:8000~4000] codec[p=0.1,bitrate=48000:16000] volume[p=0.1,dbfs=-10:-40]
        pitch[p=0.1,pitch=1~0.2] tempo[p=0.1,factor=1~0.5] warp[p=0.1,nt=4,nf=1,wt=0.5:1.0,wf=0.1:0.2]
        frequency_mask[p=0.1,n=1:3,size=1:5] time_mask[p=0.1,domain=signal,n=3:10~2,size=50:100~40]
        dropout[p=0.1,rate=0.05] add[p=0.1,domain=signal,stddev=0~0.5]
        multiply[p=0.1,domain=features,stddev=0~0.5]"""
    found = parse_augmentations(example.split())
    assert [each.p for each in found] == [0.5] + [0.1] * 12
    rate = found[2].values["rate"]
    assert (rate.start, rate.end, rate.radius) == (12000, 8000, 4000)


def test_every_default_lies_within_its_own_limits():
    for name, kind in KINDS.items():
        for parameter in kind.parameters.values():
            assert parameter.low <= parameter.default.low <= parameter.default.high <= parameter.high, name


# -------------------------------------------------------------------------------------------- draws


@pytest.mark.parametrize("clock", [0.0, 0.3, 1.0])
def test_values_lie_evenly_around_a_point_that_moves_with_the_clock(clock: float):
    random = np.random.default_rng(1)
    drawn = [Range(2, 12, 3).draw(random, clock) for _ in range(20000)]
    middle = 2 + 10 * clock
    assert middle - 3 <= min(drawn) < middle - 2.99
    assert middle + 2.99 < max(drawn) <= middle + 3
    assert np.mean(drawn) == pytest.approx(middle, abs=0.05)
    assert np.std(drawn) == pytest.approx(3 / np.sqrt(3), abs=0.05), "of a uniform distribution"
    assert Range(2, 12).draw(random, clock) == middle


def test_whole_values_are_rounded():
    random = np.random.default_rng(1)
    drawn = [Range(4, 4, 2, whole=True).draw(random, 0) for _ in range(8000)]
    counts = np.unique(drawn, return_counts=True)
    assert counts[0].tolist() == [2, 3, 4, 5, 6]
    np.testing.assert_allclose(counts[1] / 8000, [1 / 8, 1 / 4, 1 / 4, 1 / 4, 1 / 8], atol=0.02)
    assert all(type(value) is int for value in drawn)
    assert Range(1, 4, whole=True).draw(random, 0.6) == 3, "2.8"


def test_a_draw_is_p_first_then_every_parameter_in_order():
    augmentation = parse("reverb[p=0.3,decay=10:20~2,delay=30~5]")
    n_applied = 0
    for seed in range(2000):
        random = np.random.default_rng(seed)
        is_applied = random.random() < 0.3
        delay, decay = 30 + 5 * random.uniform(-1, 1), 15 + 2 * random.uniform(-1, 1)
        expected = pytest.approx({"delay": delay, "decay": decay}) if is_applied else None
        assert augmentation.draw(np.random.default_rng(seed), 0.5) == expected
        n_applied += is_applied
    assert n_applied / 2000 == pytest.approx(0.3, abs=0.04)


def test_p_decides_alone():
    random = np.random.default_rng(1)
    assert all(parse("volume").draw(random, 0) for _ in range(1000))
    assert not any(parse("volume[p=0]").draw(random, 0) for _ in range(1000))


def test_the_longest_that_can_come_out():
    assert parse("speed[factor=0.8:1.2~0.1]").longest() == {"factor": pytest.approx(0.7)}
    assert parse("time_mask[n=2:3~2,size=10~5]").longest() == {"n": 5, "size": 15}


def test_the_documentation_has_every_name_parameter_and_default():
    text = (Path(__file__).parent.parent / "doc" / "Augmentation.md").read_text("utf-8")
    table = text.partition("## What there is")[2].partition("## Values")[0]
    rows = {found[1]: found[0] for found in re.finditer(r"^\| `(\w+)` \|.*$", table, re.MULTILINE)}
    assert set(rows) == set(KINDS)
    for name, kind in KINDS.items():
        for parameter, limits in kind.parameters.items():
            default = f"{limits.default.start:g}" + (f"~{limits.default.radius:g}" if limits.default.radius else "")
            assert f"`{parameter}` {default}" in rows[name], (name, parameter)
        assert all(domain in rows[name] for domain in kind.domains), name
