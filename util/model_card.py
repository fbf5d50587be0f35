"""Model cards: what a model is, by whom, of what, and how well it recognises; Markdown behind YAML."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from util.checkpoints import read_run
from util.trained import TrainedNetwork

ABSENT = "not given"
FIELDS = {  # name, what it is unless somebody says, meaning
    "author_id": ("author", "who made the model; begins the card's file name"),
    "model_name": ("model", "name of the model"),
    "model_version": ("0.0.1", "its version"),
    "contact_info": ("", "how to reach the author"),
    "license": ("", "licence of the model"),
    "language": ("", "language (also in the files), as in 'en-US'"),
    "min_ds_version": ("", "oldest version of DeepSpeech that runs the model"),
    "max_ds_version": ("", "newest version of DeepSpeech that runs the model"),
    "description": ("", "what the model is for"),
}


@dataclass(frozen=True)
class Origin:
    """Where a network comes from.

    Attributes:
        run: what run.json says, see `checkpoints.RunDirectory.describe`.
        state: what was saved with the weights, see `checkpoints.State`.
        events: of metrics.jsonl.
    """

    run: Mapping[str, Any]
    state: Mapping[str, Any]
    events: Sequence[Mapping[str, Any]]

    @classmethod
    def read(cls, directory: Path | None, state: Mapping[str, Any]) -> Origin:
        """Read what the directory of a run tells; there may be none."""
        if directory is None:
            return cls({}, state, [])
        return cls(read_run(directory), state, read_events(directory / "metrics.jsonl"))


def read_events(path: Path) -> list[dict[str, Any]]:
    """Read metrics.jsonl as far as it can be read: a killed process may have left half a line."""
    events = []
    for line in path.read_text("utf-8", errors="replace").splitlines() if path.exists() else ():
        try:
            event = json.loads(line)
        except ValueError:
            continue
        if isinstance(event, dict):
            events.append(event)
    return events


def make_card(
    fields: Mapping[str, str], network: TrainedNetwork, origin: Origin, files: Sequence[str], verified: str
) -> str:
    """Return the text of a model card.

    Args:
        fields: of its head, empty where nobody gave them; and the `description`.
        network: what was exported.
        origin: where it comes from.
        files: the exported files, the one for most purposes first.
        verified: how the files were compared with the checkpoint.
    """
    head = [name for name in fields if name != "description"]
    return "\n".join(
        [
            "---",
            *(f"{name}: {json.dumps(fields[name] or ABSENT, ensure_ascii=False)}" for name in head),  # JSON is YAML
            f"---\n\n# {fields['model_name']} {fields['model_version']}\n",
            fields["description"] or "No description was given.",
            f"\n## Use\n\n    deepspeech --model {files[0]} --audio my.wav\n",
            f"Files: {', '.join(f'`{name}`' for name in files)}.",
            f"Clients follow {network.beam_width} prefixes at a time unless told otherwise.\n\n{verified}",
            "\n## Network\n",
            *_network(network),
            "\n## Training\n",
            *_training(origin),
            "\n## Results\n",
            *_results(origin.events),
            f"\n## Licence\n\n{fields['license'] or 'No licence was given.'}\n",
        ]
    )


def _network(network: TrainedNetwork) -> Iterator[str]:
    wanted = network.features
    kind = "forward and backward, for whole utterances" if network.is_bidirectional else "forward only, for streams"
    n_weights = sum(weights.size for weights in network.weights.values())
    yield f"- {network.n_hidden} units a layer, LSTM {kind}; {n_weights / 1e6:.3g} million weights"
    yield f"- layer normalisation: {'yes' if network.has_layer_norm else 'no'}; units clipped at {network.relu_clip:g}"
    yield f"- audio: {wanted.sample_rate} Hz, mono"
    yield f"- features: {wanted.n_input} cepstra ({wanted.name}) of {wanted.window_ms:g} ms every {wanted.step_ms:g} ms"
    yield f"- alphabet: {network.n_classes - 1} labels"


def _training(origin: Origin) -> Iterator[str]:
    flags, state = origin.run.get("flags", {}), origin.state
    for purpose in ("train", "dev"):
        names = ", ".join(Path(path).name for path in flags.get(f"{purpose}_files", ()))
        yield f"- {purpose} data: {names or 'not recorded'}"
    yield f"- fingerprint of the training data: {origin.run.get('train_set', 'not recorded')}"
    yield f"- {state.get('epoch', '?')} epochs, {state.get('step', '?')} updates"
    for name in ("train_batch_size", "learning_rate", "dropout_rate"):
        if name in flags:
            yield f"- {name.replace('_', ' ')}: {flags[name]}"


def _results(events: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """Tell of the last test and the last validation on each set."""
    last = {
        (event["event"], event["set"]): event
        for event in events
        if event.get("event") in ("test", "validation") and "set" in event
    }
    if not last:
        yield "Not measured."
        return
    yield from ("| set | measured in | WER | CER | loss |", "| --- | --- | --- | --- | --- |")
    for (kind, name), event in last.items():
        yield (
            f"| {Path(name).name} | {kind} | "
            + " | ".join(_number(event.get(key)) for key in ("wer", "cer", "loss"))
            + " |"
        )


def _number(value: Any) -> str:
    return f"{value:.4f}" if isinstance(value, int | float) else "-"
