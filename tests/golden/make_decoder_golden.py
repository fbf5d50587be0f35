"""Record what the predecessors' decoders answer: the golden data of tests/test_decoder_parity.py.

Nothing here is made by our own code: the language models come from KenLM's lmplz and build_binary, the answers from
ds_ctcdecoder 0.9.3 and coqui_stt_ctcdecoder 1.4.0. Runs on their Python (3.7 and 3.9), with only NumPy beside them:

    dec37/bin/python tests/golden/make_decoder_golden.py prepare KENLM_BIN  # scorers, probabilities, the cases
    dec37/bin/python tests/golden/make_decoder_golden.py record             # adds "ds" to every case, and the facts
    dec39/bin/python tests/golden/make_decoder_golden.py record             # adds "coqui", mostly "the same"
"""

from __future__ import annotations

import json
import os
import random
import string
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

HERE = Path(__file__).resolve().parent
FOLDER = HERE / "decoder"
sys.path.insert(0, str(HERE.parent.parent / "benchmarks"))

ONE = 2**24  # probabilities are stored as integers that sum to this, so that every float type holds them exactly
DEFAULTS = (0.75, 1.25)
LABELS = [" ", *string.ascii_lowercase, "'"]
SOUND_ALIKE = ("aeiou", "bpdt", "ckqgx", "szc", "mn", "fvph", "lr", "wv", "yi", " '")

SUBJECTS = "the captain|her sister|an old sailor|the baker's son|every child|our teacher|the night watchman|a stranger"
VERBS = "saw|counted|painted|carried|sold|forgot|repaired|remembered|followed|couldn't find"
OBJECTS = "the lantern|seven apples|a wooden boat|the garden gate|two letters|the silver key|an empty basket|his coat"
ENDINGS = "before dawn|near the harbour|in the rain|for a penny|again|without a word|after supper|on the bridge"
CHARACTERS = "山水|风雨|今天|明天|我们|他们|大海|小船|看见|听说|花园|月亮|ночь|день|学生|先生|ça|où"


def sentence(rng: random.Random) -> str:
    """Return a sentence of the words that the golden scorers know."""
    parts = [rng.choice(choice.split("|")) for choice in (SUBJECTS, VERBS, OBJECTS, ENDINGS)]
    return " ".join(parts[: rng.choice([3, 4, 4])])


def bytes_sentence(rng: random.Random) -> str:
    """Return a text of one- to three-byte characters without spaces, as bytes mode writes them."""
    return "".join(rng.choice(CHARACTERS.split("|")) for _ in range(rng.randint(2, 3)))


def make_scorers(kenlm_bin: Path) -> None:
    """Make one scorer of each kind a user may have."""
    import reference_scorer as ref  # noqa: PLC0415 - only this step needs it

    rng = random.Random(1)
    texts = {"words": [sentence(rng) for _ in range(1500)]}
    texts["bytes"] = [" ".join(bytes_sentence(rng)) for _ in range(1500)]
    with tempfile.TemporaryDirectory() as name:
        work = Path(name)
        for kind, order, prune, structure in [
            ("words", 5, "0 0 1", "-a 255 -q 8 trie"),
            ("bytes", 4, "0 0 1", "-a 255 -q 8 trie"),
            ("trie", 3, "0 2", "trie"),
            ("probing", 2, "0", "probing"),
        ]:
            lines = texts["bytes" if kind == "bytes" else "words"]
            text = work / "text"
            text.write_text("\n".join(lines) + "\n", encoding="utf-8")
            arpa = ref.make_arpa(kenlm_bin, text, work / "arpa", order, prune)
            binary = ref.make_binary(kenlm_bin, arpa, work / "binary", structure)
            units = sorted({word for line in lines for word in line.split()})
            utf8 = kind == "bytes"
            dictionary = ref.byte_labels(units) if utf8 else ref.word_labels(units, LABELS)
            ref.write_scorer(FOLDER / f"{kind}.scorer", binary, dictionary, utf8, DEFAULTS)


def rounded(probs: np.ndarray) -> np.ndarray:
    """Return [time, labels + 1] as integers that sum to ONE in every frame; the blank takes the rest."""
    counts = np.floor(probs / probs.sum(axis=1, keepdims=True) * ONE).astype(np.int64)
    counts[:, -1] += ONE - counts.sum(axis=1)
    return counts.astype(np.uint32)


