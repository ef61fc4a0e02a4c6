"""``manage.py websocket`` in a fresh project: against our server, and that of another library."""

from __future__ import annotations

import fcntl
import json
import os
import select
import signal
import socket
import sqlite3
import ssl
import subprocess
import sys
import termios
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path
from typing import NamedTuple

import pytest
import trustme
from websockets.sync.server import ServerConnection, serve

from tests.conftest import ROOT
from tests.deadlines import deadline

from .projects import RunningServer, running, start_project

VIEWS = '''
import json
from django.contrib.auth.decorators import login_required
from django_websocket import require_websocket

@require_websocket
def echo(request):
    """Until somebody says bye."""
    for message in request.websocket:
        request.websocket.send(message)
        if message == "bye":
            return

@require_websocket(subprotocols=["chat.v2"])
def describe(request):
    request.websocket.accept()
    request.websocket.send_json({
        "user": str(request.user), "own": request.headers.get("X-Own"), "cookies": request.COOKIES,
        "origin": request.headers.get("Origin"), "subprotocol": request.websocket.subprotocol,
    })

@login_required
@require_websocket
def members(request):
    request.websocket.send(f"welcome {request.user}")
    request.websocket.wait()

@require_websocket
def binary(request):
    request.websocket.send(bytes(3))
    request.websocket.send(bytes(range(100)))

@require_websocket
def escapes(request):
    request.websocket.send("\\x1b[2Jgone\\ttab")
    request.websocket.wait()

@require_websocket
def enough(request):
    request.websocket.close(4000, "enough")

@require_websocket
def fails(request):
    request.websocket.accept()
    raise ValueError("on purpose")
'''

URLS = """
from django.urls import path
from mysite import views

names = "echo describe members binary escapes enough fails".split()
urlpatterns = [path(f"{name}/", getattr(views, name)) for name in names]
"""

NEVER = ["--wait", "3600"]
"""For conversations that the server ends."""


class Result(NamedTuple):
    status: int
    out: str
    err: str


class Site:
    def __init__(self, project: Path, env: dict[str, str], server: RunningServer) -> None:
        self.project = project
        self.env = env
        self.server = server

    def command(self, url: str, *arguments: str, program: str = "manage.py") -> list[str]:
        if url.startswith("/"):
            url = f"ws://127.0.0.1:{self.server.port}{url}"
        return [sys.executable, program, "websocket", url, *arguments]

    def talk(self, url: str, *arguments: str, lines: str = "", **environment: str) -> Result:
        """Run the command with ``lines`` as its input."""
        done = subprocess.run(
            self.command(url, *arguments),
            cwd=self.project,
            env={**self.env, **environment},
            input=lines.encode(),
            capture_output=True,
            timeout=deadline(30),
        )
        return Result(done.returncode, done.stdout.decode(), done.stderr.decode())

    def start(self, url: str, *arguments: str) -> subprocess.Popen[bytes]:
        """The same, in the background."""
        pipe = subprocess.PIPE
        command = self.command(url, *arguments)
        return subprocess.Popen(command, cwd=self.project, env=self.env, stdin=pipe, stdout=pipe, stderr=pipe)

    def sessions(self) -> int:
        with closing(sqlite3.connect(self.project / "db.sqlite3")) as database:
            return int(database.execute("SELECT count(*) FROM django_session").fetchone()[0])


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, env: dict[str, str]) -> Iterator[Site]:
    project = start_project(tmp_path_factory.mktemp("terminal"))
    (project / "mysite" / "views.py").write_text(VIEWS)
    (project / "mysite" / "urls.py").write_text(URLS)
    patched = (ROOT / "manage_ws.py").read_text()
    assert "server.settings" in patched
    (project / "manage_ws.py").write_text(patched.replace("server.settings", "mysite.settings"))
    manage = [sys.executable, "manage.py"]
    subprocess.run([*manage, "migrate", "-v0"], cwd=project, env=env, check=True)
    user = [*manage, "createsuperuser", "--noinput", "--username", "alice", "--email", "a@example.com", "-v0"]
    subprocess.run(user, cwd=project, env={**env, "DJANGO_SUPERUSER_PASSWORD": "secret"}, check=True)
    with running([*manage, "runwsserver", "--noreload", "0"], project, env) as server:
        server.wait_until_serving()
        yield Site(project, env, server)


