"""``runwsserver`` in a fresh project with an ordinary manage.py and the built wheel."""

from __future__ import annotations

import fcntl
import itertools
import json
import os
import re
import resource
import shlex
import signal
import socket
import stat
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import websocket
from websockets.exceptions import ConnectionClosedOK
from websockets.sync.client import connect, unix_connect

from django_websocket.serving.http.connection import AccessEntry
from django_websocket.serving.process.os_signals import IMPATIENT_SECONDS
from django_websocket.serving.runserver.development import log_request
from tests.browser import chromium
from tests.deadlines import deadline, wait_until
from tests.ends import send_until_ended
from tests.ports import free_port

from .projects import RunningServer, environment, running

MANAGE = [sys.executable, "manage.py", "runwsserver"]


@pytest.fixture(scope="module")
def server(pristine: Path, env: dict[str, str]) -> Iterator[RunningServer]:
    """As a newcomer starts it, autoreload and all."""
    with running([*MANAGE, "0"], pristine, env) as running_server:
        running_server.wait_until_serving()
        yield running_server


class TestClients:
    def test_the_wheel_is_what_runs(self, project: Path, env: dict[str, str], installed: Path) -> None:
        where = "import django_websocket; print(django_websocket.__file__)"
        out = subprocess.run([sys.executable, "-c", where], cwd=project, env=env, capture_output=True, text=True)
        assert out.stdout.startswith(str(installed))

    def test_websockets(self, server: RunningServer) -> None:
        with server.connect("/echo-once/") as client:
            client.send("Héllo")
            assert client.recv(timeout=deadline(10)) == "Héllo"
            with pytest.raises(ConnectionClosedOK) as closed:
                client.recv(timeout=deadline(10))
            assert closed.value.rcvd is not None
            assert closed.value.rcvd.code == 1000
        with server.connect("/lower-case/") as client:
            for message in ("ONE", "TWO"):
                client.send(message)
                assert client.recv(timeout=deadline(10)) == message.lower()

    def test_websocket_client(self, server: RunningServer) -> None:
        client = websocket.create_connection(f"ws://127.0.0.1:{server.port}/echo-once/", timeout=deadline(10))
        client.send("hello")
        assert client.recv() == "hello"
        opcode, _ = client.recv_data()
        assert opcode == websocket.ABNF.OPCODE_CLOSE
        client.shutdown()  # type: ignore[no-untyped-call]  # the library's own gap
        client = websocket.create_connection(f"ws://127.0.0.1:{server.port}/lower-case/", timeout=deadline(10))
        for message in ("ONE", "TWO"):
            client.send(message)
            assert client.recv() == message.lower()
        client.shutdown()  # type: ignore[no-untyped-call]  # the library's own gap

    def test_browser(self, server: RunningServer, program: Callable[..., str]) -> None:
        talk = """
            new Promise((resolve, reject) => {
                const socket = new WebSocket(`ws://${location.host}PATH`), received = [];
                socket.onopen = () => socket.send("Hello");
                socket.onmessage = (event) => {
                    received.push(event.data);
                    if (LEAVE) socket.close(1000);
                };
                socket.onclose = (event) => resolve([...received, event.code, event.wasClean]);
            })
        """
        with chromium(program("chromium", "chromium-browser", "google-chrome")) as page:
            page.open(f"http://127.0.0.1:{server.port}/admin/login/")
            once = talk.replace("PATH", "/echo-once/").replace("LEAVE", "false")
            assert page.run(once) == ["Hello", 1000, True]
            lower = talk.replace("PATH", "/lower-case/").replace("LEAVE", "true")
            assert page.run(lower) == ["hello", 1000, True]

    def test_plain_http(self, server: RunningServer) -> None:
        assert server.get("/lower-case/?message=ABC") == (200, "abc")
        assert server.get("/echo-once/")[0] == 400

    def test_log(self, server: RunningServer) -> None:
        server.get("/lower-case/?message=LOGGED")
        server.wait_for('"GET /lower-case/?message=LOGGED HTTP/1.1" 200 6')
        with server.connect("/lower-case/?logged") as client:
            for message in ("ONE", "TWO"):
                client.send(message)
                client.recv(timeout=deadline(10))
        line = re.compile(r'"WEBSOCKET /lower-case/\?logged" 1000 \d+\.\ds 2 in 2 out$', re.MULTILINE)
        wait_until(lambda: line.search(server.output) is not None, what="the line of a websocket")

    def test_log_of_what_was_cut_off(self, caplog: pytest.LogCaptureFixture) -> None:
        with caplog.at_level("INFO", "django.server"):
            log_request(AccessEntry("GET", "/film", "HTTP/1.1", 200, 70_000, 0.1, "192.0.2.1:1", complete=False))
        assert caplog.messages == ['"GET /film HTTP/1.1" 200 70000 cut off']

    def test_open_files(self, server: RunningServer) -> None:
        _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        (child,) = _children(server.process.pid)
        assert resource.prlimit(child, resource.RLIMIT_NOFILE) == (hard, hard)


