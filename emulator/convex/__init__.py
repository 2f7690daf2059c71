"""Convex: its HTTP API with a deploy key, and the application's functions behind it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from emulator.convex.control import Control
from emulator.convex.deployment import Deployment
from emulator.convex.endpoints import Endpoints

if TYPE_CHECKING:
    from starlette.routing import Route

    from emulator.core import Core


def routes(core: Core) -> list[Route]:
    """Everything that answers for Convex, `/_emulator/convex/…` included. Call it once per core."""
    deployment = Deployment(core)
    return [*Endpoints(deployment).routes(), *Control(deployment).routes()]