class TestOurServer:
    def test_lines_in_and_lines_out(self, site: Site) -> None:
        assert site.talk("/echo/", *NEVER, lines="one\nGrüße\nbye\n") == (0, "one\nGrüße\nbye\n", "")

    def test_the_end_of_the_input_closes(self, site: Site) -> None:
        assert site.talk("/echo/?ended", "--wait", "0") == (0, "", "")
        site.server.wait_for('"WEBSOCKET /echo/?ended" 1000')

    def test_a_large_input(self, site: Site) -> None:
        lines = "".join(f"{number} {'x' * 100}\n" for number in range(5000)) + "bye\n"
        assert site.talk("/echo/", *NEVER, lines=lines) == (0, lines, "")

    def test_status_lines_if_asked_for(self, site: Site) -> None:
        result = site.talk("/echo/", "-v2", *NEVER, lines="bye\n")
        assert result.err == (
            f"Connected to ws://127.0.0.1:{site.server.port}/echo/. The end of the input closes.\nClosed with 1000.\n"
        )

    @pytest.mark.parametrize(
        ("path", "arguments", "says"),
        [
            ("/nowhere/", [], "404 Not Found"),
            (
                "/echo/",
                ["--origin", "http://evil.example"],
                "403 Forbidden: origin 'http://evil.example' is not allowed",
            ),
            ("/members/", [], "403 Forbidden: login is required at /accounts/login/?next=/members/"),
        ],
    )
    def test_a_refusal_is_status_1_and_its_reason(self, site: Site, path: str, arguments: list[str], says: str) -> None:
        status, out, err = site.talk(path, *arguments)
        assert (status, out) == (1, "")
        assert err == f"CommandError: ws://127.0.0.1:{site.server.port}{path} refused the websocket: {says}\n"

    @pytest.mark.parametrize(
        ("path", "says"), [("/enough/", "Closed with 4000 (enough)."), ("/fails/", "Closed with 1011.")]
    )
    def test_an_abnormal_close_is_status_1(self, site: Site, path: str, says: str) -> None:
        status, out, err = site.talk(path, *NEVER)
        assert (status, out) == (1, "")
        assert err.startswith("CommandError: " + says.removesuffix("."))

    def test_the_session_of_a_user_lasts_as_long_as_the_command(self, site: Site) -> None:
        with site.start("/members/", "--user", "alice") as process:
            assert process.stdout is not None
            assert process.stdout.readline() == b"welcome alice\n"
            assert site.sessions() == 1
            out, err = process.communicate(timeout=deadline(30))
        assert (process.returncode, out, err) == (0, b"", b"")
        assert site.sessions() == 0

    @pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
    def test_a_signal_closes_and_deletes_the_session(self, site: Site, signum: signal.Signals) -> None:
        path = f"/members/?{signum.name}"
        with site.start(path, "--user", "alice") as process:
            assert process.stdout is not None
            assert process.stdout.readline() == b"welcome alice\n"
            process.send_signal(signum)
            assert process.wait(deadline(30)) == 0
            assert process.stderr is not None
            assert process.stderr.read() == b""
        assert site.sessions() == 0
        site.server.wait_for(f'"WEBSOCKET {path}" 1000')

    def test_an_unknown_user(self, site: Site) -> None:
        assert site.talk("/members/", "--user", "bob") == (
            1,
            "",
            "CommandError: Can't log in: there is no user 'bob'.\n",
        )

    def test_a_session_is_deleted_after_a_refusal(self, site: Site) -> None:
        assert site.talk("/nowhere/", "--user", "alice").status == 1
        assert site.sessions() == 0

    def test_headers_subprotocols_and_json(self, site: Site) -> None:
        arguments = ["--header", "X-Own: yes: it is", "--header", "Cookie: a=b", "--user", "alice", "--json"]
        arguments += ["--subprotocol", "chat.v1", "--subprotocol", "chat.v2"]
        status, out, err = site.talk("/describe/", *arguments, *NEVER)
        assert (status, err) == (0, "")
        assert out.startswith('{\n  "user": "alice",\n')
        seen = json.loads(out)
        assert seen["own"] == "yes: it is"
        assert seen["cookies"]["a"] == "b"
        assert "sessionid" in seen["cookies"]
        assert seen["subprotocol"] == "chat.v2"
        assert seen["origin"] == f"http://127.0.0.1:{site.server.port}"

    def test_no_origin_and_no_user(self, site: Site) -> None:
        seen = json.loads(site.talk("/describe/", "--origin", "", *NEVER).out)
        assert seen["origin"] is None
        assert seen["user"] == "AnonymousUser"

    def test_what_is_not_json_is_printed_as_it_is(self, site: Site) -> None:
        assert site.talk("/echo/", "--json", *NEVER, lines="{\nbye\n").out == "{\nbye\n"

    def test_binary_messages(self, site: Site) -> None:
        first, second = site.talk("/binary/", *NEVER).out.splitlines()
        assert first == "<binary, 3 bytes: 00 00 00>"
        assert second == f"<binary, 100 bytes: {bytes(range(64)).hex(' ')} ...>"

    def test_input_that_is_not_utf8(self, site: Site) -> None:
        with site.start("/echo/", *NEVER) as process:
            _, err = process.communicate(b"fine\n\xff\n", timeout=deadline(30))
        assert process.returncode == 1
        assert err.startswith(b"CommandError: A line of the input is not UTF-8: ")

    def test_a_reader_that_goes_away(self, site: Site) -> None:
        with site.start("/echo/?unread", *NEVER) as process:
            assert process.stdin is not None
            assert process.stdout is not None
            assert process.stderr is not None
            process.stdin.write(b"one\n")
            process.stdin.flush()
            assert process.stdout.readline() == b"one\n"
            process.stdout.close()
            process.stdin.write(b"two\n")
            process.stdin.flush()
            assert process.wait(deadline(30)) == 0
            assert process.stderr.read() == b""
        site.server.wait_for('"WEBSOCKET /echo/?unread" 1000')

    def test_a_full_disk(self, site: Site) -> None:
        command = site.command("/echo/", *NEVER)
        with open("/dev/full", "wb") as full:
            done = subprocess.run(
                command,
                cwd=site.project,
                env=site.env,
                input=b"one\n",
                stdout=full,
                stderr=subprocess.PIPE,
                timeout=deadline(30),
            )
        assert (done.returncode, done.stderr) == (1, b"CommandError: Can't write a message: No space left on device.\n")

    def test_files_are_input(self, site: Site, tmp_path: Path) -> None:
        """eventlet could not wait for one, where the process is patched."""
        (tmp_path / "lines").write_text("one\nbye\n")
        for program in ("manage.py", "manage_ws.py"):
            with (tmp_path / "lines").open() as lines:
                command = site.command("/echo/", *NEVER, program=program)
                done = subprocess.run(
                    command, cwd=site.project, env=site.env, stdin=lines, capture_output=True, timeout=deadline(30)
                )
            assert (done.returncode, done.stdout, done.stderr) == (0, b"one\nbye\n", b""), program

    def test_nothing_listens(self, site: Site) -> None:
        status, _, err = site.talk("ws://127.0.0.1:1/")
        assert (status, err) == (1, "CommandError: Can't connect to 127.0.0.1:1: Connection refused.\n")

    @pytest.mark.parametrize(
        ("arguments", "says"),
        [
            (["chat/"], "must begin with ws://"),
            (["/echo/", "--header", "X-Own"], "a header is written 'Name: value'"),
            (["/echo/", "--header", "Upgrade: h2c"], "the handshake itself sets Upgrade"),
            (["/echo/", "--subprotocol", "a b"], "not the name of a subprotocol"),
            (["/echo/", "--wait", "-1"], "not a number of seconds"),
            (["/echo/", "--timeout", "nan"], "not a number of seconds"),
            (["/echo/", "--origin", "http://x\r\ny"], "not a header"),
        ],
    )
    def test_arguments_that_can_not_be(self, site: Site, arguments: list[str], says: str) -> None:
        status, out, err = site.talk(*arguments)
        assert (status, out) == (2, "")
        assert says in err