class TestStaticFiles:
    def test_served(self, server: RunningServer) -> None:
        assert server.get("/static/admin/css/base.css")[0] == 200

    def test_nostatic(self, project: Path, env: dict[str, str]) -> None:
        with running([*MANAGE, "--noreload", "--nostatic", "0"], project, env) as server:
            server.wait_until_serving()
            assert server.get("/static/admin/css/base.css")[0] == 404

    @pytest.mark.parametrize(("options", "status"), [([], 404), (["--insecure"], 200)])
    def test_without_debug(self, project: Path, env: dict[str, str], options: list[str], status: int) -> None:
        with (project / "mysite" / "settings.py").open("a") as settings:
            settings.write("\nDEBUG = False\nALLOWED_HOSTS = ['127.0.0.1']\n")
        with running([*MANAGE, "--noreload", *options, "0"], project, env) as server:
            server.wait_until_serving()
            assert server.get("/static/admin/css/base.css")[0] == status

    def test_not_installed(self, project: Path, env: dict[str, str]) -> None:
        with (project / "mysite" / "settings.py").open("a") as settings:
            settings.write("\nINSTALLED_APPS.remove('django.contrib.staticfiles')\n")
        run = subprocess.run([*MANAGE, "--help"], cwd=project, env=env, capture_output=True, text=True)
        assert run.returncode == 0
        assert "--noreload" in run.stdout
        assert "--nostatic" not in run.stdout


