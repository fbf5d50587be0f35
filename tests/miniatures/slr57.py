"""African Accented French: an utterance or two of each of its parts."""

from __future__ import annotations

from miniatures import Miniature, Row, audio, broken, tar

ROOT = "African_Accented_French"
YAOUNDE = "/mnt/corpora/Yaounde"


def miniature() -> Miniature:
    texts = {
        "transcripts/train/yaounde/fn_text.txt": f"{YAOUNDE}/read/wavs/16000/f-001/pc-f001-0001.wav le chien ' dort\n"
        f"{YAOUNDE}/answers/16000/f-001/pc-f001-0001.wav je viens de Yaoundé\ntorn\n",
        "transcripts/train/ca16_conv/transcripts.txt": "conv/afc-gabon_20160607_03c0_conv_001.tdf c'est ça\n",
        "transcripts/train/ca16_read/conditioned.txt": "afc-gabon_20160607_03c0_read_001 bonne journée\n"
        "afc-gabon_20160607_03c0_read_002 il pleut\nafc-gabon_20160607_03c0_read_003 il neige\n",
        "transcripts/dev/niger_west_african_fr/transcripts.txt": "wav/s1/niger_wav_s1_001.wav oui monsieur\n",
        "speech/dev/niger_west_african_fr/niger_wav_file_name_transcript.tsv": "niger_wav_s1_001.wav\tOui, 1 monsieur\n"
        "niger_wav_s1_002.wav\tNon, merci.\n",
        "transcripts/devtest/ca16_read/conditioned.txt": "afc-gabon_20160608_11aa_read_001 à demain\n",
        "transcripts/test/ca16/prompts.txt": "test_ca16_01_001 Oui, qu'est-ce que vous voulez?\n",
    }
    speech = {
        "train/yaounde/read/f-001/pc-f001-0001": audio(2),
        "train/yaounde/answers/f-001/pc-f001-0001": audio(2.5),
        "train/ca16/03c0/afc-gabon_20160607_03c0_conv_001": audio(1.5),
        "train/ca16/03c0/afc-gabon_20160607_03c0_conv_002": audio(1.5),
        "train/ca16/03c0/afc-gabon_20160607_03c0_read_001": audio(3),
        "train/ca16/03c0/afc-gabon_20160607_03c0_read_002": broken(audio(3)),
        "dev/niger_west_african_fr/s1/niger_wav_s1_001": audio(2),
        "dev/niger_west_african_fr/s1/niger_wav_s1_002": audio(2, rate=8000),
        "devtest/ca16/11aa/afc-gabon_20160608_11aa_read_001": audio(2),
        "test/ca16/test_ca16_01/test_ca16_01_001": audio(3),
    }
    files = {f"{ROOT}/{name}": text.encode() for name, text in texts.items()}
    files |= {f"{ROOT}/speech/{name}.wav": content for name, content in speech.items()}
    return Miniature(
        archives={f"{ROOT}.tar.gz": tar(files)},
        tables={
            "slr57-train.csv": [
                Row("le chien dort", 2, "f-001"),
                Row("je viens de yaound\u00e9", 2.5, "f-001"),
                Row("c'est \u00e7a", 1.5, "03c0"),
                Row("bonne journ\u00e9e", 3, "03c0"),
            ],
            "slr57-dev.csv": [Row("oui monsieur", 2, "s1"), Row("non merci", 2, "s1")],
            "slr57-devtest.csv": [Row("\u00e0 demain", 2, "11aa")],
            "slr57-test.csv": [Row("oui qu'est ce que vous voulez", 3, "test_ca16_01")],
        },
        left_out=[
            ("no transcript", "conv_002.wav"),
            ("audio file at fault", "read_002.wav"),
            ("no audio file", "read_003.wav"),
        ],
    )
