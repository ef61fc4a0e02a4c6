"""TLS in the server itself. That HTTP is the same over it is what the tests in ``http`` show."""

from __future__ import annotations

import gc
import os
import socket
import ssl
import subprocess
import weakref
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from django_websocket.serving.http.connection import HTTPConnection
from django_websocket.serving.patch import eventlet
from django_websocket.serving.sockets.channel import EventletChannel
from django_websocket.serving.tls import TLS, read_certificate
from django_websocket.serving.wire import TLSWire, Wire
from tests.certificates import authority, client_context, write_certificate
from tests.conftest import find_program
from tests.deadlines import deadline
from tests.serving.http.client import Served, serve

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    return write_certificate(tmp_path / "certificate.pem")


@pytest.fixture
def secure(certificate: Path, tmp_path: Path) -> Iterator[Served]:
    """A server whose clients have two seconds for handshake and request, or longer on a slow machine."""
    with serve(tmp_path / "log", certificate=str(certificate), request_timeout=deadline(2)) as served:
        yield served


def plain(served: Served) -> socket.socket:
    """A connection without TLS."""
    assert isinstance(served.address, int)
    return socket.create_connection(("127.0.0.1", served.address), deadline(10))


def read_all(sock: socket.socket) -> bytes:
    received = b""
    with suppress(ConnectionResetError):
        while data := sock.recv(65536):
            received += data
    return received


def test_plain_http_is_told_what_to_do(secure: Served) -> None:
    with plain(secure) as sock:
        sock.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
        answer = read_all(sock)
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert b"This port takes TLS only: use https:// or wss://." in answer


@pytest.mark.parametrize("sent", [b"", b"\x80\x2e\x01", b"\x16\x03\x01\x00\x05hello", b"\x16"])
def test_a_handshake_has_a_deadline_and_nonsense_is_closed(secure: Served, sent: bytes) -> None:
    with plain(secure) as sock:
        sock.sendall(sent)
        answer = read_all(sock)
    assert answer == b"" or answer.startswith(b"\x15")  # an alert
    assert secure.ask("/").body == b"ok"
    assert "Traceback" not in secure.log()


def test_a_handshake_in_many_pieces(secure: Served) -> None:
    with plain(secure) as sock:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        client = InMemory()
        client.shake_hands(sock, 1)
        client.tls.write(b"GET / HTTP/1.0\r\n\r\n")
        sock.sendall(client.outgoing.read())
        assert client.rest(sock).endswith(b"ok")


