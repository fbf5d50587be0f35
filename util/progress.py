"""How a run talks with the people who watch it: console lines, progress bars, requests to stop.

On a terminal a progress bar moves; elsewhere a line is written now and then, so that a log file stays
readable and a long epoch still gives a sign of life.
"""

from __future__ import annotations

import signal
import sys
import time
from typing import Any, TextIO

DEBUG, INFO, WARNING, ERROR = range(4)

_NO_FIGURES = " "  # progressbar writes dashes for an empty text


class Console:
    """Writes the lines a user reads.

    Attributes:
        level: messages below it are dropped (0 debug, 1 info, 2 warning, 3 error).
        bars: draw progress bars where the stream is a terminal.
    """

    def __init__(self, level: int = INFO, bars: bool = True, stream: TextIO | None = None):
        self.level = level
        self.stream = stream or sys.stderr
        self.bars = bars and self.stream.isatty()

    def configure(self, level: int, bars: bool) -> None:
        """Set what is shown, as the constructor does."""
        self.level, self.bars = level, bars and self.stream.isatty()

    def say(self, message: str, level: int = INFO) -> None:
        """Write one line; warnings and errors say what they are."""
        if level >= self.level:
            prefix = {WARNING: "Warning: ", ERROR: "Error: "}.get(level, "")
            self.stream.write(f"{prefix}{message}\n")
            self.stream.flush()

    def warn(self, message: str) -> None:
        """Write a line that begins with "Warning: "."""
        self.say(message, WARNING)

    def track(self, label: str, total: int, done: int = 0) -> Tracker:
        """Return the progress display of a task of `total` parts, `done` of them already behind."""
        return Tracker(self, label, total, done)


class Tracker:
    """Shows how far a task has come; a context manager."""

    LINE_SECONDS = 60.0  # between two lines where there is no terminal

    def __init__(self, console: Console, label: str, total: int, done: int):
        self._console, self._label, self._total, self._done = console, label, total, done
        self._first, self._start = done, time.monotonic()
        self._last_line = self._start
        self._bar: Any = None
        if console.bars and console.level <= INFO:
            self._bar = _make_bar(label, total, console.stream)

    def __enter__(self) -> Tracker:
        if self._bar:
            self._bar.start()
            self._bar.update(self._done, figures=_NO_FIGURES)
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar:
            self._bar.finish(dirty=self._done < self._total)  # a whole one is drawn as such

    def advance(self, figures: str = "") -> None:
        """Count one more part; `figures` is shown beside the bar, for instance the loss."""
        self._done += 1
        if self._bar:
            self._bar.update(min(self._done, self._total), figures=figures or _NO_FIGURES)
        elif time.monotonic() - self._last_line >= self.LINE_SECONDS:
            self._last_line = time.monotonic()
            parts_left = self._total - self._done
            left = (self._last_line - self._start) / (self._done - self._first) * parts_left
            self._console.say(f"{self._label}: {self._done} of {self._total}  {figures}  {duration(left)} left")


class StopRequest:
    """Turns SIGINT and SIGTERM into a request the program obeys where it can; a second one is obeyed at once.

    A context manager; true once a signal has come.
    """

    def __init__(self) -> None:
        self._requested = False
        self._previous: dict[int, Any] = {}

    def __bool__(self) -> bool:
        return self._requested

    def __enter__(self) -> StopRequest:
        for number in (signal.SIGINT, signal.SIGTERM):
            self._previous[number] = signal.signal(number, self._request)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)

    def _request(self, _number: int, _frame: object) -> None:
        if self._requested:
            raise KeyboardInterrupt
        self._requested = True


def duration(seconds: float) -> str:
    """Write a time span for people: 0.4 s, 12 s, 3 min 05 s, 2 h 07 min."""
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    minutes, whole = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes:02d} min"
    return f"{minutes} min {whole:02d} s" if minutes else f"{whole} s"


def _make_bar(label: str, total: int, stream: TextIO) -> Any:
    import progressbar  # noqa: PLC0415 - only where there is a terminal

    widgets = [
        label, " ", progressbar.Percentage(), " ", progressbar.Bar(), " ",
        progressbar.AdaptiveETA(), "  ", progressbar.Variable("figures", format="{formatted_value}"),
    ]  # fmt: skip
    return progressbar.ProgressBar(max_value=max(total, 1), widgets=widgets, fd=stream)
