"""Receivers of webhooks: one POST, to an address that was looked at first. Nothing here trusts the other side.

An address is resolved by us, refused unless it is public, and connected to as it was resolved: a name that answers
otherwise the second time gains nothing. No redirect is followed, nothing of an answer but its status is kept, and
proxies of the environment are not used: they would resolve the name once more.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
import ssl
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import cache
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import aiohttp
import structlog
from aiohttp.abc import AbstractResolver, ResolveResult
from django.conf import settings

from project.networks import is_public, lies_in
from project.version import USER_AGENT
from sandboxes.core.deliveries import Reply
from sandboxes.providers import counters

if TYPE_CHECKING:
    from collections.abc import Mapping

log = structlog.get_logger(__name__)
# Names that are looked up at the same time, by threads of our own: one that hangs delays no other call.
RESOLVERS = 32
LONGEST_URL = 500


class AddressRefused(OSError):
    """Nothing is sent to such an address."""


def refusal_of(url: str) -> str:
    """Why nothing would be sent to this address; empty where only its name has still to be resolved."""
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        return "It is no address."
    if parts.scheme != "https" and not (settings.DEBUG and parts.scheme == "http"):
        return "It must begin with https://."
    if not host or not url.isascii() or any(character.isspace() for character in url) or len(url) > LONGEST_URL:
        return f"It must be an https address of at most {LONGEST_URL} characters, in ASCII."
    if parts.username is not None or parts.password is not None:
        return "It must not hold a user or a password: anybody who sees the webhook could read them."
    if parts.fragment:
        return "It must not have a fragment."
    return _refusal_of_host(host)


def _refusal_of_host(host: str) -> str:
    with suppress(ValueError):
        ipaddress.ip_address(host)
        return "" if _is_allowed(host) else _private(host)
    return ""


def _is_allowed(address: str) -> bool:
    return is_public(address) or lies_in(address, settings.WEBHOOK_NETWORKS)


def _private(address: str) -> str:
    return f"{address} is not on the public internet, and in no network of WEBHOOK_NETWORKS."


class _Resolver(AbstractResolver):
    """Answers with addresses that may be called; aiohttp connects to those and to no other."""

    async def resolve(
        self,
        host: str,
        port: int = 0,
        family: socket.AddressFamily = socket.AF_INET,  # noqa: ARG002 - both
    ) -> list[ResolveResult]:
        addresses = await asyncio.get_running_loop().run_in_executor(_threads(), _look_up, host, port)
        refused = [address for address in addresses if not _is_allowed(address)]
        if refused:
            raise AddressRefused(f"{host} is {_private(refused[0])}")
        return [_result(host, address, port) for address in addresses]

    async def close(self) -> None:
        pass


def _look_up(host: str, port: int) -> list[str]:
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(address[0]) for *_, address in found))


def _result(host: str, address: str, port: int) -> ResolveResult:
    return ResolveResult(
        hostname=host,
        host=address,
        port=port,
        family=socket.AF_INET6 if ":" in address else socket.AF_INET,
        proto=socket.IPPROTO_TCP,
        flags=socket.AI_NUMERICHOST,
    )


@cache
def _threads() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(RESOLVERS, thread_name_prefix="resolve")


@cache
def _trusted() -> ssl.SSLContext:
    return ssl.create_default_context()


async def post(url: str, *, body: bytes, headers: Mapping[str, str], message: str) -> Reply:
    """Send it once. Returns what came of it within WEBHOOK_TIMEOUT seconds; raises nothing of the network's."""
    started = time.monotonic()
    reply = await _send(url, body, {"Content-Type": "application/json", "User-Agent": USER_AGENT, **headers})
    seconds = time.monotonic() - started
    counters.record("webhook", "post", "ok" if reply.is_success else "failed", seconds)
    log.info(
        "delivery", message=message, host=urlsplit(url).hostname, status=reply.status,
        error="" if reply.is_success else reply.error, ms=round(seconds * 1000, 1),
    )  # fmt: skip
    return reply


async def _send(url: str, body: bytes, headers: Mapping[str, str]) -> Reply:
    refusal = refusal_of(url)  # settings may have changed since it was registered
    if refusal:
        return Reply(problem=refusal)
    try:
        async with asyncio.timeout(settings.WEBHOOK_TIMEOUT), _session() as session:
            request = session.post(url, data=body, headers=headers, allow_redirects=False)
            async with request as answer:
                return Reply(answer.status, retry_after=_seconds(answer.headers.get("Retry-After", "")))
    except TimeoutError:
        return Reply(problem=f"No answer within {settings.WEBHOOK_TIMEOUT:g} s")
    except (aiohttp.ClientError, OSError, ValueError) as error:
        return Reply(problem=_in_words(error))


def _session() -> aiohttp.ClientSession:
    """For one delivery: each looks at the address anew."""
    connector = aiohttp.TCPConnector(
        resolver=_Resolver(), use_dns_cache=False, force_close=True, limit=1, ssl=_trusted()
    )
    return aiohttp.ClientSession(
        connector=connector,
        cookie_jar=aiohttp.DummyCookieJar(),
        timeout=aiohttp.ClientTimeout(total=None),
        auto_decompress=False,
    )


def _seconds(text: str) -> float:
    return float(text) if text.isdecimal() and len(text) < 7 else 0.0


def _in_words(error: Exception) -> str:
    """Our words: what a receiver says may be anything."""
    cause = error.os_error if isinstance(error, aiohttp.ClientConnectorError) else error
    if isinstance(cause, AddressRefused):
        return str(cause)
    if isinstance(error, aiohttp.InvalidURL):
        return "Its host is no name"
    if isinstance(cause, socket.gaierror):
        return "Its name cannot be resolved"
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        return "Its certificate is not valid for this name"
    if isinstance(error, aiohttp.ClientSSLError):
        return "It does not speak TLS"
    if isinstance(error, aiohttp.ClientConnectorError):
        return f"It cannot be reached ({type(cause).__name__})"
    return f"It did not answer in HTTP ({type(cause).__name__})"
