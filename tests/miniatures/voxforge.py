"""VoxForge: submissions of four people behind a web page, one in FLAC and one by nobody in particular."""

from __future__ import annotations

from miniatures import Miniature, Row, audio, broken, tar

LISTING = """<html><head><title>Index of /downloads/SpeechCorpus/Trunk/Audio/Main/16kHz_16bit</title></head>
<body><table><tr><td><a href="/downloads/SpeechCorpus/Trunk/Audio/Main/">Parent Directory</a></td></tr>
{}</table></body></html>
"""
LINE = '<tr><td><a href="{0}">{0}</a></td><td align="right">29-Sep-2008 12:27  </td></tr>\n'


def submission(name: str, prompts: str, files: dict[str, bytes]) -> bytes:
    everything = {"etc/PROMPTS": prompts.encode("latin-1"), "etc/README": b"Gender: Male;\n", "LICENSE": b"GPL"} | files
    return tar({f"{name}/{path}": content for path, content in everything.items()})


def miniature() -> Miniature:
    wav = audio(2)
    prompts = {
        "Aaron-20080318-kdl": "Aaron-20080318-kdl/mfc/b0019 WILL WE EVER FORGET IT\n*/mfc/b0020 AND\n"
        "*/mfc/b0021 NO\n*/mfc/b0023 \xc9T\xc9\n",
        "Aaron-20080319-lbn": "Aaron-20080319-lbn/mfc/a0001 AUTHOR OF THE DANGER TRAIL, PHILIP STEELS\n",
        "anonymous-20080425-bmd": "anonymous-20080425-bmd/mfc/rb-01 HE'S HERE\n",
        "ralfherzog-20071220-en1": "ralfherzog-20071220-en1/mfc/en1-01 BUT HE DID NOT\n",
    }
    files = {
        "Aaron-20080318-kdl": {
            "wav/b0019.wav": wav,
            "wav/b0020.wav": broken(wav),
            "wav/b0022.wav": wav,
            "wav/b0023.wav": wav,
        },
        "Aaron-20080319-lbn": {"wav/a0001.wav": audio(3)},
        "anonymous-20080425-bmd": {"flac/rb-01.flac": audio(2, "FLAC", 48000)},
        "ralfherzog-20071220-en1": {"wav/en1-01.wav": wav},
    }
    archives = {f"{name}.tgz": submission(name, prompts[name], files[name]) for name in files}
    return Miniature(
        archives=archives | {"": LISTING.format("".join(map(LINE.format, archives))).encode()},
        tables={
            "voxforge-train.csv": [
                Row("will we ever forget it", 2, "Aaron"),
                Row("author of the danger trail philip steels", 3, "Aaron"),
            ],
            "voxforge-dev.csv": [Row("but he did not", 2, "ralfherzog")],
            "voxforge-test.csv": [Row("he's here", 2, "anonymous-20080425")],
        },
        left_out=[
            ("audio file at fault", "b0020.wav"),
            ("damaged transcript", "b0023.wav"),
            ("no audio file", "b0021.wav"),
            ("no transcript", "b0022.wav"),
        ],
    )
