"""Adam (Kingma and Ba 2014, arXiv:1412.6980, algorithm 1) on TensorFlow's fused operation."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from util import tf

Tensor = Any


class Adam:
    """Holds the moments of some variables and updates both in place.

    Attributes:
        moments: float32 variables by name, `VARIABLE/Adam` and `VARIABLE/Adam_1` (the first and the
            second moment, as TensorFlow 1 names them in its checkpoints).
    """

    def __init__(self, variables: Mapping[str, Any], beta1: float, beta2: float, epsilon: float):
        self._variables = variables
        self._constants = {"beta1": beta1, "beta2": beta2, "epsilon": epsilon}
        self.moments: dict[str, Any] = {}
        for name, variable in variables.items():
            for slot in (f"{name}/Adam", f"{name}/Adam_1"):
                with tf.distribute.get_strategy().extended.colocate_vars_with(variable):
                    self.moments[slot] = tf.Variable(tf.zeros_like(variable), trainable=False, name=slot)

    def apply(
        self, gradients: Mapping[str, Tensor], max_norm: float, step: Tensor, rate: Tensor, wanted: Tensor | bool = True
    ) -> Tensor:
        """Add the operations of one update to the graph; nothing happens if a gradient is not finite.

        Args:
            gradients: by the names of variables; the others stay as they are, their moments too.
            max_norm: gradients are scaled down to this global norm (Pascanu et al. 2013,
                arXiv:1211.5063, algorithm 1); 0: never.
            step: int32, updates before this one.
            rate: float32, learning rate.
            wanted: bool; nothing happens without it.

        Returns:
            float32, the global norm of the gradients before scaling.
        """
        norm = tf.linalg.global_norm(list(gradients.values()))
        if max_norm:
            scale = max_norm / tf.maximum(norm, max_norm)
            gradients = {name: gradient * scale for name, gradient in gradients.items()}
        tf.cond(wanted & tf.math.is_finite(norm), lambda: self._update(gradients, step, rate), tf.no_op)
        return norm

    def _update(self, gradients: Mapping[str, Tensor], step: Tensor, rate: Tensor) -> Any:
        powers = self.powers(tf.cast(step, tf.float32))
        for name, gradient in gradients.items():
            variable = self._variables[name]
            with tf.device(variable.device):  # that of the parameter server, where there is one
                tf.raw_ops.ResourceApplyAdam(
                    var=variable.handle,
                    m=self.moments[f"{name}/Adam"].handle,
                    v=self.moments[f"{name}/Adam_1"].handle,
                    lr=rate,
                    grad=gradient,
                    **powers,
                    **self._constants,
                )
        return tf.no_op()

    def powers(self, step: Any) -> dict[str, Any]:
        """Return float32 `beta1_power` and `beta2_power` of the update after `step` others."""
        return {
            f"{beta}_power": tf.pow(self._constants[beta], tf.cast(step + 1, tf.float32)) for beta in ("beta1", "beta2")
        }
