from __future__ import annotations

from tests.services.conftest import running, world

__all__ = ["running", "world"]
