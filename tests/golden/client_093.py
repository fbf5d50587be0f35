"""A program written for deepspeech 0.9.3, as its documentation says; tests/test_deepspeech_package.py runs it.

client_093.json is what it prints with deepspeech-tflite 0.9.3, but for the parts under "heard":

  python3.9 tests/golden/client_093.py model.tflite sixteen_kilohertz_mono.wav
"""

import json
import sys
import wave

import numpy as np
from deepspeech import Model, version


def kind(value):
    """Say what a value is made of."""
    return type(value).__name__


def attempt(function, *arguments):
    """Say what becomes of a call: the kind of its result, or the family of its error and how its message begins."""
    try:
        return kind(function(*arguments))
    except RuntimeError as error:
        return "RuntimeError: " + " ".join(str(error).split()[:3])
    except (TypeError, OverflowError) as error:
        return kind(error)


def describe(metadata):
    """Describe the metadata of a recording."""
    best = metadata.transcripts[0]
    token = best.tokens[0]
    return {
        "names": [kind(metadata), kind(metadata.transcripts), kind(best), kind(best.tokens), kind(token)],
        "transcripts": len(metadata.transcripts),
        "confidence": kind(best.confidence),
        "token": [kind(token.text), kind(token.timestep), kind(token.start_time)],
        "token has one character": len(token.text) == 1,
        "seconds of a frame": round(best.tokens[-1].start_time / best.tokens[-1].timestep, 4),
        "best first": [t.confidence for t in metadata.transcripts]
        == sorted((t.confidence for t in metadata.transcripts), reverse=True),
        "printed": [line.strip().split("=")[0] for line in repr(metadata).splitlines()[:3]],
    }


def main(model_path, audio_path):
    """Transcribe at once and bit by bit, and make every mistake."""
    ds = Model(model_path)
    with wave.open(audio_path, "rb") as fin:
        audio = np.frombuffer(fin.readframes(fin.getnframes()), np.int16)

    text = ds.stt(audio)
    metadata = ds.sttWithMetadata(audio_buffer=audio, num_results=2)
    stream = ds.createStream()
    partial = []
    for begin in range(0, len(audio), 5000):
        stream.feedAudioContent(audio_buffer=audio[begin : begin + 5000])
        partial.append(stream.intermediateDecode())
    intermediate = stream.intermediateDecodeWithMetadata(num_results=1)
    finished = stream.finishStreamWithMetadata(num_results=1)
    abandoned = ds.createStream()
    abandoned.feedAudioContent(audio)
    report = {
        "version": kind(version()),
        "rate": ds.sampleRate(),
        "beam width": kind(ds.beamWidth()),
        "stt": kind(text),
        "the text is its tokens": text == "".join(token.text for token in metadata.transcripts[0].tokens),
        "the stream says the same": text == "".join(token.text for token in finished.transcripts[0].tokens),
        "results grow": [len(p) > 0 for p in partial][-1] and len(partial[0]) <= len(partial[-1]),
        "metadata": describe(metadata),
        "intermediate": describe(intermediate),
        "default results": [len(ds.sttWithMetadata(audio).transcripts), len(ds.sttWithMetadata(audio, 0).transcripts)],
        "set": [ds.setBeamWidth(beam_width=100), ds.beamWidth(), ds.disableExternalScorer()],
        "weights without a scorer": ds.setScorerAlphaBeta(alpha=0.75, beta=1.25),
        "free": kind(abandoned.freeStream()),
        "mistakes": {
            "no model": attempt(Model, "/no/model.tflite"),
            "no path": attempt(Model, ""),
            "no scorer": attempt(ds.enableExternalScorer, "/no/such.scorer"),
            "unknown hot word": attempt(ds.eraseHotWord, "unheard"),
            "negative beam width": attempt(ds.setBeamWidth, -1),
            "half a beam": attempt(ds.setBeamWidth, 0.5),
            "negative results": attempt(ds.sttWithMetadata, audio, -1),
            "audio of floats": attempt(ds.stt, audio / 32768.0),
            "audio of two axes": attempt(ds.stt, audio.reshape(1, -1)),
            "feed after the end": attempt(stream.feedAudioContent, audio),
            "decode after the end": attempt(stream.intermediateDecode),
            "decode metadata after the end": attempt(stream.intermediateDecodeWithMetadata),
            "finish after the end": attempt(stream.finishStream),
            "finish metadata after the end": attempt(stream.finishStreamWithMetadata),
            "free after the end": attempt(stream.freeStream),
            "feed what was freed": attempt(abandoned.feedAudioContent, audio),
        },
        "audio taken": [
            attempt(ds.stt, taken) for taken in (audio, audio.tolist(), audio[::2], audio[:0], memoryview(audio))
        ],
        "heard": {"text": text, "timesteps": [token.timestep for token in metadata.transcripts[0].tokens]},
    }
    sys.stdout.write(json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