class TestAddresses:
    @pytest.mark.parametrize("address", [["[::1]:0"], ["-6", "0"]])
    def test_ipv6(self, project: Path, env: dict[str, str], address: list[str]) -> None:
        with running([*MANAGE, "--noreload", *address], project, env) as server:
            server.wait_until_serving()
            with connect(f"ws://[::1]:{server.port}/echo-once/", proxy=None) as client:
                client.send("six")
                assert client.recv(timeout=deadline(10)) == "six"

    def test_unix(self, project: Path, env: dict[str, str]) -> None:
        path = str(project / "s")
        with running([*MANAGE, "--noreload", f"unix:{path}"], project, env) as server:
            server.wait_until_serving()
            with unix_connect(path, "ws://localhost/echo-once/") as client:
                client.send("unix")
                assert client.recv(timeout=deadline(10)) == "unix"

    @pytest.mark.parametrize("reload", [[], ["--noreload"]], ids=["reloading", "alone"])
    def test_the_file_of_a_unix_socket(self, watched_project: Path, env: dict[str, str], reload: list[str]) -> None:
        """It has the mode that was asked for, is kept over a reload, and goes when the server goes."""
        path = watched_project / "s"
        with running([*MANAGE, *reload, "--socket-mode", "660", f"unix:{path}"], watched_project, env) as server:
            server.wait_until_serving()
            assert stat.S_IMODE(path.stat().st_mode) == 0o660
            if not reload:
                before = path.stat().st_mtime_ns
                _change_until_restarted(server, watched_project / "mysite" / "views.py", ".lower()", ".upper()")
                wait_until(lambda: server.output.count("CONTROL-C") >= 2, 20)
                assert path.stat().st_mtime_ns != before
            with unix_connect(str(path), "ws://localhost/echo-once/") as client:
                server.process.send_signal(signal.SIGTERM)
                with pytest.raises(ConnectionClosedOK):
                    client.recv(timeout=deadline(10))
            assert server.process.wait(deadline(15)) == 0
            assert not path.exists()

    @pytest.mark.parametrize(
        ("arguments", "sentence"),
        [
            (["--socket-mode", "999", "unix:s"], "not permissions in octal: '999'"),
            (["--socket-mode", "1777", "unix:s"], "not permissions in octal: '1777'"),
            (["--socket-mode", "660", "8000"], "--socket-mode needs an address unix:path."),
        ],
    )
    def test_a_mode_that_means_nothing(
        self, project: Path, env: dict[str, str], arguments: list[str], sentence: str
    ) -> None:
        run = subprocess.run([*MANAGE, *arguments], cwd=project, env=env, capture_output=True, text=True)
        assert sentence in run.stderr
        assert "Traceback" not in run.stderr
        assert run.returncode != 0

    def test_inherited(self, project: Path, env: dict[str, str]) -> None:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            fd = listener.fileno()
            with running([*MANAGE, "--noreload", f"fd://{fd}"], project, env, pass_fds=[fd]) as server:
                server.wait_until_serving()
                server.port = listener.getsockname()[1]
                assert server.get("/lower-case/?message=FD") == (200, "fd")

    @pytest.mark.parametrize("reload", [[], ["--noreload"]])
    def test_in_use(self, project: Path, env: dict[str, str], reload: list[str]) -> None:
        with socket.create_server(("127.0.0.1", 0)) as taken:
            address = f"127.0.0.1:{taken.getsockname()[1]}"
            run = subprocess.run([*MANAGE, *reload, address], cwd=project, env=env, capture_output=True, text=True)
        assert "Error: That port is already in use." in run.stderr
        assert run.returncode == 1

    def test_not_here(self, project: Path, env: dict[str, str]) -> None:
        run = subprocess.run([*MANAGE, "192.0.2.1:0"], cwd=project, env=env, capture_output=True, text=True)
        assert "Error: That IP address can't be assigned to." in run.stderr
        assert run.returncode == 1

    @pytest.mark.parametrize(
        ("address", "sentence"),
        [
            ("99999", "99999 is not a valid port number: the largest is 65535."),
            ("127.0.0.1:65536", "65536 is not a valid port number: the largest is 65535."),
            ("[::1]:70000", "70000 is not a valid port number: the largest is 65535."),
            ("unix:", "unix: needs a path, such as unix:/run/mysite.sock."),
            ("unix:/no/such/directory/s", "No such file or directory"),
            ("unix:" + "x" * 200, "AF_UNIX path too long"),
            ("fd://three", "fd:// needs the number of a file descriptor, not 'three'."),
            ("fd://", "fd:// needs the number of a file descriptor, not ''."),
            ("fd://99999999999", "fd:// needs the number of a file descriptor, not '99999999999'."),
            ("fd://99", "Bad file descriptor"),
            ("nowhere.invalid:0", "Error: "),  # in the resolver's words
        ],
    )
    def test_what_can_not_be_bound_is_told_in_a_sentence(
        self, project: Path, env: dict[str, str], address: str, sentence: str
    ) -> None:
        run = subprocess.run(
            [*MANAGE, *(() if address == "99999" else ("--noreload",)), address],
            cwd=project,
            env=env,
            capture_output=True,
            text=True,
        )
        assert sentence in run.stderr
        assert "Traceback" not in run.stderr
        assert run.returncode == 1

    def test_no_address(self, project: Path, env: dict[str, str]) -> None:
        run = subprocess.run([*MANAGE, "nonsense"], cwd=project, env=env, capture_output=True, text=True)
        assert '"nonsense" is not a valid port number or address:port pair.' in run.stderr
        assert run.returncode == 1


