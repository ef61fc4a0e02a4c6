"""``python -m django_websocket.serving [-m MODULE | SCRIPT] [ARGUMENT ...]``: run a monkey-patched program.

The program runs as under ``python [-m MODULE | SCRIPT] [ARGUMENT ...]``, but on green threads from its first line.
``manage.py runwsserver`` re-executes itself through this module.
"""

from __future__ import annotations

from .patch import patch

patch()

import os  # noqa: E402  patch() must run first
import runpy  # noqa: E402
import sys  # noqa: E402

USAGE = "usage: python -m django_websocket.serving [-m MODULE | SCRIPT] [ARGUMENT ...]"


def run_program(arguments: list[str]) -> None:
    """Run the script or ``-m`` module at the start of ``arguments`` as ``__main__``."""
    if arguments[0] == "-m":
        sys.argv = arguments[1:]
        runpy.run_module(arguments[1], run_name="__main__", alter_sys=True)
        return
    sys.argv = arguments
    if not sys.flags.safe_path:
        sys.path[0] = os.path.dirname(os.path.realpath(arguments[0]))
    runpy.run_path(arguments[0], run_name="__main__")


def main() -> None:
    arguments = sys.argv[1:]
    if not arguments or arguments == ["-m"]:
        sys.exit(USAGE)
    from .runserver.reloading import is_reloading, run_or_wait_for_change

    if is_reloading():
        run_or_wait_for_change(lambda: run_program(arguments))
    else:
        run_program(arguments)


if __name__ == "__main__":
    main()
