"""The MAGICDATA corpus: an archive a split, with a list of names, speakers and transcripts."""

from __future__ import annotations

from collections.abc import Mapping

from miniatures import Miniature, Row, audio, broken, tar

HEADER = "UtteranceID\tSpeakerID\tTranscription\n"


def pack(split: str, files: Mapping[str, bytes], rows: str) -> bytes:
    return tar(
        {f"{split}/{name[:-19]}/{name}": content for name, content in files.items()}
        | {f"{split}/TRANS.txt": (HEADER + rows).encode()}
    )


def miniature() -> Miniature:
    train = {
        "14_3466_20170826171159.wav": audio(3),
        "14_3466_20170826171404.wav": audio(2),
        "14_3466_20170826171418.wav": broken(audio(2)),
        "14_3466_20170826171421.wav": audio(2),
    }
    said = """\
14_3466_20170826171159.wav\t14_3466\t放《安 娜·卡列尼娜》！[FIL]谢谢
14_3466_20170826171404.wav\t14_3466\t[SPK]打开 ＷＩＦＩ － 马上
14_3466_20170826171418.wav\t14_3466\t都是谁
14_3466_20170826171430.wav\t14_3466\t没有
14_3466_20170826171431.wav
"""
    return Miniature(
        archives={
            "train_set.tar.gz": pack("train", train, said),
            "dev_set.tar.gz": pack(
                "dev", {"5_1812_20170628135834.wav": audio(2)}, "5_1812_20170628135834.wav\t5_1812\t我有点儿饿\n"
            ),
            "test_set.tar.gz": pack(
                "test", {"38_5721_20170915093517.wav": audio(2.5)}, "38_5721_20170915093517.wav\t38_5721\t关灯。\n"
            ),
        },
        tables={
            "magicdata-train.csv": [Row("放安娜卡列尼娜谢谢", 3, "14_3466"), Row("打开wifi马上", 2, "14_3466")],
            "magicdata-dev.csv": [Row("我有点儿饿", 2, "5_1812")],
            "magicdata-test.csv": [Row("关灯", 2.5, "38_5721")],
        },
        left_out=[
            ("audio file at fault", "171418.wav"),
            ("no transcript", "171421.wav"),
            ("no audio file", "171430.wav"),
        ],
    )
