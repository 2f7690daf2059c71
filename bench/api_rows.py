"""Sandboxes and a key for bench/api.py; prints the key, the running ones' ids and the stopped ones'."""

from __future__ import annotations

import sys

import django

django.setup()

from django.utils import timezone  # noqa: E402

from sandboxes.models import ConvexProjection, Owner, Sandbox, ServiceKey  # noqa: E402
from sandboxes.services import keys  # noqa: E402


def make(count: int, *, status: str, state: str, owner: Owner) -> list[str]:
    now = timezone.now()
    rows = [
        Sandbox(
            owner=owner, name=f"box {number}", daytona_id=f"{state}-{number}", status=status, observed_state=state,
            desired_state=state, observed_at=now, observed_auto_delete=-1, created_at=now, intent="running",
            last_accessed_at=now, touch_forwarded_at=now, intent_met_at=now,
        )
        for number in range(count)
    ]  # fmt: skip
    Sandbox.objects.bulk_create(rows, batch_size=1000)
    ConvexProjection.objects.bulk_create([ConvexProjection(sandbox=one) for one in rows], batch_size=500)
    return [str(row.pk) for row in rows]


owner, _ = Owner.objects.get_or_create(pk="bench")
_key, plaintext = keys.create_key("bench", scopes=[ServiceKey.Scope.WRITE, ServiceKey.Scope.USE])
print(plaintext)
print(*make(int(sys.argv[1]), status="running", state="started", owner=owner))
print(*make(int(sys.argv[2]), status="stopped", state="stopped", owner=owner))
