"""bin/build_scorer.py as a user runs it, the n-grams it estimates, and the file it writes, byte by byte."""

from __future__ import annotations

import gzip
import io
import itertools
import math
import random
import resource
import struct
import subprocess
import sys
from collections import Counter
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest

from util.errors import ScorerError
from util.language_model import Estimation, estimate_ngrams, write_binary
from util.progress import Console

pytest.importorskip("ds_ctcdecoder._builder", reason="pip install ./native_client/python first (needs a compiler)")

ROOT = Path(__file__).resolve().parent.parent
QUIET = Console(stream=io.StringIO())
ALPHABET = ROOT / "data" / "alphabet.txt"
LABELS = [" ", *"abcdefghijklmnopqrstuvwxyz'"]
CORPUS = """the quick brown fox jumps over the lazy dog
the lazy dog sleeps
a quick fox sleeps over the lazy dog
don't wake the dog
the foxes jump and the dogs jump
"""


def run(program: str, *arguments: object, **options) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, ROOT / program, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False, **options)


build = partial(run, "bin/build_scorer.py")


@pytest.fixture
def corpus(tmp_path):
    path = tmp_path / "corpus.txt"
    path.write_text(CORPUS)
    return path


# The file


def murmur(data: bytes, seed: int) -> int:
    """Appleby's MurmurHash64A."""
    m, mask = 0xC6A4A7935BD1E995, 2**64 - 1
    h = seed ^ len(data) * m & mask
    whole = len(data) // 8 * 8
    for (word,) in struct.iter_unpack("<Q", data[:whole]):
        k = word * m & mask
        h = (h ^ (k ^ k >> 47) * m & mask) * m & mask
    if whole < len(data):
        h = (h ^ int.from_bytes(data[whole:], "little")) * m & mask
    h = (h ^ h >> 47) * m & mask
    return h ^ h >> 47


@dataclass
class ScorerFile:
    """What another program finds in a .scorer file."""

    language_model: bytes
    in_bytes: bool
    alpha: float
    beta: float
    states: list[tuple[bool, dict[int, int]]]
    fst_end: int
    data: bytes

    def words(self) -> set[tuple[int, ...]]:
        """Every word, as labels the first of which is 1."""
        found, open_ = set(), [((), 0)]
        while open_:
            word, state = open_.pop()
            final, arcs = self.states[state]
            if final:
                found.add(word)
            open_ += [((*word, label), target) for label, target in arcs.items()]
        return found


def parse(path: Path) -> ScorerFile:
    """Read a file as its format says (native formats of DeepSpeech 0.7 to 0.9.3, OpenFST 1.6 const)."""
    data = path.read_bytes()
    assert data.startswith(b"mmap lm http://kheafield.com/code format version 5\n\0")
    trailer = data.index(b"EIRT\x06\0\0\0")
    in_bytes, alpha, beta = struct.unpack_from("<?dd", data, trailer + 8)
    at = trailer + 25
    head = struct.Struct("<i i5s i8s i i Q q q q")
    magic, n, kind, m, arc, version, flags, properties, start, states, arcs = head.unpack_from(data, at)
    assert (magic, n, kind, m, arc, version, flags, start) == (2125659606, 5, b"const", 8, b"standard", 1, 4, 0)
    assert properties == 0xA56A5A950001  # what 0.9.3 writes
    at += head.size
    padding = -at % 16
    assert data[at : at + padding] == bytes(padding)
    at += padding
    records = [struct.unpack_from("<fIIII", data, at + 20 * i) for i in range(states)]
    at += 20 * states
    at += -at % 16
    table = [struct.unpack_from("<iifi", data, at + 16 * i) for i in range(arcs)]
    automaton = []
    for number, (weight, first, count, *epsilons) in enumerate(records):
        own = table[first : first + count]
        assert epsilons == [0, 0]
        assert weight in (0.0, math.inf)
        assert all(label == output and cost == 0 for label, output, cost, _ in own)
        assert [label for label, *_ in own] == sorted({label for label, *_ in own})
        assert all(target > number for *_, target in own)
        automaton.append((weight == 0.0, {label: target for label, _, _, target in own}))
    assert sum(count for _, _, count, *_ in records) == arcs
    return ScorerFile(data[:trailer], in_bytes, alpha, beta, automaton, at + 16 * arcs, data)