class TestStopping:
    @pytest.mark.parametrize("reload", [[], ["--noreload"]], ids=["reloading", "alone"])
    @pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
    def test_signal(self, project: Path, env: dict[str, str], reload: list[str], signum: signal.Signals) -> None:
        """An open websocket gets 1001, the exit status is 0, and nothing is left running."""
        with running([*MANAGE, *reload, "0"], project, env) as server:
            server.wait_until_serving()
            children = _children(server.process.pid)
            with server.connect("/lower-case/") as client:
                client.send("A")
                assert client.recv(timeout=deadline(10)) == "a"
                server.process.send_signal(signum)
                with pytest.raises(ConnectionClosedOK) as closed:
                    client.recv(timeout=deadline(10))
                assert closed.value.rcvd is not None
                assert closed.value.rcvd.code == 1001
            assert server.process.wait(deadline(15)) == 0
            assert not [pid for pid in children if Path(f"/proc/{pid}").exists()]
            assert "Traceback" not in server.output

    def test_terminal(self, project: Path, env: dict[str, str]) -> None:
        """Ctrl-C reaches the whole process group at once."""
        with running([*MANAGE, "0"], project, env) as server:
            server.wait_until_serving()
            os.killpg(server.process.pid, signal.SIGINT)
            assert server.process.wait(deadline(15)) == 0
            assert "Traceback" not in server.output

    def test_a_view_gets_its_time(self, project: Path, env: dict[str, str]) -> None:
        """What a view does once its websocket is closed is waited for."""
        (project / "mysite" / "views.py").write_text(
            "import time\nfrom django_websocket import require_websocket\n"
            "@require_websocket\ndef echo_once(request):\n"
            "    request.websocket.wait()\n    time.sleep(1)\n    print('tidied up', flush=True)\n"
            "lower_case = echo_once\n"
        )
        with running([*MANAGE, "--noreload", "0"], project, env) as server:
            server.wait_until_serving()
            with server.connect("/echo-once/") as client:
                server.process.send_signal(signal.SIGTERM)
                with pytest.raises(ConnectionClosedOK):
                    client.recv(timeout=deadline(10))
            assert server.process.wait(deadline(15)) == 0
            assert "tidied up" in server.output

    def test_second_signal(self, project: Path, env: dict[str, str]) -> None:
        """A view that takes its time gets it, until somebody insists."""
        (project / "mysite" / "views.py").write_text(
            "import time\nfrom django_websocket import require_websocket\n"
            "@require_websocket\ndef echo_once(request):\n"
            "    request.websocket.wait()\n    print('stubborn', flush=True)\n    time.sleep(600)\n"
            "lower_case = echo_once\n"
        )
        with running([*MANAGE, "--noreload", "0"], project, env) as server:
            server.wait_until_serving()
            with server.connect("/echo-once/") as client:
                server.process.send_signal(signal.SIGTERM)
                server.wait_for("stubborn")
                with pytest.raises(ConnectionClosedOK):
                    client.recv(timeout=deadline(10))
                assert server.process.poll() is None
                assert server.end(signal.SIGTERM) == 0

    @pytest.mark.parametrize("reload", [[], ["--noreload"]], ids=["reloading", "alone"])
    @pytest.mark.parametrize("whole_group", [True, False], ids=["group", "process"])
    def test_repeated_until_the_end(
        self, project: Path, env: dict[str, str], reload: list[str], whole_group: bool
    ) -> None:
        """A supervisor that repeats its signals gets 0, whenever they arrive."""
        with running([*MANAGE, *reload, "0"], project, env) as server:
            server.wait_until_serving()
            server.get("/")  # the banner comes a little before it handles signals
            pid = server.process.pid
            assert send_until_ended(server.process, (lambda n: os.killpg(pid, n)) if whole_group else None) == 0
            assert "Traceback" not in server.output
            assert "Exception ignored" not in server.output

    BUSY = "def echo_once(request):\n    print('busy', flush=True)\n    while True: pass\nlower_case = echo_once\n"

    @contextmanager
    def held_up(self, project: Path, env: dict[str, str]) -> Iterator[RunningServer]:
        """A server whose view never yields."""
        (project / "mysite" / "views.py").write_text(self.BUSY)
        with running([*MANAGE, "--noreload", "0"], project, env) as server:
            server.wait_until_serving()
            with socket.create_connection(("127.0.0.1", server.port)) as client:
                client.sendall(b"GET /echo-once/ HTTP/1.1\r\nHost: localhost\r\n\r\n")
                server.wait_for("busy")
                yield server

    def test_ctrl_c_twice_while_the_hub_is_held_up(self, project: Path, env: dict[str, str]) -> None:
        """A view that never yields can't keep a person from stopping the process."""
        with self.held_up(project, env) as server:

            def interrupt() -> bool:
                server.process.send_signal(signal.SIGINT)
                return server.process.poll() is not None

            wait_until(interrupt, 10)
            assert server.process.wait() == -signal.SIGINT
            assert "interrupted twice" in server.output

    def test_sigterm_while_the_hub_is_held_up(self, project: Path, env: dict[str, str]) -> None:
        """It never kills, even together with a SIGINT: the supervisor's SIGKILL does."""
        with self.held_up(project, env) as server:
            until = time.monotonic() + 2 * IMPATIENT_SECONDS
            for number in itertools.chain([signal.SIGINT], itertools.repeat(signal.SIGTERM)):
                server.process.send_signal(number)
                # Two of one kind at once would count as one.
                wait_until(lambda number=number: not _pending(server.process.pid, number))  # type: ignore[misc]
                if time.monotonic() > until:
                    break
            assert server.process.poll() is None


