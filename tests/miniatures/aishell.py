"""AISHELL-1: one archive, with one of each speaker in it."""

from __future__ import annotations

from miniatures import Miniature, Row, audio, broken, tar

TRANSCRIPTS = """\
BAC009S0002W0122 而 对 楼市 成交 抑制 作用 最 大 的 限 购
BAC009S0002W0123 ａ 股 和 ｔ 恤
BAC009S0002W0124 自 六月 底
BAC009S0002W0999 谁 也 没 录

BAC009S0003
BAC009S0724W0121 广州市 房地产 中介 协会 分析
BAC009S0764W0121 甚至 出现 交易 几乎 停滞 的 情况
"""


def miniature() -> Miniature:
    speakers = {
        "train/S0002/BAC009S0002W": {
            "0122": audio(3),
            "0123": audio(2),
            "0124": broken(audio(2)),
            "0125": audio(2),
        },
        "dev/S0724/BAC009S0724W": {"0121": audio(2.5)},
        "test/S0764/BAC009S0764W": {"0121": audio(3), "0122": audio(2)},
    }
    files = {
        f"data_aishell/wav/{stem.split('/')[1]}.tar.gz": tar({f"{stem}{name}.wav": wav for name, wav in wavs.items()})
        for stem, wavs in speakers.items()
    }
    files["data_aishell/transcript/aishell_transcript_v0.8.txt"] = TRANSCRIPTS.encode()
    return Miniature(
        archives={"data_aishell.tgz": tar(files)},
        tables={
            "aishell-train.csv": [Row("而对楼市成交抑制作用最大的限购", 3, "S0002"), Row("a股和t恤", 2, "S0002")],
            "aishell-dev.csv": [Row("广州市房地产中介协会分析", 2.5, "S0724")],
            "aishell-test.csv": [Row("甚至出现交易几乎停滞的情况", 3, "S0764")],
        },
        left_out=[
            ("audio file at fault", "W0124.wav"),
            ("no transcript", "W0125.wav"),
            ("no transcript", "S0764W0122.wav"),
            ("no audio file", "W0999.wav"),
        ],
    )