class Typist:
    """Somebody at a terminal in which the command runs."""

    def __init__(self, master: int, process: subprocess.Popen[bytes]) -> None:
        self.master = master
        self.process = process
        self.seen = ""

    def type(self, text: str) -> None:
        os.write(self.master, text.encode())

    def wait_for(self, text: str) -> None:
        """Read until ``text`` is there."""
        while text not in self.seen:
            ready, _, _ = select.select([self.master], [], [], deadline(20))
            assert ready, f"no {text!r} in {self.seen!r}"
            self.seen += os.read(self.master, 1000).decode()


@contextmanager
def typist(site: Site, *arguments: str, program: str) -> Iterator[Typist]:
    master, slave = os.openpty()
    try:
        process = subprocess.Popen(
            site.command(*arguments, program=program),
            cwd=site.project,
            env={**site.env, "DJANGO_COLORS": "nocolor"},
            stdin=slave,
            stdout=slave,
            stderr=slave,
            start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(slave, termios.TIOCSCTTY, 0),
        )
        with process:
            try:
                yield Typist(master, process)
            finally:
                process.kill()
    finally:
        os.close(master)
        os.close(slave)


@pytest.mark.parametrize("program", ["manage.py", "manage_ws.py"])
class TestTerminal:
    """Also in a process that is patched."""

    def test_ctrl_c_closes(self, site: Site, program: str) -> None:
        with typist(site, f"/echo/?{program}", program=program) as somebody:
            somebody.wait_for("Connected to ws://")
            somebody.type("hello\n")
            somebody.wait_for("hello\r\nhello\r\n")
            somebody.type("\x03")
            assert somebody.process.wait(deadline(30)) == 0
            somebody.wait_for("Closed with 1000.")
        site.server.wait_for(f'"WEBSOCKET /echo/?{program}" 1000')

    def test_ctrl_d_closes(self, site: Site, program: str) -> None:
        with typist(site, "/echo/", "--wait", "0", program=program) as somebody:
            somebody.wait_for("Connected to ws://")
            somebody.type("\x04")
            assert somebody.process.wait(deadline(30)) == 0

    def test_the_terminal_obeys_no_message(self, site: Site, program: str) -> None:
        with typist(site, "/escapes/", program=program) as somebody:
            somebody.wait_for("\\x1b[2Jgone\ttab\r\n")


