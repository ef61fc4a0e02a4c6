"""nginx, HAProxy and Caddy with the files of server/deploy/, in which only addresses, paths and certificates differ."""

from __future__ import annotations

import http.client
import json
import os
import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from websockets.sync.client import ClientConnection, connect

from tests.conftest import find_program
from tests.deadlines import deadline
from tests.over_tls import over_tls

from .programs import free_ports, running
from .served import Certificate, substituted

__all__ = ["CLIENT", "PROXIES", "Front", "serve_front"]

PROXIES = ("nginx", "haproxy", "caddy")

#: The address that the tests' clients have; the proxies have 127.0.0.1 themselves.
CLIENT = "127.0.0.2"

NGINX = """
user root; daemon off; worker_processes 1; pid {directory}/nginx.pid; error_log {directory}/nginx-error.log;
events {{ worker_connections 1024; }}
http {{
    access_log off;
    client_body_temp_path {directory}/body; proxy_temp_path {directory}/proxy; fastcgi_temp_path {directory}/fastcgi;
    uwsgi_temp_path {directory}/uwsgi; scgi_temp_path {directory}/scgi;
    {site}
}}
"""

CADDY = """
{{
    admin off
    default_bind 127.0.0.1
    http_port {http}
    https_port {https}
}}
{site}
"""


@dataclass
class Front:
    """A proxy that runs."""

    name: str
    upstream: str
    """Which: tcp or unix."""
    port: int
    redirects: int
    """The port that sends everybody to https; 0 without TLS."""
    tls: ssl.SSLContext | None

    @property
    def host(self) -> str:
        return f"localhost:{self.port}"

    @property
    def origin(self) -> str:
        return f"{'https' if self.tls else 'http'}://{self.host}"

    def _tcp(self) -> socket.socket:
        sock = socket.create_connection(("127.0.0.1", self.port), deadline(20), source_address=(CLIENT, 0))
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return sock

    def socket(self) -> socket.socket:
        """A connection to it, over TLS if it has TLS."""
        sock = self._tcp()
        return sock if self.tls is None else self.tls.wrap_socket(sock, server_hostname="localhost")

    def client(self) -> http.client.HTTPConnection:
        """An HTTP client that keeps its connection."""
        client = http.client.HTTPConnection("localhost", self.port, timeout=deadline(20))
        client.sock = self.socket()
        client.auto_open = 0
        return client

    def ask(
        self, path: str, headers: dict[str, str] | None = None, *, method: str = "GET", body: bytes | None = None
    ) -> tuple[int, str]:
        """Status and body, over a connection of its own."""
        client = self.client()
        try:
            client.request(method, path, body=body, headers=headers or {})
            response = client.getresponse()
            return response.status, response.read().decode()
        finally:
            client.close()

    def seen(self, path: str = "/seen/", headers: dict[str, str] | None = None, **more: Any) -> dict[str, Any]:
        """What the server has seen of a request."""
        status, body = self.ask(path, headers, **more)
        assert status == 200, body
        told: dict[str, Any] = json.loads(body)
        return told

    def connect(self, path: str, headers: dict[str, str] | None = None, **options: Any) -> ClientConnection:
        """A websocket, as a page of this site would open it."""
        sock = self._tcp()
        client: ClientConnection = connect(
            f"ws://{self.host}{path}",
            sock=sock if self.tls is None else over_tls(sock, self.tls, "localhost"),
            proxy=None,
            open_timeout=deadline(20),
            additional_headers=headers,
            **{"origin": self.origin, **options},
        )
        return client