def fewest_states(words: set[tuple[int, ...]]) -> int:
    """The number of different sets of continuations (Myhill and Nerode)."""
    continuations: dict[tuple[int, ...], set[tuple[int, ...]]] = {}
    for word in words:
        for i in range(len(word) + 1):
            continuations.setdefault(word[:i], set()).add(word[i:])
    return len({frozenset(rest) for rest in continuations.values()})


def test_file_has_all_its_parts(corpus, tmp_path):
    output = tmp_path / "my.scorer"
    done = build("--text", corpus, "--alphabet", ALPHABET, "--output", output, "--default_alpha", 0.75)
    assert done.returncode == 0, done.stderr
    scorer = parse(output)
    assert (scorer.in_bytes, scorer.alpha, scorer.beta) == (False, 0.75, 1.1834137581510284)
    words = {tuple(LABELS.index(ch) + 1 for ch in word + " ") for word in CORPUS.split()}
    assert scorer.words() == words
    assert len(scorer.states) == fewest_states(words)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["corpus.txt", "my.scorer"]


def test_extension_has_alphabet_and_checksum(corpus, tmp_path):
    output = tmp_path / "my.scorer"
    # A probing model of some size makes the checksum go over several blocks.
    corpus.write_text(
        "".join(f"{a}{b}{c} x{c}{b}\n" for a, b, c in itertools.product("abcdefghijklmnopqrst", repeat=3))
    )
    options = ("--text", corpus, "--alphabet", ALPHABET, "--output", output, "--lm_type", "probing", "--prune", 0)
    assert build(*options).returncode == 0
    scorer = parse(output)
    data, at = scorer.data, scorer.fst_end + -scorer.fst_end % 8
    text = "\n".join(LABELS).encode()
    assert data[scorer.fst_end : at] == bytes(at - scorer.fst_end)
    assert data[at : at + 16] == b"DSSCORER" + struct.pack("<II", 1, len(text))
    assert data[at + 16 :].startswith(text)
    end = at + 16 + len(text)
    assert end > 1 << 20
    expected = 0
    for start in range(0, end, 1 << 20):
        expected = murmur(data[start : min(end, start + (1 << 20))], expected)
    assert data[end:] == struct.pack("<Q", expected) + b"SCOREREN"


def test_language_model_knows_its_words_by_kenlms_hash(corpus, tmp_path):
    output = tmp_path / "my.scorer"
    assert build("--text", corpus, "--alphabet", ALPHABET, "--output", output).returncode == 0
    model = parse(output).language_model
    order, kind, has_words = model[88], *struct.unpack_from("<I?", model, 96)
    assert (order, kind, has_words) == (5, 5, False)  # quantised trie with compressed pointers, as 0.9.3 made
    words = {*CORPUS.split(), "<s>", "</s>"}
    assert struct.unpack_from("<Q", model, 108)[0] == len(words) + 1
    table = struct.unpack_from(f"<{len(words) + 1}Q", model, 152)
    assert table == (len(words), *sorted(murmur(word.encode(), 0) for word in words))


@pytest.mark.parametrize(
    ("options", "kind"),
    [
        ((), 5),
        (("--quantization_bits", 0), 4),
        (("--lm_type", "probing"), 0),
    ],
)
def test_kind_of_language_model(options, kind, corpus, tmp_path):
    output = tmp_path / "my.scorer"
    assert build("--text", corpus, "--alphabet", ALPHABET, "--output", output, "--order", 3, *options).returncode == 0
    model = parse(output).language_model
    assert (model[88], struct.unpack_from("<I", model, 96)[0]) == (3, kind)