def sharp(target: list[int], alike: dict[int, list[int]], n_labels: int, rng: np.random.RandomState) -> np.ndarray:
    """Return what a trained network's output looks like: mostly blank, short spikes, some of them wrong or faint."""
    frames = []
    for label in target:
        frames += [(n_labels, rng.beta(30, 1)) for _ in range(rng.poisson(1.2) + 1)]
        others = alike.get(label, [])
        slip = rng.rand()
        if slip < 0.08 and others:
            frames.append((others[rng.randint(len(others))], rng.uniform(0.4, 0.7)))
            continue
        height = rng.uniform(0.1, 0.45) if slip < 0.14 else rng.beta(5, 1.5)
        frames += [(label, height)] * (1 + (rng.rand() < 0.3))
    probs = rng.dirichlet(np.full(n_labels + 1, 0.3), size=len(frames)) + 1e-5
    for time, (label, height) in enumerate(frames):
        probs[time] *= 1 - height
        probs[time, label] += height
        for other in alike.get(label, []):
            probs[time, other] += 0.2 * (1 - height) * rng.rand()
    return rounded(probs)


def flat(frames: int, n_labels: int, rng: np.random.RandomState) -> np.ndarray:
    """Return what an untrained network's output looks like: every label about as likely, slowly changing."""
    logits = np.cumsum(rng.normal(0, 0.15, (frames, n_labels + 1)), axis=0) * 0.5
    return rounded(np.exp(logits))


def make_inputs() -> None:
    """Make the probabilities of all cases."""
    rng, words = np.random.RandomState(2), random.Random(3)
    number = {label: i for i, label in enumerate(LABELS)}
    groups = [[number[char] for char in group] for group in SOUND_ALIKE]
    alike = {a: [b for b in group if b != a] for group in groups for a in group}
    inputs = {}
    for i in range(5):
        inputs[f"sharp{i}"] = sharp([number[char] for char in sentence(words)], alike, len(LABELS), rng)
    for i in range(2):
        inputs[f"flat{i}"] = flat(30, len(LABELS), rng)
    silence = rounded(np.r_[[[5e-6] * len(LABELS) + [1.0]]].repeat(6, axis=0))  # blank above 0.999
    inputs["silence"] = silence
    inputs["late"] = np.concatenate([silence, inputs["sharp0"][:40], silence])
    inputs["frame"] = flat(1, len(LABELS), rng)
    neighbours = {byte: [byte - 1, byte + 1] for byte in range(1, 254)}
    for i in range(2):
        target = [byte - 1 for byte in bytes_sentence(words).encode()]
        inputs[f"bytes{i}"] = sharp(target, neighbours, 255, rng)
    inputs["bytesflat"] = flat(8, 255, rng)
    np.savez_compressed(str(FOLDER / "inputs.npz"), **inputs)


def case(source: str, scorer: str | None, beam: int, **more: Any) -> dict[str, Any]:
    """Return one call of the decoder; what is not named is at the face's default."""
    return {"input": source, "scorer": scorer, "beam_size": beam, **more}


def list_cases() -> list[dict[str, Any]]:
    """Return every call that is recorded."""
    cases = []
    for source in [*(f"sharp{i}" for i in range(5)), "flat0", "flat1", "silence", "late", "frame"]:
        for scorer in (None, "words"):
            cases += [case(source, scorer, 1), case(source, scorer, 20, num_results=4)]
            cases += [case(source, scorer, 150), case(source, scorer, 1024)]
    for source in ("sharp1", "sharp2", "flat0"):
        cases += [case(source, scorer, 100, num_results=2) for scorer in ("trie", "probing")]
        weights = ((0.0, 0.0), (2.5, 0.3), (1.0, -2.0))
        cases += [case(source, "words", 100, alpha=alpha, beta=beta) for alpha, beta in weights]
        for prob, top_n in ((0.99, 40), (0.9, 40), (1.0, 5), (0.98, 4)):
            cases += [case(source, scorer, 100, cutoff_prob=prob, cutoff_top_n=top_n) for scorer in (None, "words")]
    for source in ("bytes0", "bytes1", "bytesflat"):
        for beam in (1, 20, 200):
            cases += [case(source, scorer, beam, cutoff_top_n=300) for scorer in (None, "bytes")]
    return cases


def prepare(kenlm_bin: Path) -> None:
    """Write everything that is put in front of the predecessors."""
    FOLDER.mkdir(exist_ok=True)
    make_scorers(kenlm_bin)
    make_inputs()
    (FOLDER / "alphabet.txt").write_text("\n".join(LABELS) + "\n", encoding="utf-8")
    write({"cases": list_cases()})


def write(golden: dict[str, list[Any]]) -> None:
    """Write the answers, one case or fact a line, so that a change shows as few lines."""
    parts = []
    for name, value in golden.items():
        rows = ",\n".join(json.dumps(row, ensure_ascii=False, separators=(",", ":")) for row in value)
        parts.append(f"{json.dumps(name)}: [\n{rows}\n]")
    (FOLDER / "golden.json").write_text("{" + ",\n".join(parts) + "}\n", encoding="utf-8")


