"""Common Voice 17, German: the tables that a release has, and clips."""

from __future__ import annotations

from collections.abc import Sequence

from miniatures import Miniature, Row, audio, broken, tar

ROOT = "cv-corpus-17.0-2024-03-15/de"
HEADER = (
    "client_id\tpath\tsentence_id\tsentence\tsentence_domain\tup_votes\tdown_votes\tage\tgender\taccents\tvariant\t"
    "locale\tsegment\n"
)
Said = tuple[str, str, int]  # speaker, sentence, number of the clip
TRAIN = [("anna", "Es gibt keinen Weg.", 1), ("anna", '"Er sagte', 2), ("bert", "Abgebrochen", 3), ("bert", "", 4)]
DEV = [("clara", "Zieht euch bitte draußen die Schuhe aus!", 5)]
TEST = [("dora", "Es kommt zum Showdown", 6), ("dora", "Verschwunden", 7)]
REST = [("clara", "Noch ein Satz", 8), ("emil", "es kommt zum Showdown!", 9), ("emil", "Was für ein Tag…", 10)]


def clip(number: int) -> str:
    return f"common_voice_de_{17298000 + number}.mp3"


def table(rows: Sequence[Said]) -> bytes:
    lines = [
        f"{speaker}\t{clip(number)}\t{number:064x}\t{text}\t\t2\t0\ttwenties\tmale_masculine\t\t\tde\t\n"
        for speaker, text, number in rows
    ]
    return (HEADER + "".join(lines)).encode()


def miniature() -> Miniature:
    mp3 = audio(3, "MP3", 32000)
    cut = f"frank\t{clip(11)}\t{11:064x}\tDiese Zeile\n zerrissen\t\t2\t0\t\t\t\t\tde\t\n".encode()
    files = {
        "train.tsv": table(TRAIN) + cut,
        "dev.tsv": table(DEV),
        "test.tsv": table(TEST),
        "validated.tsv": table([*TRAIN[:2], *DEV, *TEST[:1], *REST]),
        "other.tsv": table([("gerd", "Ungeprüft", 12)]),
        "clip_durations.tsv": f"clip\tduration[ms]\n{clip(1)}\t3000\n".encode(),
    }
    files |= {f"clips/{clip(number)}": mp3 for number in (1, 2, 4, 5, 6, 8, 9, 10, 12)}
    files |= {f"clips/{clip(3)}": broken(mp3)}
    train = [Row("es gibt keinen weg", 3, "anna"), Row("er sagte", 3, "anna")]
    dev = [Row("zieht euch bitte draußen die schuhe aus", 3, "clara")]
    test = [Row("es kommt zum showdown", 3, "dora")]
    emil = [Row("es kommt zum showdown", 3, "emil"), Row("was für ein tag", 3, "emil")]
    return Miniature(
        archives={"cv-corpus-17.0-2024-03-15-de.tar.gz": tar({f"{ROOT}/{name}": data for name, data in files.items()})},
        options=("--archive", "cv-corpus-17.0-2024-03-15-de.tar.gz"),
        tables={
            "cv2-train.csv": train,
            "cv2-dev.csv": dev,
            "cv2-test.csv": test,
            "cv2-validated.csv": [*train, *dev, *test, Row("noch ein satz", 3, "clara"), *emil],
            "cv2-train-all.csv": [*train, emil[1]],
        },
        left_out=[
            ("audio file at fault", clip(3)),
            ("no transcript", clip(4)),
            ("no audio file", clip(7)),
        ],
    )
