"""``manage.py websocket``: a websocket client in the terminal."""

from __future__ import annotations

import json
import os
import re
import ssl
import sys
from argparse import ArgumentTypeError
from contextlib import ExitStack
from functools import partial
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from ...close_codes import CloseCode
from ...protocol.assembly import Message
from ...protocol.handshake import TOKEN
from ...terminal.address import Address, parse_address
from ...terminal.conversation import Conversation
from ...terminal.handshake import Refused, check_header, connect, shake_hands
from ...terminal.interrupts import Interrupts
from ...terminal.login import session_of

MAX_SHOWN = 64
"""Bytes that are shown of a binary message."""

NORMAL = (CloseCode.NORMAL_CLOSURE, CloseCode.NO_STATUS_RCVD)


def _address(text: str) -> Address:
    try:
        return parse_address(text)
    except ValueError as error:
        raise ArgumentTypeError(f"{text!r} is no URL of a websocket: {error}.") from None


def _header(text: str) -> tuple[str, str]:
    name, colon, value = text.partition(":")
    try:
        if not colon:
            raise ValueError(f"a header is written 'Name: value', not {text!r}")
        check_header(name.strip(), value.strip())
    except ValueError as error:
        raise ArgumentTypeError(str(error)) from None
    return name.strip(), value.strip()


def _origin(text: str) -> str:
    try:
        check_header("Origin", text)
    except ValueError as error:
        raise ArgumentTypeError(str(error)) from None
    return text


def _subprotocol(text: str) -> str:
    if not re.fullmatch(TOKEN, text, re.ASCII):
        raise ArgumentTypeError(f"not the name of a subprotocol: {text!r}")
    return text


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1
    if not 0 <= seconds < float("inf"):
        raise ArgumentTypeError(f"not a number of seconds: {text!r}")
    return seconds


