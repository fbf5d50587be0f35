"""Word and character error rates, and the report of a test."""

from __future__ import annotations

import importlib.util
import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from rapidfuzz.distance import Levenshtein

from util import tf
from util.errors import DataError, UsageError
from util.files import write_atomically
from util.progress import duration


@dataclass(frozen=True, slots=True)
class Sample:
    """One tested utterance.

    Attributes:
        wav_filename: path of its audio.
        reference: what was said.
        hypothesis: what was recognised.
        loss: of the reference.
        char_distance: edits (Levenshtein) between the two, in characters with spaces.
        char_length: characters in the reference.
        word_distance: edits in words.
        word_length: words in the reference.
    """

    wav_filename: str
    reference: str
    hypothesis: str
    loss: float
    char_distance: int
    char_length: int
    word_distance: int
    word_length: int

    @property
    def cer(self) -> float:
        """The character error rate; insertions can bring it above 1."""
        return self.char_distance / max(1, self.char_length)

    @property
    def wer(self) -> float:
        """The word error rate; insertions can bring it above 1."""
        return self.word_distance / max(1, self.word_length)


def score(wav_filename: str, reference: str, hypothesis: str, loss: float) -> Sample:
    """Compare a hypothesis with its reference, in characters and in words between white space."""
    words = reference.split()
    return Sample(
        wav_filename=wav_filename,
        reference=reference,
        hypothesis=hypothesis,
        loss=loss,
        char_distance=Levenshtein.distance(reference, hypothesis),
        char_length=len(reference),
        word_distance=Levenshtein.distance(words, hypothesis.split()),
        word_length=len(words),
    )


def word_error_rate(samples: Iterable[Sample]) -> float:
    """Return edits over reference words of a whole set; NaN without samples."""
    return _rate([(sample.word_distance, sample.word_length) for sample in samples])


def character_error_rate(samples: Iterable[Sample]) -> float:
    """Return edits over reference characters of a whole set; NaN without samples."""
    return _rate([(sample.char_distance, sample.char_length) for sample in samples])


def mean_loss(samples: Iterable[Sample]) -> float:
    """Return the mean of the samples' losses; NaN without samples."""
    losses = [sample.loss for sample in samples]
    return math.fsum(losses) / len(losses) if losses else math.nan


def summarize(samples: Sequence[Sample]) -> dict[str, float]:
    """Return the measures of a set: mean `loss`, corpus-level `wer` and `cer`."""
    return {
        "loss": mean_loss(samples),
        "wer": word_error_rate(samples),
        "cer": character_error_rate(samples),
    }


