"""A takeout from Common Voice: what one person has read aloud in two languages, in two parts."""

from __future__ import annotations

from miniatures import Miniature, Row, audio, broken, pack

IDS = [character * 64 for character in "0123456789"]
SENTENCES = ["Wait for me!", '"Hello', "He\u2019s gone.", "Broken", "Lost"]


def miniature() -> Miniature:
    mp3 = audio(2, "MP3", 48000)
    rows = [f"{name}\t{sentence}\ten" for name, sentence in zip(IDS, SENTENCES, strict=False)]
    rows += [f"{IDS[5]}\tWer bist du?\tde", "cut short"]
    first = {IDS[0]: mp3, IDS[1]: mp3, IDS[5]: mp3}
    second = {IDS[2]: mp3, IDS[3]: broken(mp3), IDS[6]: mp3}
    table = "\n".join(["original_sentence_id\tsentence\tlocale", *rows])
    archives = {"takeout_7_metadata.txt": table.encode()}
    for part, clips in enumerate((first, second)):
        stem = f"takeout_7_pt_{part}"
        archives[f"{stem}.zip"] = pack({f"{stem}/{name}.mp3": clip for name, clip in clips.items()})
    return Miniature(
        archives=archives,
        options=("--language", "en", "--files", *archives),
        tables={  # dealt by the SHA-256 of the sentences
            "cv_personal-train.csv": [Row("he's gone", 2)],
            "cv_personal-dev.csv": [Row("hello", 2)],
            "cv_personal-test.csv": [Row("wait for me", 2)],
        },
        left_out=[
            ("audio file at fault", f"{IDS[3]}.mp3"),
            ("no audio file", f"{IDS[4]}.mp3"),
            ("no transcript", f"{IDS[6]}.mp3"),
        ],
    )
