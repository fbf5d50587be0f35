"""M-AILABS, French: readers of their own and a book with several."""

from __future__ import annotations

from miniatures import Miniature, Row, audio, broken, tar

EZWA = "fr_FR/by_book/female/ezwa/monsieur_lecoq"
BERNARD = "fr_FR/by_book/male/bernard"
MIX = "fr_FR/by_book/mix/une_vie"


def table(*lines: str) -> bytes:
    return "".join(f"{line}\n" for line in lines).encode()


def miniature() -> Miniature:
    files = {
        "fr_FR/by_book/info.txt": b"French: 190h 30m\n",
        f"{EZWA}/metadata.csv": table("monsieur_lecoq_f000001|L'an 1830...|L'an mille huit cent trente..."),
        f"{EZWA}/metadata_mls.json": b"{}",
        f"{EZWA}/wavs/monsieur_lecoq_f000001.wav": audio(2),
        f"{BERNARD}/les_mysteres_de_paris/metadata.csv": table(
            "les_mysteres_01_f000001|Oui, monsieur.|Oui, monsieur.",
            "les_mysteres_01_f000002|Il n'y a plus que 2 francs.|Il n'y a plus que deux francs.",
            "les_mysteres_01_f000003|Non !|Non !",
            "les_mysteres_01_f000004|En 1848.|En 1848.",
            "les_mysteres_01_f000005|Rien.|Rien.",
            "torn",
        ),
        f"{BERNARD}/les_mysteres_de_paris/wavs/les_mysteres_01_f000001.wav": audio(2, rate=22050),
        f"{BERNARD}/les_mysteres_de_paris/wavs/les_mysteres_01_f000002.wav": audio(3),
        f"{BERNARD}/les_mysteres_de_paris/wavs/les_mysteres_01_f000003.wav": broken(audio(2)),
        f"{BERNARD}/les_mysteres_de_paris/wavs/les_mysteres_01_f000004.wav": audio(2),
        f"{BERNARD}/les_mysteres_de_paris/wavs/les_mysteres_01_f000006.wav": audio(2),
        f"{BERNARD}/skipped/metadata.csv": table("skipped_01_f000001|Jamais.|Jamais."),
        f"{BERNARD}/skipped/wavs/skipped_01_f000001.wav": audio(2),
        "fr_FR/by_book/female/nobody/livre/metadata.csv": table("livre_01_f000001|Jamais.|Jamais."),
        f"{MIX}/metadata.csv": table("une_vie_01_f000001|\u00c0 demain|\u00c0 demain"),
        f"{MIX}/wavs/une_vie_01_f000001.wav": audio(2.5),
    }
    return Miniature(
        archives={"fr_FR.tgz": tar(files)},
        options=("--language", "fr_FR", "--skiplist", "skipped,nobody"),
        tables={
            "m-ailabs-train.csv": [
                Row("oui monsieur", 2, "bernard"),
                Row("il n'y a plus que deux francs", 3, "bernard"),
            ],
            "m-ailabs-dev.csv": [Row("\u00e0 demain", 2.5)],
            "m-ailabs-test.csv": [Row("l'an mille huit cent trente", 2, "ezwa")],
        },
        left_out=[
            ("audio file at fault", "f000003.wav"),
            ("digits", "f000004.wav"),
            ("no audio file", "f000005.wav"),
            ("no transcript", "f000006.wav"),
        ],
    )
