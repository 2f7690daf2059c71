from __future__ import annotations

from typing import Any

from django.db import migrations, models
from django.db.models import F, Q

CHUNK = 1000


def _rows(apps: Any, schema_editor: Any) -> Any:
    return apps.get_model("sandboxes", "Sandbox").objects.using(schema_editor.connection.alias)


def forget_names_of_machines(apps: Any, schema_editor: Any) -> None:
    """A sandbox that was taken over without a name in its labels was named as Daytona names it: no person did."""
    unnamed = _rows(apps, schema_editor).filter(name=F("daytona_name")).exclude(labels__has_key="harness_name")
    unnamed.update(name="")


def date_links(apps: Any, schema_editor: Any) -> None:
    """A harness is linked when the row is first created in Convex: that is still to come for these alone."""
    creating = apps.get_model("sandboxes", "Operation").objects.using(schema_editor.connection.alias)
    creating = creating.filter(action="create", status__in=("queued", "in_progress"))
    fresh = _rows(apps, schema_editor).exclude(harness_id="").filter(convex_revision=0, convex_known=False)
    fresh.filter(pk__in=creating.values("sandbox_id")).update(convex_link_due=True)


def remember_what_convex_has(apps: Any, schema_editor: Any) -> None:
    """Our own functions were sent all values each time: where Convex is not behind, it has those of the row."""
    rows = _rows(apps, schema_editor)
    whole = rows.filter(~Q(status="gone"), revision=F("convex_revision"), convex_sent={"row": True})
    changed = []
    for row in whole.only("pk", "status", "name", "error_reason", "convex_sent").iterator(CHUNK):
        error = row.error_reason[:1000] if row.status == "error" else ""
        row.convex_sent = {"row": True, "status": row.status, "error": error, "name": row.name}
        changed.append(row)
        if len(changed) == CHUNK:
            rows.bulk_update(changed, ["convex_sent"])
            changed.clear()
    rows.bulk_update(changed, ["convex_sent"])


class Migration(migrations.Migration):
    dependencies = [("sandboxes", "0006_statistics_of_names")]
    operations = [
        migrations.AlterField(
            model_name="sandbox",
            name="name",
            field=models.CharField(
                blank=True, help_text="Empty: no person has named it, as far as we know.", max_length=200
            ),
        ),
        migrations.AlterField(
            model_name="sandbox",
            name="convex_sent",
            field=models.JSONField(
                blank=True, default=dict, help_text="What Convex is known to have of it from us."
            ),
        ),
        migrations.AddField(
            model_name="sandbox",
            name="convex_removed",
            field=models.BooleanField(
                default=False,
                db_default=False,
                help_text="Its user took it off Convex's list: it is not put back by itself.",
            ),
        ),
        migrations.AddField(
            model_name="sandbox",
            name="convex_link_due",
            field=models.BooleanField(
                default=False,
                db_default=False,
                help_text="A person created it with a harness that is still to be linked.",
            ),
        ),
        migrations.RunPython(remember_what_convex_has, migrations.RunPython.noop),
        migrations.RunPython(forget_names_of_machines, migrations.RunPython.noop),
        migrations.RunPython(date_links, migrations.RunPython.noop),
    ]
