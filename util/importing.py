"""The machine that all importers share; each adds the facts of its corpus.

An importer says where the archives of a corpus are (`Corpus`) and yields its clips. The rest stands here: the options,
getting and unpacking the archives, cleaning transcripts, converting audio, the splits, the CSVs and the report.
"""

from __future__ import annotations

import math
import os
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar

from util import clips, transcripts
from util.archives import CHECKSUMS, Archive, Shelf, openslr, root_of
from util.clips import DEALT, Clip, Form, find_recordings
from util.commandline import report_errors
from util.corpus import Fault, Utterance, read_csv, write_csv, write_faults
from util.errors import AudioError, DataError, UsageError
from util.files import locked, make_directory
from util.progress import Console
from util.task import count_cores
from util.text import read_alphabet, write_alphabet
from util.threads import in_threads
from util.transcripts import columns_of, keyed_lines, matching_lines, read_xml

Value = TypeVar("Value")


@dataclass(frozen=True)
class Corpus:
    """The facts of a corpus. Those that depend on the command line are functions of the parsed options.

    Attributes:
        key: begins the names of its files, as in <key>-train.csv.
        title: what people call it.
        language: ISO 639 code.
        licence: under which it may be used, in a few words.
        archives: what it is published as.
        splits: the sets it must fill; an import that leaves one empty fails.
        how_to_get: what to do for the archives that have no mirror.
        longest_s: where --max_duration is not given.
        seconds_per_character: a clip with less cannot hold its transcript.
        joined: its language writes no spaces between words.
        add_options: adds the corpus's own options to the parser.
    """

    key: str
    title: str
    language: str | Callable[[Any], str]
    licence: str
    archives: Sequence[Archive] | Callable[[Any], Sequence[Archive]]
    splits: Sequence[str] | Callable[[Any], Sequence[str]] = DEALT
    how_to_get: str = ""
    longest_s: float = math.inf
    seconds_per_character: float = 0.02
    joined: bool = False
    add_options: Callable[[Any], object] = field(default=lambda parser: parser)


Finder = Callable[[Sequence[Path], Any], Iterator[Clip]]  # of the clips in unpacked archives, given the options


__all__ = [
    "Archive", "Clip", "Corpus", "columns_of", "find_recordings", "keyed_lines", "matching_lines", "openslr",
    "place_of", "read_xml", "root_of", "run_import",
]  # fmt: skip


def place_of(options: Any) -> Path:
    """Return the folder where archives are: --source, or DIR where that is no folder."""
    source, folder = Path(options.source or ""), Path(options.dir)
    return source if options.source and source.is_dir() else folder


def run_import(corpus: Corpus, find_clips: Finder, parser: Any) -> int:
    """Import a corpus as the command line says.

    Args:
        corpus: its facts.
        find_clips: yields its clips, given what the archives became (a folder each, or the file) and the options.
        parser: an argparse.ArgumentParser without arguments.

    Returns:
        The exit status: 1 where a split came out empty or the corpus cannot be had.
    """
    console = Console()
    _add_options(parser, corpus)
    options = parser.parse_args()
    with report_errors(console) as outcome:
        make_directory(options.dir)
        with locked(options.dir):
            outcome.status = _Import(corpus, options, console).run(find_clips)
    return outcome.status


def _add_options(parser: Any, corpus: Corpus) -> None:
    add = parser.add_argument
    add("dir", metavar="DIR", type=Path, help="where archives, audio files and CSVs go")
    add("--source", metavar="URL|FOLDER", help="where the archives, or their unpacked folders, are instead of the web; "
        f"a {CHECKSUMS} there says what they should be")  # fmt: skip
    add("--filter_alphabet", metavar="FILE", type=Path, help="leave out transcripts with characters it lacks")
    add("--normalize", action="store_true", help="write letters with accents as plain ones")
    add("--validate_label_locale", metavar="FILE", type=Path,
        help="a Python file whose validate_label(text) cleans transcripts, or refuses one by None")  # fmt: skip
    add("--min_duration", metavar="S", type=float, default=0.0, help="leave out shorter clips (%(default)s)")
    add("--max_duration", metavar="S", type=float, default=corpus.longest_s, help="leave out longer ones (%(default)s)")
    add("--sample_rate", metavar="HZ", type=int, default=16000, help="of the audio files (%(default)s)")
    add("--audio_format", choices=("wav", "flac"), default="wav", help="of the audio files (%(default)s)")
    add("--workers", metavar="N", type=int, default=count_cores(), help="clips converted at once (%(default)s)")
    corpus.add_options(parser)


@dataclass(frozen=True, slots=True)
class _Made:
    """A clip that has become an audio file."""

    clip: Clip
    path: Path
    duration_s: float


