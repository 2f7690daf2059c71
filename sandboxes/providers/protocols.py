"""What we ask of a provider of sandboxes, in our own words: a second one is a package that answers so."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sandboxes.core.facts import RemoteSandbox


@dataclass(frozen=True, slots=True)
class Page:
    """One page of the list. `bad_rows` says of each row that is no sandbox where it stood and what it had."""

    items: tuple[RemoteSandbox, ...]
    next_cursor: str | None
    bad_rows: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class SandboxSpec:
    """What to create. Sizes in CPUs and GiB, times in minutes; None leaves the choice to Daytona.

    A snapshot or sizes, never both. A v0.190 server refuses sizes even without a snapshot, because its default one
    stands in (recording 01_create_get).
    """

    name: str
    snapshot: str | None = None
    cpu: int | None = None
    memory_gb: int | None = None
    disk_gb: int | None = None
    labels: Mapping[str, str] = field(default_factory=dict)
    target: str = ""
    auto_stop: int | None = None
    auto_archive: int | None = None
    auto_delete: int | None = None
    env: Mapping[str, str] | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        sized = (self.cpu, self.memory_gb, self.disk_gb) != (None, None, None)
        if self.snapshot and sized:
            raise ValueError("a new sandbox takes a snapshot or sizes, never both")


class SandboxProvider(Protocol):
    """Every method is one call, which raises an error whose `as_result()` says what it means (core/results.py)."""

    async def get(self, id_or_name: str) -> RemoteSandbox: ...
    async def list_page(
        self,
        *,
        cursor: str | None = None,
        limit: int = 200,
        labels: Mapping[str, str] | None = None,
        id_prefix: str | None = None,
    ) -> Page: ...
    async def create(self, new: SandboxSpec) -> RemoteSandbox: ...
    async def change(
        self, call: str, daytona_id: str, parameters: Mapping[str, Any] | None = None
    ) -> RemoteSandbox: ...
    async def replace_labels(self, daytona_id: str, labels: Mapping[str, str]) -> None: ...
    async def keep_alive(self, daytona_id: str) -> None: ...
    async def set_auto_stop(self, daytona_id: str, minutes: int) -> None: ...
    async def set_auto_archive(self, daytona_id: str, minutes: int) -> None: ...
    async def set_auto_delete(self, daytona_id: str, minutes: int) -> None: ...
