"""Switchboard: three conversations, with the marks that its transcribers use."""

from __future__ import annotations

from miniatures import Miniature, Row, audio, broken, tar

CALLERS = "2001,Y,1020,1044,303,0,910304,1218,1222, ,\n2005,Y,1028,1044,304,0,910304,1300,1305, ,\n"
SIDE_A = """sw2001A-ms98-a-0001 0.000000 0.977625 [silence]
sw2001A-ms98-a-0002 0.977625 2.500000 hi um yeah [laughter-i'd] like to [vocalized-noise] talk about how you dress
sw2001A-ms98-a-0003 2.500000 4.500000 [it'n/isn't] ab[solute]- -[an]y {yuppiedom} <b_aside> them_1 at&t <e_aside>
sw2001A-ms98-a-0004 4.500000 5.500000 [lem[guini]-/linguini] ammu[n]it- [laughter-funn[y]-]
sw2001A-ms98-a-0005 5.5 six [noise]
"""
SIDE_B = "sw2001B-ms98-a-0001 0.000000 1.500000 what's [unheard] it\nsw2001B-ms98-a-0002 1.5 3.5 okay\n"


def miniature() -> Miniature:
    sphere = audio(6, "NIST", 8000, 2, "ULAW")
    text = {
        "swb_ms98_transcriptions/20/2001/sw2001A-ms98-a-trans.text": SIDE_A.encode(),
        "swb_ms98_transcriptions/20/2001/sw2001B-ms98-a-trans.text": SIDE_B.encode(),
        "swb_ms98_transcriptions/20/2001/sw2001B-ms98-a-word.text": b"sw2001B-ms98-a-0002 1.5 3.5 okay\n",
        "swb_ms98_transcriptions/20/2005/sw2005A-ms98-a-trans.text": b"sw2005A-ms98-a-0001 0 2.0 uh-huh\n",
        "swb_ms98_transcriptions/20/2006/sw2006A-ms98-a-trans.text": b"sw2006A-ms98-a-0001 0 2.0 right\n",
        "swb_ms98_transcriptions/20/2007/sw2007A-ms98-a-trans.text": b"sw2007A-ms98-a-0001 0 2.0 sure\n",
        "swb_ms98_transcriptions/29/2986/sw2986A-ms98-a-trans.text": b"sw2986A-ms98-a-0038 80.638500 83.358875 well\n",
    }
    speech = {
        "swb1_d1/data/sw02001.sph": sphere,
        "swb1_d1/data/sw02005.sph": sphere,
        "swb1_d2/data/sw02006.sph": broken(sphere),
        "swb1_d2/data/sw02008.sph": sphere,
    }
    return Miniature(
        archives={
            "swb1_LDC97S62.tgz": tar(speech),
            "switchboard_word_alignments.tar.gz": tar(text),
            "conv_tab.csv": CALLERS.encode(),
        },
        tables={
            "swb-train.csv": [
                Row("hi um yeah i'd like to talk about how you dress", 1.52, "1020"),
                Row("it'n ab y yuppiedom them at and t", 2, "1020"),
                Row("lem ammu it funn", 1, "1020"),
            ],
            "swb-dev.csv": [Row("okay", 2, "1044")],
            "swb-test.csv": [Row("uh huh", 2, "1028")],
        },
        left_out=[
            ("audio file at fault", "sw02006.sph"),
            ("markup", "sw02001.sph"),
            ("no audio file", "sw02007.sph"),
            ("no transcript", "sw02008.sph"),
            ("no transcript", "sw02986.sph"),
            ("transcript empty", "sw02001.sph"),
        ],
    )