class TestOtherSignals:
    LOGGING = (
        "\nLOGGING = {'version': 1, 'disable_existing_loggers': False,\n"
        "    'handlers': {'file': {'class': 'logging.FileHandler', 'filename': BASE_DIR / 'requests.log'}},\n"
        "    'loggers': {'django.server': {'handlers': ['file'], 'level': 'INFO'}}}\n"
    )

    @pytest.mark.parametrize("reload", [[], ["--noreload"]], ids=["reloading", "alone"])
    @pytest.mark.parametrize("signum", [signal.SIGHUP, signal.SIGUSR1])
    def test_log_files_are_reopened(
        self, project: Path, env: dict[str, str], reload: list[str], signum: signal.Signals
    ) -> None:
        with (project / "mysite" / "settings.py").open("a") as settings:
            settings.write(self.LOGGING)
        log, rotated = project / "requests.log", project / "requests.log.1"
        with running([*MANAGE, *reload, "0"], project, env) as server:
            server.wait_until_serving()
            assert server.get("/lower-case/?message=ONE") == (200, "one")
            wait_until(lambda: "ONE" in log.read_text())
            log.rename(rotated)
            server.process.send_signal(signum)
            wait_until(log.exists)
            wait_until(lambda: f"Received {signum.name}: reopened 1 log file\n" in log.read_text())
            assert server.get("/lower-case/?message=TWO") == (200, "two")
            wait_until(lambda: "TWO" in log.read_text())
            assert "TWO" not in rotated.read_text()
            assert server.end(signal.SIGTERM) == 0
            assert "Received SIGTERM: stopping\n" in log.read_text()

    @pytest.mark.parametrize("reload", [[], ["--noreload"]], ids=["reloading", "alone"])
    def test_sigusr2_does_nothing(self, project: Path, env: dict[str, str], reload: list[str]) -> None:
        with running([*MANAGE, *reload, "0"], project, env) as server:
            server.wait_until_serving()
            assert server.get("/lower-case/?message=A") == (200, "a")
            server.process.send_signal(signal.SIGUSR2)
            server.wait_for("Received SIGUSR2: ignored")
            assert server.get("/lower-case/?message=A") == (200, "a")
            assert server.end(signal.SIGTERM) == 0
            assert re.search(r"^\[[\d/\w: ]+\] Received SIGTERM: stopping$", server.output, re.MULTILINE)

    @pytest.mark.parametrize("reload", [[], ["--noreload"]], ids=["reloading", "alone"])
    def test_the_terminal_goes_away(self, project: Path, env: dict[str, str], reload: list[str]) -> None:
        """Then the server stops as if told to; with nohup it goes on."""
        with (
            terminal() as (master, become_leader),
            running([*MANAGE, *reload, "0"], project, env, preexec_fn=become_leader) as server,
        ):
            server.wait_until_serving()
            with server.connect("/lower-case/") as client:
                os.close(master)
                with pytest.raises(ConnectionClosedOK) as closed:
                    client.recv(timeout=deadline(10))
            assert closed.value.rcvd is not None
            assert closed.value.rcvd.code == 1001
            assert server.process.wait(deadline(15)) == 0
            # The kernel tells the process that leads the session; a shell would tell the others, too.
            assert f"Received {'SIGHUP' if reload else 'SIGTERM'}: stopping" in server.output

    def test_what_is_ignored_from_the_start_stays_ignored(self, project: Path, env: dict[str, str]) -> None:
        with running(["nohup", *MANAGE, "--noreload", "0"], project, env) as server:
            server.wait_until_serving()
            assert server.get("/lower-case/?message=A") == (200, "a")
            server.process.send_signal(signal.SIGHUP)
            wait_until(lambda: not _pending(server.process.pid, signal.SIGHUP))
            assert server.get("/lower-case/?message=A") == (200, "a")
            assert server.end(signal.SIGTERM) == 0
            assert "SIGHUP" not in server.output

    def test_what_the_project_handles_stays_its_own(self, project: Path, env: dict[str, str]) -> None:
        """Also if the handler is written in C, which the signal module doesn't know of."""
        with (project / "mysite" / "settings.py").open("a") as settings:
            settings.write(
                "\nimport faulthandler, signal\nfaulthandler.register(signal.SIGUSR1)\n"
                "signal.signal(signal.SIGUSR2, lambda *_: print('mine', flush=True))\n"
            )
        with running([*MANAGE, "--noreload", "0"], project, env) as server:
            server.wait_until_serving()
            assert server.get("/lower-case/?message=A") == (200, "a")
            server.process.send_signal(signal.SIGUSR1)
            server.wait_for("most recent call first")
            server.process.send_signal(signal.SIGUSR2)
            # A handler written in Python runs with the next bytecode, which may be after a wait of the hub.
            assert server.get("/lower-case/?message=A") == (200, "a")
            server.wait_for("mine")
            assert server.end(signal.SIGTERM) == 0


