"""Our worker under a real gunicorn."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import ssl
import tempfile
import threading
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import trustme
from gunicorn import version_info as gunicorn_version
from gunicorn.config import Config
from websockets.exceptions import ConnectionClosed
from websockets.typing import Origin

from django_websocket.serving.gunicorn import EventletWorker
from django_websocket.serving.process.worker import BOOT_SECONDS
from tests.certificates import authority, client_context, write_certificate
from tests.deadlines import deadline, wait_until
from tests.site.running import HANDSHAKE

from .running import Gunicorn, gunicorn, serving
from .visitor import Visitor

BARE = "tests.serving.gunicorn.bare:application"


def echo(client: Any, text: str = "hello") -> None:
    client.send(text)
    assert client.recv(timeout=deadline(10)) == text


def close_code(client: Any) -> int:
    with pytest.raises(ConnectionClosed) as closed:
        client.recv(timeout=deadline(20))
    assert closed.value.rcvd is not None
    return int(closed.value.rcvd.code)


def test_pages_websockets_and_the_access_log(tmp_path: Path) -> None:
    form = "%(m)s %(U)s%(q)s %(s)s %(B)s [%({x-test}i)s] [%({content-type}o)s]"
    with serving(tmp_path, "--access-logfile", "-", "--access-logformat", form) as server:
        assert server.get("/common/plain/?q=1", {"X-Test": "yes"})[0] == 200
        with server.connect("/common/echo/") as client:
            echo(client)
        server.wait_logged("GET /common/plain/q=1 200 5 [yes] [text/html; charset=utf-8]")
        server.wait_logged("GET /common/echo/ 101 ")
        assert server.end() == 0
        assert "Traceback" not in server.log()


def test_a_worker_that_stops_sends_websockets_away_in_good_time(tmp_path: Path) -> None:
    with serving(tmp_path, "--graceful-timeout", "8") as server:
        with server.connect("/common/echo/") as one, server.connect("/common/echo/") as two:
            for client in (one, two):
                echo(client)
            began = time.monotonic()
            server.process.send_signal(signal.SIGTERM)
            for client in (one, two):
                assert close_code(client) == 1012
                assert time.monotonic() - began > 1  # not at once
        assert server.process.wait(deadline(20)) == 0
        assert "Traceback" not in server.log()


def test_websockets_are_sent_away_one_after_the_other(tmp_path: Path) -> None:
    """And a handshake that is under way is answered."""
    with serving(tmp_path, "--graceful-timeout", "20") as server, ExitStack() as stack:
        clients = [stack.enter_context(server.connect("/common/echo/")) for _ in range(30)]
        late = stack.enter_context(socket.create_connection(("127.0.0.1", server.port), deadline(10)))
        fields = "".join(f"{name}: {value}\r\n" for name, value in HANDSHAKE.items())
        head = f"GET /common/echo/ HTTP/1.1\r\nHost: localhost\r\n{fields}\r\n".encode()
        late.sendall(head[:-2])
        for client in clients:
            echo(client)
        closed: list[float] = []

        def wait(client: Any) -> None:
            assert close_code(client) == 1012
            closed.append(time.monotonic())

        threads = [threading.Thread(target=wait, args=(client,)) for client in clients]
        for thread in threads:
            thread.start()
        began = time.monotonic()
        server.process.send_signal(signal.SIGTERM)
        time.sleep(0.5)
        late.sendall(head[-2:])
        received = late.recv(1000)
        assert received.startswith(b"HTTP/1.1 101 ")
        for thread in threads:
            thread.join()
        assert len(closed) == 30
        # We may have been held up when the first was closed, but hear of none too early.
        assert max(closed) - began > BOOT_SECONDS + 1
        while not received.endswith(b"\x88\x16\x03\xf4server is restarting"):
            more = late.recv(1000)
            assert more, received
            received += more


def patient(directory: Path, **constants: float) -> tuple[str, ...]:
    """Options for a worker that takes more time to leave: these, in seconds, of its modules, longer on a slow machine.

    It is for clients that may be held up between two things that they do.
    """
    lines = [f"    {name.replace('__', '.')} = {deadline(seconds)}" for name, seconds in constants.items()]
    hook = ["def post_worker_init(_):", "    from django_websocket.serving.process import server, worker", *lines]
    config = directory / "patient.py"
    config.write_text("\n".join(hook))
    return "-c", str(config), "--graceful-timeout", str(round(deadline(10)))


def test_event_streams_that_come_back_at_once_end_as_well(tmp_path: Path) -> None:
    with serving(tmp_path, *patient(tmp_path, worker__BOOT_SECONDS=2)) as server:
        [worker] = server.workers()
        os.kill(worker, signal.SIGTERM)
        wait_until(lambda: b"Connection: close" in head_of(server, "/common/plain/"), 10, "the worker leaves")
        with socket.create_connection(("127.0.0.1", server.port), deadline(20)) as stream:
            stream.sendall(b"GET /groups/stream/?group=news HTTP/1.1\r\nHost: localhost\r\n\r\n")
            received = b""
            while more := stream.recv(1000):
                received += more
        assert received.startswith(b"HTTP/1.1 200 ")
        assert received.endswith(b"\r\n0\r\n\r\n")


def head_of(server: Gunicorn, path: str) -> bytes:
    with socket.create_connection(("127.0.0.1", server.port), deadline(10)) as sock:
        sock.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        return sock.recv(1000)


def test_a_connection_that_was_just_accepted_is_served(tmp_path: Path) -> None:
    with serving(tmp_path, *patient(tmp_path, server__IDLE_SECONDS=5)) as server:
        with (
            server.connect("/common/echo/") as other,
            socket.create_connection(("127.0.0.1", server.port), deadline(10)) as fresh,
        ):
            echo(other)  # so the next one has been accepted, too
            assert server.get("/common/plain/")[0] == 200
            server.process.send_signal(signal.SIGTERM)
            time.sleep(0.3)
            fresh.sendall(b"GET /common/plain/ HTTP/1.1\r\nHost: localhost\r\n\r\n")
            assert fresh.recv(1000).startswith(b"HTTP/1.1 200 OK\r\n")
        assert server.process.wait(deadline(20)) == 0


def test_a_connection_that_is_kept_gets_one_more_request_answered(tmp_path: Path) -> None:
    """A proxy may have sent it before it could know. The response says that it was the last."""
    request = b"GET /common/plain/ HTTP/1.1\r\nHost: localhost\r\n\r\n"
    # It begins before we see that it has stopped listening.
    with serving(tmp_path, *patient(tmp_path, server__IDLE_SECONDS=5)) as server:
        with socket.create_connection(("127.0.0.1", server.port), deadline(10)) as kept:
            kept.sendall(request)
            assert b"Connection: close" not in kept.recv(1000)
            server.process.send_signal(signal.SIGTERM)
            wait_until(lambda: not _listens(server), 10, "it has stopped listening")
            kept.sendall(request)
            received = b""
            while piece := kept.recv(1000):
                received += piece
            assert received.startswith(b"HTTP/1.1 200 OK\r\n")
            assert b"Connection: close\r\n" in received
        assert server.process.wait(deadline(20)) == 0


def _listens(server: Gunicorn) -> bool:
    try:
        socket.create_connection(("127.0.0.1", server.port), deadline(10)).close()
    except OSError:
        return False
    return True


def test_a_reload_loses_no_request(tmp_path: Path) -> None:
    with serving(tmp_path, "--graceful-timeout", "8", workers=2) as server, Visitor(server) as visitor:
        before = server.workers()
        assert len(before) == 2
        with server.connect("/common/echo/") as client:
            echo(client)
            server.process.send_signal(signal.SIGHUP)
            wait_until(lambda: len(server.workers() - before) == 2, 20, "new workers")
            assert close_code(client) == 1012
        with server.connect("/common/echo/") as client:
            echo(client)
        wait_until(lambda: not server.workers() & before, 20, "the old workers are gone")
        answers = visitor.answers
        wait_until(lambda: visitor.answers > answers + 10)
    assert visitor.faults == []


def test_a_killed_worker_is_replaced(tmp_path: Path) -> None:
    """The other one's websockets don't notice."""
    with serving(tmp_path, workers=2) as server, ExitStack() as stack:
        before = server.workers()
        clients = [stack.enter_context(server.connect("/processes/pid/")) for _ in range(12)]
        pids = {client: int(client.recv(timeout=deadline(10))) for client in clients}
        killed = pids[clients[0]]
        os.kill(killed, signal.SIGKILL)
        for client in clients:
            if pids[client] == killed:
                with pytest.raises(ConnectionClosed):
                    client.recv(timeout=deadline(10))
            else:
                echo(client)
        wait_until(lambda: len(server.workers() - before) == 1, 10, "another worker")
        wait_until(lambda: server.get("/common/plain/")[0] == 200)


def test_a_blocked_worker_is_replaced_and_the_log_says_where_it_was(tmp_path: Path) -> None:
    seconds = round(deadline(4))  # which its boot may take, too
    with serving(tmp_path, "--timeout", str(seconds)) as server:
        before = server.workers()
        with pytest.raises(OSError):  # noqa: PT011  the connection ends somehow
            server.get("/common/spin/?seconds=30")
        server.wait_logged("in spin")
        assert f"was blocked for {seconds} seconds, at:" in server.log()
        wait_until(lambda: bool(server.workers() - before) and not server.workers() & before, 10, "another worker")
        wait_until(lambda: _answers(server), 10, "it serves")


def _answers(server: Gunicorn) -> bool:
    try:
        return server.get("/common/plain/")[0] == 200
    except OSError:
        return False


@pytest.mark.parametrize("engine", ["poll", "inotify"])
def test_a_changed_file_reloads_the_worker(tmp_path: Path, engine: str) -> None:
    watched = tmp_path / "watched.txt"
    watched.touch()
    with serving(tmp_path, "--reload", "--reload-engine", engine, "--reload-extra-file", str(watched)) as server:
        before = server.workers()
        with server.connect("/common/echo/") as client:
            echo(client)
            os.utime(watched, (time.time() + 10, time.time() + 10))
            with pytest.raises(ConnectionClosed):
                client.recv(timeout=deadline(20))
        wait_until(lambda: bool(server.workers()) and not server.workers() & before, 20, "another worker")
        wait_until(lambda: _answers(server), 20, "it serves")


def test_hooks_of_requests(tmp_path: Path) -> None:
    config = tmp_path / "conf.py"
    config.write_text(
        "def pre_request(worker, req): worker.log.info('before %s %s', req.method, req.path)\n"
        "def post_request(worker, req, environ, resp): worker.log.info('after %s %s', req.uri, resp.status)\n"
        "def post_worker_init(worker): worker.log.info('booted')\n"
        "def worker_exit(server, worker): worker.log.info('left')\n"
    )
    with serving(tmp_path, "-c", str(config)) as server:
        server.get("/common/plain/?x=1")
        server.wait_logged("before GET /common/plain/")
        server.wait_logged("after /common/plain/?x=1 200")
        assert server.end() == 0
        assert "booted" in server.log()
        assert "left" in server.log()


def test_max_requests(tmp_path: Path) -> None:
    with serving(tmp_path, "--max-requests", "30", "--graceful-timeout", "10", workers=2) as server:
        before = server.workers()
        for _ in range(40):
            with server.connect("/common/echo/") as client:
                echo(client)
        assert server.workers() == before
        with Visitor(server) as visitor:
            wait_until(lambda: not server.workers() & before and len(server.workers()) == 2, 30, "new workers")
        assert visitor.faults == []
        server.wait_logged("Autorestarting worker after current request.", 2)


def test_a_single_worker_that_is_replaced_is_not_missed(tmp_path: Path) -> None:
    """gunicorn alone would start its successor when it has gone."""
    with serving(tmp_path, "--max-requests", "30", "--graceful-timeout", "20") as server:
        [first] = server.workers()
        with server.connect("/common/echo/") as client, Visitor(server) as visitor:
            echo(client)
            wait_until(lambda: len(server.workers()) == 2, 20, "both at once")
            visitor.pause = 60
            assert close_code(client) == 1012
            wait_until(lambda: len(server.workers() - {first}) == 1 and len(server.workers()) == 1, 30, "one of them")
        assert visitor.faults == []


def test_a_restart_code_of_ones_own(tmp_path: Path) -> None:
    settings = {"WEBSOCKET_RESTART_CODE": 1001}
    with serving(tmp_path, settings=settings) as server, server.connect("/common/echo/") as client:
        echo(client)
        server.process.send_signal(signal.SIGTERM)
        assert close_code(client) == 1001


@pytest.mark.parametrize("reuse_port", [False, True])
def test_inherited_listeners(tmp_path: Path, reuse_port: bool) -> None:
    with socket.create_server(("127.0.0.1", 0), reuse_port=reuse_port) as listener:
        with serving(tmp_path, inherited=listener, workers=2) as server:
            with server.connect("/common/echo/") as client:
                echo(client)
            wait_until(lambda: len(server.workers()) == 2, 20, "both workers")
            before = server.workers()
            server.process.send_signal(signal.SIGHUP)
            wait_until(lambda: len(server.workers()) == 2 and not server.workers() & before, 40, "only new workers")
            with server.connect("/common/echo/") as client:
                echo(client)
            assert server.end() == 0
        # It is the supervisor's, so clients may come while nobody is there.
        socket.create_connection(listener.getsockname(), deadline(5)).close()


def test_a_listener_for_each_worker(tmp_path: Path) -> None:
    with serving(tmp_path, "--reuse-port", workers=2) as server, ExitStack() as stack:
        found: set[int] = set()

        def both_serve() -> bool:
            client = stack.enter_context(server.connect("/processes/pid/"))
            found.add(int(client.recv(timeout=deadline(10))))
            return len(found) == 2

        wait_until(both_serve, 20, "clients of both")
        assert found == server.workers()
        with Visitor(server) as visitor:
            before = server.workers()
            server.process.send_signal(signal.SIGHUP)
            wait_until(lambda: len(server.workers()) == 2 and not server.workers() & before, 40, "only new workers")
        # With a listener that is closed, the kernel resets who is just connecting to it.
        assert [fault for fault in visitor.faults if not isinstance(fault, ConnectionResetError)] == []


def test_statistics(tmp_path: Path) -> None:
    """What gunicorn sends to statsd of each request."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as statsd:
        statsd.bind(("127.0.0.1", 0))
        statsd.settimeout(deadline(10))
        with serving(tmp_path, "--statsd-host", f"127.0.0.1:{statsd.getsockname()[1]}") as server:
            server.get("/common/plain/")
            seen = b""
            while not (b"gunicorn.requests:1" in seen and b"gunicorn.request.status.200" in seen):
                seen += statsd.recv(65536) + b"\n"


