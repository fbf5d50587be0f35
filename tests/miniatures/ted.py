"""TED-LIUM 2: a talk or two in each split, with gaps and the marks of its transcripts."""

from __future__ import annotations

from miniatures import Miniature, Row, audio, broken, tar

ROOT = "TEDLIUM_release2"
TRAIN = """911Mothers_2010W 1 911Mothers_2010W 0.50 2.50 <NA> the(2) fact that we have {NOISE} {UH} it 's not
911Mothers_2010W 1 911Mothers_2010W 2.40 4.40 <NA> <unk> because of
911Mothers_2010W 1 911Mothers_2010W four 5 <NA> nothing
911Mothers_2010W 1 911Mothers_2010W 4.50 5.50 <o,f0,female> <sil> they don 't <sil> (911Mothers_2010W-4.50-5.50-F0_F)
"""
DEV = """;; AlGore_2009
AlGore_2009 1 inter_segment_gap 0.00 1.00 <o,,unknown> ignore_time_segment_in_scoring
AlGore_2009 1 AlGore_2009 1.00 3.00 <o,f0,male> last year i showed these two slides
"""


def miniature() -> Miniature:
    talk = audio(6, "NIST")
    files = {
        f"{ROOT}/README": b"This is the TED-LIUM corpus release 2\n",
        f"{ROOT}/train/stm/911Mothers_2010W.stm": TRAIN.encode(),
        f"{ROOT}/train/sph/911Mothers_2010W.sph": talk,
        f"{ROOT}/train/stm/AalBorg_2011.stm": b"AalBorg_2011 1 AalBorg_2011 0.5 1.5 <NA> thank you\n",
        f"{ROOT}/train/sph/AalBorg_2011.sph": broken(talk),
        f"{ROOT}/train/stm/AaronKoblin_2011.stm": b"AaronKoblin_2011 1 AaronKoblin_2011 0.5 1.5 <NA> so\n",
        f"{ROOT}/dev/stm/AlGore_2009.stm": DEV.encode(),
        f"{ROOT}/dev/sph/AlGore_2009.sph": talk,
        f"{ROOT}/test/stm/AimeeMullins_2009P.stm": b"AimeeMullins_2009P 1 AimeeMullins 1 5.5 <o,f0,female> i 'd like\n",
        f"{ROOT}/test/sph/AimeeMullins_2009P.sph": talk,
    }
    return Miniature(
        archives={"TEDLIUM_release2.tar.gz": tar(files)},
        tables={
            "ted-train.csv": [
                Row("the fact that we have uh it's not", 2, "911Mothers_2010W"),
                Row("they don't", 1, "911Mothers_2010W"),
            ],
            "ted-dev.csv": [Row("last year i showed these two slides", 2, "AlGore_2009")],
            "ted-test.csv": [Row("i'd like", 4.5, "AimeeMullins")],
        },
        left_out=[
            ("audio file at fault", "AalBorg_2011.sph"),
            ("markup", "911Mothers_2010W.sph"),
            ("no audio file", "AaronKoblin_2011.sph"),
        ],
    )