def pick_samples(samples: Iterable[Sample], count: int) -> tuple[list[Sample], list[Sample], list[Sample]]:
    """Pick the best, median and worst samples by WER, then by loss.

    A sample is in one group at most. With fewer than 3 `count` samples each group gets a third,
    the best being served first and the median last: one sample is best, of two one is worst.

    Args:
        samples: in any order.
        count: most samples in each group.

    Returns:
        The best, best first; the median, better first; the worst, worst first.
    """
    ranked = sorted(samples, key=_rank)
    n_best, n_worst, n_median = (min(max(0, count), (len(ranked) + k) // 3) for k in (2, 1, 0))
    start = max(n_best, (len(ranked) - n_median) // 2)
    return (
        ranked[:n_best],
        ranked[start : start + n_median],
        ranked[len(ranked) - n_worst :][::-1],
    )


def format_report(name: str, samples: Sequence[Sample], count: int, greedy: Sequence[Sample] = ()) -> list[str]:
    """Return the lines that tell how a test went, without losses that are NaN: those nobody measured.

    Args:
        name: of the test set, for the first line.
        samples: all of the set.
        count: how many of the best, median and worst to show.
        greedy: the same utterances decoded greedily; their rates show what the beam search brings.
    """
    lines = [
        f"Test on {name} - {_measures(word_error_rate(samples), character_error_rate(samples), mean_loss(samples))}"
    ]
    if greedy and greedy != samples:
        lines.append(f"  Greedily - WER: {word_error_rate(greedy):.6f}, CER: {character_error_rate(greedy):.6f}")
    for title, group in zip(("Best", "Median", "Worst"), pick_samples(samples, count), strict=True):
        if group:
            lines.append(f"{title} by WER:")
        for sample in group:
            lines += [
                f"  {_measures(sample.wer, sample.cer, sample.loss)}",
                f"    wav: {Path(sample.wav_filename).absolute().as_uri()}",
                f'    src: "{sample.reference}"',
                f'    res: "{sample.hypothesis}"',
            ]
    return lines


def check_log_pattern(pattern: str) -> None:
    """Refuse (UsageError) a printf pattern that does not take date, set and WER; an empty one is none."""
    try:
        _ = pattern and pattern % ("date", "set", 0.5)
    except (TypeError, ValueError) as error:
        raise UsageError(
            f"--wer_log_pattern '{pattern}' does not take date, set and WER as '%s %s %s' does: {error}."
        ) from error


def format_log(pattern: str, name: str, wer: float) -> str:
    """Return the line of --wer_log_pattern for a set that has just been tested."""
    return pattern % (f"{datetime.now():%Y-%m-%dT%H:%M:%S}", name, wer)


def samples_to_json(samples: Iterable[Sample]) -> list[dict[str, Any]]:
    """Return samples under the keys of the predecessors' `--test_output_file`.

    A loss that is not a finite number is None, since JSON has no other way to write it.
    """
    return [
        {
            "wav_filename": sample.wav_filename,
            "src": sample.reference,
            "res": sample.hypothesis,
            "loss": sample.loss if math.isfinite(sample.loss) else None,
            "char_distance": sample.char_distance,
            "char_length": sample.char_length,
            "word_distance": sample.word_distance,
            "word_length": sample.word_length,
            "cer": sample.cer,
            "wer": sample.wer,
        }
        for sample in samples
    ]


def write_samples_json(path: str | Path, samples: Iterable[Sample]) -> None:
    """Write `samples_to_json` to a file, atomically.

    Raises:
        DataError: the file cannot be written.
    """
    text = json.dumps(samples_to_json(samples), ensure_ascii=False, allow_nan=False, indent=1)
    write_atomically(path, f"{text}\n")


def format_validation(name: str, samples: Sequence[Sample]) -> list[str]:
    """Return the lines after a validation: the measures, and two utterances that are the same each time."""
    measures = (
        f"loss {mean_loss(samples):.4f}, WER {word_error_rate(samples):.4f}, CER {character_error_rate(samples):.4f}"
    )
    lines = [f"  {name}: {measures}"]
    for sample in {len(samples) // 3: 0, 2 * len(samples) // 3: 0}:
        heard = samples[sample].hypothesis or "(nothing yet, which is normal early in training)"
        lines += [f"    reference:  {samples[sample].reference}", f"    hypothesis: {heard}"]
    return lines


def format_epoch(
    epoch: int, target: int, loss: float, rate: float, seconds: float, audio_s: float, waited_s: float
) -> str:
    """Return the line that tells of an epoch, its speed, its wait for input, and the time the others will take."""
    return (
        f"Epoch {epoch} of {target}: loss {loss:.4f}, learning rate {rate:.3g}, {duration(seconds)},"
        f" {audio_s / seconds:.3g} s of audio per s, {waited_s / seconds:.0%} waiting for input,"
        f" {duration((target - epoch) * seconds)} left"
    )


class MetricsLog:
    """Appends events to a file, one JSON object per line, and numbers to TensorBoard summaries.

    Without the package tensorboard there are no summaries, and `notice` says so.

    Nothing is made before the first event; `writes` False, as for workers that are not the chief: nor then.
    """

    def __init__(self, path: Path, summary_dir: Path, writes: bool = True):
        self._path, self._summary_dir, self._writes = path, summary_dir, writes
        self._summaries: Any = None
        self._summarizes = importlib.util.find_spec("tensorboard") is not None
        self.notice = "" if self._summarizes else "No TensorBoard summaries: the package tensorboard is not installed."

    def write(self, event: str, step: int, **values: Any) -> None:
        """Write an event; numbers that are not finite become null.

        Raises:
            DataError: the file or its directory cannot be written.
        """
        if not self._writes:
            return
        record = {"event": event, "step": step, **values}
        numbers = {key: value for key, value in values.items() if isinstance(value, float)}
        lost = {key: None for key, value in numbers.items() if not math.isfinite(value)}
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with self._path.open("a", encoding="utf-8") as file:
                file.write(json.dumps(record | lost, ensure_ascii=False) + "\n")
        except OSError as error:
            raise DataError(f"cannot write {self._path}: {error.strerror}; make room or choose another place") from None
        if self._summarizes:
            self._summaries = self._summaries or tf.summary.create_file_writer(str(self._summary_dir))
            group = f"{event}/{values['set']}" if "set" in values else event
            with self._summaries.as_default(step):
                for key, value in numbers.items():
                    tf.summary.scalar(f"{group}/{key}", value)
            self._summaries.flush()


def _measures(wer: float, cer: float, loss: float) -> str:
    return f"WER: {wer:.6f}, CER: {cer:.6f}" + ("" if math.isnan(loss) else f", loss: {loss:.6f}")


def _rate(pairs: Sequence[tuple[int, int]]) -> float:
    if not pairs:
        return math.nan
    return sum(distance for distance, _ in pairs) / max(1, sum(length for _, length in pairs))


def _rank(sample: Sample) -> tuple[float, float]:
    return sample.wer, math.inf if math.isnan(sample.loss) else sample.loss
