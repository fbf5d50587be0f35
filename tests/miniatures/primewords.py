"""Primewords Chinese Corpus Set 1: one list in JSON of recordings named by chance."""

from __future__ import annotations

import json

from miniatures import Miniature, Row, audio, broken, tar

SAID = {  # a recording, who speaks and what
    "00a1ca32-3ad8-4f62-bb16-7346fca03444": ("201", "大概 你是 想 起"),
    "1f0e1f0a-5c0e-4b9c-8f5a-0c9d6f0b7a11": ("200", "在 他 的 文章 里，"),
    "5b2f9d0e-2c75-4a2b-9b39-3a5f9f2a6c22": ("211", "我们 的 Wi-Fi"),
    "5b7e3c1d-6d12-4f6e-8a3f-51c2b7d8e933": ("201", "听 不见"),
    "7c0d5e2f-9e41-4d3a-b8c4-62d3c8e9fa44": ("201", "没 录 上"),
}
UNSAID = "9d1c6f30-af52-4e4b-a9d5-73e4d9fa0b55"


def miniature() -> Miniature:
    first, second, third, bad, missing = SAID
    entries: list[object] = [
        {"id": str(i), "user_id": speaker, "text": text, "length": "2.0", "file": f"{name}.wav"}
        for i, (name, (speaker, text)) in enumerate(SAID.items())
    ]
    entries += [
        {"id": "5", "user_id": "201", "text": "又 一次", "length": "2.0", "file": f"{first}.wav"},
        {"id": "6"},
        7,
    ]
    wavs = {first: audio(2), second: audio(3), third: audio(2.5), bad: broken(audio(2)), UNSAID: audio(2)}
    files = {f"audio_files/{name[0]}/{name[:2]}/{name}.wav": wav for name, wav in wavs.items()}
    files["set1_transcript.json"] = json.dumps(entries, ensure_ascii=False).encode()
    return Miniature(
        archives={
            "primewords_md_2018_set1.tar.gz": tar({f"primewords_md_2018_set1/{name}": files[name] for name in files})
        },
        tables={
            "primewords-train.csv": [Row("大概你是想起", 2, "201")],
            "primewords-dev.csv": [Row("在他的文章里", 3, "200")],
            "primewords-test.csv": [Row("我们的wi fi", 2.5, "211")],
        },
        left_out=[
            ("audio file at fault", f"{bad}.wav"),
            ("no transcript", f"{UNSAID}.wav"),
            ("no audio file", f"{missing}.wav"),
        ],
    )