@contextmanager
def terminal() -> Iterator[tuple[int, Callable[[], None]]]:
    """The master of a terminal, and what makes a child process, which leads a session, take it as its own."""
    master, slave = os.openpty()
    try:
        yield master, lambda: _take_terminal(slave)
    finally:
        os.close(slave)


def _take_terminal(slave: int) -> None:
    fcntl.ioctl(slave, termios.TIOCSCTTY, 0)


class TestOutputs:
    @pytest.mark.parametrize("reload", [[], ["--noreload"]], ids=["reloading", "alone"])
    @pytest.mark.parametrize("closed", ["2>&-", ">&-", ">&- 2>&- <&-", "> /dev/full 2>&1", "> >(head -1 > first)"])
    def test_streams_that_can_not_be_written_to(
        self, project: Path, env: dict[str, str], reload: list[str], closed: str
    ) -> None:
        """Closed, full, or a pipe whose reader has gone: the server serves, and ends as it should."""
        port = free_port()
        command = shlex.join([*MANAGE, *reload, str(port)])
        with running(["bash", "-c", f"exec {command} {closed}"], project, env) as server:
            server.port = port
            wait_until(lambda: _answers(server, "/lower-case/?message=A", "a"), 30)
            assert server.get("/lower-case/?message=B") == (200, "b")
            assert server.end(signal.SIGTERM) == 0
            assert "Traceback" not in server.output

    @pytest.mark.parametrize("reload", [[], ["--noreload"]], ids=["reloading", "alone"])
    def test_a_pipe_that_nobody_reads(self, project: Path, env: dict[str, str], reload: list[str]) -> None:
        """It fills up; nobody waits for it, and neither does the end."""
        port = free_port()
        (project / "mysite" / "views.py").write_text(
            "import sys\nfrom django.http import HttpResponse\n"
            "def lower_case(request):\n"
            "    for stream in (sys.stdout, sys.stderr):\n"
            "        for _ in range(2000):\n            print('x' * 99, file=stream, flush=True)\n"
            "    return HttpResponse('printed')\n"
            "echo_once = lower_case\n"
        )
        reader, writer = os.pipe()
        try:
            with running([*MANAGE, *reload, str(port)], project, env, stdout=writer, stderr=writer) as server:
                server.port = port
                wait_until(lambda: _answers(server, "/lower-case/", "printed"), 30)
                for _ in range(10):
                    assert server.get("/lower-case/") == (200, "printed")
                assert os.get_blocking(writer)
                assert server.end(signal.SIGTERM) == 0
        finally:
            os.close(reader)
            os.close(writer)