def test_scorer_for_bytes(corpus, tmp_path):
    output = tmp_path / "my.scorer"
    corpus.write_text("你好 世界\n世道 é\n", encoding="utf-8")
    assert build("--text", corpus, "--bytes_output_mode", "--output", output).returncode == 0
    scorer = parse(output)
    assert scorer.in_bytes
    assert scorer.words() == {tuple(character.encode()) for character in "你好世界道é"}
    at = scorer.fst_end + -scorer.fst_end % 8
    assert scorer.data[at + 8 : at + 16] == struct.pack("<II", 1, 0)


def test_one_word(corpus, tmp_path):
    output = tmp_path / "my.scorer"
    corpus.write_text("word\n")
    assert build("--text", corpus, "--alphabet", ALPHABET, "--output", output).returncode == 0
    properties = struct.pack("<Q", 0x956A5A950001)  # OpenFST's "is a string" instead of "is none"
    assert properties in output.read_bytes()


# The probabilities


def estimate(text: str, words: list[str], folder: Path, options: Estimation) -> tuple[Path, list[int]]:
    (folder / "text").write_text(text)
    types = len(set(text.split()))
    return folder / "arpa", estimate_ngrams(folder / "text", types, words, folder / "arpa", options, QUIET)


def read_arpa(path: Path) -> dict[tuple[str, ...], tuple[float, float]]:
    """Probability and back-off weight of each n-gram."""
    ngrams = {}
    for line in path.read_text().splitlines():
        fields = line.split("\t")
        if len(fields) > 1:
            backoff = float(fields[2]) if len(fields) > 2 else 0.0
            ngrams[tuple(fields[1].split())] = (10 ** float(fields[0]), 10**backoff)
    return ngrams


def test_probabilities_of_a_tiny_text(tmp_path):
    arpa, fixed = estimate("a b\na c\n", ["a", "b", "c"], tmp_path, Estimation(order=2))
    assert fixed == [1, 2]
    ngrams = read_arpa(arpa)
    # Chen and Goodman 1998 with discounts 0.5, 1, 1.5 for n-grams seen once, twice, more often. How many words
    # precede a, b, c, </s>: 1, 1, 1, 2. What is discounted, 0.5 of all, goes evenly to these and <unk>.
    unigrams = {"a": 0.2, "b": 0.2, "c": 0.2, "</s>": 0.3, "<unk>": 0.1}
    for word, probability in unigrams.items():
        assert ngrams[(word,)][0] == pytest.approx(probability, rel=1e-5)
    # count less discount over the context's count, and the rest times the unigram's probability
    bigrams = {
        "<s> a": (2 - 1) / 2 + 0.5 * 0.2,
        "a b": (1 - 0.5) / 2 + 0.5 * 0.2,
        "a c": (1 - 0.5) / 2 + 0.5 * 0.2,
        "b </s>": (1 - 0.5) / 1 + 0.5 * 0.3,
        "c </s>": (1 - 0.5) / 1 + 0.5 * 0.3,
    }
    for pair, probability in bigrams.items():
        assert ngrams[tuple(pair.split())][0] == pytest.approx(probability, rel=1e-5)
    assert len(ngrams) == 6 + 5
    for word in ("<s>", "a", "b", "c"):
        assert ngrams[(word,)][1] == pytest.approx(0.5, rel=1e-5)


def probability(ngrams: dict[tuple[str, ...], tuple[float, float]], context: tuple[str, ...], word: str) -> float:
    """Back off as ARPA files mean it."""
    if (*context, word) in ngrams:
        return ngrams[(*context, word)][0]
    return ngrams.get(context, (0, 1))[1] * probability(ngrams, context[1:], word)


@pytest.mark.parametrize("pruning", [(), (0, 0, 1)])
def test_probabilities_sum_to_one(pruning, tmp_path):
    words = set(CORPUS.split())
    arpa, _ = estimate(CORPUS, sorted(words), tmp_path, Estimation(order=3, pruning=pruning))
    ngrams = read_arpa(arpa)
    vocabulary = {ngram[0] for ngram in ngrams if len(ngram) == 1}
    assert vocabulary == {*words, "<s>", "</s>", "<unk>"}
    contexts = [(), *(ngram for ngram in ngrams if len(ngram) < 3 and "</s>" not in ngram and "<unk>" not in ngram)]
    assert len(contexts) > len(words)
    for context in contexts:
        total = sum(probability(ngrams, context, word) for word in vocabulary - {"<s>"})
        assert total == pytest.approx(1, abs=1e-4), context


