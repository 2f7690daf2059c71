"""Daytona's gateway for tests that are not async."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from sandboxes.core.actions import CALLS
from sandboxes.core.vocabulary import Action
from sandboxes.providers import blocking

if TYPE_CHECKING:
    from collections.abc import Callable

    from sandboxes.providers.daytona.gateway import DaytonaGateway


class BlockingGateway:
    """The same methods, and one for each call that changes a sandbox, each run to its end."""

    def __init__(self, gateway: DaytonaGateway) -> None:
        self.gateway = gateway

    def __repr__(self) -> str:
        return repr(self.gateway)

    def __getattr__(self, name: str) -> Callable[..., Any]:
        is_change = name in CALLS and name != Action.CREATE
        method = partial(self.gateway.change, name) if is_change else getattr(self.gateway, name)
        return lambda *arguments, **options: blocking.run(method(*arguments, **options))
