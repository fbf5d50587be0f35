#!/usr/bin/env python3
"""Make what the decoder benchmarks decode and with what: a language model of English and probabilities.

The text is that of Debian's documentation packages (manual pages and HTML), sentence by sentence; some sentences are
kept out of the language model and turned into probabilities such as a trained network gives for them. KenLM's lmplz
and build_binary make the model, once with its words (other decoders read that) and once as a .scorer file.

    benchmarks/decoder_inputs.py FOLDER --kenlm-bin DIR    # FOLDER/lm.scorer, lm.bin, lm.words, sharp.npz, flat.npz

The .npz files have the form that DeepSpeech.py --probabilities_file writes.
"""

from __future__ import annotations

import argparse
import gzip
import html
import random
import re
import string
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import reference_scorer as ref
from common import emit
from timed import BenchmarkError

PACKAGES = (
    *("manpages", "manpages-dev", "git-doc", "perl-doc", "postgresql-doc-15", "python3.11-doc", "linux-doc-6.1"),
    *("debian-policy", "developers-reference", "debian-reference-en"),
)
LABELS = [" ", *string.ascii_lowercase, "'"]
ORDER = 5
PRUNE = "0 0 1"
ALPHA, BETA = 0.931289039105002, 1.1834137581510284  # the default weights of DeepSpeech 0.9.3
SENTENCE_WORDS = (4, 40)
HELD_OUT_WORDS = (8, 20)
SOUND_ALIKE = ("aeiouy", "bpdt", "ckqgx", "szxc", "mn", "fvph", "jg", "lr", "wvu", " 'h")


def fetch_packages(folder: Path) -> Path:
    """Download and unpack the documentation packages; nothing is installed."""
    unpacked = folder / "unpacked"
    if not unpacked.exists():
        folder.mkdir(parents=True, exist_ok=True)
        try:
            subprocess.run(["apt-get", "download", "-qq", *PACKAGES], cwd=folder, check=True, capture_output=True)
            for package in folder.glob("*.deb"):
                subprocess.run(["dpkg-deb", "-x", package, unpacked], check=True)
        except (OSError, subprocess.CalledProcessError) as error:
            raise BenchmarkError(
                f"the text of the language model could not be fetched ({error}); it is Debian's packages "
                f"{' '.join(PACKAGES)}; or give another text with --text"
            ) from error
    return unpacked


def paragraphs_of_manual(text: str) -> Iterator[str]:
    """Return the running text of a manual page: without examples, headings and requests."""
    text = re.sub(r"(?ms)^\.(nf|EX|Vb).*?^\.(fi|EE|Ve)\b", "\n", text)
    text = re.sub(r"\\f(\[\w*\]|\(..|.)", "", text).replace("\\-", "-").replace("\\&", "").replace("\\(aq", "'")
    paragraph: list[str] = []
    for line in text.splitlines():
        if match := re.match(r"\.[BI]?[BIR] (.*)", line):
            paragraph.append(re.sub(r'"([^"]*)"|[ ]', lambda m: m[1] or "", match[1]))
        elif line.startswith((".", "'")) or not line.strip():
            yield " ".join(paragraph)
            paragraph = []
        else:
            paragraph.append(line)
    yield " ".join(paragraph)


def paragraphs_of_page(text: str) -> Iterator[str]:
    """Return the running text of an HTML page."""
    text = re.sub(r"(?s)<(pre|script|style|table)\b.*?</\1>", " ", text)
    for match in re.finditer(r"(?s)<p\b[^>]*>(.*?)</p>", text):
        yield html.unescape(re.sub(r"<[^>]*>", "", match[1]))


def sentences_of(folder: Path) -> list[str]:
    """Return all sentences in plain lower-case letters, each once, in the order of the files' names."""
    found: dict[str, None] = {}
    for path in sorted(folder.rglob("*")):
        if path.is_symlink() or not path.is_file():
            continue
        if re.search(r"/man/man\d/.*\.gz$", str(path)):
            paragraphs = paragraphs_of_manual(gzip.decompress(path.read_bytes()).decode("utf-8", "replace"))
        elif path.suffix == ".html":
            paragraphs = paragraphs_of_page(path.read_text(encoding="utf-8", errors="replace"))
        else:
            continue
        for paragraph in paragraphs:
            for sentence in re.split(r"(?<=[.!?:;]) +", " ".join(paragraph.split())):
                # What is left after the punctuation must be words only: code and names have other characters.
                words = re.sub(r"""[,.;:!?()"“”-]+(?= |$)|(?<= )["“(]|^["“(]""", "", sentence.lower()).replace(
                    "\u2019", "'"
                )
                plain = words.replace("-", " ")
                if re.fullmatch(r"[a-z' ]+", plain) and len(plain.split()) in range(*SENTENCE_WORDS):
                    found[" ".join(plain.split())] = None
    return list(found)


