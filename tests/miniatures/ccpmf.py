"""CCPMF: six talks in a zip in a zip in forty parts."""

from __future__ import annotations

from miniatures import Miniature, Row, audio, broken, pack

NAME = "transcriptionsxml_audiomp3_mefr_ccpmf_2012-2020"
FOLDER = "transcriptionsXML_audioMP3_MEFR_CCPMF_2012-2020"
N_PARTS = 40


def captions(*rows: tuple[float, float, str]) -> bytes:
    lines = (f'<row timestamp="{start}" timedur="{duration}">{text}</row>' for start, duration, text in rows)
    return f'<?xml version="1.0" encoding="utf-8"?>\n<data>{"".join(lines)}<row>?</row></data>\n'.encode()


def parts(files: dict[str, bytes]) -> dict[str, bytes]:
    """Return the forty parts of the archive that the corpus is published as."""
    whole = pack({f"{FOLDER}.zip": pack(files)})
    size = len(whole) // N_PARTS + 1
    return {f"{NAME}_2.zip.{i + 1:03}": whole[i * size : (i + 1) * size] for i in range(N_PARTS)}


def miniature() -> Miniature:
    files = {
        "2012/20121016_Syteme_sante_copie_wmv_0_fre_minefi.xml": captions(
            (0.5, 2.0, "Mesdames et messieurs,"),
            (2.6, 1.5, "bonjour [end]"),
            (5.0, 2.0, "C\u2019est un B2B &amp; Co,"),
            (7.0, 2.0, "fran\u00b8cais."),
            (9.0, 2.5, "En 2012,"),
        ),
        "2012/20121016_Syteme_sante_copie.mp3": audio(12, "MP3", 44100, 2),
        "2012/20121016_Innovation_fre_minefi.xml": captions((1.0, 2.0, "Oui.")),
        "2012/20121016_Innovation.mp3": audio(4, "MP3"),
        "2018/20181017_Innovation.xml": captions((0.0, 2.0, "Merci \u00e0 tous.")),
        "2018/20181017_Innovation_fre.mp3": audio(3, "MP3"),
        "2018/20181210_EtatsGeneraux-1000_fre_750_und.xml": captions((0.0, 1.0, "Voil\u00e0.")),
        "2018/20181210_EtatsGeneraux-1000.mp3": broken(audio(3, "MP3"))[:100],
        "2019/20190604_Absent.xml": captions((0.0, 1.0, "Absent.")),
        "2019/20190605_Muet.mp3": audio(3, "MP3"),
        "2019/20190606_Torn.xml": b"<data><row",
        "2019/20190606_Torn.mp3": audio(3, "MP3"),
    }
    return Miniature(
        archives=parts({f"{FOLDER}/{name}": content for name, content in files.items()}),
        tables={
            "ccpmf-train.csv": [
                Row("mesdames et messieurs bonjour", 3.6),
                Row("c'est un b to b et co fran\u00e7ais", 4),
            ],
            "ccpmf-dev.csv": [Row("oui", 2)],
            "ccpmf-test.csv": [Row("merci \u00e0 tous", 2)],
        },
        left_out=[
            ("digits", "20121016_Syteme_sante_copie.mp3"),
            ("audio file at fault", "20181210_EtatsGeneraux-1000.mp3"),
            ("no audio file", "20190604_Absent.mp3"),
            ("no transcript", "20190605_Muet.mp3"),
            ("no transcript", "20190606_Torn.mp3"),
        ],
    )