class _Import:
    def __init__(self, corpus: Corpus, options: Any, console: Console):
        self._corpus, self._options, self._console = corpus, options, console
        self._folder = Path(os.path.normpath(options.dir.absolute()))
        for name in ("sample_rate", "workers"):
            if getattr(options, name) < 1:
                raise UsageError(f"--{name} is {getattr(options, name)}, expected 1 or more")
        self._language = self._chosen(corpus.language)
        self._clean = transcripts.Cleaning(
            language=self._language,
            joined=corpus.joined,
            to_ascii=options.normalize,
            alphabet=read_alphabet(options.filter_alphabet) if options.filter_alphabet else None,
            validate=transcripts.load_validator(options.validate_label_locale)
            if options.validate_label_locale
            else None,
        )
        self._form = Form(
            options.sample_rate, f".{options.audio_format}", options.min_duration, options.max_duration,
            corpus.seconds_per_character,
        )  # fmt: skip
        self._faults: list[Fault] = []

    def run(self, find_clips: Finder) -> int:
        corpus = self._corpus
        self._console.say(f"{corpus.title}: language {self._language}, licence {corpus.licence}.")
        archives = self._chosen(corpus.archives)
        shelf = Shelf(self._folder, self._options.source, corpus.how_to_get, self._console)
        found = shelf.get_all(archives)
        made = self._convert(self._cleaned(find_clips(found, self._options)))
        before = list(self._dealt_before()) if any(not one.clip.split for one in made) else []
        dealt = clips.deal([one.clip for one in made], before)
        made = [replace(one, clip=clip) for one, clip in zip(made, dealt, strict=True)]
        return self._write(made)

    def _dealt_before(self) -> Iterator[Clip]:
        """Yield what the CSVs of an earlier import list."""
        for split in DEALT:
            table = self._folder / f"{self._corpus.key}-{split}.csv"
            for row in read_csv(table) if table.is_file() else ():
                yield Clip(Path(row.path), row.transcript, split, dict(row.extra).get("speaker", ""))

    def _chosen(self, value: Value | Callable[[Any], Value]) -> Value:
        chosen: Value = value(self._options) if callable(value) else value
        return chosen

    def _refuse(self, clip: Clip, kind: str, reason: str) -> None:
        row = Utterance(
            str(clip.audio), str(clip.audio), 0, clip.transcript or "", self._corpus.key, len(self._faults) + 1
        )
        self._faults.append(Fault(row, kind, reason))

    def _cleaned(self, found: Iterator[Clip]) -> Iterator[Clip]:
        checked: set[str] = set()
        for clip in found:
            if clip.audio.suffix not in checked and clip.audio.is_file():
                clips.check_kind(clip.audio)
                checked.add(clip.audio.suffix)
            if clip.transcript is None:
                reason = clip.fault or f"the corpus has no transcript for {clip.audio.name}"
                self._refuse(clip, "no transcript", reason)
                continue
            try:
                yield replace(clip, transcript=self._clean(clip.transcript))
            except transcripts.RefusedError as error:
                self._refuse(clip, error.kind, str(error))

    def _convert(self, cleaned: Iterator[Clip]) -> list[_Made]:
        made: list[_Made] = []
        everything = list(cleaned)
        outcomes = in_threads(self._make, everything, self._options.workers)
        with self._console.track(f"Converting {len(everything)} clips", len(everything)) as bar:
            for clip, outcome in zip(everything, outcomes, strict=True):
                bar.advance()
                if isinstance(outcome, _Made):
                    made.append(outcome)
                else:
                    self._refuse(clip, getattr(outcome, "kind", "audio file at fault"), str(outcome))
        return made

    def _make(self, clip: Clip) -> _Made | DataError:
        roots = self._folder, Path(self._options.source or "").absolute()
        root = next(filter(clip.audio.is_relative_to, roots), self._folder)
        target = self._folder / "clips" / clip.file_name(root)
        try:
            return _Made(clip, *clips.convert(clip, target, self._form))
        except (transcripts.RefusedError, AudioError) as error:
            return error
        except OSError as error:
            raise DataError(f"cannot write {target}: {error.strerror}; make room or choose another folder") from None

    def _write(self, made: list[_Made]) -> int:
        os.sync()  # the audio files, before CSVs say that they are there
        splits = list(dict.fromkeys([*self._chosen(self._corpus.splits), *sorted({one.clip.split for one in made})]))
        lines, empty = [], []
        for split in splits:
            of_split = [one for one in made if one.clip.split == split]
            table = self._folder / f"{self._corpus.key}-{split}.csv"
            write_csv(table, sorted(map(self._row, of_split), key=lambda row: (row.wav_filesize, row.path)))
            lines.append(f"  {split:<20}{_figures(of_split)}  {table}")
            empty += [] if of_split else [split]
        alphabet = self._folder / f"{self._corpus.key}-alphabet.txt"
        characters = sorted(set().union(*(one.clip.transcript or "" for one in made)))
        if characters:
            write_alphabet(alphabet, characters)
        skipped = self._folder / f"{self._corpus.key}-skipped.csv"
        write_faults(skipped, self._faults)
        self._report(made, lines, skipped, alphabet if characters else None)
        if empty:
            self._console.warn(f"Nothing was imported into {', '.join(empty)}; {skipped} says why clips were left out.")
        return 1 if empty else 0

    def _row(self, one: _Made) -> Utterance:
        extra = (("speaker", one.clip.speaker),) if one.clip.speaker else ()
        size = one.path.stat().st_size
        return Utterance(one.path.name, str(one.path), size, one.clip.transcript or "", self._corpus.key, 0, extra)

    def _report(self, made: list[_Made], lines: list[str], skipped: Path, alphabet: Path | None) -> None:
        head = f"  {'':<20}{'clips':>9}{'hours':>9}{'speakers':>10}{'characters':>12}"
        once = list({one.path: one for one in made}.values())  # a clip may be in several splits
        total = f"  {'imported':<20}{_figures(once)}  {alphabet or ''}"
        kinds = Counter(fault.kind for fault in self._faults)
        left_out = [f"  {kind:<30}{count:>9}" for kind, count in kinds.most_common()]
        title = [f"Left out {len(self._faults)}, listed in {skipped}:"] if left_out else []
        self._console.say("\n".join([self._corpus.title, head, *lines, total, *title, *left_out]))


def _figures(made: Sequence[_Made]) -> str:
    hours = sum(one.duration_s for one in made) / 3600
    speakers = len({one.clip.speaker for one in made if one.clip.speaker})
    characters = len(set().union(*(one.clip.transcript or "" for one in made)))
    return f"{len(made):>9}{hours:>9.2f}{speakers or '?':>10}{characters:>12}"
