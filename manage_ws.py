#!/usr/bin/env python
"""The demo project's manage.py, which patches the standard library before it imports Django."""

from django_websocket.serving.patch import patch

patch()

import os  # noqa: E402
import sys  # noqa: E402

from django.core.management import execute_from_command_line  # noqa: E402


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "server.settings")
    execute_from_command_line(sys.argv)


if __name__ == "__main__":
    main()
