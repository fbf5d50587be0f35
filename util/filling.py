"""Variables filled with the arrays of a checkpoint or model file."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from util.errors import CheckpointError

MOMENTS = "/Adam", "/Adam_1"  # ends of the names of Adam's moments


def fill(
    variables: Mapping[str, Any], find: Callable[[str], Any], where: object, optional: tuple[str, ...] = ()
) -> list[str]:
    """Assign the arrays that are found to variables.

    Args:
        variables: by name.
        find: returns the array of a name, None where there is none.
        where: they are looked for.
        optional: ends of the names of variables that become zero where there is none.

    Returns:
        The names of those that became zero.

    Raises:
        CheckpointError: another is missing, or one has another shape.
    """
    missing = []
    for name, variable in variables.items():
        value, shape = find(name), variable.shape.as_list()
        if value is None:
            if not name.endswith(optional):
                raise CheckpointError(f"{where} has no variable {name}: it is of another network.")
            missing.append(name)
            value = np.zeros(shape, np.float32)
        if list(value.shape) != shape:
            raise CheckpointError(
                f"{where} holds {name} of shape {list(value.shape)}, the network of these flags wants {shape}:"
                " use the flags it was trained with."
            )
        variable.assign(value)
    return missing
