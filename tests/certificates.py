"""Certificates that the tests' servers show and the tests' clients trust."""

from __future__ import annotations

import ssl
from functools import cache
from pathlib import Path

import trustme

__all__ = ["authority", "client_context", "write_certificate"]


@cache
def authority() -> trustme.CA:
    """Who signs them, in this process."""
    return trustme.CA()


def client_context() -> ssl.SSLContext:
    """A context that trusts :func:`authority`, and nobody else."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    authority().configure_trust(context)
    return context


def write_certificate(path: Path, *names: str) -> Path:
    """Write a certificate for ``names``, by default those of this machine, with its key; return the path."""
    certificate = authority().issue_cert(*(names or ("localhost", "127.0.0.1")))
    path.write_bytes(certificate.private_key_and_cert_chain_pem.bytes())
    return path
