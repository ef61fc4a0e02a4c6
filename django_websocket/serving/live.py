"""``python -m django_websocket.serving.live FD``: the server of a live test case, which has the other end of ``FD``."""

from __future__ import annotations

from .patch import patch

patch()

import os  # noqa: E402  patch() must run first
import pickle  # noqa: E402
import socket  # noqa: E402
import sys  # noqa: E402
import traceback  # noqa: E402
import warnings  # noqa: E402
from typing import Any  # noqa: E402

import django  # noqa: E402
from django.apps import apps  # noqa: E402
from django.conf import settings  # noqa: E402
from django.core.signals import got_request_exception, setting_changed  # noqa: E402
from django.core.wsgi import get_wsgi_application  # noqa: E402
from django.test.testcases import FSFilesHandler  # noqa: E402  its receivers of setting_changed, too

from ..testing.control import Control  # noqa: E402
from .green import eventlet  # noqa: E402
from .green.exiting import end_children, guard_exit  # noqa: E402
from .process.binding import bind_sockets  # noqa: E402
from .process.operator_signals import operator_signals  # noqa: E402
from .process.site import SiteServer  # noqa: E402

DRAIN_TIMEOUT = 2.0
"""Seconds that views get once the test has ended."""


class MediaFilesHandler(FSFilesHandler):
    """Serves uploaded files."""

    def get_base_dir(self) -> str:
        return str(settings.MEDIA_ROOT)

    def get_base_url(self) -> str:
        return settings.MEDIA_URL


def build(description: dict[str, Any]) -> SiteServer:
    """Set up the project as the test has it."""
    os.environ["DJANGO_SETTINGS_MODULE"] = description["module"]
    with warnings.catch_warnings(action="ignore"):  # some are deprecated: that is for the test to hear
        for name, value in description["settings"].items():
            setattr(settings, name, pickle.loads(value))
    django.setup()
    application: Any = get_wsgi_application()
    if settings.MEDIA_ROOT and settings.MEDIA_URL not in ("", "/"):
        application = MediaFilesHandler(application)
    if apps.is_installed("django.contrib.staticfiles"):
        from django.contrib.staticfiles.handlers import StaticFilesHandler

        application = StaticFilesHandler(application)
    return SiteServer(application, bind_sockets(f"fd://{description['listener']}"))


def print_exception(**kwargs: Any) -> None:
    """Show what a view has raised. By default Django logs it nowhere unless DEBUG is on, which it is not in tests."""
    traceback.print_exc()


def follow(control: Control, server: SiteServer) -> None:
    """Take over the test's settings until it closes the connection, or dies."""
    try:
        while True:
            setting, value, enter = control.receive()
            try:
                change_setting(setting, value, enter)
            except Exception:
                control.send(traceback.format_exc())
            else:
                control.send(None)
    except (EOFError, OSError):
        server.stop(drain_timeout=DRAIN_TIMEOUT)


def change_setting(setting: str, value: bytes | None, enter: bool) -> None:
    """Do what ``override_settings`` did in the test."""
    if value is None:
        delattr(settings, setting)
        new = None
    else:
        new = pickle.loads(value)
        setattr(settings, setting, new)
    if setting == "INSTALLED_APPS":
        if enter:
            apps.set_installed_apps(new or [])
        else:
            apps.unset_installed_apps()
    setting_changed.send(sender=None, setting=setting, value=new, enter=enter)


def main() -> None:
    control = Control(socket.socket(fileno=int(sys.argv[1])))
    description = control.receive()
    try:
        server = build(description)
    except BaseException:
        control.send(traceback.format_exc())
        raise SystemExit(1) from None
    got_request_exception.connect(print_exception)
    control.send(None)
    eventlet.spawn(follow, control, server)
    with operator_signals(lambda _: server.stop(drain_timeout=DRAIN_TIMEOUT), until_exit=True):
        server.serve()
        end_children(lambda: server.drain_deadline)
    guard_exit()


if __name__ == "__main__":
    main()
