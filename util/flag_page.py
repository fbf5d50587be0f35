"""Flags for people to read: what is the same in the help text, and their page of the documentation."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

CHECKOUT = Path(__file__).resolve().parent.parent
_KINDS = {  # of values, by absl's names
    "bool": "switch",
    "int": "whole number",
    "float": "number",
    "string": "text",
    "multi string": "text, repeatable",
    "comma separated list of strings": "list, comma separated",
}


def write_name(name: str, flag: Any) -> str:
    """Return a flag (of absl) as it is given: with `[no]` if it is a switch."""
    return f"--[no]{name}" if flag.boolean else f"--{name}"


def write_default(flag: Any) -> str:
    """Return the default of a flag (of absl) for people; nothing where there is none."""
    if flag.boolean:
        return "yes" if flag.default else "no"
    if isinstance(flag.default, list):
        return ",".join(flag.default)
    if isinstance(flag.default, float):
        return f"{flag.default:g}"
    return "" if flag.default is None else str(flag.default)


def write_page(
    sections: Mapping[str, Mapping[str, Any]], aliases: Mapping[str, str], retired: Mapping[str, str]
) -> str:
    """Write doc/Flags.md, the same in every checkout.

    Args:
        sections: by title, flags (of absl) by name.
        aliases: old names, and the flags they stand for.
        retired: by notice, the flags that it answers, between blanks.
    """
    lines = [
        "# Flags",
        "",
        "What `DeepSpeech.py` can be told, in the order of its story. `--flagfile=FILE` reads flags from a file,",
        "one on each line. `make flags` writes this page from the definitions in `DeepSpeech.py`.",
    ]
    for title, flags in sections.items():
        lines += ["", f"## {title}", "", "| flag | value | default | meaning |", "| --- | --- | --- | --- |"]
        lines += [_row(name, flag) for name, flag in flags.items()]
    lines += [
        "",
        "## From older versions",
        "",
        "Taken, with a notice where they have no effect, so that old scripts run.",
    ]
    lines += ["", "| flag | now |", "| --- | --- |"]
    lines += [f"| `--{alias}` | the same as `--{name}` |" for alias, name in aliases.items()]
    for notice, names in retired.items():
        lines.append(f"| {', '.join(f'`--{name}`' for name in names.split())} | {_mark_up(notice)} |")
    return "\n".join(lines)


def _row(name: str, flag: Any) -> str:
    values = getattr(flag.parser, "enum_values", None) or ()
    kind = " ".join(f"`{value}`" for value in values if value) or _KINDS.get(flag.flag_type(), flag.flag_type())
    default = write_default(flag).removeprefix(f"{CHECKOUT}/")
    meaning = flag.help.removeprefix(f"<{'|'.join(values)}>: ")
    return f"| `{write_name(name, flag)}` | {kind} | {f'`{default}`' if default else ''} | {_mark_up(meaning)} |"


def _mark_up(text: str) -> str:
    """Write flags as code, and keep what has a meaning in Markdown from having it."""
    return re.sub(r"--\w+", r"`\g<0>`", re.sub(r"([|*<>])", r"\\\1", text))
