"""THCHS-30: recordings in data/ and again in the splits, where the transcripts only name those in data/."""

from __future__ import annotations

from miniatures import Miniature, Row, audio, broken, tar

SAID = {  # in the splits
    "train/A11_0": (audio(3), "绿 是 阳春 烟 景\nlv4 shi4 yang2 chun1\nl v4 sh ix4\n"),
    "train/A11_1": (audio(2), "他 仅 凭 腰部 \nta1 jin3 ping2\nt a1\n"),
    "train/A11_2": (broken(audio(2)), "炮眼 打好 了\npao4\np ao4\n"),
    "dev/A2_3": (audio(2), "可 谁知 纹 完 后 她\nke3\nk e3\n"),
    "test/D4_750": (audio(2.5), "东北军 的 一些 爱国 将士\ndong1\nd ong1\n"),
}


def miniature() -> Miniature:
    files = {"data_thchs30/README.TXT": b"", "data_thchs30/train/A11_3.wav": audio(2)}
    for place, (wav, text) in SAID.items():
        name = place.split("/")[1]
        files |= {
            f"data_thchs30/{place}.wav": wav,
            f"data_thchs30/{place}.wav.trn": f"../data/{name}.wav.trn\n".encode(),
            f"data_thchs30/data/{name}.wav": wav,
            f"data_thchs30/data/{name}.wav.trn": text.encode(),
        }
    files["data_thchs30/train/A11_4.wav.trn"] = b"../data/A11_4.wav.trn\n"
    files["data_thchs30/data/A11_4.wav.trn"] = files["data_thchs30/data/A11_1.wav.trn"]
    return Miniature(
        archives={"data_thchs30.tgz": tar(files)},
        tables={
            "thchs30-train.csv": [Row("绿是阳春烟景", 3, "A11"), Row("他仅凭腰部", 2, "A11")],
            "thchs30-dev.csv": [Row("可谁知纹完后她", 2, "A2")],
            "thchs30-test.csv": [Row("东北军的一些爱国将士", 2.5, "D4")],
        },
        left_out=[
            ("audio file at fault", "A11_2.wav"),
            ("no transcript", "A11_3.wav"),
            ("no audio file", "A11_4.wav"),
        ],
    )
