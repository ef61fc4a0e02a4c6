"""A certificate for development, made by trustme."""

from __future__ import annotations

import os
import socket
from pathlib import Path

from ..tls import read_certificate

__all__ = ["development_certificate"]

NAMES = ("localhost", "127.0.0.1", "::1")


def development_certificate() -> str:
    """Return the path of a certificate for this machine, with its key; makes one if there is none that works.

    It stays the same from one start to the next, so that browsers ask once. Beside it, in ``authority.pem``, is the
    certificate that signed it, for those that shall trust it; nobody has that one's key. Raises ImportError if trustme
    is not installed, and OSError if the files can't be written.
    """
    directory = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "django-websocket"
    path = directory / "certificate.pem"
    try:
        read_certificate(str(path))
    except (OSError, ValueError):
        _make(directory, path)
    return str(path)


def _make(directory: Path, path: Path) -> None:
    import trustme

    authority = trustme.CA(organization_name="django-websocket, for development only")
    certificate = authority.issue_cert(*NAMES, socket.gethostname())
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    authority.cert_pem.write_to_path(directory / "authority.pem")
    new = directory / f"certificate.{os.getpid()}"
    with open(new, "wb", opener=lambda name, flags: os.open(name, flags, 0o600)) as file:
        file.write(certificate.private_key_and_cert_chain_pem.bytes())
    new.replace(path)