def test_a_client_that_says_goodbye_and_waits(secure: Served) -> None:
    """In the packet of its request, and for ours, as asyncio does: the socket has nothing more to report."""
    with plain(secure) as sock:
        client = InMemory()
        client.shake_hands(sock)
        client.tls.write(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
        with suppress(ssl.SSLWantReadError):
            client.tls.unwrap()
        sock.sendall(client.outgoing.read())
        assert b"\r\n\r\nok" in client.rest(sock)


class InMemory:
    """A client of which the test sends what it says."""

    def __init__(self) -> None:
        self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = client_context().wrap_bio(self.incoming, self.outgoing, server_hostname="localhost")

    def shake_hands(self, sock: socket.socket, piece: int = 65536) -> None:
        """Over ``sock``, in pieces of that size."""
        done = False
        while not done:
            try:
                self.tls.do_handshake()
                done = True
            except ssl.SSLWantReadError:
                pass
            while said := self.outgoing.read(piece):
                sock.sendall(said)
            if not done:
                self.incoming.write(sock.recv(100))

    def rest(self, sock: socket.socket) -> bytes:
        """What comes until the server closes the connection."""
        self.incoming.write(read_all(sock))
        received = b""
        with suppress(ssl.SSLZeroReturnError):
            while data := self.tls.read(65536):
                received += data
        return received


def test_handshakes_take_turns(certificate: Path, tmp_path: Path) -> None:
    """Here, one step in each turn of the hub."""
    constants = {"green.turns.TURN_SECONDS": 0}
    with serve(tmp_path / "log", certificate=str(certificate), constants=constants) as served:
        socks = [plain(served) for _ in range(50)]
        for sock in socks[::7]:
            sock.sendall(b"\x16")  # and then nothing
        with ThreadPoolExecutor(10) as threads:
            wrapped = list(threads.map(wrap, [sock for number, sock in enumerate(socks) if number % 7]))
        for secure in wrapped:
            with secure:
                secure.sendall(b"GET / HTTP/1.0\r\n\r\n")
                assert read_all(secure).endswith(b"ok")
        for sock in socks:
            sock.close()
        assert "Traceback" not in served.log()


def wrap(sock: socket.socket) -> ssl.SSLSocket:
    return client_context().wrap_socket(sock, server_hostname="localhost")


def test_tiny_records(secure: Served) -> None:
    """A request of which each byte is a record."""
    with wrap(plain(secure)) as client:
        for byte in b"GET / HTTP/1.0\r\nX: " + b"y" * 2000 + b"\r\n\r\n":
            client.send(bytes([byte]))
        assert read_all(client).endswith(b"ok")


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_input_before_and_after_a_half_close(version: ssl.TLSVersion, certificate: Path) -> None:
    """If receiving ended with it, the close that follows would be a reset, and the client might lose the response."""
    ours, theirs = socket.socketpair()
    context = client_context()
    context.maximum_version = version
    with ours, theirs:
        for sock in (ours, theirs):
            sock.setblocking(False)
        server = TLS(lambda: read_certificate(str(certificate))).wire(ours)
        client = TLSWire(
            theirs, lambda incoming, outgoing: context.wrap_bio(incoming, outgoing, server_hostname="localhost")
        )
        shake_hands(server, client)
        for _ in range(3):
            client.send(b"before")
        assert server.receive(1) == b"b"
        server.shut_down()
        client.send(b"after")
        assert server.receive(100) == b"after"
        with pytest.raises(BlockingIOError):
            server.receive(100)
        assert client.receive(100) == b""


class Socket(socket.socket):
    """A socket whose buffer can be full for a moment."""

    is_full = False

    def send(self, data: ReadableBuffer, flags: int = 0) -> int:
        if self.is_full:
            self.is_full = False
            raise BlockingIOError
        return super().send(data, flags)


def test_close_notify_waits_for_room(certificate: Path) -> None:
    """Without it, a response that ends with the connection looks cut off."""
    ours, theirs = socket.socketpair()
    with Socket(fileno=ours.detach()) as sock, theirs:

        class Filling(list[bytes]):
            def close(self) -> None:  # once all of it is sent
                sock.is_full = True

        connection, client = connect(sock, theirs, certificate, Filling([b"ok"]))
        serving = eventlet.spawn(connection.run)
        with eventlet.Timeout(deadline(10)):
            shake_hands(client)
            client.send(b"GET / HTTP/1.0\r\n\r\n")
            serving.wait()
        client._incoming.write(theirs.recv(65536))
        assert client._tls.read(65536).endswith(b"ok")
        assert client._tls.read(1) == b""


def test_a_stop_waits_for_the_rest_of_a_record(certificate: Path) -> None:
    """A part of a request has come with its beginning, of which nothing can be decrypted."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        connection, client = connect(ours, theirs, certificate, [b"ok"])
        serving = eventlet.spawn(connection.run)
        with eventlet.Timeout(deadline(10)):
            shake_hands(client)
            client._tls.write(b"GET / HTTP/1.0\r\n\r\n")
            record = client._outgoing.read()
            theirs.send(record[:10])
            while Wire(ours).has_input():
                eventlet.sleep(0)
            connection.end_if_idle()
            theirs.send(record[10:])
            serving.wait()
        assert client.receive(65536).endswith(b"ok")


def connect(
    ours: socket.socket, theirs: socket.socket, certificate: Path, body: list[bytes]
) -> tuple[HTTPConnection, TLSWire]:
    """The connection of a server that answers ``body``, and the client's end."""
    for sock in (ours, theirs):
        sock.setblocking(False)

    def application(environ: Any, start_response: Any) -> list[bytes]:
        start_response("200 OK", [])
        return body

    server: Any = SimpleNamespace(
        application=application,
        tls=TLS(lambda: read_certificate(str(certificate))),
        request_timeout=deadline(10),
        access_log=None,
        handshake_gate=None,
        keep_alive=None,
        stopping=False,
        disowned=False,
        connection_ended=lambda *args, **kwargs: None,
    )
    context = client_context()
    client = TLSWire(
        theirs, lambda incoming, outgoing: context.wrap_bio(incoming, outgoing, server_hostname="localhost")
    )
    return HTTPConnection(server, Wire(ours), "", {}), client


def test_a_closed_connection_leaves_nothing_to_the_collector(certificate: Path) -> None:
    """It comes late where connections live long, and what OpenSSL holds of each is tens of kilobytes."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        channel = EventletChannel(TLS(lambda: read_certificate(str(certificate))).wire(ours))
        tls = weakref.ref(channel._wire._tls)  # type: ignore[attr-defined]  # it is a TLSWire
        channel.close()
        gc.disable()
        try:
            del channel
            assert tls() is None
        finally:
            gc.enable()


def shake_hands(*wires: TLSWire) -> None:
    unfinished = list(wires)
    while unfinished:
        for wire in unfinished.copy():
            with suppress(BlockingIOError):
                wire.shake_hands()
                unfinished.remove(wire)
        eventlet.sleep(0)


def test_too_many_connections_are_told_so(certificate: Path, tmp_path: Path) -> None:
    options = {"max_connections": 1, "constants": {"process.server.REFUSED_HANDSHAKE_SECONDS": deadline(10)}}
    with serve(tmp_path / "log", certificate=str(certificate), **options) as served, served.connect() as one:
        assert one.ask("/").body == b"ok"
        with served.connect() as refused:
            assert refused.answer().status == 503


@pytest.mark.parametrize(
    ("options", "succeeds"),
    [
        ("-tls1_3", True),
        ("-tls1_2", True),
        ("-tls1_1 -cipher ALL:@SECLEVEL=0", False),
        ("-tls1 -cipher ALL:@SECLEVEL=0", False),
        ("-tls1_2 -cipher ECDHE+AESGCM", True),
        ("-tls1_2 -cipher aNULL:@SECLEVEL=0", False),
        ("-tls1_2 -cipher eNULL:@SECLEVEL=0", False),
        ("-tls1_2 -cipher kRSA:@SECLEVEL=0", False),
        ("-tls1_2 -cipher AES128-SHA:@SECLEVEL=0", False),
        ("-tls1_3 -ciphersuites TLS_AES_128_GCM_SHA256", True),
    ],
)
def test_versions_and_ciphers(secure: Served, options: str, succeeds: bool) -> None:
    """Old versions, anonymous and unencrypted connections, and those without forward secrecy are refused."""
    ended = s_client(secure, f"-ign_eof {options}")
    assert ("Cipher is (NONE)" not in ended and "Cipher    : 0000" not in ended) is succeeds, ended


def s_client(served: Served, options: str, sent: str = "GET / HTTP/1.0\r\n\r\n") -> str:
    command = [find_program("openssl"), "s_client", "-connect", f"127.0.0.1:{served.address}"]
    ended = subprocess.run(
        [*command, *options.split()], input=sent.encode(), capture_output=True, timeout=deadline(20), check=False
    )
    return (ended.stdout + ended.stderr).decode("latin-1")


def test_alpn_and_renegotiation(secure: Served) -> None:
    assert "ALPN protocol: http/1.1" in s_client(secure, "-ign_eof -alpn h2,http/1.1")
    said = s_client(secure, "-tls1_2", "R\n")  # its command for a new handshake
    assert "no renegotiation" in said


def test_sessions_are_resumed(secure: Served, tmp_path: Path) -> None:
    path = tmp_path / "session"
    assert "ok" in s_client(secure, f"-ign_eof -tls1_2 -sess_out {path}")
    assert "Reused, TLSv1.2" in s_client(secure, f"-ign_eof -tls1_2 -sess_in {path}")


def test_key_updates(secure: Served) -> None:
    """RFC 8446, section 4.6.3: ``K`` also asks for the server's."""
    with ExitStack() as stack:
        command = [find_program("openssl"), "s_client", "-connect", f"127.0.0.1:{secure.address}", "-tls1_3"]
        process = stack.enter_context(
            subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        )
        assert process.stdin is not None
        assert process.stdout is not None
        stack.callback(process.kill)
        process.stdin.write(b"K\n")
        process.stdin.flush()
        output = b""
        while b"KEYUPDATE" not in output:
            data = os.read(process.stdout.fileno(), 65536)
            assert data, output
            output += data
        process.stdin.write(b"GET / HTTP/1.0\r\n\r\n")
        process.stdin.flush()
        while b"\r\n\r\nok" not in output:
            data = os.read(process.stdout.fileno(), 65536)
            assert data, output
            output += data


# Reading certificates


def test_what_reading_a_certificate_says(tmp_path: Path) -> None:
    issued, other = authority().issue_cert("localhost"), authority().issue_cert("localhost")
    files = {
        "chain": issued.cert_chain_pems[0].bytes(),
        "key": issued.private_key_pem.bytes(),
        "other": other.private_key_pem.bytes(),
        "both": issued.private_key_and_cert_chain_pem.bytes(),
        "encrypted": b"-----BEGIN ENCRYPTED PRIVATE KEY-----\n",
        "broken": b"-----BEGIN CERTIFICATE-----\nabc\n-----END CERTIFICATE-----\n",
    }
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)

    def read(certificate: str, key: str | None = None) -> ssl.SSLContext:
        return read_certificate(str(tmp_path / certificate), key and str(tmp_path / key))

    assert read("both").minimum_version == ssl.TLSVersion.TLSv1_2
    read("chain", "key")
    for arguments, says in [
        (("chain",), "There is no private key .* in .*chain"),
        (("key",), "There is no certificate .* in .*key"),
        (("chain", "other"), "The key in .*other is not that of the certificate in .*chain"),
        (("chain", "encrypted"), "encrypted is encrypted"),
        (("broken", "key"), "OpenSSL can't use .*broken"),
    ]:
        with pytest.raises(ValueError, match=says):
            read(*arguments)
    with pytest.raises(FileNotFoundError):
        read("chain", "missing")


def test_old_versions_are_refused(certificate: Path) -> None:
    def old() -> ssl.SSLContext:
        context = read_certificate(str(certificate))
        context.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
        return context

    with pytest.raises(ValueError, match=r"older than TLS 1\.2"):
        TLS(old)
