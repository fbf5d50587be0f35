"""Exports: the files of a trained network, how they are compared with the checkpoint, and the folder they go to."""

from __future__ import annotations

import contextlib
import gc
import json
import os
import shutil
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from functools import partial
from pathlib import Path
from typing import Any

from util import graph_file, inference, tf
from util.errors import DataError, ExportError, UsageError
from util.features import FeatureSet
from util.files import make_directory, publish, write_atomically
from util.inference import Comparison, Pcm, compare
from util.model_card import Origin, make_card
from util.text import Alphabet
from util.tflite_graph import make_tflite
from util.trained import Array, TrainedNetwork

LARGEST = 2**31 - 2**24  # bytes; flatbuffers and protocol buffers end at 2 GiB
FILES = "export.json"  # names what an export wrote, so that --remove_export removes nothing else
STAGING = ".exporting"
COMPATIBLE = ["", "0.9.3"]


@dataclass(frozen=True)
class ExportSettings:
    """What to export; the flags of the same names with `export_` before them, --remove_export and --scorer_path."""

    remove: bool
    scorer_path: str
    dir: str
    file_name: str
    quantize: bool
    savedmodel: bool
    graph: bool
    compat: str
    zip: bool
    batch_size: int
    author_id: str
    model_name: str
    model_version: str
    contact_info: str
    license: str
    language: str
    min_ds_version: str
    max_ds_version: str
    description: str

    @classmethod
    def from_flags(cls, flags: Mapping[str, Any]) -> ExportSettings:
        """Make settings of the flags."""
        values = {name.removeprefix("export_"): value for name, value in flags.items() if name.startswith("export_")}
        rest = {field.name: values[field.name] for field in fields(cls)[2:]}
        return cls(flags["remove_export"], flags["scorer_path"], **rest)

    @property
    def card_name(self) -> str:
        """Name of the model card."""
        return f"{self.author_id}_{self.model_name}_{self.model_version}.md"

    def card_fields(self, runtime: str) -> dict[str, str]:
        """Return the fields of the model card's head, which are those of 0.9.3, and the description."""
        return {
            "author": self.author_id,
            "model_name": self.model_name,
            "model_version": self.model_version,
            "contact_info": self.contact_info,
            "license": self.license,
            "language": self.language,
            "runtime": runtime,
            "min_ds_version": self.min_ds_version,
            "max_ds_version": self.max_ds_version,
            "acoustic_model_url": "",
            "scorer_url": "",
            "description": self.description,
        }

    def check(self, features: FeatureSet, layer_norm: bool) -> None:
        """Refuse what cannot be exported, before anything is trained.

        Raises:
            UsageError: flags contradict each other, or the folder cannot be written.
        """
        if not self.dir:
            wanted = [f"export_{name}" for name in ("savedmodel", "graph", "compat", "zip") if getattr(self, name)]
            for name in [*wanted, *["remove_export"] * self.remove]:
                raise UsageError(f"--{name} does nothing without an export: give --export_dir.")
            return
        if self.batch_size != 1:
            raise UsageError(
                f"--export_batch_size {self.batch_size} is not possible: exported networks take an utterance at a time,"
                " and clients run as many as they like; leave it out."
            )
        for name, milliseconds in (("len", features.window_ms), ("step", features.step_ms)):
            if milliseconds != round(milliseconds):
                raise UsageError(
                    f"--feature_win_{name} {milliseconds:g} cannot be exported: model files hold whole milliseconds."
                )
        if self.compat and features.name == "classic":
            raise UsageError(
                f"--export_compat {self.compat} needs a network trained with --nobidirectional: clients of that version"
                " know no other."
            )
        if self.compat and layer_norm:
            raise UsageError(
                f"--export_compat {self.compat} is not for --layer_norm, which clients of that version do not know."
            )
        if self.zip and self.scorer_path and not Path(self.scorer_path).is_file():
            raise UsageError(f"--export_zip cannot add --scorer_path {self.scorer_path}: there is no such file.")
        self._check_names()

    def _check_names(self) -> None:
        for name in ("file_name", "author_id", "model_name", "model_version"):
            value = getattr(self, name)
            if not value or value.startswith(".") or set(value) & set("/\\\0\n"):
                raise UsageError(
                    f"--export_{name} {value!r} becomes part of a file name: expected one without slashes that does not"
                    " begin with a dot."
                )
        folder = Path(self.dir).absolute()
        above = next(path for path in (folder, *folder.parents) if path.exists())
        if not above.is_dir() or not os.access(above, os.W_OK | os.X_OK):
            reason = "may not be written to" if above.is_dir() else "is not a folder"
            raise UsageError(
                f"--export_dir {self.dir} cannot be made or filled: {above} {reason}; choose another place."
            )


