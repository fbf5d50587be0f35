"""TensorFlow, imported at first use, so that --help, flag errors and the data check never wait for it.

`from util import tf` and `tf.matmul(...)` read as usual; the first attribute access imports the
library. Nothing may therefore touch `tf` while a module is being imported (no decorators, no bases).
"""

from __future__ import annotations

import importlib
import logging
import os
from typing import Any


def __getattr__(name: str) -> Any:
    if name.startswith("__"):
        raise AttributeError(name)
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # the console is ours
    os.environ.setdefault("TF_USE_LEGACY_KERAS", "1")  # we use no Keras: this skips its import, 0.4 s and 45 MiB
    tensorflow = importlib.import_module("tensorflow")
    logging.getLogger("tensorflow").setLevel(logging.ERROR)
    attribute = getattr(tensorflow, name)
    globals()[name] = attribute
    return attribute