def test_flask(tmp_path: Path) -> None:
    with serving(tmp_path, application="tests.serving.gunicorn.flask_site:application", workers=2) as server:
        assert server.get("/hello/") == (200, "Hello, everybody")
        assert server.get("/stream/") == (200, "one two three ")
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=deadline(20))
        connection.request("POST", "/json/", json.dumps({"a": 1}), {"Content-Type": "application/json"})
        assert json.loads(connection.getresponse().read()) == {"a": 1, "scheme": "http"}
        connection.close()
        with Visitor(server, "/hello/") as visitor:
            before = server.workers()
            server.process.send_signal(signal.SIGHUP)
            wait_until(lambda: len(server.workers()) == 2 and not server.workers() & before, 40, "only new workers")
        assert visitor.faults == []
        assert server.end() == 0
        assert "Traceback" not in server.log()


def test_tls(tmp_path: Path) -> None:
    """And certificates that are renewed."""
    path = write_certificate(tmp_path / "certificate.pem")
    options = ("--certfile", str(path), "--keyfile", str(path))
    with serving(tmp_path, *options, tls=client_context(), workers=2) as server:
        with server.connect("/common/echo/", origin=Origin(f"https://127.0.0.1:{server.port}")) as client:
            echo(client, "x" * 200_000)
        first = ssl.get_server_certificate(("127.0.0.1", server.port))
        write_certificate(path)
        with Visitor(server) as visitor:
            before = server.workers()
            server.process.send_signal(signal.SIGHUP)
            wait_until(lambda: len(server.workers()) == 2 and not server.workers() & before, 40, "only new workers")
        assert visitor.faults == []
        assert ssl.get_server_certificate(("127.0.0.1", server.port)) != first
        assert server.end() == 0
        assert "Traceback" not in server.log()


