"""``python -m benchmarks``: create the bench's environment on the first run, enter it, and run the command line."""

from __future__ import annotations

import os
import sys

from .environment import ROOT, ready

if __name__ == "__main__":
    python = str(ready())
    os.environ["PYTHONPATH"] = str(ROOT)
    os.execv(python, [python, "-m", "benchmarks.cli", *sys.argv[1:]])
