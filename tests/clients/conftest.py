from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.e2e.conftest import Installation

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support.emulator import Emulator


@pytest.fixture
def installation(emulator: Emulator, transactional_db: None, tmp_path: Path) -> Iterator[Installation]:
    """Web, worker and emulator as processes."""
    made = Installation(emulator, tmp_path)
    with made.stack:
        made.start_web()
        made.start_worker()
        yield made
