"""``python -m django_websocket.serving [-m MODULE | SCRIPT] [ARGUMENT ...]``: run a program, patched.

The program runs as ``python [-m MODULE | SCRIPT] [ARGUMENT ...]`` would run it, but on green threads from its
first line. ``manage.py runwsserver`` starts itself again through here.
"""

from __future__ import annotations

from .patch import patch

patch()

import os  # noqa: E402  the patch comes first
import runpy  # noqa: E402
import sys  # noqa: E402

USAGE = "usage: python -m django_websocket.serving [-m MODULE | SCRIPT] [ARGUMENT ...]"


def run_program(arguments: list[str]) -> None:
    """Run the script or the module that ``arguments`` begin with as ``__main__``."""
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
    from .runserver.reloading import is_reloading, run_until_it_loads

    if is_reloading():
        run_until_it_loads(lambda: run_program(arguments))
    else:
        run_program(arguments)


if __name__ == "__main__":
    main()
