"""The two clients: with and without `await`. What they do is in `steps`; here are the sockets and the clock."""

from __future__ import annotations

import asyncio
import time
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any, Generic, TypedDict, TypeVar
from urllib.parse import quote

import httpx

from sandkeeper_client import operations, steps

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from types import TracebackType

    from sandkeeper_client import types as t

T = TypeVar("T")
RETRIES = 4
PATIENCE = 180.0  # seconds; the start of an archived sandbox takes that long


class Page(TypedDict, Generic[T]):
    """One page of any list."""

    results: list[T]
    next: str | None


def _version() -> str:
    try:
        return version("sandkeeper-client")
    except PackageNotFoundError:
        return "0"


USER_AGENT = f"sandkeeper-client-python/{_version()}"


def _headers(key: str, owner: str | None) -> dict[str, str]:
    mine = {"Authorization": f"Bearer {key}", "User-Agent": USER_AGENT}
    return mine | ({"X-On-Behalf-Of": quote(owner, safe="")} if owner is not None else {})


class _Client:
    """What both have: the address, the key, and the owner that it acts for."""

    def __init__(self, url: str, key: str, *, owner: str | None, retries: int) -> None:
        self._base = url.rstrip("/") + steps.V1
        self._key = key
        self._owner = owner
        self._retries = retries

    def _request(self, ask: steps.Ask) -> dict[str, Any]:
        sent: dict[str, Any] = {"headers": _headers(self._key, self._owner) | ask.headers, "timeout": ask.timeout}
        if ask.body is not None:
            sent["json"] = ask.body
        if ask.query:
            sent["params"] = ask.query
        return {"method": ask.method, "url": self._base + ask.path} | sent

    def _ensure_running(self, sandbox_id: str, reason: str, patience: float) -> steps.Course[Any]:
        return steps.ensure_running(
            sandbox_id, reason=reason, patience=patience, retries=self._retries, clock=time.monotonic
        )

    def _until_ended(self, operation: t.Operation, patience: float) -> steps.Course[Any]:
        return steps.until_ended(operation["id"], patience=patience, retries=self._retries, clock=time.monotonic)


def _feed(after: int | str | None, wait: float, more: dict[str, Any]) -> steps.Ask:
    query = {name: value for name, value in more.items() if value is not None}
    return steps.Ask("GET", "/events", query=query | ({} if after is None else {"after": after}), wait=wait)


class Sandkeeper(_Client, operations.Operations):
    """A client of one Sandkeeper, for one owner (or, with a key for all owners, for all).

    `retries`: how often a request is sent again where that is safe: no answer, 408, 429, 500, 503. POSTs carry an
    Idempotency-Key, so that nothing is done twice.
    """

    def __init__(
        self,
        url: str,
        key: str,
        *,
        owner: str | None = None,
        retries: int = RETRIES,
        http: httpx.Client | None = None,
    ) -> None:
        super().__init__(url, key, owner=owner, retries=retries)
        self._http = http or httpx.Client()

    def __enter__(self) -> Sandkeeper:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        self._http.close()

    def on_behalf_of(self, owner: str) -> Sandkeeper:
        """The same client for another owner; the connections are shared."""
        url = self._base.removesuffix(steps.V1)
        return Sandkeeper(url, self._key, owner=owner, retries=self._retries, http=self._http)

    def ensure_running(self, sandbox_id: str, *, reason: str = "", patience: float = PATIENCE) -> t.Sandbox:
        """The running sandbox: ask before each use. Started unless a person wants it stopped.

        Raises:
            PersonSaidNo: a person stopped it, or its owner is on hold.
            SandkeeperError: of another family, when it cannot run; NotNow when `patience` (seconds) is over.
        """
        sandbox: t.Sandbox = self._run(self._ensure_running(sandbox_id, reason, patience))
        return sandbox

    def wait(self, operation: t.Operation, *, patience: float = PATIENCE) -> t.Operation:
        """The operation when it has succeeded.

        Raises:
            SandkeeperError: of the code that it ended with; NotNow when `patience` (seconds) is over.
        """
        ended: t.Operation = self._run(self._until_ended(operation, patience))
        return ended

    def events(
        self,
        after: int | str | None = None,
        *,
        sandbox: str | None = None,
        types: list[str] | None = None,
        wait: float = 60,
    ) -> Iterator[t.FeedAnswer]:
        """Pages of the feed, for ever: keep `cursor` with what you made of `results`, and go on `after` it.

        Raises:
            CursorExpired: begin anew with a list of everything.
        """
        while True:
            ask = _feed(after, wait, {"sandbox": sandbox, "type": types})
            page: t.FeedAnswer = self._call(ask)
            yield page
            after = page["cursor"]

    def every(self, page: Page[T]) -> Iterator[T]:
        """The rows of a page, and of all that follow it."""
        while True:
            yield from page["results"]
            if page["next"] is None:
                return
            page = self._call(steps.Ask("GET", steps.next_page(page["next"])))

    def _call(self, ask: steps.Ask) -> Any:
        return self._run(steps.call(ask, retries=self._retries))

    def _run(self, course: steps.Course[Any]) -> Any:
        came: steps.Outcome = None
        while True:
            try:
                step = course.send(came)
            except StopIteration as end:
                return end.value
            came = None
            if isinstance(step, steps.Pause):
                time.sleep(step.seconds)
                continue
            try:
                came = self._http.request(**self._request(step))
            except httpx.TransportError as error:
                came = error


