"""Exports that say what the checkpoint says: each file is run on recordings before the old export is replaced."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from util import export
from util.errors import ExportError
from util.inference import Pcm
from util.model_card import Origin
from util.progress import DEBUG, Console
from util.text import Alphabet
from util.trained import Array, TrainedNetwork

CLEAR_MARGIN = 0.5  # by which the checkpoint's best label leads where the file has to find it too


def export_verified(
    network: TrainedNetwork,
    settings: export.ExportSettings,
    origin: Origin,
    recordings: Mapping[str, Pcm],
    recognise: Callable[[Pcm], Array],
    alphabet: Alphabet,
    console: Console,
) -> None:
    """Write what the settings ask for: all of it, or nothing.

    Args:
        network: what is exported.
        settings: what to write.
        origin: for the model card.
        recordings: int16 [samples] by path.
        recognise: gives the checkpoint's probabilities, float32 [frames, n_labels + 1], of a recording.
        alphabet: of the network.
        console: told what was written.

    Raises:
        ExportError: a file says something else than the checkpoint.
    """

    def verify(file: export.ExportedFile) -> None:
        for path, samples in recordings.items():
            found = file.compare(samples, recognise(samples), CLEAR_MARGIN, alphabet)
            console.say(f"{file.name} on {path}: {found}.", DEBUG)
            if not found.is_faithful(file.is_quantised):
                raise ExportError(f"{file.name} differs from the checkpoint on {path}: {found}. Nothing was exported.")

    with export.full_precision(), export.new_export(Path(settings.dir), settings.remove) as folder:
        export.write_files(network, settings, folder, verify)
        names = export.write_card(settings, network, origin, list(recordings), folder)
    if settings.zip:
        names.append(str(export.write_zip(Path(settings.dir), names, settings.scorer_path)))
    console.say(f"Exported to {settings.dir}, compared on {len(recordings)} recording(s): {', '.join(names)}.")
