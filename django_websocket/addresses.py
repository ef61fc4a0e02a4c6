"""Who a client is, by its address: through proxies, and with the whole of an IPv6 network counted as one."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

__all__ = ["Network", "client_address", "client_block", "is_within", "parse_networks"]

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

CLIENT_PREFIX = 64
"""Bits of an IPv6 address that tell clients apart: everybody has at least a whole /64 (RFC 6177, section 2)."""

_with_port = re.compile(r"\[(?P<v6>[^\]]*)\](?::[0-9]{1,5})?|(?P<v4>[0-9.]+):[0-9]{1,5}")


def parse_networks(texts: Iterable[str]) -> tuple[Network, ...]:
    """Return the networks, such as ``10.0.0.0/8``; an address is a network of one. Raises ValueError."""
    return _parse_networks(tuple(texts))


@lru_cache(maxsize=16)
def _parse_networks(texts: tuple[str, ...]) -> tuple[Network, ...]:
    return tuple(map(ip_network, texts))


def client_address(peer: str, forwarded: str, trusted: Iterable[Network]) -> Address | None:
    """Return the address of a client.

    ``peer`` is where the connection comes from, "" for a unix socket, which only proxies use. ``forwarded`` is the
    request's X-Forwarded-For, to which each proxy appends the address of its own client. So it is read from the right,
    and only as far as what wrote it is ``trusted``. Returns None if nobody who is trusted names an address.
    """
    address = _parse(peer)
    if address is None and peer:
        return None
    left = forwarded
    while left and (address is None or any(address in network for network in trusted)):
        left, _, last = left.rpartition(",")
        named = _parse(last.strip())
        if named is None:
            break
        address = named
    return address


def client_block(peer: str, forwarded: str, trusted: Iterable[Network]) -> str:
    """Return what stands for a client where clients are counted: an IPv4 address, or the /64 of an IPv6 address.

    The arguments are those of :func:`client_address`. Returns "" if the client is not known.
    """
    address = client_address(peer, forwarded, trusted)
    return "" if address is None else _block(address)


def is_within(text: str, networks: Iterable[Network]) -> bool:
    """Whether ``text`` is an address in one of ``networks``."""
    address = _parse(text)
    return address is not None and any(address in network for network in networks)


def _parse(text: str) -> Address | None:
    match = _with_port.fullmatch(text)
    try:
        address = ip_address(text if match is None else match["v6"] or match["v4"] or "")
    except ValueError:
        return None
    if isinstance(address, IPv6Address):
        if address.ipv4_mapped is not None:
            return address.ipv4_mapped  # what a listener for both families makes of IPv4
        if address.scope_id is not None:
            return IPv6Address(int(address))  # a zone means nothing elsewhere, and may have any characters
    return address


def _block(address: Address) -> str:
    if isinstance(address, IPv4Address):
        return str(address)
    return str(IPv6Network((int(address), CLIENT_PREFIX), strict=False))
