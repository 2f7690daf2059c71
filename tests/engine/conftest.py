from __future__ import annotations

from tests.faults.conftest import outlasting
from tests.services.conftest import running, world

__all__ = ["outlasting", "running", "world"]