@dataclass(frozen=True)
class ExportedFile:
    """A file or folder that was exported.

    Attributes:
        name: in the export's folder.
        is_quantised: whether its weights are int8.
        run: computes probabilities, float32 [n_frames, n_classes], of samples, int16 [n_samples].
    """

    name: str
    is_quantised: bool
    run: Callable[[Pcm], Array]

    def compare(self, samples: Pcm, expected: Array, margin: float, alphabet: Alphabet) -> Comparison:
        """Run the file and compare; see `inference.compare`.

        Raises:
            ExportError: what it says is not comparable.
        """
        try:
            return compare(expected, self.run(samples), margin, alphabet)
        except (ValueError, RuntimeError, tf.errors.OpError) as error:
            raise ExportError(f"{self.name} cannot be run: {error}. Nothing was exported.") from error


def write_files(
    network: TrainedNetwork, settings: ExportSettings, folder: Path, verify: Callable[[ExportedFile], None]
) -> None:
    """Write a network in every format that is asked for, one after the other: each takes its share of memory.

    Args:
        network: the network.
        settings: what to write.
        folder: where.
        verify: called with each file before the next is written.

    Raises:
        ExportError: the network is too large, or the disk refuses.
    """
    n_bytes = sum(weights.nbytes for weights in network.weights.values())
    if n_bytes > LARGEST:
        raise ExportError(f"The weights fill {n_bytes / 2**30:.1f} GiB, a file can hold 2: lower --n_hidden.")
    stem = folder / settings.file_name
    writers = [partial(_write_tflite, network, settings, Path(f"{stem}.tflite"))]
    if settings.graph or settings.compat:
        writers.append(partial(_write_graph, network, Path(f"{stem}.pb")))
        if not network.is_bidirectional:  # the format of clients that know no other network
            writers.append(partial(_write_graph, network, Path(f"{stem}.pbmm")))
    if settings.savedmodel:
        writers.append(partial(_write_saved_model, network, Path(f"{stem}_savedmodel")))
    for write in writers:
        try:
            verify(write())
        except (OSError, DataError, tf.errors.OpError) as error:
            raise ExportError(
                f"Cannot export to {settings.dir}: {error}; make room or choose another place."
            ) from error
        gc.collect()  # TensorFlow's graphs refer to themselves


def _write_tflite(network: TrainedNetwork, settings: ExportSettings, path: Path) -> ExportedFile:
    path.write_bytes(make_tflite(network, settings.quantize, bool(settings.compat)))
    model = inference.TfliteModel(path)
    return ExportedFile(path.name, settings.quantize, _runner(network, [model.features, model.run]))


def _write_graph(network: TrainedNetwork, path: Path) -> ExportedFile:
    definition = graph_file.make_graph(network)
    path.write_bytes(graph_file.memory_mapped(definition) if path.suffix == ".pbmm" else definition.SerializeToString())
    calls = graph_file.make_calls(graph_file.read_graph(path.read_bytes()), network)
    return ExportedFile(path.name, False, _runner(network, calls))


def _write_saved_model(network: TrainedNetwork, path: Path) -> ExportedFile:
    graph_file.write_saved_model(network, path)
    return ExportedFile(path.name, False, _runner(network, graph_file.load_calls(path, network)))


def _runner(network: TrainedNetwork, calls: Sequence[inference.Call]) -> Callable[[Pcm], Array]:
    """Return what runs a network of which the first call computes features and the last the rest."""
    if network.is_bidirectional:
        return lambda samples: inference.run_whole(calls[-1], samples)
    return lambda samples: inference.run_stream(network, calls[0], calls[-1], samples)


