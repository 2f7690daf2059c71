"""Rows for bench/reconcile.py: as a sweep would have left them, for the ids in a JSON file."""

from __future__ import annotations

import json
import os
import sys
from datetime import timedelta
from pathlib import Path

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "project.settings")
django.setup()

from django.utils import timezone  # noqa: E402

from bench.stand_in import OBSERVED  # noqa: E402
from sandboxes.core.vocabulary import Intent, Status  # noqa: E402
from sandboxes.models import ConvexProjection, Owner, Sandbox  # noqa: E402

PER_OWNER = 5
CHUNK = 2000


def main() -> None:
    ids = json.loads(Path(sys.argv[1]).read_text())
    Owner.objects.bulk_create(
        (Owner(pk=f"user_{n}") for n in range((len(ids) + PER_OWNER - 1) // PER_OWNER)), batch_size=CHUNK
    )
    for start in range(0, len(ids), CHUNK):
        boxes = [_row(n, key) for n, key in enumerate(ids[start : start + CHUNK], start)]
        Sandbox.objects.bulk_create(boxes)
        ConvexProjection.objects.bulk_create(
            ConvexProjection(sandbox=box, wanted_generation=1, pushed_generation=1) for box in boxes
        )


def _row(number: int, key: str) -> Sandbox:
    owner = f"user_{number // PER_OWNER}"
    moment = timezone.now() - timedelta(minutes=5)
    return Sandbox(
        daytona_id=key,
        daytona_name=f"box-{number}",
        name=f"box-{number}",
        owner_id=owner,
        labels={"harness_user_id": owner, "harness_resource_tier": "basic"},
        status=Status.RUNNING,
        observed_state="started",
        desired_state="started",
        observed_at=moment,
        intent=Intent.RUNNING,
        intent_at=moment,
        intent_met_at=moment,
        created_at=moment,
        **OBSERVED,
    )


if __name__ == "__main__":
    main()