def decode(package: Any, made: dict[str, Any], inputs: Any, call: dict[str, Any]) -> Any:
    """Return a predecessor's answer to one case: a list of [confidence, text, timesteps]."""
    scorer = made["scorers"].get(call["scorer"])
    if scorer is not None:
        scorer.reset_params(call.get("alpha", DEFAULTS[0]), call.get("beta", DEFAULTS[1]))
    hot_words = {word.encode(): boost for word, boost in call.get("hot_words", {}).items()}
    alphabet = made["bytes" if call["input"].startswith("bytes") else "labels"]
    probs = inputs[call["input"]].astype(np.float64) / ONE
    # One floor below the package's face, which loses 0.9.3's timesteps and cannot return a torn character.
    found = package.swigwrapper.ctc_beam_search_decoder(
        probs,
        alphabet,
        call["beam_size"],
        call.get("cutoff_prob", 1.0),
        call.get("cutoff_top_n", 40),
        scorer,
        hot_words,
        call.get("num_results", 1),
    )
    return [[round(out.confidence, 6), text_of(alphabet, out), list(out.timesteps)] for out in found]


def text_of(alphabet: Any, out: Any) -> str | list[int]:
    """Return the text of a result, or its tokens where it ends within a character."""
    try:
        return alphabet.Decode(out.tokens)
    except UnicodeDecodeError:
        return list(out.tokens)


def record() -> None:
    """Ask whichever predecessor this Python has, and add its answers."""
    try:
        import ds_ctcdecoder as package  # noqa: PLC0415

        name = "ds"
    except ImportError:
        import coqui_stt_ctcdecoder as package  # noqa: PLC0415

        name = "coqui"
    golden = json.loads((FOLDER / "golden.json").read_text(encoding="utf-8"))
    inputs = np.load(str(FOLDER / "inputs.npz"))
    made = make_objects(package)
    cases = golden["cases"]
    if name == "ds":
        golden = {"cases": [row for row in cases if "hot_words" not in row] + hot_word_cases(package, made, inputs)}
    for row in golden["cases"]:
        answer = decode(package, made, inputs, row)
        row[name] = "the same" if answer == row.get("ds") and name == "coqui" else answer
    if name == "ds":
        golden["scorer"] = scorer_facts(made["scorers"])
        golden["alphabet"] = alphabet_facts(package)
        golden["alphabet_files"] = [alphabet_file_facts(package, text) for text in ALPHABET_FILES]
        golden["deaths"] = deaths(package, made, inputs)
    write(golden)


def make_objects(package: Any) -> dict[str, Any]:
    """Load the alphabets and scorers."""
    labels, utf8 = package.Alphabet(str(FOLDER / "alphabet.txt")), package.UTF8Alphabet()
    scorers = {}
    for kind in ("words", "trie", "probing", "bytes"):
        alphabet = utf8 if kind == "bytes" else labels
        scorers[kind] = package.Scorer(*DEFAULTS, str(FOLDER / f"{kind}.scorer"), alphabet)
    return {"labels": labels, "bytes": utf8, "scorers": scorers}


def hot_word_cases(package: Any, made: dict[str, Any], inputs: Any) -> list[dict[str, Any]]:
    """Return cases whose hot word is the last but one of the answer, the one place where it is paid exactly once."""
    cases = []
    for source in (f"sharp{i}" for i in range(5)):
        plain = decode(package, made, inputs, case(source, "words", 150))
        word = plain[0][1].split()[-2]
        if len(word) < 4:
            continue  # a word that is cheap to insert is inserted over and over
        cases += [case(source, "words", 150, hot_words={word: boost}) for boost in (1.5, 4.0, -6.0)]
    return cases


def scorer_facts(scorers: dict[str, Any]) -> list[list[Any]]:
    """Return [scorer, method, arguments, answer]; probabilities of the last word given those before, in nepers."""
    words = ["the captain", "captain saw the lantern", "the night watchman saw two", "unheard of", "the unheard"]
    facts: list[list[Any]] = []
    for kind, scorer in scorers.items():
        facts += [
            [kind, "is_utf8_mode", [], scorer.is_utf8_mode()],
            [kind, "get_max_order", [], scorer.get_max_order()],
        ]
        bytes_units = [" ".join(text) for text in ("山水", "今天我", "день", "x")]
        for text in bytes_units if kind == "bytes" else words:
            units = [unit.encode() for unit in text.split()]
            for bos, eos in ((False, False), (True, False), (False, True)):
                value = round(scorer.get_log_cond_prob(units, bos, eos), 6)
                facts.append([kind, "get_log_cond_prob", [text.split(), bos, eos], value])
    return facts


ALPHABET_FILES = (
    " \na\nb\n",
    " \na\nb",
    "# a comment\n \na\n\\#\nb\n# the last line\n",
    " \na\n\nb\n\n",
    "a\r\n \r\nb\r\n",
    "# nothing else\n",
    "",
    "a\na\n",
    "ab\nc\n",
    "é\nß\n€\n",
    "\\x\ny\n",
    "a \n b\n",
    "x\n#",
)