def test_words_left_out_take_their_ngrams_along(tmp_path):
    whole, _ = estimate(CORPUS, CORPUS.split(), tmp_path, Estimation(order=3))
    every = read_arpa(whole)
    kept = {word for word, _ in Counter(CORPUS.split()).most_common(6)} | {"<s>", "</s>", "<unk>"}
    limited, _ = estimate(CORPUS, sorted(kept), tmp_path, Estimation(order=3))
    ngrams = read_arpa(limited)
    assert ngrams == {ngram: weights for ngram, weights in every.items() if kept.issuperset(ngram)}
    assert 0 < len(ngrams) < len(every)
    told = [line for line in limited.read_text().splitlines() if line.startswith("ngram ")]
    assert told == [f"ngram {n}={sum(len(ngram) == n for ngram in ngrams)}" for n in (1, 2, 3)]


def test_binary_form_holds_the_probabilities(tmp_path):
    options = Estimation(order=3, quantization_bits=0, pointer_bits=0)
    arpa, _ = estimate(CORPUS, CORPUS.split(), tmp_path, options)
    write_binary(arpa, tmp_path / "binary", options)
    model, ngrams = (tmp_path / "binary").read_bytes(), read_arpa(arpa)
    words = {ngram[0] for ngram in ngrams if len(ngram) == 1}
    at = 136 + 8 + 8 * len(words)  # behind the header and the hashes
    for number, word in enumerate(["<unk>", *sorted(words - {"<unk>"}, key=lambda word: murmur(word.encode(), 0))]):
        stored, backoff, _ = struct.unpack_from("<ffQ", model, at + 16 * number)
        if word != "<s>":
            assert 10**stored == pytest.approx(ngrams[(word,)][0], rel=1e-5)
        assert 10**backoff == pytest.approx(ngrams[(word,)][1], rel=1e-5)


def test_without_fallback_a_small_text_is_refused(tmp_path):
    with pytest.raises(ScorerError, match="the text is too small or too uniform"):
        estimate(CORPUS, CORPUS.split(), tmp_path, Estimation(discount_fallback=False))


# The program


def test_summary_and_fallback_are_told(corpus, tmp_path):
    output = tmp_path / "my.scorer"
    done = build("--text", corpus, "--alphabet", ALPHABET, "--output", output, "--order", 2)
    assert "Warning: the text is too small to tell the discounts of order" in done.stderr
    summary = done.stderr.splitlines()[-1]
    words = len(set(CORPUS.split()))
    bigrams = {pair for line in CORPUS.splitlines() for pair in itertools.pairwise(["<s>", *line.split(), "</s>"])}
    assert f": {words} words, n-grams of order 1 to 2: {words + 3}, {len(bigrams)}, " in summary
    assert f"28 labels of {ALPHABET}, alpha 0.931289, beta 1.18341" in summary


def test_sources_of_any_kind_give_the_same_file(corpus, tmp_path):
    whole, parts = tmp_path / "whole.scorer", tmp_path / "parts.scorer"
    build("--text", corpus, "--alphabet", ALPHABET, "--output", whole)
    lines = CORPUS.splitlines()
    table, packed = tmp_path / "rows.csv", tmp_path / "rest.txt.gz"
    rows = [f"{i}.wav,0,{line}" for i, line in enumerate(lines[:2])]
    table.write_text("\n".join(["wav_filename,wav_filesize,transcript", *rows]) + "\n")
    packed.write_bytes(gzip.compress("\n".join(lines[2:]).encode()))
    build("--text", table, packed, "--alphabet", ALPHABET, "--output", parts)
    assert parts.read_bytes() == whole.read_bytes()


