"""The Free ST Chinese Mandarin Corpus: every recording has its transcript in a file beside it."""

from __future__ import annotations

from miniatures import Miniature, Row, audio, broken, tar


def miniature() -> Miniature:
    files = {
        "20170001P00001A0001.wav": audio(2),
        "20170001P00001A0001.txt": "刚才电脑卡着了，等我。".encode(),
        "20170001P00001A0001.metadata": b"{}",
        "20170001P00004A0001.wav": audio(3),
        "20170001P00004A0001.txt": "为什么ＫＴＶ嗡嗡的响".encode(),
        "20170001P00007I0001.wav": audio(2.5),
        "20170001P00007I0001.txt": "等我起床开电脑".encode(),
        "20170001P00007I0002.wav": broken(audio(2)),
        "20170001P00007I0002.txt": "听着".encode(),
        "20170001P00007I0003.wav": audio(2),
        "20170001P00007I0004.txt": "你好".encode(),
        "20170001P00007I0005.wav": audio(2),
        "20170001P00007I0005.txt": "你好".encode("gb18030"),
    }
    return Miniature(
        archives={
            "ST-CMDS-20170001_1-OS.tar.gz": tar({f"ST-CMDS-20170001_1-OS/{name}": files[name] for name in files})
        },
        tables={
            "freestmandarin-train.csv": [Row("刚才电脑卡着了等我", 2, "P00001A")],
            "freestmandarin-dev.csv": [Row("为什么ktv嗡嗡的响", 3, "P00004A")],
            "freestmandarin-test.csv": [Row("等我起床开电脑", 2.5, "P00007I")],
        },
        left_out=[
            ("audio file at fault", "I0002.wav"),
            ("no transcript", "I0003.wav"),
            ("no audio file", "I0004.wav"),
            ("damaged transcript", "I0005.wav"),
        ],
    )
