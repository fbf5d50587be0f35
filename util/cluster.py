"""The devices a run computes on."""

from __future__ import annotations

import os

from util import tf


def start_devices(inter_op: int, intra_op: int, seed: int, grow_gpu_memory: bool, log_placement: bool) -> str:
    """Set TensorFlow up for this process; the same command then gives the same numbers.

    Args:
        inter_op: operations that run at a time; 0: as many as there are cores.
        intra_op: threads of one operation; 0: as many as there are cores.
        seed: seed of TensorFlow's stateful random operations.
        grow_gpu_memory: take GPU memory as it is needed instead of all of it.
        log_placement: log the device of every operation.

    Returns:
        What the run computes on, for people.
    """
    tf.config.threading.set_inter_op_parallelism_threads(inter_op)
    tf.config.threading.set_intra_op_parallelism_threads(intra_op)
    tf.config.experimental.enable_op_determinism()
    tf.random.set_seed(seed)
    tf.debugging.set_log_device_placement(log_placement)
    gpus = tf.config.list_physical_devices("GPU")
    for gpu in gpus:
        tf.config.experimental.set_memory_growth(gpu, grow_gpu_memory)
    return f"TensorFlow {tf.__version__} on " + (f"{len(gpus)} GPU(s)" if gpus else f"{count_cores()} CPU core(s)")


def count_cores() -> int:
    """Return how many CPU cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
