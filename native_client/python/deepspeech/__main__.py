"""The command `deepspeech`, as `python -m deepspeech`."""

import sys

from deepspeech.cli import main

sys.exit(main())
