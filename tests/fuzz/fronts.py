"""nginx and HAProxy in front of a server, each as usual and as lenient as it can be set."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.conftest import ROOT, locate_program
from tests.deadlines import deadline
from tests.deploy.programs import free_ports, running

__all__ = ["FRONTS", "SEEN", "Fronts", "echo_server", "serve_fronts"]

#: Each response of the echo begins with it, then come the method and the path that were read.
SEEN = "seen"

#: The ways to the server: the name of the proxy, and whether it is lenient.
FRONTS = ("nginx", "nginx-lenient", "haproxy", "haproxy-lenient")

Fronts = dict[str, int]
"""The port of each."""

#: Seconds that the proxies wait for a client, and for the server.
SHORT, LONG = 10.0, 20.0

# As docs/howto/deploying.rst has it, with connections to the server kept and shared, which is what smuggling needs.
NGINX = """
user root; daemon off; worker_processes 1; pid {directory}/nginx.pid; error_log {directory}/nginx-error.log;
events {{ worker_connections 4000; }}
http {{
    access_log off;
    client_body_temp_path {directory}/body; proxy_temp_path {directory}/proxy; fastcgi_temp_path {directory}/fastcgi;
    uwsgi_temp_path {directory}/uwsgi; scgi_temp_path {directory}/scgi;
    client_header_timeout {short}ms; client_body_timeout {short}ms; keepalive_timeout {short}ms; lingering_close off;
    reset_timedout_connection on; proxy_read_timeout {long}ms; proxy_next_upstream off;
    map $http_upgrade $connection_upgrade {{ default upgrade; "" ""; }}
    upstream served {{ server 127.0.0.1:{port}; keepalive 16; }}
    proxy_http_version 1.1;
    server {{
        listen 127.0.0.1:{nginx} backlog=2048;
        location / {{ proxy_set_header X-Proxy-Name nginx; {nginx_headers} proxy_pass http://served; }}
    }}
    server {{
        listen 127.0.0.1:{nginx_lenient} backlog=2048;
        ignore_invalid_headers off; underscores_in_headers on; merge_slashes off; proxy_request_buffering off;
        location / {{ proxy_set_header X-Proxy-Name nginx-lenient; {nginx_headers} proxy_pass http://served; }}
    }}
}}
"""

# A location inherits none if it sets one of its own.
NGINX_HEADERS = """
proxy_set_header Host $http_host; proxy_set_header Upgrade $http_upgrade;
proxy_set_header Connection $connection_upgrade; proxy_set_header X-Proxy-Id {secret}-$request_id;
proxy_set_header X-Proxy-Method $request_method; proxy_set_header X-Proxy-Target ""; proxy_set_header X-Proxy-Length "";
"""

HAPROXY = """
global
    maxconn 4000
defaults
    mode http
    timeout connect {long}ms
    timeout client {short}ms
    timeout server {long}ms
    timeout tunnel {long}ms
    timeout http-request {short}ms
    timeout http-keep-alive {short}ms
    http-reuse always
    retries 0
frontend usual
    bind 127.0.0.1:{haproxy} backlog 2048
    http-request wait-for-body time {short}ms
    http-request set-header X-Proxy-Name haproxy
    http-request set-header X-Proxy-Id {secret}-%[uuid()]
    http-request set-header X-Proxy-Method %[method]
    http-request set-header X-Proxy-Target %[url]
    http-request set-header X-Proxy-Length %[req.body_len]
    default_backend served
frontend lenient
    bind 127.0.0.1:{haproxy_lenient} backlog 2048
    option accept-invalid-http-request
    http-request set-header X-Proxy-Name haproxy-lenient
    http-request set-header X-Proxy-Id {secret}-%[uuid()]
    http-request set-header X-Proxy-Method %[method]
    http-request set-header X-Proxy-Target %[url]
    http-request del-header X-Proxy-Length
    default_backend served
backend served
    server one 127.0.0.1:{port}
"""


def _program(name: str) -> str:
    path = locate_program(name)
    if path is None:
        raise RuntimeError(f"{name} is missing")
    return path


@contextmanager
def serve_fronts(port: int, secret: str, directory: Path) -> Iterator[Fronts]:
    """Both proxies in front of the server on ``port``. Raises RuntimeError if one of them isn't installed."""
    programs = [_program("nginx"), _program("haproxy")]
    fronts = dict(zip(FRONTS, free_ports(len(FRONTS)), strict=True))
    names: dict[str, object] = {"short": int(deadline(SHORT) * 1000), "long": int(deadline(LONG) * 1000)}
    names |= {name.replace("-", "_"): number for name, number in fronts.items()}
    headers = NGINX_HEADERS.format(secret=secret)
    for name, text in (("nginx", NGINX), ("haproxy", HAPROXY)):
        filled = text.format(directory=directory, port=port, secret=secret, nginx_headers=headers, **names)
        (directory / f"{name}.conf").write_text(filled)
    nginx = [programs[0], "-p", str(directory), "-c", str(directory / "nginx.conf")]
    haproxy = [programs[1], "-db", "-f", str(directory / "haproxy.conf")]
    with (
        running(nginx, directory / "nginx.log", [fronts["nginx"], fronts["nginx-lenient"]]),
        running(haproxy, directory / "haproxy.log", [fronts["haproxy"], fronts["haproxy-lenient"]]),
    ):
        yield fronts


@contextmanager
def echo_server(secret: str, log: Path) -> Iterator[int]:
    """The port of :mod:`tests.fuzz.echo`; its stderr goes to ``log``."""
    command = [sys.executable, "-m", "tests.fuzz.echo", secret]
    with (
        log.open("w") as errors,
        subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=errors, text=True) as process,
    ):
        assert process.stdout is not None
        try:
            line = process.stdout.readline()
            if not line:
                raise RuntimeError(f"the echo server did not start: {log.read_text()}")
            yield int(line)
            if process.poll() is not None:
                raise RuntimeError(f"the echo server ended with {process.returncode}: {log.read_text()[-2000:]}")
        finally:
            process.kill()