@contextmanager
def serve_front(
    name: str, upstream: str, directory: Path, *, certificate: Certificate | None = None, static: Path | None = None
) -> Iterator[Front]:
    """The proxy ``name`` in front of ``upstream`` (as nginx writes it), with its files in ``directory``.

    It speaks TLS if there is a ``certificate``; ``static`` is the directory of the static files.
    """
    find_program(name)
    port, redirects = free_ports(2)
    directory.mkdir(parents=True, exist_ok=True)
    write = {"nginx": _nginx, "haproxy": _haproxy, "caddy": _caddy}[name]
    env = dict(os.environ)
    command = write(directory, upstream, port, redirects, certificate, static or directory, env)
    ports = [port, redirects] if certificate else [port]
    tls = None
    if certificate is not None:
        tls = ssl.create_default_context()
        certificate.authority.configure_trust(tls)
    with running(command, directory / f"{name}.log", ports, env):
        kind = "unix" if upstream.startswith("unix:") else "tcp"
        yield Front(name, kind, port, redirects if certificate else 0, tls)


def _nginx(
    directory: Path,
    upstream: str,
    port: int,
    redirects: int,
    certificate: Certificate | None,
    static: Path,
    env: dict[str, str],
) -> list[str]:
    changes = {
        "server unix:/run/mysite.sock;": f"server {upstream};",
        "listen 80;": f"listen 127.0.0.1:{redirects};",
        "/srv/mysite/server/static/": f"{static}/",
    }
    if certificate is not None:
        changes["listen 443 "] = f"listen 127.0.0.1:{port} "
        changes["/etc/ssl/mysite/cert.pem"] = str(certificate.chain)
        changes["/etc/ssl/mysite/key.pem"] = str(certificate.key)
    else:
        changes["listen 443 ssl http2;"] = f"listen 127.0.0.1:{port};"
        changes["ssl_certificate /etc/ssl/mysite/cert.pem;"] = ""
        changes["ssl_certificate_key /etc/ssl/mysite/key.pem;"] = ""
    config = directory / "nginx.conf"
    config.write_text(NGINX.format(directory=directory, site=substituted("nginx.conf", changes)))
    return [find_program("nginx"), "-p", str(directory), "-c", str(config)]


def _haproxy(
    directory: Path,
    upstream: str,
    port: int,
    redirects: int,
    certificate: Certificate | None,
    static: Path,
    env: dict[str, str],
) -> list[str]:
    changes = {"server one 127.0.0.1:8000 ": f"server one {upstream.replace('unix:', 'unix@')} "}
    if certificate is not None:
        changes["bind :80"] = f"bind 127.0.0.1:{redirects}"
        changes["bind :443 ssl crt /etc/haproxy/mysite.pem "] = f"bind 127.0.0.1:{port} ssl crt {certificate.both} "
    else:
        changes["bind :80"] = f"bind 127.0.0.1:{port}"
        changes["    bind :443 ssl crt /etc/haproxy/mysite.pem alpn h2,http/1.1\n"] = ""
        changes["    http-request redirect scheme https code 308 unless { ssl_fc }\n"] = ""
    config = directory / "haproxy.cfg"
    config.write_text(
        "global\n    maxconn 1000\n    log stdout format raw local0\n" + substituted("haproxy.cfg", changes)
    )
    return [find_program("haproxy"), "-db", "-f", str(config)]


def _caddy(
    directory: Path,
    upstream: str,
    port: int,
    redirects: int,
    certificate: Certificate | None,
    static: Path,
    env: dict[str, str],
) -> list[str]:
    site = (directory / "unused").name  # Caddy's own data
    env["XDG_DATA_HOME"] = env["XDG_CONFIG_HOME"] = str(directory / site)
    env["UPSTREAM"] = upstream.replace("unix:", "unix/")
    env["STATIC"] = str(static)
    first = "{$SITE:example.com} {\n"
    if certificate is not None:
        env["SITE"] = "localhost"
        changes = {first: f"{first}\ttls {certificate.chain} {certificate.key}\n"}
        ports = {"http": redirects, "https": port}
    else:
        env["SITE"] = "http://localhost"
        changes = {}
        ports = {"http": port, "https": redirects}
    config = directory / "Caddyfile"
    config.write_text(CADDY.format(site=substituted("Caddyfile", changes), **ports))
    return [find_program("caddy"), "run", "--config", str(config), "--adapter", "caddyfile"]
