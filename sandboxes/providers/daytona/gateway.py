"""Daytona's API, in the words of this project. Nothing outside `providers/daytona*.py` knows it.

It uses the client package of Daytona's SDK (`daytona_api_client_async`) for paths and parameters, in the form that
returns raw answers: the SDK's own models reject what a v0.190 server sends, after the call was carried out.

Every call is one request that returns, or raises a `DaytonaError`, within its deadline; only reads are repeated,
twice and at once. Daytona holds create, start and recover open for up to 30 s, so they have a deadline of their
own. A call that was cut off may go on at Daytona: it is `Unknown`, and the caller observes.
"""

from __future__ import annotations

import json
import os
import threading
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from django.conf import settings

from sandboxes.core.facts import RemoteSandbox
from sandboxes.providers.daytona.errors import (
    Busy,
    ComputeQuotaFull,
    DaytonaError,
    DiskQuotaFull,
    NameTaken,
    NoRunners,
    NotConfigured,
    NotFound,
    RateLimited,
    RecoverCooldown,
    RecoverExhausted,
    Rejected,
    StartFailed,
    Suspended,
    Unauthorized,
    Unknown,
    WrongState,
)
from sandboxes.providers.daytona.rows import UnreadableBody, read_page, read_sandbox
from sandboxes.providers.daytona.wire import DaytonaWire

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from sandboxes.providers.daytona.throttle import Resting, Shared
    from sandboxes.providers.protocols import Page, SandboxSpec

__all__ = [
    "Busy",
    "ComputeQuotaFull",
    "DaytonaError",
    "DaytonaGateway",
    "DiskQuotaFull",
    "NameTaken",
    "NoRunners",
    "NotConfigured",
    "NotFound",
    "RateLimited",
    "RecoverCooldown",
    "RecoverExhausted",
    "Rejected",
    "RemoteSandbox",
    "StartFailed",
    "Suspended",
    "Unauthorized",
    "Unknown",
    "WrongState",
    "gateway",
    "reset",
]


DAYTONAS_NAMES = {"memory_gb": "memory", "disk_gb": "disk"}


class DaytonaGateway:
    """Daytona for one API key. Safe to share between threads and event loops, not between processes.

    In seconds: `connect_timeout` for the connection, `read_timeout` for a whole call, `hold_timeout` for a whole
    create, start or recover; `unauthorized_pause` is how long no call leaves after the key was refused. Every call
    raises a DaytonaError, or ValueError for an argument that can be no sandbox. Cancelled, it drops its connection.
    """

    def __init__(
        self,
        *,
        api_url: str,
        api_key: str,
        target: str = "",
        connect_timeout: float = 3.0,
        read_timeout: float = 5.0,
        hold_timeout: float = 35.0,
        unauthorized_pause: float = 60.0,
    ) -> None:
        self._api_url = _address(api_url)
        self._target = target
        self._wire = DaytonaWire(
            api_url=self._api_url,
            api_key=api_key,
            connect_timeout=float(connect_timeout),
            read_timeout=float(read_timeout),
            hold_timeout=float(hold_timeout),
            unauthorized_pause=unauthorized_pause,
        )

    def __repr__(self) -> str:
        return f"<DaytonaGateway {self._api_url}>"

    async def get(self, id_or_name: str) -> RemoteSandbox:
        """Look at one sandbox. The only call that raises NotFound."""
        return _sandbox("get", await self._wire.read("get", _named(id_or_name)))

    async def list_page(
        self,
        *,
        cursor: str | None = None,
        limit: int = 200,
        labels: Mapping[str, str] | None = None,
        id_prefix: str | None = None,
    ) -> Page:
        """One page of the list, oldest first: the default order loses rows that move (recording 10_list).

        A hint, never the truth: the hosted service answers from a search index that lags. `limit` is 1 to
        200.
        """
        from daytona_api_client_async import SandboxListSortDirection, SandboxListSortField

        body = await self._wire.read(
            "list_page",
            cursor=cursor,
            limit=limit,
            labels=json.dumps(dict(labels)) if labels else None,
            id=id_prefix,
            sort=SandboxListSortField.CREATEDAT,
            order=SandboxListSortDirection.ASC,
        )
        try:
            return read_page(body)
        except UnreadableBody as error:
            raise Unknown(f"list_page: {error}", status=200) from None

    async def create(self, new: SandboxSpec) -> RemoteSandbox:
        """The answer may say `creating` of a sandbox that already runs (recording 01_create_get)."""
        return await self._change("create", _body(_asked(new, self._target)))

    async def change(
        self, call: str, daytona_id: str, parameters: Mapping[str, Any] | None = None
    ) -> RemoteSandbox:
        """Make the call of this name (core/actions.py) to an existing sandbox, with what was said of it."""
        body = (_body(parameters),) if parameters else ()
        return await self._change(call, _named(daytona_id), *body)

    async def replace_labels(self, daytona_id: str, labels: Mapping[str, str]) -> None:
        """Replaces all of them: read, change, then send the whole."""
        from daytona_api_client_async import SandboxLabels

        await self._wire.send("replace_labels", _named(daytona_id), SandboxLabels(labels=dict(labels)))

    async def keep_alive(self, daytona_id: str) -> None:
        """Tell Daytona that the sandbox is in use. Takes the id: a call with a name is silently lost."""
        await self._wire.send("keep_alive", _named(daytona_id))

    async def set_auto_stop(self, daytona_id: str, minutes: int) -> None:
        """0: never."""
        await self._wire.send("set_auto_stop", _named(daytona_id), minutes)

    async def set_auto_archive(self, daytona_id: str, minutes: int) -> None:
        """0: as late as Daytona allows."""
        await self._wire.send("set_auto_archive", _named(daytona_id), minutes)

    async def set_auto_delete(self, daytona_id: str, minutes: int) -> None:
        """-1: never; 0: as soon as it is stopped."""
        await self._wire.send("set_auto_delete", _named(daytona_id), minutes)

    def share(self, make: Callable[[Resting], Shared]) -> None:
        """Have the calls of the running event loop go by what other processes know as well."""
        self._wire.share(make(self._wire.resting))

    async def close(self) -> None:
        """Close the connections of the running event loop. Those of another are closed with it."""
        await self._wire.close()

    def drop(self) -> None:
        """Close the connections of every event loop, soon. Not async, so that any thread can do it."""
        self._wire.drop()

    async def _change(self, operation: str, *arguments: object) -> RemoteSandbox:
        return _sandbox(operation, await self._wire.send(operation, *arguments))


