"""Setting TensorFlow up, in a process of its own since it can be done only once."""

import os
import re
import subprocess
import sys

from conftest import ROOT

PROGRAM = """
import json, sys
from util import tf
from util.joining import DeviceSettings, start_devices
inter_op, intra_op, seed, log_placement = json.loads(sys.argv[1])
print(start_devices(DeviceSettings(inter_op, intra_op, seed, True, log_placement)))
threading = tf.config.threading
print(threading.get_inter_op_parallelism_threads(), threading.get_intra_op_parallelism_threads())
first = tf.random.uniform([3]).numpy().tolist()
tf.random.set_seed(7)
print(tf.random.uniform([3]).numpy().tolist() == first)
tf.matmul([[2.0]], [[3.0]])
tf.random.set_seed(None)
try:
    tf.random.uniform([3])
except RuntimeError as error:
    print(error)
"""


def start(arguments: str) -> list[str]:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, arguments],
        env={**os.environ, "CUDA_VISIBLE_DEVICES": "", "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.splitlines()


def test_a_quiet_start():
    computes_on, threads, same_seed, without_seed = start("[1, 2, 7, false]")
    cores = len(os.sched_getaffinity(0))
    assert re.fullmatch(rf"TensorFlow 2\.\d+\.\d+\S* on {cores} CPU core\(s\)", computes_on)
    assert threads == "1 2"
    assert same_seed == "True"
    assert "determinism" in without_seed


def test_another_seed_and_the_log_of_placements():
    lines = start("[0, 0, 8, true]")
    assert {"0 0", "False"} <= set(lines)
    assert any("MatMul" in line and "device:CPU:0" in line for line in lines)