def test_certificates_of_clients(tmp_path: Path) -> None:
    """They are really verified, and the application sees whose they are."""
    path = write_certificate(tmp_path / "certificate.pem")
    authority().cert_pem.write_to_path(tmp_path / "authority.pem")
    options = ("--certfile", str(path), "--keyfile", str(path), "--ca-certs", str(tmp_path / "authority.pem"))
    known = client_context()
    client_certificate = authority().issue_cert("somebody@example.com")
    client_certificate.configure_cert(known)
    unknown = client_context()
    trustme.CA().issue_cert("somebody@example.com").configure_cert(unknown)
    with serving(tmp_path, *options, "--cert-reqs", "2", tls=known, application=BARE) as server:
        whose = ssl.DER_cert_to_PEM_cert(
            ssl.PEM_cert_to_DER_cert(client_certificate.cert_chain_pems[0].bytes().decode())
        )
        assert server.get("/client/") == (200, f"SUCCESS {whose}")
        for context in (client_context(), unknown):
            server.tls = context
            with pytest.raises((ssl.SSLError, ConnectionError)):
                server.get("/client/")
        server.tls = known
        assert server.end() == 0
    with serving(tmp_path, *options, "--cert-reqs", "1", tls=client_context(), application=BARE) as server:
        assert server.get("/client/") == (200, "NONE ")
        server.tls = unknown
        with pytest.raises((ssl.SSLError, ConnectionError)):
            server.get("/client/")