class AsyncSandkeeper(_Client, operations.AsyncOperations):
    """The same with `await`."""

    def __init__(
        self,
        url: str,
        key: str,
        *,
        owner: str | None = None,
        retries: int = RETRIES,
        http: httpx.AsyncClient | None = None,
    ) -> None:
        super().__init__(url, key, owner=owner, retries=retries)
        self._http = http or httpx.AsyncClient()

    async def __aenter__(self) -> AsyncSandkeeper:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        await self._http.aclose()

    def on_behalf_of(self, owner: str) -> AsyncSandkeeper:
        """The same client for another owner; the connections are shared."""
        url = self._base.removesuffix(steps.V1)
        return AsyncSandkeeper(url, self._key, owner=owner, retries=self._retries, http=self._http)

    async def ensure_running(self, sandbox_id: str, *, reason: str = "", patience: float = PATIENCE) -> t.Sandbox:
        """As `Sandkeeper.ensure_running`."""
        sandbox: t.Sandbox = await self._run(self._ensure_running(sandbox_id, reason, patience))
        return sandbox

    async def wait(self, operation: t.Operation, *, patience: float = PATIENCE) -> t.Operation:
        """As `Sandkeeper.wait`."""
        ended: t.Operation = await self._run(self._until_ended(operation, patience))
        return ended

    async def events(
        self,
        after: int | str | None = None,
        *,
        sandbox: str | None = None,
        types: list[str] | None = None,
        wait: float = 60,
    ) -> AsyncIterator[t.FeedAnswer]:
        """As `Sandkeeper.events`."""
        while True:
            ask = _feed(after, wait, {"sandbox": sandbox, "type": types})
            page: t.FeedAnswer = await self._call(ask)
            yield page
            after = page["cursor"]

    async def every(self, page: Page[T]) -> AsyncIterator[T]:
        """As `Sandkeeper.every`."""
        while True:
            for row in page["results"]:
                yield row
            if page["next"] is None:
                return
            page = await self._call(steps.Ask("GET", steps.next_page(page["next"])))

    async def _call(self, ask: steps.Ask) -> Any:
        return await self._run(steps.call(ask, retries=self._retries))

    async def _run(self, course: steps.Course[Any]) -> Any:
        came: steps.Outcome = None
        while True:
            try:
                step = course.send(came)
            except StopIteration as end:
                return end.value
            came = None
            if isinstance(step, steps.Pause):
                await asyncio.sleep(step.seconds)
                continue
            try:
                came = await self._http.request(**self._request(step))
            except httpx.TransportError as error:
                came = error
