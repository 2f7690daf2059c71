from __future__ import annotations

import pytest

from sandboxes import clock
from sandboxes.models import Sweep
from sandboxes.services import reconcile


@pytest.mark.usefixtures("world")
def test_it_prunes_once_a_day() -> None:
    def old_lines() -> int:
        line = Sweep.objects.create(started_at=clock.now(), result=Sweep.Result.COMPLETE)
        Sweep.objects.filter(pk=line.pk).update(started_at="2020-01-01T00:00:00Z")
        reconcile.sweep()
        return Sweep.objects.filter(started_at__year=2020).count()

    assert [old_lines(), old_lines()] == [0, 1]
    clock.move(86_401)
    assert old_lines() == 0
