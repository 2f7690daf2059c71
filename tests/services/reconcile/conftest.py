from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from sandboxes.models import Sandbox
from sandboxes.services import reconcile
from sandboxes.services.reconcile import Options

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.emulator import Emulator


@pytest.fixture
def mirrored(world: Emulator) -> Callable[..., list[Sandbox]]:
    """Sandboxes that Daytona and we have alike, oldest first."""

    def make(count: int, *, owner: str = "alice", **template: Any) -> list[Sandbox]:
        template = {"name": "box-{n}", "labels": {"harness_user_id": owner}} | template
        ids = world.seed(count=count, **template)
        result = reconcile.sweep(Options(adopt=True))
        assert result.report.counts["adopted"] >= count, result
        rows = {row.daytona_id: row for row in Sandbox.objects.filter(daytona_id__in=ids)}
        return [rows[key] for key in ids]

    return make
