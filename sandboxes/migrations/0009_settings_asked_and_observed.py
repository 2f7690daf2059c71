from __future__ import annotations

from typing import Any

from django.db import migrations, models
from django.db.models import Exists, OuterRef

INTERVALS = ("auto_stop_minutes", "auto_archive_minutes", "auto_delete_minutes")


def forget_what_nobody_asked_for(apps: Any, schema_editor: Any) -> None:
    """The intervals of adopted rows were Daytona's own, unless somebody has set them since."""
    alias = schema_editor.connection.alias
    events = apps.get_model("sandboxes", "SandboxEvent").objects.using(alias).filter(sandbox=OuterRef("pk"))
    adopted = Exists(events.filter(text="Taken over as it was found"))
    changed = Exists(events.filter(text="Intervals changed"))
    rows = apps.get_model("sandboxes", "Sandbox").objects.using(alias).filter(adopted & ~changed)
    rows.update(**dict.fromkeys(INTERVALS))


def give_pending_changes_room(apps: Any, schema_editor: Any) -> None:
    """Each gets a place for what became of telling it."""
    rows = apps.get_model("sandboxes", "Sandbox").objects.using(schema_editor.connection.alias)
    for row in rows.exclude(pending_changes={}).only("pending_changes"):
        row.pending_changes = {name: {"value": value} for name, value in row.pending_changes.items()}
        row.save(update_fields=["pending_changes"])


def asked_for() -> models.IntegerField[Any, Any]:
    return models.IntegerField(blank=True, help_text="Asked for; empty: by nobody.", null=True)


class Migration(migrations.Migration):
    dependencies = [("sandboxes", "0008_projection_notice")]
    operations = [
        migrations.AddField(
            model_name="sandbox",
            name="created_with",
            field=models.JSONField(
                blank=True,
                db_default={},
                default=dict,
                help_text="Snapshot, region and size that our create asked for; never changes.",
            ),
        ),
        *(
            migrations.AddField(model_name="sandbox", name=name, field=models.IntegerField(blank=True, null=True))
            for name in ("observed_auto_stop", "observed_auto_archive")
        ),
        *(migrations.AlterField(model_name="sandbox", name=name, field=asked_for()) for name in INTERVALS),
        migrations.AlterField(
            model_name="sandbox",
            name="pending_changes",
            field=models.JSONField(
                blank=True, default=dict, help_text="Labels and intervals that Daytona has not confirmed yet."
            ),
        ),
        migrations.RunPython(forget_what_nobody_asked_for, migrations.RunPython.noop),
        migrations.RunPython(give_pending_changes_room, migrations.RunPython.noop),
    ]
