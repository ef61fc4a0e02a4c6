"""Which address stands for a client, and what a forged header does not change."""

from __future__ import annotations

import pytest

from django_websocket.addresses import client_block, parse_networks

TRUSTED = parse_networks(["10.0.0.0/8", "127.0.0.1", "fd00::/8"])


@pytest.mark.parametrize(
    ("peer", "forwarded", "block"),
    [
        # Nobody in between: what the client says is no matter.
        ("203.0.113.7", "", "203.0.113.7"),
        ("203.0.113.7", "198.51.100.1", "203.0.113.7"),
        ("203.0.113.7", "198.51.100.1, 10.0.0.1", "203.0.113.7"),
        # One proxy, which appends.
        ("10.0.0.1", "203.0.113.7", "203.0.113.7"),
        ("10.0.0.1", "198.51.100.1, 203.0.113.7", "203.0.113.7"),
        ("10.0.0.1", "198.51.100.1,203.0.113.7", "203.0.113.7"),
        ("10.0.0.1", "10.0.0.9, 203.0.113.7", "203.0.113.7"),
        ("127.0.0.1", ", , 203.0.113.7", "203.0.113.7"),
        ("10.0.0.1", "unknown, 203.0.113.7", "203.0.113.7"),
        # Two of them.
        ("10.0.0.1", "198.51.100.1, 203.0.113.7, 10.0.0.2", "203.0.113.7"),
        # Clients of the inside, and proxies that speak for themselves.
        ("10.0.0.1", "", "10.0.0.1"),
        ("10.0.0.1", "10.0.0.7", "10.0.0.7"),
        ("10.0.0.1", "unknown, 10.0.0.7", "10.0.0.7"),
        ("10.0.0.1", "203.0.113.7, unknown", "10.0.0.1"),
        ("10.0.0.1", "203.0.113.7,", "10.0.0.1"),
        # A unix socket.
        ("", "203.0.113.7", "203.0.113.7"),
        ("", "198.51.100.1, 203.0.113.7", "203.0.113.7"),
        ("", "203.0.113.7, 10.0.0.1", "203.0.113.7"),
        ("", "", ""),
        ("", "unknown", ""),
        # IPv6.
        ("2001:db8:1:2:3:4:5:6", "", "2001:db8:1:2::/64"),
        ("2001:db8:1:2:ffff::1", "", "2001:db8:1:2::/64"),
        ("2001:db8:1:3::1", "", "2001:db8:1:3::/64"),
        ("fe80::1%eth0", "", "fe80::/64"),
        ("fd00::1", "2001:db8::7", "2001:db8::/64"),
        ("::ffff:203.0.113.7", "198.51.100.1", "203.0.113.7"),
        ("::ffff:10.0.0.1", "203.0.113.7", "203.0.113.7"),
        # With a port, as some proxies write it.
        ("10.0.0.1", "203.0.113.7:50000", "203.0.113.7"),
        ("10.0.0.1", "[2001:db8::7]:50000", "2001:db8::/64"),
        ("10.0.0.1", "[2001:db8::7]", "2001:db8::/64"),
        # What is no address.
        ("proxy.example", "203.0.113.7", ""),
        ("10.0.0.1", "203.0.113.7:x", "10.0.0.1"),
        ("10.0.0.1", "[]:80", "10.0.0.1"),
    ],
)
def test_client_block(peer: str, forwarded: str, block: str) -> None:
    assert client_block(peer, forwarded, TRUSTED) == block


def test_nobody_is_trusted_unless_named() -> None:
    assert client_block("127.0.0.1", "203.0.113.7", ()) == "127.0.0.1"


@pytest.mark.parametrize("text", ["10.0.0.1/8", "10.0.0.0/33", "proxy.example", "", "10.0.0"])
def test_no_network(text: str) -> None:
    with pytest.raises(ValueError, match=r"IPv4|host bits"):
        parse_networks([text])