def write_card(
    settings: ExportSettings, network: TrainedNetwork, origin: Origin, recordings: Sequence[str], folder: Path
) -> list[str]:
    """Write the model card of the files in a folder, which were compared on recordings; return all names."""
    names = sorted((path.name for path in folder.iterdir()), key=lambda name: (not name.endswith(".tflite"), name))
    verified = f"Each file was compared with the checkpoint on {', '.join(Path(path).name for path in recordings)}."
    card = make_card(settings.card_fields("tflite"), network, origin, names, verified)
    (folder / settings.card_name).write_text(card, encoding="utf-8")
    return [*names, settings.card_name]


@contextlib.contextmanager
def full_precision() -> Iterator[None]:
    """Let GPUs multiply in float32 instead of TF32, which has 10 bits; on the CPU nothing changes."""
    settings = tf.config.experimental
    before = settings.tensor_float_32_execution_enabled()
    settings.enable_tensor_float_32_execution(False)
    try:
        yield
    finally:
        settings.enable_tensor_float_32_execution(before)


@contextlib.contextmanager
def new_export(folder: Path, removes: bool) -> Iterator[Path]:
    """Offer a folder to write an export to; what is in it when all has gone well takes its place.

    Args:
        folder: of the export, made if absent.
        removes: remove what earlier exports left in it, once the new one is there.

    Raises:
        ExportError: the disk refuses, or the list of earlier exports cannot be read.
    """
    was_there = folder.exists()
    staging = folder / STAGING
    try:
        make_directory(folder)
        old = _exported(folder)
        shutil.rmtree(staging, ignore_errors=True)  # what a killed process left behind
        staging.mkdir()
        yield staging
        new = sorted(path.name for path in staging.iterdir())
        for name in new:
            if (folder / name).is_dir():  # which no other can replace
                _remove(folder / name)
            publish(staging / name, folder / name)
        for name in old - set(new) if removes else ():
            _remove(folder / name)
        listed = sorted({*new} if removes else {*new, *old})
        write_atomically(folder / FILES, json.dumps({"files": listed}, indent=1, ensure_ascii=False) + "\n")
    except OSError as error:
        raise ExportError(f"Cannot export to {folder}: {error}; make room or choose another --export_dir.") from error
    finally:
        shutil.rmtree(staging, ignore_errors=True)
        if not was_there:
            with contextlib.suppress(OSError):
                folder.rmdir()  # which is refused where there is an export


def _exported(folder: Path) -> set[str]:
    """Return the names of what earlier exports wrote."""
    path = folder / FILES
    if not path.exists():
        return set()
    try:
        names = json.loads(path.read_text("utf-8"))["files"]
        if all(isinstance(name, str) and name == Path(name).name for name in names):
            return set(names)
    except (OSError, ValueError, KeyError, TypeError):
        pass
    raise ExportError(f"{path} is not a list of exported files: remove it, or choose another --export_dir.")


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def write_zip(folder: Path, names: Sequence[str], scorer_path: str) -> Path:
    """Zip files and folders of an export, and a scorer if there is one, beside its folder; return the archive.

    Raises:
        ExportError: the disk refuses.
    """
    folder = folder.resolve()
    archive = folder.with_name(f"{folder.name}.zip")
    beside = archive.with_name(f".{archive.name}.{os.getpid()}.tmp")
    members = [
        path for name in names for path in sorted([folder / name, *(folder / name).rglob("*")]) if path.is_file()
    ]
    try:
        with zipfile.ZipFile(beside, "w", zipfile.ZIP_DEFLATED) as file:
            for path in members:
                file.write(path, path.relative_to(folder.parent))
            if scorer_path:
                file.write(scorer_path, Path(folder.name, Path(scorer_path).name))
        publish(beside, archive)
    except OSError as error:
        raise ExportError(f"Cannot write {archive}: {error.strerror}; make room or leave out --export_zip.") from error
    finally:
        beside.unlink(missing_ok=True)
    return archive
