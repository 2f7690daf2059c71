from __future__ import annotations

from typing import Any

import django.db.models.deletion
from django.db import migrations, models
from django.db.models import F, Max, OuterRef, Subquery

import sandboxes.models.sandbox

BATCH = 50_000


def number_events(apps: Any, schema_editor: Any) -> None:
    """What happened until now, in the order in which it was written."""
    alias = schema_editor.connection.alias
    events = apps.get_model("sandboxes", "SandboxEvent").objects.using(alias)
    owner = apps.get_model("sandboxes", "Sandbox").objects.filter(pk=OuterRef("sandbox_id")).values("owner_id")
    last = events.aggregate(last=Max("id"))["last"] or 0
    for start in range(0, last + 1, BATCH):  # STATEMENT_TIMEOUT holds for a migration, too
        events.filter(id__gte=start, id__lt=start + BATCH).update(seq=F("id"), owner=Subquery(owner))
    apps.get_model("sandboxes", "Feed").objects.using(alias).create(pk=1, last=last)


class Migration(migrations.Migration):
    dependencies = [
        ("sandboxes", "0011_api_bounds"),
    ]

    operations = [
        migrations.CreateModel(
            name="Feed",
            fields=[
                (
                    "id",
                    models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID"),
                ),
                ("last", models.BigIntegerField(default=0)),
                ("expired", models.BigIntegerField(default=0)),
            ],
            options={
                "default_permissions": (),
            },
        ),
        migrations.RemoveConstraint(
            model_name="idempotencyanswer",
            name="one_answer_per_key",
        ),
        migrations.AddField(
            model_name="idempotencyanswer",
            name="owner",
            field=models.CharField(
                blank=True, db_default="", default="", help_text="For whom the request was.", max_length=255
            ),
        ),
        migrations.AddField(
            model_name="sandboxevent",
            name="changes",
            field=models.JSONField(
                blank=True,
                db_default=models.Value({}, models.JSONField()),
                default=dict,
                help_text="The new values of what is shown of the sandbox.",
            ),
        ),
        migrations.AddField(
            model_name="sandboxevent",
            name="owner",
            field=models.CharField(
                blank=True, help_text="Whose the sandbox was then: who may read it.", max_length=255
            ),
        ),
        migrations.AddField(
            model_name="sandboxevent",
            name="seq",
            field=models.BigIntegerField(
                blank=True,
                editable=False,
                help_text="Its place in the feed; given after it was committed.",
                null=True,
            ),
        ),
        migrations.AlterField(
            model_name="sandbox",
            name="updated_at",
            field=sandboxes.models.sandbox.DatabaseTime(editable=False),
        ),
        migrations.AlterField(
            model_name="sandboxevent",
            name="kind",
            field=models.CharField(
                choices=[
                    ("created", "Created"),
                    ("intent", "Intent"),
                    ("operation", "Operation"),
                    ("call", "Call"),
                    ("observation", "Observation"),
                    ("gone", "Gone"),
                    ("returned", "Returned"),
                    ("eviction", "Eviction"),
                    ("convex", "Convex"),
                    ("renamed", "Renamed"),
                    ("change", "Change"),
                    ("pruned", "Pruned"),
                    ("erased", "Erased"),
                ],
                max_length=20,
            ),
        ),
        migrations.AlterField(
            model_name="sandboxevent",
            name="sandbox",
            field=models.ForeignKey(
                blank=True,
                db_index=False,
                null=True,
                on_delete=django.db.models.deletion.CASCADE,
                related_name="events",
                to="sandboxes.sandbox",
            ),
        ),
        migrations.RunPython(number_events, migrations.RunPython.noop),
        migrations.AddIndex(
            model_name="sandboxevent",
            index=models.Index(
                condition=models.Q(("seq__isnull", False)), fields=["owner", "seq"], name="event_of_owner_seq"
            ),
        ),
        migrations.AddIndex(
            model_name="sandboxevent",
            index=models.Index(
                condition=models.Q(("seq__isnull", False)), fields=["sandbox", "seq"], name="event_of_sandbox_seq"
            ),
        ),
        migrations.AddIndex(
            model_name="sandboxevent",
            index=models.Index(condition=models.Q(("seq__isnull", True)), fields=["id"], name="event_without_seq"),
        ),
        migrations.AddConstraint(
            model_name="idempotencyanswer",
            constraint=models.UniqueConstraint(fields=("principal", "owner", "key"), name="one_answer_per_key"),
        ),
        migrations.AddConstraint(
            model_name="sandboxevent",
            constraint=models.UniqueConstraint(fields=("seq",), name="event_seq"),
        ),
        migrations.AddConstraint(
            model_name="sandboxevent",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("sandbox__isnull", True), models.Q(("owner", ""), _negated=True), _connector="OR"
                ),
                name="event_of_a_sandbox_has_its_owner",
            ),
        ),
    ]
