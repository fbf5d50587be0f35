"""Fisher: a call of each part, with noise, doubtful words and one of the transcripts known to be wrong."""

from __future__ import annotations

from miniatures import Miniature, Row, audio, broken, tar

CALLS = (
    "CALL_ID,DATE_TIME,TOPICID,SIG_GRADE,CNV_GRADE,APIN,ASX.DL,APHNUM,APHSET,APHTYP,BPIN,BSX.DL,BPHNUM,BPHSET,BPHTYP\n"
    "00265,20030103_17:06:40,ENG02,3.5,3.2,2602,f.a,,4,3,1790,m.a,,4,3\n"
)
TRANSCRIPT = """# fe_03_00265.sph
# Transcribed at the LDC

0.10 2.10 A: [laughter] and i generally prefer

1.50 3.00 B: eating at home t._v. [[skip]]

2.20 4.20 A: (( oh yeah ))

4.30 5.30 B: [noise]

no time B: well

33.53 33.81 B: correct that is what i said all the time
"""
SECOND = "# fe_03_05851.sph\n\n0.00 2.00 A: uh-huh f._b._i.\n\n0.50 2.50 B: it's an- fine\n"


def miniature() -> Miniature:
    sphere = audio(35, "NIST", 8000, 2, "ULAW")
    speech = {
        "fisher_eng_tr_sp_d1/audio/002/fe_03_00265.sph": sphere,
        "fisher_eng_tr_sp_d1/audio/002/fe_03_00266.sph": sphere,
        "fisher_eng_tr_sp_d1/audio/002/fe_03_00267.sph": broken(sphere),
        "fisher_eng_tr_sp_d1/filetable.txt": b"fe_03_p1_sph1 fe_03_00265.sph fm\n",
    }
    text = {
        "fe_03_p1_tran/data/trans/000/fe_03_00027.txt": b"393.80 394.05 A: more than this\n",
        "fe_03_p1_tran/data/trans/002/fe_03_00265.txt": TRANSCRIPT.encode(),
        "fe_03_p1_tran/data/trans/002/fe_03_00267.txt": b"0.50 1.50 A: hello\n",
        "fe_03_p1_tran/doc/fe_03_p1_calldata.tbl": CALLS.encode(),
    }
    # As sph2pipe makes one of what the LDC has compressed.
    second = {"fe_03_p2_sph1/audio/058/fe_03_05851.wav": audio(3, rate=8000, channels=2)}
    return Miniature(
        archives={
            "LDC2004S13.tgz": tar(speech),
            "LDC2004T19.tgz": tar(text),
            "LDC2005S13.tgz": tar(second),
            "LDC2005T19.tgz": tar({"fe_03_p2_tran/data/trans/058/fe_03_05851.txt": SECOND.encode()}),
        },
        tables={
            "fisher-train.csv": [Row("and i generally prefer", 2, "2602"), Row("it's an fine", 2, "fe_03_05851B")],
            "fisher-dev.csv": [Row("correct", 0.28, "1790")],
            "fisher-test.csv": [Row("uh huh f b i", 2, "fe_03_05851A")],
        },
        left_out=[
            ("audio file at fault", "fe_03_00267.sph"),
            ("markup", "fe_03_00265.sph"),
            ("markup", "fe_03_00265.sph"),
            ("no transcript", "fe_03_00027.sph"),
            ("no transcript", "fe_03_00266.sph"),
            ("transcript empty", "fe_03_00265.sph"),
        ],
    )
