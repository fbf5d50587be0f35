"""aidatatang_200zh: one archive, with one of each speaker in it."""

from __future__ import annotations

from miniatures import Miniature, Row, audio, broken, tar

TRANSCRIPTS = """\
T0055G0002S0001 以后 你 是 男孩子
T0055G0013S0001 我 想 听 Yesterday Once More 这 首 歌
T0055G0013S0002 兰州 哪有 买路 虎 汽车 的
T0055G0100S0001 看看 我 的 日程表
"""


def miniature() -> Miniature:
    speakers = {
        "dev/G0002": {"G0002/T0055G0002S0001": audio(2)},
        "train/G0013": {
            "G0013/T0055G0013S0001": audio(3),
            "G0013/T0055G0013S0002": broken(audio(3)),
            "G0013/T0055G0013S0003": audio(2),
        },
        "test/G0100": {"G0100/T0055G0100S0001": audio(2.5)},
    }
    files = {
        f"aidatatang_200zh/corpus/{name}.tar.gz": tar({f"{stem}.wav": wav for stem, wav in wavs.items()})
        for name, wavs in speakers.items()
    }
    files["aidatatang_200zh/transcript/aidatatang_200_zh_transcript.txt"] = TRANSCRIPTS.encode()
    return Miniature(
        archives={"aidatatang_200zh.tgz": tar(files)},
        tables={
            "aidatatang-train.csv": [Row("我想听yesterday once more这首歌", 3, "G0013")],
            "aidatatang-dev.csv": [Row("以后你是男孩子", 2, "G0002")],
            "aidatatang-test.csv": [Row("看看我的日程表", 2.5, "G0100")],
        },
        left_out=[("audio file at fault", "G0013S0002.wav"), ("no transcript", "G0013S0003.wav")],
    )
