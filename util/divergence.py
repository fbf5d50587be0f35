"""What to do when training diverges: leave steps without a finite loss out, and stop when there is nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from util.errors import TrainingError
from util.progress import Console


class Guard:
    """Watches the losses of every step."""

    def __init__(self, limit: int, checkpoints: Path, console: Console):
        """Begin.

        Args:
            limit: steps in a row without a finite gradient after which training stops.
            checkpoints: where the last good ones are.
            console: told of utterances without a finite loss.
        """
        self._limit, self._checkpoints, self._console = limit, checkpoints, console
        self._broken = 0  # steps in a row

    @property
    def is_well(self) -> bool:
        """Whether the last step had a finite gradient."""
        return not self._broken

    def check(
        self, losses: NDArray[np.float32], n_counted: float, norm: float, step: int, paths: Sequence[str]
    ) -> None:
        """Look at a step.

        Args:
            losses: float32 [batch], of the part of the batch that is this process's.
            n_counted: losses of the whole batch that are finite.
            norm: of the gradient; the update has been made if it is finite and any loss is.
            step: its number, from 1.
            paths: the utterances.

        Raises:
            TrainingError: `limit` steps in a row had no finite gradient.
        """
        finite = np.isfinite(losses)
        if not (n_counted or paths):
            return  # no file of the batch can be read
        is_updated = bool(n_counted and np.isfinite(norm))
        self._broken = 0 if is_updated else self._broken + 1
        suspects = [path for path, good in zip(paths, finite, strict=True) if not good]
        if not is_updated:
            suspects = suspects or list(paths)
        if suspects:
            self._console.warn(f"Step {step}: the loss is not a number, left out of the update: {', '.join(suspects)}")
        if self._broken == self._limit:
            raise TrainingError(
                f"No finite loss in {self._limit} steps in a row: training has diverged. The checkpoints in"
                f" {self._checkpoints} are from before; lower --learning_rate or set --max_grad_norm."
            )
