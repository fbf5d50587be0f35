"""Console lines, progress with and without a terminal, and requests to stop."""

import contextlib
import io
import os
import pty
import signal

import pytest

from util import progress
from util.progress import DEBUG, ERROR, INFO, WARNING, Console, StopRequest, duration


class _Terminal(io.StringIO):
    """A stream that says it is one."""

    def isatty(self) -> bool:
        return True


class _Clock:
    """A clock that goes only when it is told to."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> _Clock:
    clock = _Clock()
    monkeypatch.setattr(progress.time, "monotonic", clock)
    return clock


@pytest.mark.parametrize("level", [DEBUG, INFO, WARNING, ERROR])
def test_levels(level: int):
    stream = io.StringIO()
    console = Console(level, stream=stream)
    console.say("d", DEBUG)
    console.say("i")
    console.warn("w")
    console.say("e", ERROR)
    assert stream.getvalue().splitlines() == ["d", "i", "Warning: w", "Error: e"][level:]


def test_lines_go_to_standard_error(capsys: pytest.CaptureFixture[str]):
    Console().say("ä")
    out, err = capsys.readouterr()
    assert (out, err) == ("", "ä\n")


def test_bars_need_a_terminal():
    assert Console(stream=_Terminal()).bars
    assert not Console(stream=io.StringIO()).bars
    assert not Console(bars=False, stream=_Terminal()).bars


def test_a_line_now_and_then_where_there_is_no_terminal(clock: _Clock):
    stream = io.StringIO()
    with Console(stream=stream).track("Epoch 3", 100, done=10) as tracker:
        for _ in range(30):
            clock.now += 5
            tracker.advance("loss 4.2")
    assert stream.getvalue().splitlines() == [
        "Epoch 3: 22 of 100  loss 4.2  6 min 30 s left",
        "Epoch 3: 34 of 100  loss 4.2  5 min 30 s left",
    ]


def test_short_tasks_say_nothing(clock: _Clock):
    stream = io.StringIO()
    with Console(stream=stream).track("Checking", 0):
        clock.now += 3600
    with Console(stream=stream).track("Checking", 3) as tracker:
        for _ in range(3):
            tracker.advance()
    assert stream.getvalue() == ""


def test_quiet_means_no_progress_either(clock: _Clock):
    for stream in (_Terminal(), io.StringIO()):
        with Console(WARNING, stream=stream).track("Epoch", 2) as tracker:
            clock.now += 100
            tracker.advance()
        assert stream.getvalue() == ""


def test_a_bar_on_a_terminal():
    master, slave = pty.openpty()
    with os.fdopen(slave, "w") as stream:
        with Console(stream=stream).track("Epoch 1", 4) as tracker:
            for loss in range(4):
                tracker.advance(f"loss {loss}")
        Console(stream=stream).say("done")
    data = b""
    with contextlib.suppress(OSError):  # which is how a terminal ends
        while part := os.read(master, 1 << 16):
            data += part
    os.close(master)
    shown = data.decode()
    assert "Epoch 1" in shown
    assert "100%" in shown
    assert "loss 3" in shown
    assert shown.endswith("\r\ndone\r\n")


def test_a_bar_that_is_broken_off_or_overrun():
    stream = _Terminal()
    with Console(stream=stream).track("Epoch", 2, done=1) as tracker:
        for _ in range(3):
            tracker.advance("x")
    with pytest.raises(KeyError), Console(stream=stream).track("Epoch", 5) as tracker:
        tracker.advance("y")
        raise KeyError
    assert stream.getvalue().endswith("\n")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_request_to_stop(number: signal.Signals):
    before = [signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM)]
    with StopRequest() as stop:
        assert not stop
        os.kill(os.getpid(), number)
        assert stop
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), number)
            signal.getsignal(number)  # the handler runs between two instructions
    assert [signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM)] == before


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0.0 s"),
        (0.44, "0.4 s"),
        (9.94, "9.9 s"),
        (9.96, "10 s"),
        (59.4, "59 s"),
        (59.6, "1 min 00 s"),
        (185, "3 min 05 s"),
        (3599.4, "59 min 59 s"),
        (3599.6, "1 h 00 min"),
        (7620, "2 h 07 min"),
        (360000, "100 h 00 min"),
    ],
)
def test_durations(seconds: float, text: str):
    assert duration(seconds) == text