def test_a_unix_socket(tmp_path: Path) -> None:
    path = tmp_path / "socket"
    with serving(tmp_path, "-b", f"unix:{path}"), socket.socket(socket.AF_UNIX) as sock:
        sock.settimeout(deadline(10))
        sock.connect(str(path))
        sock.sendall(b"GET /common/plain/ HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        assert sock.recv(1000).startswith(b"HTTP/1.1 200 OK\r\n")


TRUSTED = ["127.0.0.1", "10.0.0.1"]
if hasattr(Config, "forwarded_allow_networks"):  # the others take addresses only
    TRUSTED += ["10.0.0.1,127.0.0.0/8", "10.0.0.0/8"]


@pytest.mark.parametrize("trusted", TRUSTED)
def test_an_application_without_django(tmp_path: Path, trusted: str) -> None:
    options = ("--forwarded-allow-ips", trusted, "--env", "SCRIPT_NAME=/site")
    with serving(tmp_path, *options, application=BARE) as server:
        assert server.get("/site/a") == (200, "http /site /a")
        scheme = "https" if "127.0.0" in trusted else "http"
        assert server.get("/site/a", {"X-Forwarded-Proto": "https"}) == (200, f"{scheme} /site /a")
        contradiction = {"X-Forwarded-Proto": "https", "X-Forwarded-Ssl": "off"}
        assert server.get("/site/a", contradiction)[0] == (400 if scheme == "https" else 200)
        assert server.end() == 0
        assert "Traceback" not in server.log()


def test_an_exit_in_a_green_thread_ends_that_alone(tmp_path: Path) -> None:
    with serving(tmp_path, application=BARE) as server:
        workers = server.workers()
        assert server.get("/exit/") == (200, "http  /exit/")
        assert server.get("/a") == (200, "http  /a")
        assert server.workers() == workers
        server.wait_logged("SystemExit: 5")


def test_connections_that_are_not_kept_are_announced(tmp_path: Path) -> None:
    with serving(tmp_path, "--keep-alive", "0") as server:
        assert b"\r\nConnection: close\r\n" in head_of(server, "/common/plain/")
        with server.connect("/common/echo/") as client:
            echo(client)


def test_connections_have_descriptors_whatever_is_configured(tmp_path: Path) -> None:
    limits = "import resource\ndef post_fork(server, worker): resource.setrlimit(resource.RLIMIT_NOFILE, (40, 120))\n"
    (tmp_path / "conf.py").write_text(limits)
    options = ("-c", str(tmp_path / "conf.py"), "--worker-connections", "5000")
    with serving(tmp_path, *options, application=BARE) as server, ExitStack() as stack:
        sockets = [
            stack.enter_context(socket.create_connection(("127.0.0.1", server.port), deadline(10))) for _ in range(61)
        ]
        assert sockets[-1].recv(1000).startswith(b"HTTP/1.1 503 ")
        sockets[0].sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert sockets[0].recv(1000).startswith(b"HTTP/1.1 200 ")


def test_settings_that_are_no_python_are_waited_for_under_reload(tmp_path: Path) -> None:
    (tmp_path / "site_wsgi.py").write_text(
        "import os\nos.environ['DJANGO_SETTINGS_MODULE'] = 'site_settings'\n"
        "from django.core.wsgi import get_wsgi_application\napplication = get_wsgi_application()\n"
    )
    path = tmp_path / "site_settings.py"
    path.write_text("SECRET_KEY = ")
    options = ("--reload", "--pythonpath", str(tmp_path))
    with gunicorn(tmp_path, *options, application="site_wsgi:application") as server:
        server.wait_logged("SyntaxError")
        wait_until(lambda: answer(server)[0] == 500, 20, "the worker says what is wrong")
        assert server.log().count("Booting worker") == 1
        right = tmp_path / "right"
        right.write_text("SECRET_KEY = 'x'\nALLOWED_HOSTS = ['*']\nROOT_URLCONF = 'site_settings'\nurlpatterns = []\n")
        right.rename(path)  # an empty file would be loaded, and end it
        wait_until(lambda: answer(server)[0] == 404, 20, "the worker serves")


def answer(server: Gunicorn) -> tuple[int, str]:
    try:
        return server.get("/")
    except OSError:
        return 0, ""


def test_settings_that_can_not_be_end_it(tmp_path: Path) -> None:
    with gunicorn(tmp_path, settings={"WEBSOCKET_HANDSHAKE_RATE": "often"}) as server:
        assert server.process.wait(deadline(20)) == 3
        assert "'often' is no rate" in server.log()
        assert server.log().count("Booting worker") == 1


def test_a_fast_stop_while_the_application_is_loaded(tmp_path: Path) -> None:
    (tmp_path / "slow.py").write_text("import time\nprint('loading', flush=True)\ntime.sleep(1000)\n")
    with gunicorn(tmp_path, "--pythonpath", str(tmp_path), application="slow:application") as server:
        server.wait_logged("loading")
        assert server.end(signal.SIGINT) == 0
        assert "Traceback" not in server.log()


def test_no_other_directory_for_files_is_needed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a container, everything else may be read-only."""
    monkeypatch.setattr(EventletWorker, "_turn", None)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "nowhere"))
    config = Config()
    config.set("worker_tmp_dir", str(tmp_path))
    EventletWorker.check_config(config, None)
    assert EventletWorker._turn is not None
    EventletWorker._turn.close()


IMPOSSIBLE = [
    (["--preload"], "preload_app can't be used with EventletWorker"),
    (["--certfile", "x.pem", "--keyfile", "x.pem"], "The certificate can't be used"),
    (["--certfile", "x.pem", "--keyfile", "x.pem", "--cert-reqs", "2"], "cert_reqs needs ca_certs"),
    (["-c", "conf.py"], "proxy_protocol can't be used with EventletWorker"),
]
if gunicorn_version >= (25,):  # the others don't know these
    IMPOSSIBLE += [
        (["--http2-cleartext", "prior-knowledge"], "EventletWorker speaks HTTP/1.1 only"),
        (["--protocol", "uwsgi"], "EventletWorker doesn't speak the uwsgi protocol"),
    ]


@pytest.mark.parametrize(("options", "says"), IMPOSSIBLE)
def test_what_can_not_be(tmp_path: Path, options: list[str], says: str) -> None:
    (tmp_path / "x.pem").touch()
    (tmp_path / "conf.py").write_text("proxy_protocol = True")
    paths = {name: str(tmp_path / name) for name in ("x.pem", "conf.py")}
    with gunicorn(tmp_path, *(paths.get(option, option) for option in options)) as server:
        assert server.process.wait(deadline(20)) != 0
        assert says in server.log()


def test_a_fast_stop_waits_for_nobody(tmp_path: Path) -> None:
    with serving(tmp_path) as server, server.connect("/common/echo/") as client:
        echo(client)
        began = time.monotonic()
        server.process.send_signal(signal.SIGINT)
        assert server.process.wait(deadline(10)) == 0
        assert time.monotonic() - began < deadline(6)
