"""``manage.py runwsserver``: Django's ``runserver`` on our server, which supports websockets."""

from __future__ import annotations

import sys
from argparse import ArgumentTypeError
from datetime import datetime
from typing import TYPE_CHECKING, Any, NoReturn

from django.apps import apps
from django.conf import settings
from django.core.management.base import CommandError, CommandParser
from django.db import connections

from ...serving.green.outputs import protect_outputs
from ...serving.patch import is_patched
from ...serving.runserver import reloading

if TYPE_CHECKING:
    from ...serving.runserver.development import RunserverServer

if TYPE_CHECKING or apps.is_installed("django.contrib.staticfiles"):
    from django.contrib.staticfiles.management.commands.runserver import Command as Runserver
else:
    from django.core.management.commands.runserver import Command as Runserver

NOT_PATCHED = (
    "runwsserver needs a process that was patched for green threads before Django was imported. "
    "Run it from the command line, or start the program with: "
    "from django_websocket.serving.patch import patch; patch()"
)

MAX_PORT = 65535

MAX_WORKERS = 1024

RELOAD_DRAIN = 1.0
"""Seconds that views and requests have to finish before a reload; short, because a developer is waiting."""


def _socket_mode(text: str) -> int:
    """Return permissions from octal digits."""
    mode = int(text, 8) if text.isascii() and text.isdigit() and set(text) <= set("01234567") else -1
    if not 0 <= mode <= 0o777:
        raise ArgumentTypeError(f"not permissions in octal: {text!r}")
    return mode


def _number(text: str) -> int:
    """Return a positive number."""
    if not (text.isascii() and text.isdigit() and 0 < int(text) <= MAX_WORKERS):
        raise ArgumentTypeError(f"not a number from 1 to {MAX_WORKERS}: {text!r}")
    return int(text)