class TestReloading:
    def test_open_websocket(self, watched_project: Path, env: dict[str, str]) -> None:
        with running([*MANAGE, str(free_port())], watched_project, env) as server:
            server.wait_until_serving()
            with server.connect("/lower-case/") as client:
                client.send("A")
                assert client.recv(timeout=deadline(10)) == "a"
                _change_until_restarted(server, watched_project / "mysite" / "views.py", ".lower()", ".upper()")
                with pytest.raises(ConnectionClosedOK) as closed:
                    client.recv(timeout=deadline(10))
                assert closed.value.rcvd is not None
                assert closed.value.rcvd.code == 1001
            wait_until(lambda: _answers(server, "/lower-case/?message=b", "B"), 20)
            with server.connect("/lower-case/") as client:
                client.send("a")
                assert client.recv(timeout=deadline(10)) == "A"
            assert server.end(signal.SIGTERM) == 0
            assert "Traceback" not in server.output

    @pytest.mark.parametrize(
        ("file", "right", "wrong", "complaint"),
        [
            ("views.py", "from django.http import", "from nowhere import", "ModuleNotFoundError"),
            ("urls.py", "urlpatterns = [", "urlpatterns = (", "SyntaxError"),
            ("settings.py", "INSTALLED_APPS = [", "import nowhere\nINSTALLED_APPS = [", "ModuleNotFoundError"),
            ("settings.py", "DEBUG = True", "DEBUG = ", "SyntaxError"),
        ],
    )
    def test_error(
        self, watched_project: Path, env: dict[str, str], file: str, right: str, wrong: str, complaint: str
    ) -> None:
        """Code that doesn't load is complained about, and waited for."""
        path = watched_project / "mysite" / file
        with running([*MANAGE, str(free_port())], watched_project, env) as server:
            server.wait_until_serving()
            _change_until_restarted(server, path, right, wrong)
            server.wait_for(complaint)
            _change_until_restarted(server, path, wrong, right)
            wait_until(lambda: _answers(server, "/lower-case/?message=B", "b"), 20)
            assert server.end(signal.SIGTERM) == 0

    def test_signal_in_the_moment_of_a_change(self, installed: Path) -> None:
        """The supervisor hears of both at once."""
        program = (
            "import posix, signal, sys\n"
            "from types import SimpleNamespace\n"
            "from django_websocket.serving.runserver import reloading\n"
            "def read(descriptor, size):\n"
            "    assert posix.read(descriptor, size) == bytes([signal.SIGCHLD])\n"
            "    return bytes([signal.SIGCHLD, signal.SIGTERM])\n"
            "reloading.posix = SimpleNamespace(read=read, waitpid=posix.waitpid, close=posix.close)\n"
            "sys.exit(reloading.supervise([sys.executable, '-c', 'raise SystemExit(3)']))\n"
        )
        command = [sys.executable, "-c", program]
        assert subprocess.run(command, env=environment(installed), timeout=deadline(20)).returncode == 0

    def test_signal_while_broken(self, watched_project: Path, env: dict[str, str]) -> None:
        with running([*MANAGE, "0"], watched_project, env) as server:
            server.wait_until_serving()
            settings = watched_project / "mysite" / "settings.py"
            _change_until_restarted(server, settings, "DEBUG = True", "DEBUG = ")
            server.wait_for("SyntaxError")
            assert server.end(signal.SIGTERM) == 0


class TestEntry:
    """However it is started, the process that serves is patched, and otherwise as it was."""

    VIEW = (
        "import os, sys, json, threading\nfrom django.http import HttpResponse\n"
        "from django.db import connections\n"
        "def echo_once(request):\n"
        "    import __main__\n"
        "    return HttpResponse(json.dumps([sys.warnoptions, sys._xoptions, sys.argv, sys.path[0],\n"
        "        type(connections._connections._storage).__module__]))\n"
        "lower_case = echo_once\n"
    )

    @pytest.mark.parametrize("reload", [[], ["--noreload"]], ids=["reloading", "alone"])
    def test_flags(self, project: Path, env: dict[str, str], reload: list[str]) -> None:
        (project / "mysite" / "views.py").write_text(self.VIEW)
        arguments = ["runwsserver", *reload, "0"]
        command = [sys.executable, "-Wdefault::ImportWarning", "-Xutf8", "manage.py", *arguments]
        with running(command, project, env) as server:
            server.wait_until_serving()
            expected = ["manage.py", *arguments]
            status, body = server.get("/echo-once/")
            assert status == 200
            warn, extra, argv, path, storage = json.loads(body)
            assert "default::ImportWarning" in warn
            assert extra["utf8"] is True
            assert argv == expected
            assert path == str(project)
            assert storage == "django_websocket.serving.green.local"

    @pytest.mark.parametrize("reload", [[], ["--noreload"]], ids=["reloading", "alone"])
    @pytest.mark.parametrize("how", [["-m", "django"], [str(Path(sys.executable).parent / "django-admin")]])
    def test_django(self, project: Path, installed: Path, how: list[str], reload: list[str]) -> None:
        env = environment(installed, DJANGO_SETTINGS_MODULE="mysite.settings")
        env["PYTHONPATH"] += os.pathsep + str(project)
        with running([sys.executable, *how, "runwsserver", *reload, "0"], project, env) as server:
            server.wait_until_serving()
            assert server.get("/lower-case/?message=A") == (200, "a")
            with server.connect("/echo-once/") as client:
                client.send("b")
                assert client.recv(timeout=deadline(10)) == "b"

    def test_script_elsewhere(self, project: Path, tmp_path: Path, env: dict[str, str]) -> None:
        """The script's directory is on the path, not the one where the command is given."""
        command = [sys.executable, str(project / "manage.py"), "runwsserver", "--noreload", "0"]
        with running(command, tmp_path, env) as server:
            server.wait_until_serving()
            assert server.get("/lower-case/?message=A") == (200, "a")

    def test_warnings_are_errors(self, project: Path, env: dict[str, str]) -> None:
        """Nothing on our way warns, eventlet's own notice included."""
        with running([sys.executable, "-Werror", "manage.py", "runwsserver", "0"], project, env) as server:
            server.wait_until_serving()
            with server.connect("/echo-once/") as client:
                client.send("b")
                assert client.recv(timeout=deadline(10)) == "b"
            assert server.end(signal.SIGTERM) == 0
            assert "Warning" not in server.output

    @pytest.mark.parametrize("reload", ["True", "False"])
    def test_call_command(self, project: Path, installed: Path, reload: str) -> None:
        program = (
            "import django; django.setup(); from django.core.management import call_command;"
            f"call_command('runwsserver', '0', use_reloader={reload})"
        )
        env = environment(installed, DJANGO_SETTINGS_MODULE="mysite.settings")
        run = subprocess.run([sys.executable, "-c", program], cwd=project, env=env, capture_output=True, text=True)
        assert "CommandError" in run.stderr
        assert "from django_websocket.serving.patch import patch; patch()" in run.stderr

    def test_call_command_in_a_patched_program(self, project: Path, installed: Path) -> None:
        program = (
            "from django_websocket.serving.patch import patch; patch();"
            "import django; django.setup(); from django.core.management import call_command;"
            "call_command('runwsserver', '0', use_reloader=False)"
        )
        env = environment(installed, DJANGO_SETTINGS_MODULE="mysite.settings")
        with running([sys.executable, "-c", program], project, env) as server:
            server.wait_until_serving()
            assert server.get("/lower-case/?message=A") == (200, "a")
            assert server.end(signal.SIGTERM) == 0


