from __future__ import annotations

from typing import Any

from django.db import migrations, models
from django.db.models import F
from django.db.models.functions import Now


def date_dirty_rows(apps: Any, schema_editor: Any) -> None:
    """Since when they are dirty nobody knows: since now at the latest."""
    rows = apps.get_model("sandboxes", "Sandbox").objects.using(schema_editor.connection.alias)
    rows.filter(revision__gt=F("convex_revision"), daytona_id__isnull=False).update(dirty_since=Now())


class Migration(migrations.Migration):
    dependencies = [("sandboxes", "0004_index_of_states")]
    operations = [
        migrations.AddField(
            model_name="sandbox",
            name="dirty_since",
            field=models.DateTimeField(
                blank=True, null=True, help_text="Since when Convex is behind; empty while it is not."
            ),
        ),
        migrations.AddField(
            model_name="sandbox",
            name="convex_withdrawn",
            field=models.BooleanField(
                default=False,
                db_default=False,
                help_text="It is gone, and taken off Convex's list to make room there.",
            ),
        ),
        migrations.RunPython(date_dirty_rows, migrations.RunPython.noop),
    ]
