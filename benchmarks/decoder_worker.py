"""Run one decoder on saved probabilities: one job as JSON on stdin, what came out as JSON on stdout.

A program of its own, because every decoder lives in an interpreter of its own; runs on Python 3.7 with NumPy and the
decoder. decoder_speed.py and decoder_parity.py start it and say what is in a job.
"""

from __future__ import annotations

import contextlib
import json
import logging
import math
import resource
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

FLOOR = 1e-12  # probabilities below this are this to the decoders that take logarithms


def load(job: dict[str, Any]) -> list[np.ndarray]:
    """Return the probabilities of the job's utterances, float64 [frames, labels + 1], each frame summing to 1."""
    with np.load(job["probabilities"]) as file:
        ends = np.cumsum(file["feature_len"])[: job["count"]]
        rows = file["probabilities"][: ends[-1]].astype(np.float64)
    rows /= rows.sum(axis=1, keepdims=True)
    return [np.ascontiguousarray(part) for part in np.split(rows, ends[:-1])]


class Ours:
    """The decoder of this checkout, with or without look-ahead."""

    def __init__(self, job: dict[str, Any]) -> None:
        import ds_ctcdecoder  # noqa: PLC0415 - each interpreter has one of them

        self.package = ds_ctcdecoder
        self.options = {"look_ahead": True} if job["look_ahead"] else {}
        self.job = job
        self.alphabet, self.scorer = alphabet_and_scorer(self.package, job)

    def one(self, probabilities: np.ndarray) -> str:
        """Return the best text."""
        job = self.job
        found = self.package.ctc_beam_search_decoder(
            probabilities, self.alphabet, job["beam"], scorer=self.scorer, **job["cutoffs"], **self.options
        )
        return found[0][1]

    def many(self, batch: np.ndarray, lengths: list[int]) -> list[str]:
        """Return the best texts, decoded on job["threads"] cores."""
        job = self.job
        found = self.package.ctc_beam_search_decoder_batch(
            batch,
            lengths,
            self.alphabet,
            job["beam"],
            num_processes=job["threads"],
            scorer=self.scorer,
            **job["cutoffs"],
            **self.options,
        )
        return [results[0][1] for results in found]

    def detail(self, probabilities: np.ndarray) -> list[Any]:
        """Return [confidence, tokens, timesteps] of the best results."""
        job = self.job
        options = {**job["cutoffs"], **self.options}
        stream = self.package.Stream(self.alphabet, job["beam"], scorer=self.scorer, **options)
        stream.feed(probabilities.astype(np.float32))
        found = stream.finish(job["results"])
        return [[out.confidence, list(map(int, out.tokens)), list(map(int, out.timesteps))] for out in found]


class Predecessor(Ours):
    """ds_ctcdecoder 0.9.3 or coqui_stt_ctcdecoder 1.4.0."""

    def __init__(self, job: dict[str, Any]) -> None:
        if job["engine"] == "ds":
            import ds_ctcdecoder as package  # noqa: PLC0415
        else:
            import coqui_stt_ctcdecoder as package  # noqa: PLC0415
        self.package = package
        self.options = {}
        self.job = job
        self.alphabet, self.scorer = alphabet_and_scorer(package, job)

    def detail(self, probabilities: np.ndarray) -> list[Any]:
        """Return [confidence, tokens, timesteps], from below the package's face, which loses them."""
        job = self.job
        cutoffs = {"cutoff_prob": 1.0, "cutoff_top_n": 40, **job["cutoffs"]}
        found = self.package.swigwrapper.ctc_beam_search_decoder(
            probabilities,
            self.alphabet,
            job["beam"],
            cutoffs["cutoff_prob"],
            cutoffs["cutoff_top_n"],
            self.scorer,
            {},
            job["results"],
        )
        return [[out.confidence, list(out.tokens), list(out.timesteps)] for out in found]


def alphabet_and_scorer(package: Any, job: dict[str, Any]) -> tuple[Any, Any]:
    """Return the objects that our decoder and the predecessors have in common."""
    alphabet = package.Alphabet(job["alphabet"]) if job["alphabet"] else package.UTF8Alphabet()
    scorer = package.Scorer(job["alpha"], job["beta"], job["scorer"], alphabet) if job["scorer"] else None
    return alphabet, scorer


