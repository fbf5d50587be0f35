"""Vystadial 2013: the Czech calls."""

from __future__ import annotations

from miniatures import Miniature, Row, audio, broken, tar

CALL = "jurcic-028-121024_234433_"


def miniature() -> Miniature:
    files = {
        f"train/{CALL}0013625_0013785.wav": audio(2, rate=8000),
        f"train/{CALL}0013625_0013785.wav.trn": "_INHALE_ DOBRÝ DEN _EHM_HMM_ JAK SE DOSTANU NA ANDĚL\n".encode(),
        f"train/{CALL}0014000_0014200.wav": audio(3),
        f"train/{CALL}0014000_0014200.wav.trn": "ANO DĚKUJI".encode(),
        f"train/{CALL}0015000_0015200.wav": broken(audio(2)),
        f"train/{CALL}0015000_0015200.wav.trn": b"NE\n",
        f"train/{CALL}0016000_0016200.wav": audio(2),
        f"train/{CALL}0016000_0016200.wav.trn": b"_NOISE_ _SIL_\n",
        f"train/{CALL}0017000_0017200.wav": audio(2),
        f"train/{CALL}0018000_0018200.wav.trn": b"HALO\n",
        "dev/vystadial-1.wav": audio(2),
        "dev/vystadial-1.wav.trn": b"NASHLEDANOU\n",
        "test/vystadial-2.wav": audio(2.5),
        "test/vystadial-2.wav.trn": "_LAUGH_ ŘÍKÁM NE\n".encode(),
    }
    return Miniature(
        archives={"data_voip_cs.tgz": tar({f"data_voip_cs/{name}": content for name, content in files.items()})},
        options=("--language", "cs"),
        tables={
            "vystadial-cs-train.csv": [Row("dobrý den jak se dostanu na anděl", 2), Row("ano děkuji", 3)],
            "vystadial-cs-dev.csv": [Row("nashledanou", 2)],
            "vystadial-cs-test.csv": [Row("říkám ne", 2.5)],
        },
        left_out=[
            ("audio file at fault", "0015000_0015200.wav"),
            ("transcript empty", "0016000_0016200.wav"),
            ("no transcript", "0017000_0017200.wav"),
            ("no audio file", "0018000_0018200.wav"),
        ],
    )
