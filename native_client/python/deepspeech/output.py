"""Transcripts as JSON and as subtitles."""

from __future__ import annotations

import html
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from deepspeech import CandidateTranscript, Metadata, WordMetadata

CAPTION_LETTERS = 84  # two lines of 42, what television allows
CAPTION_SECONDS = 6.0
CAPTION_PAUSE = 0.8  # s of silence that begin a new caption


@dataclass(frozen=True)
class Caption:
    """What is shown on the screen at a time.

    Attributes:
        start: in seconds.
        end: in seconds.
        text: one line.
    """

    start: float
    end: float
    text: str


def text_from_tokens(transcript: CandidateTranscript) -> str:
    """Return the text as put together from its labels."""
    joined = "".join(token.text for token in transcript.tokens)
    return joined.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def json_words(words: Iterable[WordMetadata]) -> list[dict[str, Any]]:
    """Return words in the form of 0.9.3's JSON, with `end_time` and `confidence` besides; times in seconds."""
    return [
        {
            "word": word.text,
            "start_time": round(word.start_time, 4),
            "duration": round(word.end_time - word.start_time, 4),
            "end_time": round(word.end_time, 4),
            "confidence": round(word.confidence, 4),
        }
        for word in words
    ]


def json_transcripts(metadata: Metadata) -> list[dict[str, Any]]:
    """Return transcripts in the form of 0.9.3's JSON."""
    return [
        {"confidence": transcript.confidence, "words": json_words(transcript.words)}
        for transcript in metadata.transcripts
    ]


def make_captions(words: Iterable[WordMetadata]) -> Iterator[Caption]:
    """Yield words together as long as they fit on the screen and no pause parts them."""
    shown: list[WordMetadata] = []
    letters = 0
    for word in words:
        if shown and (
            letters + 1 + len(word.text) > CAPTION_LETTERS
            or word.end_time - shown[0].start_time > CAPTION_SECONDS
            or word.start_time - shown[-1].end_time >= CAPTION_PAUSE
        ):
            yield _caption(shown)
            shown, letters = [], 0
        letters += len(word.text) + bool(shown)
        shown.append(word)
    if shown:
        yield _caption(shown)


def format_srt(captions: Iterable[Caption]) -> str:
    """Return the content of a SubRip file."""
    return "\n".join(
        f"{number}\n{_clock(caption.start, ',')} --> {_clock(caption.end, ',')}\n{caption.text}\n"
        for number, caption in enumerate(captions, 1)
    )


def format_vtt(captions: Iterable[Caption]) -> str:
    """Return the content of a WebVTT file."""
    return "WEBVTT\n" + "".join(
        f"\n{_clock(caption.start, '.')} --> {_clock(caption.end, '.')}\n{html.escape(caption.text, quote=False)}\n"
        for caption in captions
    )


def shift(words: Sequence[WordMetadata], seconds: float) -> list[WordMetadata]:
    """Return words that are so much later."""
    return [replace(word, start_time=word.start_time + seconds, end_time=word.end_time + seconds) for word in words]


def _caption(words: Sequence[WordMetadata]) -> Caption:
    return Caption(words[0].start_time, words[-1].end_time, " ".join(word.text for word in words))


def _clock(seconds: float, point: str) -> str:
    whole, milliseconds = divmod(round(seconds * 1000), 1000)
    minutes, seconds_left = divmod(whole, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:02d}:{minutes:02d}:{seconds_left:02d}{point}{milliseconds:03d}"
