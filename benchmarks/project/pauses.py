"""Pauses of the garbage collector: recorded by the server, read by ``benchmarks.capacity``."""

from __future__ import annotations

import gc
import os
import time
from pathlib import Path

#: The environment variable that names the file.
VARIABLE = "BENCHMARK_PAUSES"


def record_pauses() -> None:
    """Append the seconds of each of the collector's passes to the file, if one is named."""
    path = os.environ.get(VARIABLE)
    if not path:
        return
    file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    began = 0.0

    def note(phase: str, info: dict[str, int]) -> None:
        nonlocal began
        if phase == "start":
            began = time.perf_counter()
        else:
            os.write(file, f"{time.perf_counter() - began:.6f}\n".encode())

    gc.callbacks.append(note)


def longest_pause(path: Path) -> float:
    """Seconds of the longest pass since the last call, 0.0 without any."""
    passes = [float(line) for line in path.read_text().splitlines()]
    os.truncate(path, 0)
    return max(passes, default=0.0)
