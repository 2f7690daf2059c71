"""Whose address a request has, and whether an address lies in a network."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from django.conf import settings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from django.http import HttpRequest
    from django.http.response import HttpResponseBase

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

# 1.2.3.4, 1.2.3.4:5678, [2001:db8::1], [2001:db8::1]:5678, 2001:db8::1
_WRITTEN = re.compile(
    r"\[(?P<v6>[0-9a-fA-F:.]{2,45})\](?::(?P<port6>[0-9]{1,5}))?"
    r"|(?P<v4>[0-9.]{7,15})(?::(?P<port4>[0-9]{1,5}))?"
    r"|(?P<bare>[0-9a-fA-F:.]{2,45})"
)
_NUMBER = re.compile(r"[0-9]{1,3}")


@dataclass(frozen=True, slots=True)
class Proxies:
    """Which hops are proxies of ours: the nearest `count`, and whatever lies in `networks`."""

    count: int
    networks: tuple[Network, ...]

    @classmethod
    @lru_cache(maxsize=16)
    def of(cls, words: tuple[str, ...]) -> Proxies:
        """Raises ValueError for a word that is neither a network nor a number, and for two numbers."""
        counts = [int(word) for word in words if _NUMBER.fullmatch(word)]
        if len(counts) > 1 or 0 in counts:
            raise ValueError("the number of proxies is one number above 0")
        networks = tuple(ipaddress.ip_network(word) for word in words if not _NUMBER.fullmatch(word))
        return cls(counts[0] if counts else 0, networks)

    def trusts(self, hop: int, address: Address | None) -> bool:
        """Whether the hop is ours; the peer of the connection is hop 0."""
        return hop < self.count or (address is not None and any(address in network for network in self.networks))

    def client(self, peer: Address | None, forwarded: list[str]) -> Address | None:
        """Walk from the peer to the left as long as whoever wrote the next address is trusted, and it is one."""
        address = peer
        for hop, written in enumerate(reversed(forwarded)):
            if not self.trusts(hop, address):
                break
            found = parse(written)
            if found is None:
                break
            address = found
        return address


def parse(written: str) -> Address | None:
    """The address as proxies write it: with a port, in brackets, IPv4 inside IPv6. None for anything else."""
    match = _WRITTEN.fullmatch(written.strip().strip('"'))
    if match is None or int(match["port6"] or match["port4"] or 0) > 65_535:
        return None
    try:
        address = ipaddress.ip_address(match["v6"] or match["v4"] or match["bare"])
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address  # how a dual-stack socket writes IPv4


def client_address(request: HttpRequest) -> str:
    """The client's address, for everything that asks for it; empty where the connection has none."""
    proxies = Proxies.of(tuple(settings.TRUSTED_PROXIES))
    header = request.META.get("HTTP_X_FORWARDED_FOR", "")
    address = proxies.client(parse(request.META.get("REMOTE_ADDR", "")), header.split(",") if header else [])
    return str(address or "")


class ForwardedHeaders:
    """Middleware: X-Forwarded-Proto is what the nearest trusted proxy said, and nobody else's word."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        scheme = request.META.pop("HTTP_X_FORWARDED_PROTO", "").rpartition(",")[2].strip().lower()
        proxies = Proxies.of(tuple(settings.TRUSTED_PROXIES))
        if scheme and proxies.trusts(0, parse(request.META.get("REMOTE_ADDR", ""))):
            request.META["HTTP_X_FORWARDED_PROTO"] = scheme
        return self._get_response(request)


def lies_in(address: str, networks: Iterable[str]) -> bool:
    """Whether the address lies in one of the networks, such as 10.0.0.0/8; what is no address lies in none."""
    host = parse(address)
    return host is not None and any(host in ipaddress.ip_network(network, strict=False) for network in networks)


_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")


def is_public(address: str) -> bool:
    """Whether the address is one of the public internet: no private, local, shared, reserved or multicast one, nor
    an IPv6 address that leads to such an IPv4 address."""
    host = parse(address)
    if host is None or host.is_multicast or not host.is_global:
        return False
    if isinstance(host, ipaddress.IPv4Address):
        return True
    if host in _NAT64:
        return is_public(str(ipaddress.IPv4Address(int(host) & 0xFFFFFFFF)))
    return not host.is_reserved and not host.is_site_local and host.sixtofour is None and host.teredo is None
