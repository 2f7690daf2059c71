"""Whether a caller comes from a network: for what only some addresses may see."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable


def lies_in(address: str, networks: Iterable[str]) -> bool:
    """Whether the address lies in one of the networks, such as 10.0.0.0/8; what is no address lies in none."""
    try:
        host = ipaddress.ip_address(address)
    except ValueError:
        return False
    host = getattr(host, "ipv4_mapped", None) or host  # how a dual-stack socket writes IPv4
    return any(host in ipaddress.ip_network(network, strict=False) for network in networks)
