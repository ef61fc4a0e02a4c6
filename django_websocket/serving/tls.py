"""The certificate of a server, and the TLS side of its connections (RFC 8446)."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from typing import TYPE_CHECKING

from .green import eventlet
from .wire import TLSWire

if TYPE_CHECKING:
    import socket
else:
    socket = eventlet.patcher.original("socket")

__all__ = ["TLS", "read_certificate"]

PROTOCOLS = ["http/1.1"]
"""For ALPN (RFC 7301). HTTP/2 is left to proxies."""


class TLS:
    """Makes TLS connections of accepted sockets.

    ``make_context`` returns a server's SSLContext; it is called now and at each :meth:`reload`. Raises what it raises,
    and ValueError if the context allows anything older than TLS 1.2.
    """

    def __init__(self, make_context: Callable[[], ssl.SSLContext]) -> None:
        self._make_context = make_context
        self._context = self._prepare()

    def reload(self) -> None:
        """Read certificate and key again, for connections from now on. If that fails, the old ones stay."""
        self._context = self._prepare()

    @property
    def asks_for_certificate(self) -> bool:
        """Whether clients are to identify themselves."""
        return self._context.verify_mode is not ssl.CERT_NONE

    def wire(self, sock: socket.socket) -> TLSWire:
        """Return a wire on ``sock`` that has yet to shake hands."""
        context = self._context
        return TLSWire(sock, lambda incoming, outgoing: context.wrap_bio(incoming, outgoing, server_side=True))

    def _prepare(self) -> ssl.SSLContext:
        context = self._make_context()
        if context.minimum_version not in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
            raise ValueError("The SSLContext allows versions older than TLS 1.2.")
        # In TLS 1.2 it costs the server a handshake each time, and was a way into other clients' sessions
        # (CVE-2009-3555).
        context.options |= ssl.OP_NO_RENEGOTIATION
        context.set_alpn_protocols(PROTOCOLS)
        return context


def read_certificate(certificate: str, key: str | None = None) -> ssl.SSLContext:
    """Return a server's context with the chain in the file ``certificate`` (PEM), leaf first, and its private key.

    The key may be in the same file. Raises OSError if a file can't be read, and ValueError if it can't be used.
    """
    key = key or certificate
    if b"-----BEGIN CERTIFICATE-----" not in _content(certificate):
        raise ValueError(f"There is no certificate (in PEM format) in {certificate}.")
    content = _content(key)
    if b" PRIVATE KEY-----" not in content:
        raise ValueError(f"There is no private key (in PEM format) in {key}.")
    if b"ENCRYPTED" in content:
        raise ValueError(f"The private key in {key} is encrypted, and nobody would be there to type its password.")
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    try:
        context.load_cert_chain(certificate, key)
    except ssl.SSLError as error:
        if error.reason == "KEY_VALUES_MISMATCH":
            raise ValueError(f"The key in {key} is not that of the certificate in {certificate}.") from error
        raise ValueError(f"OpenSSL can't use {certificate}: {error}") from error
    return context


def _content(path: str) -> bytes:
    with open(path, "rb") as file:
        return file.read()