def make_language_model(
    folder: Path, kenlm_bin: Path, sentences: Sequence[str], labels: Sequence[str] = LABELS
) -> None:
    """Write lm.text, lm.arpa, lm.bin (with words), lm.words and lm.scorer."""
    folder.mkdir(parents=True, exist_ok=True)
    text = folder / "lm.text"
    text.write_text("\n".join(sentences) + "\n", encoding="utf-8")
    arpa = ref.make_arpa(kenlm_bin, text, folder / "lm.arpa", ORDER, PRUNE)
    ref.make_binary(kenlm_bin, arpa, folder / "lm.bin", words=True)
    binary = ref.make_binary(kenlm_bin, arpa, folder / "lm.without-words")
    words = sorted({word for sentence in sentences for word in sentence.split()})
    (folder / "lm.words").write_text("\n".join(words) + "\n", encoding="utf-8")
    ref.write_scorer(
        folder / "lm.scorer", binary, ref.word_labels(words, list(labels)), utf8=False, defaults=(ALPHA, BETA)
    )


def spoken(text: str, rng: np.random.Generator) -> np.ndarray:
    """Return probabilities [frames, labels + 1] as a trained network gives them for a sentence.

    Mostly blank; every letter is a spike of one or two frames; one in 14 is faint, so that the blank wins there, and
    one in 14 loses to a letter that sounds alike.
    """
    blank = len(LABELS)
    alike = {char: "".join(g for g in SOUND_ALIKE if char in g).replace(char, "") or "e" for char in LABELS}
    frames: list[tuple[dict[int, float], float]] = []
    for char in text:
        frames += [({blank: 1.0}, rng.beta(40, 1))] * int(1 + rng.poisson(1.3))
        rival = str(rng.choice(list(alike[char])))
        share, height = rng.beta(6, 1.2), rng.beta(8, 1)
        slip = rng.random()
        if slip < 0.07:
            share = rng.uniform(0.2, 0.5)
        mass = {LABELS.index(char): share, LABELS.index(rival): (1 - share) * 0.7, blank: (1 - share) * 0.3}
        if 0.07 <= slip < 0.14:
            mass = {LABELS.index(char): rng.uniform(0.05, 0.3), blank: rng.uniform(0.4, 0.8)}
        frames += [(mass, height)] * int(1 + (rng.random() < 0.3))
    probabilities = rng.dirichlet(np.full(blank + 1, 0.2), size=len(frames))  # [frames, labels + 1]
    for time, (mass, height) in enumerate(frames):
        probabilities[time] *= 1 - height
        for label, value in mass.items():
            probabilities[time, label] += height * value
    return (probabilities / probabilities.sum(axis=1, keepdims=True)).astype(np.float32)


def untrained(frames: int, rng: np.random.Generator) -> np.ndarray:
    """Return probabilities as a network with random weights gives them: all alike, slowly changing."""
    steps = rng.normal(0.0, 0.08, (frames, len(LABELS) + 1))
    logits = np.cumsum(steps, axis=0) + rng.normal(0.0, 0.2, len(LABELS) + 1)
    exponentials = np.exp(logits - logits.max(axis=1, keepdims=True))
    return (exponentials / exponentials.sum(axis=1, keepdims=True)).astype(np.float32)


def write_probabilities(path: Path, transcripts: Sequence[str], probabilities: Sequence[np.ndarray]) -> None:
    """Write an archive of the form that DeepSpeech.py --probabilities_file writes."""
    np.savez_compressed(
        path,
        transcripts=np.array(transcripts),
        labels=np.array(LABELS),
        probabilities=np.concatenate(probabilities),
        feature_len=np.array([len(rows) for rows in probabilities], np.int32),
    )


def make_inputs(folder: Path, kenlm_bin: Path, text: Path | None, count: int, seed: int = 1) -> None:
    """Make everything that is not there yet."""
    if (folder / "flat.npz").exists():
        return
    folder.mkdir(parents=True, exist_ok=True)
    sentences = text.read_text().splitlines() if text else sentences_of(fetch_packages(folder / "packages"))
    chooser, rng = random.Random(seed), np.random.default_rng(seed)
    fitting = [sentence for sentence in sentences if len(sentence.split()) in range(*HELD_OUT_WORDS)]
    held_out = chooser.sample(fitting, count)
    kept = set(held_out)
    make_language_model(folder, kenlm_bin, [sentence for sentence in sentences if sentence not in kept])
    write_probabilities(folder / "sharp.npz", held_out, [spoken(sentence, rng) for sentence in held_out])
    flat = [untrained(int(frames), rng) for frames in rng.integers(100, 300, count)]
    write_probabilities(folder / "flat.npz", [""] * count, flat)


def main() -> None:
    """Make the inputs and say what they are."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--kenlm-bin", type=Path, required=True, help="folder with lmplz and build_binary")
    parser.add_argument("--text", type=Path, help="sentences, one a line, instead of Debian's documentation")
    parser.add_argument("--count", type=int, default=40, help="sentences to keep out and speak")
    args = parser.parse_args()
    try:
        make_inputs(args.folder, args.kenlm_bin, args.text, args.count)
    except BenchmarkError as error:
        sys.exit(f"{parser.prog}: {error}")
    counts = re.findall(r"^ngram \d+=(\d+)$", (args.folder / "lm.arpa").open().read(1000), re.MULTILINE)
    size = (args.folder / "lm.scorer").stat().st_size
    emit(ngrams=[int(n) for n in counts], scorer_bytes=size, sentences=args.count)


if __name__ == "__main__":
    main()
