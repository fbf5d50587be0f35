"""Transcribe with one package and measure: one job as JSON on stdin, what came out as JSON on stdout.

A program of its own, because every package lives in an interpreter of its own; runs on Python 3.9 with NumPy and one of
deepspeech (0.9.3 or ours) and stt. inference_speed.py starts it and says what is in a job.
"""

from __future__ import annotations

import json
import os
import resource
import sys
import threading
import time
import wave
from collections.abc import Callable
from typing import Any

SAMPLE_RATE = 16000
CHUNK = 5120  # samples: 320 ms, what the network takes at a time


def peak_mib() -> float:
    """Return the largest resident set of this process so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def read(path: str) -> Any:
    """Return the int16 samples of a WAV file of 16 kHz, mono."""
    import numpy as np  # noqa: PLC0415 - after the interpreter's own memory has been measured

    with wave.open(path) as file:
        assert (file.getframerate(), file.getnchannels(), file.getsampwidth()) == (SAMPLE_RATE, 1, 2), path
        return np.frombuffer(file.readframes(file.getnframes()), np.int16)


def load(package: Any, job: dict[str, Any]) -> Any:
    """Return the model of a job, with its settings."""
    model = package.Model(job["model"])
    model.setBeamWidth(job["beam"])
    if job["scorer"]:
        model.enableExternalScorer(job["scorer"])
    return model


def timed(work: Callable[[], Any]) -> tuple[float, float, Any]:
    """Return wall and processor seconds of a call, and its result."""
    wall, cpu = time.perf_counter(), time.process_time()
    result = work()
    return time.perf_counter() - wall, time.process_time() - cpu, result


def run_whole(package: Any, job: dict[str, Any]) -> dict[str, Any]:
    """Transcribe a recording some times; the first second of audio comes first."""
    samples = read(job["audio"])
    seconds = len(samples) / SAMPLE_RATE
    load_s, _, model = timed(lambda: load(package, job))
    first_s, _, _ = timed(lambda: model.stt(samples[:SAMPLE_RATE]))
    runs = [timed(lambda: model.stt(samples)) for _ in range(job["rounds"])]
    return {
        "load_s": load_s,
        "first_s": first_s,
        "cpu": [cpu / seconds for _, cpu, _ in runs],
        "wall": [wall / seconds for wall, _, _ in runs],
        "text": runs[-1][2],
    }


def run_recordings(package: Any, job: dict[str, Any]) -> dict[str, Any]:
    """Transcribe several recordings and return what each says."""
    model = load(package, job)
    found = []
    for path in job["recordings"]:
        best = model.sttWithMetadata(read(path), 1).transcripts[0]
        text = "".join(token.text for token in best.tokens)
        found.append([text, best.confidence, [token.timestep for token in best.tokens]])
    return {"recordings": found}


def follow(stream: Any, samples: Any, latencies: list[float]) -> None:
    """Feed a stream bit by bit; note the time from its last sample to its text."""
    for begin in range(0, len(samples) - CHUNK, CHUNK):
        stream.feedAudioContent(samples[begin : begin + CHUNK])
    began = time.perf_counter()
    stream.feedAudioContent(samples[len(samples) - (len(samples) % CHUNK or CHUNK) :])
    stream.finishStream()
    latencies.append(time.perf_counter() - began)


def run_streams(package: Any, job: dict[str, Any]) -> dict[str, Any]:
    """Transcribe several streams at once, a thread for each; one model serves all where that is allowed."""
    samples = read(job["audio"])
    models = [load(package, job) for _ in range(1 if job["shares_model"] else job["streams"])]
    latencies: list[float] = []
    walls = []
    for _ in range(job["rounds"]):
        streams = [models[i % len(models)].createStream() for i in range(job["streams"])]
        threads = [threading.Thread(target=follow, args=(stream, samples, latencies)) for stream in streams]
        began = time.perf_counter()
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        walls.append(time.perf_counter() - began)
    return {
        "audio_per_s": [job["streams"] * len(samples) / SAMPLE_RATE / wall for wall in walls],
        "latencies": latencies,
    }


def main() -> None:
    """Do the job on standard input."""
    job = json.load(sys.stdin)
    os.sched_setaffinity(0, job["cores"])
    report = os.dup(1)
    os.dup2(2, 1)  # the packages greet on standard output
    import numpy  # noqa: F401, PLC0415

    before = peak_mib()
    if job["package"] == "stt":
        import stt as package  # noqa: PLC0415
    else:
        import deepspeech as package  # noqa: PLC0415
    run = run_recordings if "recordings" in job else run_streams if job["streams"] else run_whole
    answer = run(package, job)
    answer.update(peak_mib=peak_mib(), before_mib=before)
    os.write(report, json.dumps(answer).encode())


if __name__ == "__main__":
    main()