def test_words_the_alphabet_cannot_write_are_told(corpus, tmp_path):
    output = tmp_path / "my.scorer"
    corpus.write_text("Das Café\n" + CORPUS)
    done = build("--text", corpus, "--alphabet", ALPHABET, "--output", output)
    assert done.returncode == 0
    assert "Warning: 2 words, 5.9% of the text, have characters outside the alphabet" in done.stderr
    assert "'Das' has 'D' (U+0044 LATIN CAPITAL LETTER D), 'Café' has 'C'" in done.stderr
    words = {tuple(LABELS.index(ch) + 1 for ch in word + " ") for word in CORPUS.split()}
    assert parse(output).words() == words
    done = build("--text", corpus, "--alphabet", ALPHABET, "--output", output, "--lowercase")
    assert "Warning: 1 words" in done.stderr
    assert tuple(LABELS.index(ch) + 1 for ch in "das ") in parse(output).words()


def test_rare_words_are_left_out(corpus, tmp_path):
    output = tmp_path / "my.scorer"
    done = build("--text", corpus, "--alphabet", ALPHABET, "--output", output, "--top_k", 2)
    assert f"{len(set(CORPUS.split())) - 2} words beyond the 2 most frequent are left out." in done.stderr
    assert parse(output).words() == {tuple(LABELS.index(ch) + 1 for ch in word) for word in ("the ", "dog ")}


@pytest.mark.parametrize(
    ("options", "status", "told"),
    [
        (("--text", "{corpus}"), 2, "one of the arguments --alphabet --bytes_output_mode is required"),
        (("--text", "{corpus}", "--alphabet", ALPHABET, "--order", "7"), 2, "invalid choice: 7"),
        (("--text", "{corpus}", "--alphabet", ALPHABET, "--prune", "1,0"), 2, "thresholds are '1,0', expected at most"),
        (("--text", "{corpus}", "--alphabet", ALPHABET, "--memory", "lots"), 2, "memory is 'lots', expected a number"),
        (("--text", "{corpus}", "--alphabet", ALPHABET, "--memory", "1b"), 2, "memory is '1b', expected at least 10M"),
        (("--text", "{corpus}", "--alphabet", ALPHABET, "--top_k", "0"), 2, "--top_k is 0, expected at least 1"),
        (("--text", "{corpus}", "--alphabet", ALPHABET, "--temp_dir", "no"), 2, "--temp_dir: there is no folder no"),
        (("--text", "{corpus}", "--alphabet", ALPHABET, "--memory", "9000T"), 1, "Cannot allocate memory"),
        (("--text", "nowhere.txt", "--alphabet", ALPHABET), 1, "cannot read nowhere.txt: No such file"),
        (("--text", "{corpus}", "--alphabet", "{corpus}"), 1, "cannot be written"),
    ],
)
def test_failures_are_one_sentence(options, status, told, corpus, tmp_path):
    output = tmp_path / "my.scorer"
    output.write_bytes(b"of before")
    if told == "cannot be written":
        told = "the alphabet can write none of the"
    done = build(*(str(o).format(corpus=corpus) for o in options), "--output", output)
    assert done.returncode == status, done.stderr
    assert told in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr
    assert output.read_bytes() == b"of before"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["corpus.txt", "my.scorer"]


WORDS = ["".join(pair) for pair in itertools.product("abcdefghijklmnop", repeat=2)]


@pytest.mark.parametrize("limit", [100_000, 600_000])  # the text, or what KenLM makes of it
def test_full_disk(limit, corpus, tmp_path):
    corpus.write_text("".join(" ".join(random.choices(WORDS, k=6)) + "\n" for _ in range(20_000)))
    shrink = partial(resource.setrlimit, resource.RLIMIT_FSIZE, (limit, limit))
    options = ("--text", corpus, "--alphabet", ALPHABET, "--output", tmp_path / "my.scorer", "--memory", "10M")
    done = build(*options, preexec_fn=shrink)
    assert done.returncode == 1
    assert "File too large" in done.stderr.splitlines()[-1]
    assert "more room" in done.stderr.splitlines()[-1]
    assert [p.name for p in tmp_path.iterdir()] == ["corpus.txt"]


