"""What the test project has other processes do."""

from __future__ import annotations

import os
import sys
import threading
import time
import urllib.request
from typing import Any


def slow_square(number: int) -> int:
    time.sleep(0.05)
    return number * number


def length(data: bytes) -> int:
    return len(data)


def fail(number: int) -> int:
    raise ValueError(f"no square of {number}")


def sleep_for(seconds: float) -> float:
    time.sleep(seconds)
    return seconds


def send_square(writer: Any, number: int) -> None:
    writer.send(slow_square(number))


def put_square(results: Any, number: int) -> None:
    results.put(slow_square(number))


def exit_with(status: int) -> None:
    sys.exit(status)


def wait_for_file(path: str) -> bool:
    while not os.path.exists(path):
        time.sleep(0.01)
    return True


class HeldUp:
    """It is only unpickled once the file at ``path`` exists; another says that this has begun."""

    def __init__(self, path: str) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return _hold_up, (self.path,)


def _hold_up(path: str) -> bool:
    with open(f"{path}-begun", "w"):
        pass
    return wait_for_file(path)


def send_length(writer: Any, held_up: bool, data: bytes) -> None:
    writer.send(len(data))


def ask_in_threads(host: str, count: int) -> list[str]:
    """What ``count`` threads that wait first get from the server at ``host``."""
    answers: list[str] = []

    def ask() -> None:
        time.sleep(0.02)
        with urllib.request.urlopen(f"http://{host}/common/plain/", timeout=30) as response:
            answers.append(response.read().decode())

    threads = [threading.Thread(target=ask) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return answers