class Command(BaseCommand):
    help = (
        "Opens a websocket: each line of the input is sent as a message, each message received is printed. The exit "
        "status is 0 after a normal close (1000, or no code), else 1."
    )
    requires_system_checks = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "url",
            metavar="URL",
            type=_address,
            help="ws://host/path or wss://host/path; /path means the development server at 127.0.0.1:8000.",
        )
        parser.add_argument(
            "--user", metavar="NAME", help="Send the cookie of a new session of this user, which is deleted at the end."
        )
        parser.add_argument(
            "--header",
            metavar="'NAME: VALUE'",
            type=_header,
            action="append",
            default=[],
            help="Send this header, such as Authorization or another Host; may be repeated.",
        )
        parser.add_argument(
            "--subprotocol",
            metavar="NAME",
            type=_subprotocol,
            action="append",
            default=[],
            help="Offer this subprotocol; may be repeated.",
        )
        parser.add_argument(
            "--origin",
            type=_origin,
            help="Say that this page connects. Default: one of the URL's own host, as from a browser; empty: none.",
        )
        parser.add_argument("--json", action="store_true", help="Print messages that are JSON with indentation.")
        parser.add_argument("--insecure", action="store_true", help="Don't verify the server's TLS certificate.")
        parser.add_argument(
            "--wait",
            metavar="SECONDS",
            type=_seconds,
            default=1.0,
            help="How long to wait for answers after the end of the input, unless the server closes. Default: 1.",
        )
        parser.add_argument(
            "--timeout",
            metavar="SECONDS",
            type=_seconds,
            default=10.0,
            help="How long connecting, the handshake and closing may take each. Default: 10.",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        with ExitStack() as stack:
            interrupts = stack.enter_context(Interrupts())
            try:
                headers = self._headers(stack, options)
                conversation = self._open(headers, interrupts, stack, options)
                interrupts.deferred = True
                conversation.run()
            except UnicodeDecodeError as error:
                raise CommandError(f"A line of the input is not UTF-8: {error}.") from None
            except KeyboardInterrupt:
                raise CommandError("Interrupted.") from None
        self._report(conversation)

    def _headers(self, stack: ExitStack, options: dict[str, Any]) -> dict[str, str]:
        origin = options["url"].origin if options["origin"] is None else options["origin"]
        headers = {"Origin": origin} if origin else {}
        cookies = []
        for name, value in options["header"]:
            if name.lower() == "cookie":
                cookies.append(value)
            else:
                headers[name] = value
        if options["user"]:
            try:
                cookies.append(stack.enter_context(session_of(options["user"])))
            except LookupError as error:
                raise CommandError(f"Can't log in: {error.args[0]}.") from None
        if cookies:
            headers["Cookie"] = "; ".join(cookies)
        return headers

    def _open(
        self, headers: dict[str, str], interrupts: Interrupts, stack: ExitStack, options: dict[str, Any]
    ) -> Conversation:
        address, timeout, subprotocols = options["url"], options["timeout"], options["subprotocol"]
        try:
            sock = connect(address, timeout=timeout, verify=not options["insecure"])
        except ssl.SSLCertVerificationError as error:
            raise CommandError(
                f"The certificate of {address.authority} is not to be trusted: {error.verify_message}. --insecure takes"
                " any, for development."
            ) from None
        except OSError as error:
            raise CommandError(f"Can't connect to {address.authority}: {error.strerror or error}.") from None
        stack.callback(sock.close)
        try:
            chosen = shake_hands(sock, address, headers, subprotocols, timeout=timeout)
        except Refused as refusal:
            raise CommandError(f"{address} refused the websocket: {_printable(str(refusal))}") from None
        except OSError as error:
            raise CommandError(f"{address} gave no answer to the handshake: {error.strerror or error}.") from None
        # Status lines are for people, not for scripts.
        is_typed = sys.stdin is not None and sys.stdin.isatty()
        self.talks: bool = options["verbosity"] > (0 if is_typed else 1)
        self._say(f"Connected to {address}{f', with {chosen}' if chosen else ''}. The end of the input closes.")
        return Conversation(
            sock,
            None if sys.stdin is None else sys.stdin.fileno(),
            interrupts,
            partial(self._show, indents_json=options["json"]),
            wait=options["wait"],
            timeout=timeout,
        )

    def _say(self, text: str) -> None:
        if self.talks:
            self.stderr.write(text, self.style.SUCCESS)

    def _show(self, message: Message, *, indents_json: bool) -> bool:
        """Print a message; return whether anybody reads on."""
        if isinstance(message, bytes):
            more = " ..." if len(message) > MAX_SHOWN else ""
            text = f"<binary, {len(message)} bytes: {message[:MAX_SHOWN].hex(' ')}{more}>"
        else:
            text = _indented(message) if indents_json else message
            if self.stdout.isatty():
                text = _printable(text)
        try:
            self.stdout.write(text)
            self.stdout.flush()
        except OSError as error:
            # What is left in the buffer must not fail at exit.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            if isinstance(error, BrokenPipeError):
                return False
            raise CommandError(f"Can't write a message: {error.strerror or error}.") from None
        return True

    def _report(self, conversation: Conversation) -> None:
        code, failure = conversation.close_code, conversation.failure
        reason = f" ({_printable(conversation.close_reason)})" if conversation.close_reason else ""
        if code in NORMAL:
            self._say(f"Closed with {code}{reason}.")
        elif code == CloseCode.ABNORMAL_CLOSURE:
            raise CommandError(f"The connection ended without a close frame{f': {failure}' if failure else ''}.")
        else:
            raise CommandError(f"Closed with {code}{reason}.")


def _indented(message: str) -> str:
    """JSON on several lines; anything else as it is."""
    try:
        return json.dumps(json.loads(message), indent=2, ensure_ascii=False)
    except (ValueError, RecursionError):
        return message


def _printable(text: str) -> str:
    """Without what a terminal would obey."""
    return "".join(
        each if each.isprintable() or each in "\n\t" else each.encode("unicode_escape").decode() for each in text
    )
