"""Listening sockets."""

from __future__ import annotations

import errno
import os
import socket
import stat
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from django_websocket.serving.process.binding import SocketFile, bind_sockets, describe


@pytest.mark.parametrize("address", ["127.0.0.1:0", "localhost:0", ":0", "[::1]:0"])
def test_tcp(address: str) -> None:
    [listener] = bind_sockets(address)
    with listener:
        assert not listener.getblocking()
        assert listener.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
        assert listener.getsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR)
        assert not os.get_inheritable(listener.fileno())
        host, port = listener.getsockname()[:2]
        assert describe(listener) == (f"[{host}]:{port}" if ":" in host else f"{host}:{port}")


def test_a_name_is_its_ipv4_address_first(monkeypatch: pytest.MonkeyPatch) -> None:
    def resolve(*args: Any, **kwargs: Any) -> list[Any]:
        ipv6 = (socket.AF_INET6, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", ("::1", 0, 0, 0))
        return [ipv6, (socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", ("127.0.0.1", 0))]

    monkeypatch.setattr("django_websocket.serving.process.binding.socket.getaddrinfo", resolve)
    [listener] = bind_sockets("localhost:0")
    with listener:
        assert listener.getsockname()[0] == "127.0.0.1"


def test_ipv6_is_ipv6_alone() -> None:
    [wide] = bind_sockets("0.0.0.0:0")
    with wide:
        [six] = bind_sockets(f"[::]:{wide.getsockname()[1]}")
        six.close()


@pytest.mark.parametrize(
    "address", ["", "localhost", "localhost:", "a:b", "1.2.3.4:70000", "::1:80", "fd://x", "[::1]"]
)
def test_no_address(address: str) -> None:
    with pytest.raises(ValueError, match="not a"):
        bind_sockets(address)


def open_sockets() -> set[str]:
    """Those of this process; something that an earlier test has left may close one at any time."""
    found = set()
    for descriptor in Path("/proc/self/fd").iterdir():
        with suppress(FileNotFoundError):
            found.add(os.readlink(descriptor))
    return {name for name in found if name.startswith("socket:")}


def test_in_use_leaves_none_open() -> None:
    before = open_sockets()
    with socket.create_server(("127.0.0.1", 0)) as taken:
        with pytest.raises(OSError) as caught:  # noqa: PT011  its number is checked
            bind_sockets("127.0.0.1:0", f"127.0.0.1:{taken.getsockname()[1]}")
        assert caught.value.errno == errno.EADDRINUSE
    assert open_sockets() <= before


def test_reuse_port() -> None:
    [first] = bind_sockets("127.0.0.1:0", reuse_port=True)
    with first:
        [second] = bind_sockets(describe(first), reuse_port=True)
        second.close()


def test_unix(tmp_path: Path) -> None:
    path = tmp_path / "socket"
    [listener] = bind_sockets(f"unix:{path}")
    with listener:
        assert describe(listener) == f"unix:{path}"
        with pytest.raises(OSError) as caught:  # noqa: PT011  its number is checked
            bind_sockets(str(path))
        assert caught.value.errno == errno.EADDRINUSE
    # Nobody listens any more: the file is stale.
    [listener] = bind_sockets(str(path))
    listener.close()


@pytest.mark.parametrize("mode", [0o600, 0o660, 0o666, 0o777])
def test_the_mode_of_a_unix_socket(tmp_path: Path, mode: int) -> None:
    """It has it from the start, whatever the umask."""
    before = os.umask(0o027)
    try:
        [listener] = bind_sockets(f"unix:{tmp_path}/s", socket_mode=mode)
        listener.close()
        assert os.umask(0o027) == 0o027
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "s").stat().st_mode) == mode


def test_the_file_of_a_unix_socket_is_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    [listener] = bind_sockets("unix:s")
    file = SocketFile(listener)
    monkeypatch.chdir("/")
    listener.close()
    file.remove()
    assert not (tmp_path / "s").exists()
    file.remove()


def test_the_file_of_another_server_is_not_removed(tmp_path: Path) -> None:
    path = tmp_path / "s"
    [listener] = bind_sockets(f"unix:{path}")
    with listener:
        file = SocketFile(listener)
        path.unlink()  # its inode may be used again
        [other] = bind_sockets(f"unix:{path}")
        with other:
            file.remove()
            assert path.exists()


def test_a_forked_child_removes_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    [listener] = bind_sockets(f"unix:{tmp_path}/s")
    with listener:
        file = SocketFile(listener)
        monkeypatch.setattr(os, "getpid", lambda: -1)
        file.remove()
    assert (tmp_path / "s").exists()


def test_unix_leaves_other_files(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("precious")
    with pytest.raises(OSError) as caught:  # noqa: PT011  its number is checked
        bind_sockets(f"unix:{path}")
    assert caught.value.errno == errno.EADDRINUSE
    assert path.read_text() == "precious"


def test_descriptor() -> None:
    with socket.create_server(("127.0.0.1", 0)) as original:
        [listener] = bind_sockets(f"fd://{os.dup(original.fileno())}")
        with listener:
            assert listener.getsockname() == original.getsockname()


def test_descriptor_that_does_not_listen() -> None:
    with socket.socket() as idle:
        with pytest.raises(OSError, match="not a listening socket"):
            bind_sockets(f"fd://{idle.fileno()}")
        idle.getsockname()  # was not closed
