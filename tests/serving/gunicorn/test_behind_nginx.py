"""Limits for each client behind a real proxy, over TCP and over a unix socket, however the client lies."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.deadlines import wait_until
from tests.deploy.programs import free_ports
from tests.deploy.programs import running as program_running
from tests.faults.peer import Peer, handshake

from .running import serving

CONFIG = """
user root; daemon off; worker_processes 1; pid {directory}/nginx.pid; error_log {directory}/nginx-error.log;
events {{ worker_connections 100; }}
http {{
    access_log off;
    client_body_temp_path {directory}/body; proxy_temp_path {directory}/proxy; fastcgi_temp_path {directory}/fastcgi;
    uwsgi_temp_path {directory}/uwsgi; scgi_temp_path {directory}/scgi;
    proxy_http_version 1.1;
    proxy_set_header Host $http_host;
    proxy_set_header Upgrade $http_upgrade;
    proxy_set_header Connection "upgrade";
    proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
    server {{ listen 127.0.0.1:{over_tcp}; location / {{ proxy_pass http://127.0.0.1:{port}; }} }}
    server {{ listen 127.0.0.1:{over_unix}; location / {{ proxy_pass http://unix:{socket}; }} }}
}}
"""

LIAR, HONEST = "127.0.0.2", "127.0.0.3"


class Site:
    """Ports of nginx, and the access log of what is behind it."""

    def __init__(self, over_tcp: int, over_unix: int, direct: int, access: Path) -> None:
        self.ways = {"tcp": over_tcp, "unix": over_unix, "direct": direct}
        self.access = access


@pytest.fixture
def site(tmp_path: Path, program: Callable[..., str]) -> Iterator[Site]:
    nginx, path, access = program("nginx"), tmp_path / "socket", tmp_path / "access"
    settings = {
        "WEBSOCKET_MAX_CONNECTIONS_PER_IP": 2,
        "WEBSOCKET_HANDSHAKE_RATE": "6/h",
        "WEBSOCKET_TRUSTED_PROXIES": ["127.0.0.1"],
        "LOGGING": {"version": 1, "disable_existing_loggers": False},
    }
    over_tcp, over_unix = free_ports(2)
    with serving(tmp_path, "-b", f"unix:{path}", "--access-logfile", str(access), settings=settings) as server:
        config = CONFIG.format(
            directory=tmp_path, port=server.port, socket=path, over_tcp=over_tcp, over_unix=over_unix
        )
        (tmp_path / "nginx.conf").write_text(config)
        command = [nginx, "-p", str(tmp_path), "-c", str(tmp_path / "nginx.conf")]
        with program_running(command, tmp_path / "nginx.log", [over_tcp, over_unix]):
            yield Site(over_tcp, over_unix, server.port, access)


@pytest.mark.parametrize("way", ["tcp", "unix", "direct"])
def test_a_forged_header_has_no_effect(site: Site, way: str) -> None:
    port = site.ways[way]
    with ExitStack() as stack:

        def status(source: str, *headers: str) -> int:
            peer = stack.enter_context(Peer(port, source=source))
            peer.send(handshake("/common/echo/", *headers))
            return peer.head()[0]

        lies = [f"X-Forwarded-For: 198.51.100.{number}" for number in range(10)]
        assert [status(LIAR, lie) for lie in lies[:2]] == [101, 101]
        # Their number comes first, then their rate; what was refused is counted by the rate, too.
        assert [status(LIAR, lie) for lie in lies[2:]] == [429] * 8
        assert [status(HONEST), status(HONEST)] == [101, 101]
    wait_until(lambda: site.access.read_text().count("WEBSOCKET") == 4, 10)
    clients = [line.split()[0] for line in site.access.read_text().splitlines() if "WEBSOCKET" in line]
    assert sorted(clients) == [LIAR, LIAR, HONEST, HONEST]