class Flashlight:
    """ufal-flashlight-text: with a lexicon, KenLM and scores smeared over its trie, or without all of it."""

    def __init__(self, job: dict[str, Any]) -> None:
        from flashlight.lib.text import decoder as fl  # noqa: PLC0415

        self.labels = job["labels"]
        self.n_classes = len(self.labels) + 1
        shared: dict[str, Any] = {
            "beam_size": job["beam"],
            "beam_size_token": self.n_classes,
            "beam_threshold": 1e9,
            "sil_score": 0.0,
            "log_add": True,
            "criterion_type": fl.CriterionType.CTC,
        }
        if job["lm"]:
            self.decoder = self.with_lexicon(fl, job, shared)
        else:
            self.dictionary = None
            options = fl.LexiconFreeDecoderOptions(lm_weight=0.0, **shared)
            self.decoder = fl.LexiconFreeDecoder(options, fl.ZeroLM(), -1, self.n_classes - 1, [])

    def with_lexicon(self, fl: Any, job: dict[str, Any], shared: dict[str, Any]) -> Any:
        """Return the decoder over the words of the language model."""
        from flashlight.lib.text.dictionary import Dictionary  # noqa: PLC0415

        number = {label: i for i, label in enumerate(self.labels)}
        words = Path(job["words"]).read_text(encoding="utf-8").split()
        self.dictionary = Dictionary()
        for word in [*words, "<unk>"]:
            self.dictionary.add_entry(word)
        unknown = self.dictionary.get_index("<unk>")
        self.dictionary.set_default_index(unknown)
        # They are kept: the decoder only borrows them.
        self.lm = fl.KenLM(job["lm"], self.dictionary)
        self.trie = fl.Trie(self.n_classes, number[" "])
        start = self.lm.start(False)
        for word in words:
            index = self.dictionary.get_index(word)
            self.trie.insert([number[char] for char in word], index, self.lm.score(start, index)[1])
        self.trie.smear(fl.SmearingMode.MAX)
        options = fl.LexiconDecoderOptions(
            lm_weight=job["alpha"] * math.log(10), word_score=job["beta"], unk_score=-math.inf, **shared
        )
        return fl.LexiconDecoder(options, self.trie, self.lm, number[" "], self.n_classes - 1, unknown, [], False)

    def one(self, probabilities: np.ndarray) -> str:
        """Return the best text."""
        emissions = np.log(np.maximum(probabilities, FLOOR)).astype(np.float32)
        best = self.decoder.decode(emissions.ctypes.data, *emissions.shape)[0]
        if self.dictionary is not None:
            return " ".join(self.dictionary.get_entry(word) for word in best.words if word >= 0)
        tokens = [token for token, before in np.c_[best.tokens[1:], best.tokens[:-1]] if token != before]
        return "".join(self.labels[token] for token in tokens if 0 <= token < self.n_classes - 1)


class Pyctcdecode:
    """pyctcdecode, its pruning switched off as far as its options allow."""

    def __init__(self, job: dict[str, Any]) -> None:
        from pyctcdecode import build_ctcdecoder  # noqa: PLC0415

        logging.disable(logging.WARNING)
        model: dict[str, Any] = {}
        if job["lm"]:
            words = Path(job["words"]).read_text(encoding="utf-8").split()
            model = {"kenlm_model_path": job["lm"], "unigrams": words, "alpha": job["alpha"], "beta": job["beta"]}
        self.decoder = build_ctcdecoder([*job["labels"], ""], **model)
        self.beam = job["beam"]

    def one(self, probabilities: np.ndarray) -> str:
        """Return the best text."""
        logits = np.log(np.maximum(probabilities, FLOOR))
        return self.decoder.decode(logits, beam_width=self.beam, beam_prune_logp=-1e9, token_min_logp=-5.0)


class Greedy:
    """The best label of every frame: what all the others must beat."""

    def __init__(self, job: dict[str, Any]) -> None:
        self.labels = job["labels"]

    def one(self, probabilities: np.ndarray) -> str:
        """Return the text."""
        best = probabilities.argmax(axis=1)
        best = best[np.insert(best[1:] != best[:-1], 0, True)]
        return "".join(self.labels[label] for label in best if label < len(self.labels))


ENGINES = {
    "ours": Ours,
    "ds": Predecessor,
    "coqui": Predecessor,
    "flashlight": Flashlight,
    "pyctcdecode": Pyctcdecode,
    "greedy": Greedy,
}


def peak_mib() -> float:
    """Return the largest resident set of this process so far."""
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1)


def measure(job: dict[str, Any]) -> dict[str, Any]:
    """Do the job: load the decoder, time it on the first utterances, then decode what is asked for besides."""
    utterances = load(job)
    timed = utterances[: job["timed"]]
    before = peak_mib()
    started = time.perf_counter()
    engine = ENGINES[job["engine"]](job)
    answer: dict[str, Any] = {"load_s": time.perf_counter() - started}
    if timed:
        answer["seconds"], answer["cpu_s"] = clock(engine, timed, job["threads"])
        answer["frames"] = sum(map(len, timed))
    answer["peak_mib"], answer["mib_before"] = peak_mib(), before
    if job["texts"]:
        answer["texts"] = [engine.one(probabilities) for probabilities in utterances]
    if job["results"]:
        answer["details"] = [engine.detail(probabilities) for probabilities in utterances]
    return answer


def clock(engine: Any, timed: list[np.ndarray], threads: int) -> tuple[float, float]:
    """Return wall and CPU seconds for the utterances, one at a time or as one batch."""
    engine.one(timed[0][:50])
    lengths = [len(probabilities) for probabilities in timed]
    batch = np.zeros((len(timed), max(lengths), timed[0].shape[1]))
    batch[:, :, -1] = 1.0
    for i, probabilities in enumerate(timed):
        batch[i, : len(probabilities)] = probabilities
    cpu, wall = time.process_time(), time.perf_counter()
    if threads:
        engine.many(batch, lengths)
    else:
        for probabilities in timed:
            engine.one(probabilities)
    return time.perf_counter() - wall, time.process_time() - cpu


if __name__ == "__main__":
    told = json.load(sys.stdin)
    with contextlib.redirect_stdout(sys.stderr):  # whatever a package wants to say
        done = measure(told)
    json.dump(done, sys.stdout)
