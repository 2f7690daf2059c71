"""Repair sandboxes that are shown as gone without the time since when, or the other way round.

PostgreSQL adds no constraint to a table in the transaction that changed its rows: that is the next migration.
"""

from __future__ import annotations

from typing import Any

from django.db import migrations
from django.db.models import F
from django.db.models.functions import Coalesce, Now


def repair(apps: Any, schema_editor: Any) -> None:  # noqa: ARG001
    """What is shown as gone without a time has it from then on, and is fetched at once: a living one comes back.
    What has the time is shown as gone, and Convex is told."""
    sandbox = apps.get_model("sandboxes", "Sandbox")
    shown = sandbox.objects.filter(status="gone", deleted_at=None)
    shown.filter(daytona_id__isnull=False).update(fetch_due_at=Now())
    shown.update(deleted_at=Coalesce("status_changed_at", "created_at"))
    hidden = sandbox.objects.exclude(status="gone").exclude(deleted_at=None)
    projection = apps.get_model("sandboxes", "ConvexProjection")
    projection.objects.filter(sandbox__in=hidden, sandbox__daytona_id__isnull=False).update(
        wanted_generation=F("wanted_generation") + 1, behind_since=Coalesce("behind_since", Now()), due_at=Now()
    )
    hidden.update(status="gone", status_changed_at=F("deleted_at"), updated_at=Now())


class Migration(migrations.Migration):
    dependencies = [("sandboxes", "0022_process_roles")]
    operations = [migrations.RunPython(repair, migrations.RunPython.noop)]
