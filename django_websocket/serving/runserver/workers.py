"""The command line of gunicorn that serves a project as ``runwsserver`` would, in several processes."""

from __future__ import annotations

import os
import shutil
import sys
import sysconfig
from importlib.util import find_spec
from pathlib import Path

from django.conf import settings

from ...conf import get_setting
from ..process.worker import GRACE_SECONDS

__all__ = ["gunicorn_command"]

WORKER = "django_websocket.serving.gunicorn.EventletWorker"


def gunicorn_command(
    address: str,
    number: int,
    *,
    socket_mode: int | None = None,
    certificate: str | None = None,
    key: str | None = None,
    python_path: str | None = None,
) -> list[str]:
    """Return the command line for ``number`` workers on ``address``. Raises ValueError if gunicorn isn't installed.

    ``python_path`` is a directory that was added to Python's.
    """
    # Not python -m gunicorn, with which gunicorn can't start itself again on SIGUSR2.
    script = shutil.which("gunicorn", path=sysconfig.get_path("scripts")) or shutil.which("gunicorn")
    if find_spec("gunicorn") is None or script is None:
        raise ValueError("--workers needs gunicorn: pip install 'django-websocket[gunicorn]'")
    command = [sys.executable, script, "--worker-class", WORKER, "--workers", str(number), "--bind", address]
    command += ["--access-logfile", "-"]
    directories = [each for each in (python_path, _script_directory()) if each]
    if directories:
        command += ["--pythonpath", ",".join(directories)]
    drain = get_setting("WEBSOCKET_DRAIN_TIMEOUT")
    if drain is not None:
        command += ["--graceful-timeout", str(round(drain + GRACE_SECONDS))]
    if address.startswith("unix:"):
        command += ["--umask", oct(_umask() if socket_mode is None else 0o777 & ~socket_mode)]
    if certificate is not None:
        command += ["--certfile", certificate, "--keyfile", key or certificate]
    return [*command, _application()]


def _script_directory() -> str | None:
    """Where this process's script is. Python has looked there first, except under ``python -m``: gunicorn looks into
    the current directory, too, and that of Django's own modules would hide some of the standard library.
    """
    if getattr(sys.modules["__main__"], "__spec__", None) is not None:
        return None
    return str(Path(sys.argv[0]).resolve().parent)


def _application() -> str:
    """Return the project's WSGI application in gunicorn's notation."""
    path: str | None = settings.WSGI_APPLICATION
    if path is None:
        return "django.core.wsgi:get_wsgi_application()"
    module, _, name = path.rpartition(".")
    return f"{module}:{name}"


def _umask() -> int:
    mask = os.umask(0o077)
    os.umask(mask)
    return mask