def answer_or_error(ask: Any) -> Any:
    """Return what a child process answers, or how it died: {"value"}, {"raises"} or {"signal"} or {"exit"}."""
    read, written = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
        try:
            answer = {"value": ask()}
        except Exception as error:  # its type is the fact that is recorded
            answer = {"raises": type(error).__name__}
        os.write(written, json.dumps(answer).encode())
        os._exit(0)
    os.close(written)
    with os.fdopen(read, "rb") as file:
        data = file.read()
    status = os.waitpid(pid, 0)[1]
    if os.WIFSIGNALED(status):
        return {"signal": os.WTERMSIG(status)}
    return {"exit": os.WEXITSTATUS(status)} if os.WEXITSTATUS(status) else json.loads(data.decode())


def alphabet_facts(package: Any) -> list[list[Any]]:
    """Return [alphabet, method, arguments, answer] of the methods of both alphabets."""
    facts = []
    made = {"labels": package.Alphabet(str(FOLDER / "alphabet.txt")), "bytes": package.UTF8Alphabet()}
    asked = [["GetSize", []], ["GetSpaceLabel", []], ["IsSpace", [0]], ["IsSpace", [3]], ["IsSpace", [31]]]
    for text in ("a", "'", " ", "A", "é", ""):
        asked += [["CanEncodeSingle", [text]], ["EncodeSingle", [text]]]
    for text in ("it's a cat", "It", "", "né", "€"):
        asked += [["CanEncode", [text]], ["Encode", [text]]]
    for label in (0, 5, 27, 28, 254, 255):
        asked.append(["DecodeSingle", [label]])
    for labels in ([], [9, 20, 0], [28], [194, 168], [194], [-1]):
        asked.append(["Decode", [labels]])
    for name, alphabet in made.items():
        for method, arguments in asked:
            answer = answer_or_error(lambda: getattr(alphabet, method)(*arguments))  # noqa: B023 - called at once
            facts.append([name, method, arguments, answer])
    return facts


def alphabet_file_facts(package: Any, text: str) -> list[Any]:
    """Return [text of an alphabet file, its labels, the label of the space or None]."""
    with tempfile.NamedTemporaryFile("wb", suffix=".txt") as file:
        file.write(text.encode())
        file.flush()
        alphabet = package.Alphabet(file.name)
    space = alphabet.GetSpaceLabel()
    return [text, [alphabet.DecodeSingle(i) for i in range(alphabet.GetSize())], space if space < 2**31 else None]


def deaths(package: Any, made: dict[str, Any], inputs: Any) -> list[list[Any]]:
    """Return [what, how the predecessor answers it] for input that no decoder can use; most of it ends the process."""
    labels, probs = made["labels"], inputs["sharp0"] / ONE
    decoder = package.ctc_beam_search_decoder
    calls = {
        "a class too many": lambda: decoder(np.c_[probs, probs[:, :1]], labels, 10),
        "a class too few": lambda: decoder(probs[:, 1:], labels, 10),
        "no classes": lambda: decoder(probs[:, :0], labels, 10),
        "beam size 0": lambda: decoder(probs, labels, 0),
        "negative beam size": lambda: decoder(probs, labels, -1),
        "logits": lambda: decoder(np.log(probs + 1e-9) + 20, labels, 10),
        "not a number": lambda: decoder(np.full_like(probs, np.nan), labels, 10),
        "infinity": lambda: decoder(np.full_like(probs, np.inf), labels, 10),
        "one axis": lambda: decoder(probs[0], labels, 10),
        "three axes": lambda: decoder(probs[None], labels, 10),
        "batch with a class too many": lambda: package.ctc_beam_search_decoder_batch(
            np.c_[probs, probs[:, :1]][None], [len(probs)], labels, 10, 1
        ),
        "batch with a length too long": lambda: package.ctc_beam_search_decoder_batch(
            probs[None], [len(probs) + 1000000], labels, 10, 1
        ),
        "batch with a length too few": lambda: package.ctc_beam_search_decoder_batch(probs[None], [], labels, 10, 1),
        "no threads": lambda: package.ctc_beam_search_decoder_batch(probs[None], [len(probs)], labels, 10, 0),
        "missing scorer": lambda: bool(package.Scorer(1.0, 1.0, "/nonexistent", labels)),
        "missing alphabet": lambda: bool(package.Alphabet("/nonexistent")),
    }
    return [[name, answer_or_error(call)] for name, call in calls.items()]


if __name__ == "__main__":
    if sys.argv[1] == "prepare":
        prepare(Path(sys.argv[2]))
    else:
        record()