# The faces of 0.9.3


def test_old_programs_make_what_the_new_one_makes(corpus, tmp_path):
    done = run(
        "data/lm/generate_lm.py", "--input_txt", corpus, "--output_dir", tmp_path / "lm", "--top_k", 500000,
        "--kenlm_bins", "kenlm/build/bin", "--arpa_order", 5, "--max_arpa_memory", "5%", "--arpa_prune", "0",
        "--binary_a_bits", 255, "--binary_q_bits", 8, "--binary_type", "trie", "--discount_fallback",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "--kenlm_bins is accepted for old command lines only" in done.stderr
    vocabulary = tmp_path / "lm" / "vocab-500000.txt"
    assert sorted(vocabulary.read_text().split()) == sorted(set(CORPUS.split()))
    assert sorted(p.name for p in (tmp_path / "lm").iterdir()) == ["lm.binary", "vocab-500000.txt"]
    old, new = tmp_path / "old.scorer", tmp_path / "new.scorer"
    done = run(
        "data/lm/generate_scorer_package", "--alphabet", ALPHABET, "--lm", tmp_path / "lm" / "lm.binary",
        "--vocab", vocabulary, "--package", old, "--default_alpha", 0.5, "--default_beta", 1.5,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    build("--text", corpus, "--alphabet", ALPHABET, "--output", new, "--default_alpha", 0.5, "--default_beta", 1.5)
    assert old.read_bytes() == new.read_bytes()


def test_generate_lm_fails_aloud(corpus, tmp_path):
    done = run("data/lm/generate_lm.py", "--input_txt", corpus, "--output_dir", tmp_path / "lm")
    assert done.returncode == 1
    assert "too small or too uniform to give Kneser-Ney discounts" in done.stderr
    assert list((tmp_path / "lm").iterdir()) == []


PACKAGE = ("--default_alpha", 1, "--default_beta", 1)


def test_package_of_characters_is_for_bytes(tmp_path):
    arpa, _ = estimate("你 好\n好 你\n", ["你", "好"], tmp_path, Estimation(order=2))
    (tmp_path / "vocab").write_text("你 好 <s> </s> <unk>", encoding="utf-8")
    options = ("--lm", arpa, "--vocab", tmp_path / "vocab", "--package", tmp_path / "my.scorer", *PACKAGE)
    assert run("data/lm/generate_scorer_package", *options).returncode == 0
    scorer = parse(tmp_path / "my.scorer")
    assert scorer.in_bytes
    assert scorer.words() == {tuple("你".encode()), tuple("好".encode())}
    done = run("data/lm/generate_scorer_package", *options, "--force_bytes_output_mode", "false")
    assert (done.returncode, "there is no alphabet; give --alphabet" in done.stderr) == (1, True)


@pytest.mark.parametrize(
    ("language_model", "told"),
    [
        (b"no language model at all, nor anything like one" * 10, "is not a language model in KenLM's binary form"),
        (b"\\data\\\nngram 1=2\n", "the language model could not be built: "),
        ("with words", "has the words in it"),
        ("cut", "KenLM cannot read"),
    ],
)
def test_package_fails_aloud(language_model, told, tmp_path):
    arpa, _ = estimate(CORPUS, CORPUS.split(), tmp_path, Estimation(order=2))
    write_binary(arpa, tmp_path / "lm", Estimation())
    model = (tmp_path / "lm").read_bytes()
    if language_model == "cut":
        model = model[:-100]
    elif language_model == "with words":
        model = model[:100] + b"\x01" + model[101:]
    else:
        model = language_model
    (tmp_path / "lm").write_bytes(model)
    (tmp_path / "vocab").write_text("the\ndog\n")
    options = ("--alphabet", ALPHABET, "--lm", tmp_path / "lm", "--vocab", tmp_path / "vocab")
    done = run("data/lm/generate_scorer_package", *options, "--package", tmp_path / "my.scorer", *PACKAGE)
    assert done.returncode == 1
    assert told in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert not (tmp_path / "my.scorer").exists()