def _address(api_url: str) -> str:
    try:
        parts = urlsplit(api_url.strip())
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.username is None
    except ValueError:
        usable = False
    if not usable:
        raise NotConfigured(
            "The Daytona URL is no http(s) address, or it carries a password. "
            "Set DAYTONA_API_URL to something like https://app.daytona.io/api."
        )
    return api_url.strip().rstrip("/")


def _asked(new: SandboxSpec, target: str) -> dict[str, Any]:
    return {
        "name": new.name,
        "snapshot": new.snapshot,
        "cpu": new.cpu,
        "memory_gb": new.memory_gb,
        "disk_gb": new.disk_gb,
        "labels": dict(new.labels),
        "env": dict(new.env) if new.env is not None else None,
        "target": new.target or target,
        "autoStopInterval": new.auto_stop,
        "autoArchiveInterval": new.auto_archive,
        "autoDeleteInterval": new.auto_delete,
    }


def _body(values: Mapping[str, Any]) -> dict[str, Any]:
    """What is said of a sandbox, by Daytona's names. What is None or empty leaves the choice to Daytona."""
    return {DAYTONAS_NAMES.get(name, name): value for name, value in values.items() if value not in (None, "")}


def _named(id_or_name: str) -> str:
    """Empty or all dots would make the path of another call."""
    if id_or_name.strip(". ") == "":
        raise ValueError(f"not an id or a name of a sandbox: {id_or_name!r}")
    return id_or_name


def _sandbox(operation: str, body: bytes) -> RemoteSandbox:
    try:
        return read_sandbox(body)
    except UnreadableBody as error:
        raise Unknown(f"{operation}: {error}", status=200) from None


_lock = threading.Lock()
_current: DaytonaGateway | None = None
_inherited: list[DaytonaGateway | None] = []


def gateway() -> DaytonaGateway:
    """The gateway of this process, made from the settings at the first call. Raises NotConfigured."""
    global _current
    with _lock:
        if _current is None:
            _current = _from_settings()
        return _current


def reset() -> None:
    """Forget this process's gateway, and with it its connections and all that rests or was refused."""
    global _current
    with _lock:
        if _current is not None:
            _current.drop()
        _current = None


def _from_settings() -> DaytonaGateway:
    missing = [name for name in ("DAYTONA_API_URL", "DAYTONA_API_KEY") if not getattr(settings, name)]
    if missing:
        raise NotConfigured(
            f"This process cannot call Daytona: {' and '.join(missing)} not set. "
            "Set them in the environment (or in .env) of the worker and of manage.py commands."
        )
    return DaytonaGateway(
        api_url=settings.DAYTONA_API_URL,
        api_key=settings.DAYTONA_API_KEY,
        target=settings.DAYTONA_TARGET,
        connect_timeout=settings.DAYTONA_CONNECT_TIMEOUT,
        read_timeout=settings.DAYTONA_READ_TIMEOUT,
        hold_timeout=settings.DAYTONA_HOLD_TIMEOUT,
        unauthorized_pause=settings.DAYTONA_UNAUTHORIZED_PAUSE,
    )


def _after_fork() -> None:
    """A child must not use or close its parent's sockets, nor wait for a lock that a thread of the parent held."""
    global _current, _lock
    _lock = threading.Lock()
    _inherited.append(_current)
    _current = None


os.register_at_fork(after_in_child=_after_fork)