class TestChecks:
    CHECK = (
        "from django.core.checks import Error, register\n"
        "@register\ndef broken(app_configs, **kwargs):\n    return [Error('all wrong', id='mysite.E001')]\n"
    )

    def test_run(self, project: Path, env: dict[str, str]) -> None:
        with (project / "mysite" / "__init__.py").open("a") as module:
            module.write(self.CHECK)
        command = [*MANAGE, "--noreload", "0"]
        run = subprocess.run(command, cwd=project, env=env, capture_output=True, text=True, timeout=deadline(20))
        assert "Performing system checks..." in run.stdout
        assert "all wrong" in run.stderr
        assert run.returncode == 1

    def test_skipped(self, project: Path, env: dict[str, str]) -> None:
        with (project / "mysite" / "__init__.py").open("a") as module:
            module.write(self.CHECK)
        with running([*MANAGE, "--noreload", "--skip-checks", "0"], project, env) as server:
            server.wait_until_serving()
            assert "system checks" not in server.output
            assert "unapplied migration(s)" in server.output

    def test_allowed_hosts(self, project: Path, env: dict[str, str]) -> None:
        _change(project / "mysite" / "settings.py", "DEBUG = True", "DEBUG = False")
        run = subprocess.run([*MANAGE, "0"], cwd=project, env=env, capture_output=True, text=True)
        assert "You must set settings.ALLOWED_HOSTS if DEBUG is False." in run.stderr
        assert run.returncode == 1


def _children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def _pending(pid: int, signum: signal.Signals) -> bool:
    """Is the signal still on its way to the process?"""
    status = Path(f"/proc/{pid}/status").read_text()
    masks = [int(line.split()[1], 16) for line in status.splitlines() if line.startswith(("SigPnd", "ShdPnd"))]
    return any(mask >> (signum - 1) & 1 for mask in masks)


def _change(path: Path, old: str, new: str) -> None:
    """Edit a file, of which nobody sees a half, and make sure that a look at its time shows it."""
    text = path.read_text()
    assert old in text
    changed = path.with_name(f"{path.name}.changed")
    changed.write_text(text.replace(old, new))
    os.utime(changed, (time.time(), max(time.time(), path.stat().st_mtime + 1)))
    changed.replace(path)


def _change_until_restarted(server: RunningServer, path: Path, old: str, new: str) -> None:
    """Edit a file, and touch it again as long as nothing restarts: the watcher may not have begun to look before."""
    before = _children(server.process.pid)
    _change(path, old, new)
    for _ in range(40):
        try:
            wait_until(lambda: _children(server.process.pid) != before, 0.5)
        except AssertionError:
            _change(path, new, new)
        else:
            return
    raise AssertionError(f"no change of {path} was seen\n{server.output}")


def _answers(server: RunningServer, path: str, body: str) -> bool:
    try:
        return server.get(path) == (200, body)
    except OSError:
        return False
