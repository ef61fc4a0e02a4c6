"""``python -m benchmarks``: enter the bench's environment (made at the first run), then run the command line there."""

from __future__ import annotations

import os
import sys

from .environment import ROOT, ready

if __name__ == "__main__":
    python = str(ready())
    os.environ["PYTHONPATH"] = str(ROOT)
    os.execv(python, [python, "-m", "benchmarks.cli", *sys.argv[1:]])