class Command(Runserver):
    help = (
        "Serves the project over HTTP and websockets. In development it works like runserver; with "
        "--noreload it is a single process, to run behind a proxy."
    )

    # Set by Django's command.
    addr: str
    port: str
    _raw_ipv6: bool
    _called_from_command_line: bool

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        for action in parser._actions:
            if action.dest == "addrport":
                action.help = "Optional port number, ipaddr:port, unix:path, or fd://number for an inherited socket"
            elif action.dest == "use_threading":
                action.help = "Has no effect: requests always run in green threads."
        parser.add_argument(
            "--socket-mode",
            metavar="MODE",
            type=_socket_mode,
            help="Permissions of the file of unix:path, in octal, such as 660. Default: what the umask leaves of 777.",
        )
        parser.add_argument(
            "--certificate",
            metavar="FILE",
            nargs="?",
            const="",
            help="Serve HTTPS, with the certificate chain in this file (PEM). Without a file: with one for"
            " development, which browsers ask about; needs the package trustme.",
        )
        parser.add_argument(
            "--key",
            metavar="FILE",
            help="The certificate's private key (PEM), if it isn't in the same file.",
        )
        parser.add_argument(
            "--workers",
            metavar="NUMBER",
            type=_number,
            help="Have gunicorn run so many processes, without reloading and without static files.",
        )
        # If True, Django's run() would add its threading mix-in to our server.
        parser.set_defaults(use_threading=False)

    def handle(self, *args: Any, **options: Any) -> None:
        if not (is_patched() or self._called_from_command_line):
            raise CommandError(NOT_PATCHED)
        self.server: RunserverServer | None = None
        self.endpoint: str | None = None
        if options["addrport"] and options["addrport"].startswith(("unix:", "fd://")):
            self.endpoint, options["addrport"] = options["addrport"], None
        self.socket_mode: int | None = options["socket_mode"]
        if self.socket_mode is not None and not (self.endpoint or "").startswith("unix:"):
            raise CommandError("--socket-mode needs an address unix:path.")
        self.certificate, self.key = self.find_certificate(options["certificate"], options["key"])
        super().handle(*args, **options)

    def find_certificate(self, certificate: str | None, key: str | None) -> tuple[str | None, str | None]:
        """Return the paths of certificate and key, which can be used; CommandError says why they can't."""
        if certificate is None:
            if key is not None:
                raise CommandError("--key needs --certificate.")
            return None, None
        from ...serving.tls import read_certificate

        try:
            if not certificate:
                if key is not None:
                    raise CommandError("--key needs a file behind --certificate.")
                from ...serving.runserver.self_signed import development_certificate

                certificate = development_certificate()
            read_certificate(certificate, key)
        except ImportError as error:
            raise CommandError(
                "A certificate for development is made by the package trustme. Install it, or give a certificate:"
                " --certificate FILE --key FILE."
            ) from error
        except (OSError, ValueError, RuntimeError) as error:  # the last one: nobody knows the home directory
            raise CommandError(str(error)) from error
        return certificate, key

    def run(self, **options: Any) -> None:
        """Serve, or start the process that does if this one is the supervisor or is not patched."""
        self.check_address()
        if options["workers"] is not None:
            self.run_workers(options["workers"], **options)
        if options["use_reloader"] and not reloading.is_reloading():
            sys.exit(reloading.supervise(self.patched_command_line()))
        if not is_patched():
            reloading.start_again(self.patched_command_line())
        if self._called_from_command_line:
            protect_outputs()
        self.server_cls = self.listen  # type: ignore[assignment]  # Django's run() only calls it
        if options["use_reloader"]:
            reloading.run_reloading(self.inner_run, self.stop_for_reload, self.remove_file, **options)
        else:
            self.inner_run(None, **options)

    def run_workers(self, number: int, **options: Any) -> NoReturn:
        """Check the project, then become gunicorn."""
        from ...serving.runserver.workers import gunicorn_command

        host = f"[{self.addr}]" if self._raw_ipv6 else self.addr
        try:
            command = gunicorn_command(
                self.endpoint or f"{host}:{self.port}",
                number,
                socket_mode=self.socket_mode,
                certificate=self.certificate,
                key=self.key,
                python_path=options["pythonpath"],
            )
        except ValueError as error:
            raise CommandError(str(error)) from error
        if not options["skip_checks"]:
            self.check(display_num_errors=True)
        self.check_migrations()
        connections.close_all()
        reloading.start_again(command)

    def check_address(self) -> None:
        """Refuse what Django's command doesn't look at, and no socket can be bound to; CommandError says why."""
        if self.endpoint is None:
            if int(self.port) > MAX_PORT:
                raise CommandError(f"{self.port} is not a valid port number: the largest is {MAX_PORT}.")
            return
        kind, _, rest = self.endpoint.partition(":")
        if kind == "unix" and not rest:
            raise CommandError("unix: needs a path, such as unix:/run/mysite.sock.")
        number = rest.removeprefix("//")
        if kind == "fd" and not (number.isascii() and number.isdigit() and len(number) < 10):
            raise CommandError(f"fd:// needs the number of a file descriptor, not {number!r}.")

    def patched_command_line(self) -> list[str]:
        try:
            return reloading.patched_command_line()
        except RuntimeError as error:
            raise CommandError(f"{error} {NOT_PATCHED}") from error

    def listen(self, address: tuple[str, int], handler_class: object, *, ipv6: bool) -> RunserverServer:
        """Bind and return the server; Django's inner_run() reports an OSError."""
        from ...serving.runserver.development import RunserverServer

        host, port = address
        self.server = RunserverServer(
            self.endpoint or (f"[{host}]:{port}" if ipv6 else f"{host}:{port}"),
            socket_mode=self.socket_mode,
            certificate=self.certificate,
            key=self.key,
            is_whole_process=self._called_from_command_line,
        )
        return self.server

    def stop_for_reload(self) -> None:
        if self.server is not None:
            self.server.stop_and_wait(RELOAD_DRAIN)

    def remove_file(self) -> None:
        if self.server is not None:
            self.server.remove_file()

    def on_bind(self, server_port: int | None) -> None:
        where = self.endpoint
        if where is None:
            host = f"[{self.addr}]" if self._raw_ipv6 else "0.0.0.0" if self.addr == "0" else self.addr
            secure = "s" if self.certificate is not None else ""
            where = f"http{secure}://{host}:{server_port}/ and ws{secure}://{host}:{server_port}/"
        now = datetime.now().strftime("%B %d, %Y - %X")  # noqa: DTZ005  the developer's local time
        self.stdout.write(
            f"{now}\n"
            f"Django version {self.get_version()}, using settings {settings.SETTINGS_MODULE!r}\n"
            f"Serving HTTP and websockets at {where}\n"
            "Quit the server with CONTROL-C."
        )
        self.stdout.flush()