@contextmanager
def another_server(handler: Callable[[ServerConnection], None], context: ssl.SSLContext | None = None) -> Iterator[int]:
    """The port of a server of the websockets library."""
    with serve(handler, "127.0.0.1", 0, ssl=context) as server:
        serving = threading.Thread(target=server.serve_forever)
        serving.start()
        try:
            yield server.socket.getsockname()[1]
        finally:
            server.shutdown()
            serving.join(deadline(10))


def echo(connection: ServerConnection) -> None:
    for message in connection:
        connection.send(message)
        if message == "bye":
            return


class TestAnotherServer:
    def test_lines_in_and_lines_out(self, site: Site) -> None:
        with another_server(echo) as port:
            result = site.talk(f"ws://127.0.0.1:{port}/", *NEVER, lines="one\nGrüße\nbye\n")
        assert result == (0, "one\nGrüße\nbye\n", "")

    def test_fragments_and_large_messages(self, site: Site) -> None:
        def send(connection: ServerConnection) -> None:
            connection.send(["in ", "three ", "pieces"])
            connection.send("x" * 1_000_000)

        with another_server(send) as port:
            assert site.talk(f"ws://127.0.0.1:{port}/", *NEVER).out == f"in three pieces\n{'x' * 1_000_000}\n"

    def test_a_connection_that_breaks(self, site: Site) -> None:
        def vanish(connection: ServerConnection) -> None:
            connection.send("before")
            connection.socket.shutdown(socket.SHUT_RDWR)

        with another_server(vanish) as port:
            status, out, err = site.talk(f"ws://127.0.0.1:{port}/", *NEVER)
        assert (status, out) == (1, "before\n")
        assert err.startswith("CommandError: The connection ended without a close frame")

    def test_tls_is_verified(self, site: Site, tmp_path: Path) -> None:
        authority = trustme.CA()
        authority.cert_pem.write_to_path(tmp_path / "authority.pem")
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert("127.0.0.1").configure_cert(context)
        lines = "".join(f"{'x' * 50_000}{number}\n" for number in range(20)) + "bye\n"
        with another_server(echo, context) as port:
            url = f"wss://127.0.0.1:{port}/"
            trusted = site.talk(url, *NEVER, lines=lines, SSL_CERT_FILE=str(tmp_path / "authority.pem"))
            unknown = site.talk(url, *NEVER)
            insecure = site.talk(url, "--insecure", *NEVER, lines=lines)
        assert trusted == insecure == (0, lines, "")
        assert (unknown.status, unknown.out) == (1, "")
        assert "is not to be trusted: unable to get local issuer certificate" in unknown.err

    def test_tls_for_another_host(self, site: Site, tmp_path: Path) -> None:
        authority = trustme.CA()
        authority.cert_pem.write_to_path(tmp_path / "authority.pem")
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert("example.com").configure_cert(context)
        with another_server(echo, context) as port:
            result = site.talk(f"wss://127.0.0.1:{port}/", SSL_CERT_FILE=str(tmp_path / "authority.pem"))
        assert result.status == 1
        assert "is not valid for '127.0.0.1'" in result.err

    def test_a_server_without_tls(self, site: Site) -> None:
        with socket.create_server(("127.0.0.1", 0)) as listener, ThreadPoolExecutor(1) as pool:
            port = listener.getsockname()[1]

            def answer() -> None:
                connection, _ = listener.accept()
                with connection:
                    connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")
                    connection.recv(65536)

            pool.submit(answer)
            status, _, err = site.talk(f"wss://127.0.0.1:{port}/")
        assert status == 1
        assert err.startswith(f"CommandError: Can't connect to 127.0.0.1:{port}: ")

    def test_a_server_that_says_nothing(self, site: Site) -> None:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            url = f"ws://127.0.0.1:{listener.getsockname()[1]}/"
            assert site.talk(url, "--timeout", "0.1") == (
                1,
                "",
                f"CommandError: {url} gave no answer to the handshake: timed out.\n",
            )
