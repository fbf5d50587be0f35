"""TensorFlow, imported at first use, so that --help, flag errors and the data check never wait for it.

`from util import tf` and `tf.matmul(...)` read as usual; the first attribute access imports the
library. Nothing may therefore touch `tf` while a module is being imported (no decorators, no bases).
"""

from __future__ import annotations

import contextlib
import functools
import importlib
import logging
import os
import tempfile
import warnings
from collections.abc import Iterator
from types import ModuleType
from typing import Any

_NOISE = (  # what no setting stops: the first two everywhere, the others where there is no GPU
    b"absl::InitializeLog()",
    b"oneDNN custom operations are on",
    b"Could not find cuda drivers",
    b"failed call to cuInit",
)


def __getattr__(name: str) -> Any:
    if name.startswith("__") and name != "__version__":
        raise AttributeError(name)
    globals()[name] = attribute = getattr(_load(), name)
    return attribute


@functools.cache
def _load() -> ModuleType:
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # the console is ours
    os.environ.setdefault("TF_USE_LEGACY_KERAS", "1")  # we use no Keras: this skips its import, 0.4 s and 45 MiB
    with _without_noise():
        tensorflow = importlib.import_module("tensorflow")
        tensorflow.config.list_physical_devices()  # looks for GPUs, and is noisy where there are none
    logging.getLogger("tensorflow").setLevel(logging.ERROR)
    return tensorflow


def part(name: str) -> Any:
    """Return a module of TensorFlow that has no public name: the classes of a file format."""
    _load()
    return importlib.import_module(f"tensorflow.{name}")


def lite_interpreter(path: str) -> Any:
    """Return TensorFlow Lite's interpreter of a file, with its own kernels only.

    Those quantise activations symmetrically, by rows, as a file asks for; the ones that it would otherwise choose
    do as they like.
    """
    lite = _load().lite
    kernels = lite.experimental.OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that there is a package of its own now
        return lite.Interpreter(path, experimental_op_resolver_type=kernels)


@contextlib.contextmanager
def _without_noise() -> Iterator[None]:
    """Hold back what the import writes to standard error, and pass on all but the noise."""
    stderr = os.dup(2)
    with tempfile.TemporaryFile() as held:
        os.dup2(held.fileno(), 2)
        try:
            yield
        finally:
            os.dup2(stderr, 2)
            os.close(stderr)
            held.seek(0)
            for line in held:
                if not any(noise in line for noise in _NOISE):
                    os.write(2, line)
