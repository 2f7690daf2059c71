from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import django.db.models.deletion
from django.db import migrations, models

BATCH = 20_000  # rows in one statement: STATEMENT_TIMEOUT holds for a migration, too

# What is behind has something to show (Daytona's id names it), and is due, which old rows need not have been.
IS_BEHIND = "convex_revision < revision AND daytona_id IS NOT NULL"
# The column of a projection: as the row of its sandbox says it.
MOVED = {
    "sandbox_id": "id",
    "wanted_generation": "CASE WHEN daytona_id IS NULL THEN 0 ELSE revision END",
    "pushed_generation": f"CASE WHEN daytona_id IS NULL THEN 0 WHEN {IS_BEHIND} THEN convex_revision ELSE revision END",
    "behind_since": f"CASE WHEN {IS_BEHIND} THEN COALESCE(dirty_since, updated_at) END",
    "due_at": f"CASE WHEN {IS_BEHIND} THEN COALESCE(convex_next_push_at, updated_at) ELSE convex_next_push_at END",
    "resend_at": "convex_again_at",
    "pushed_at": "convex_pushed_at",
    "attempt": "convex_attempt",
    "error": "convex_error",
    "refusal": "convex_refusal",
    "known": "convex_known",
    "sent": "convex_sent",
    "withdrawn": "convex_withdrawn",
    "removed": "convex_removed",
    "link_due": "convex_link_due",
    "lease_token": "convex_lease_token",
    "lease_until": "convex_lease_until",
}
# And back. A new sandbox had revision 1; one that Convex is never told of was clean.
NEVER = "projection.wanted_generation = 0"
BACK = {
    "revision": f"CASE WHEN {NEVER} THEN 1 ELSE projection.wanted_generation END",
    "convex_revision": f"CASE WHEN {NEVER} AND daytona_id IS NOT NULL THEN 1 ELSE projection.pushed_generation END",
    "dirty_since": "projection.behind_since",
    "convex_next_push_at": "projection.due_at",
    **{old: f"projection.{new}" for new, old in MOVED.items() if old.startswith("convex_")},
}


def move(apps: Any, schema_editor: Any) -> None:
    columns, values = ", ".join(MOVED), ", ".join(MOVED.values())
    insert = f"INSERT INTO sandboxes_convexprojection ({columns}) SELECT {values} FROM sandboxes_sandbox"
    for bounds in _batches(apps, schema_editor):
        schema_editor.execute(f"{insert} WHERE id BETWEEN %s AND %s", bounds)


def move_back(apps: Any, schema_editor: Any) -> None:
    values = ", ".join(f"{column} = {value}" for column, value in BACK.items())
    joined = "FROM sandboxes_convexprojection AS projection WHERE projection.sandbox_id = sandboxes_sandbox.id"
    for bounds in _batches(apps, schema_editor):
        schema_editor.execute(f"UPDATE sandboxes_sandbox SET {values} {joined} AND id BETWEEN %s AND %s", bounds)


def _batches(apps: Any, schema_editor: Any) -> Iterator[list[Any]]:
    """The first and the last key of each batch of sandboxes, as the database writes them."""
    connection = schema_editor.connection
    model = apps.get_model("sandboxes", "Sandbox")
    keys = model.objects.using(connection.alias).order_by("pk").values_list("pk", flat=True)
    batch = list(keys[:BATCH])
    while batch:
        yield [model._meta.pk.get_db_prep_value(key, connection) for key in (batch[0], batch[-1])]
        batch = list(keys.filter(pk__gt=batch[-1])[:BATCH])


class Migration(migrations.Migration):
    dependencies = [("sandboxes", "0014_breakers_and_schedules")]
    operations = [
        migrations.CreateModel(
            name="ConvexProjection",
            fields=[
                ("lease_token", models.CharField(blank=True, max_length=40)),
                ("lease_until", models.DateTimeField(blank=True, null=True)),
                (
                    "sandbox",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.CASCADE,
                        primary_key=True,
                        related_name="projection",
                        serialize=False,
                        to="sandboxes.sandbox",
                    ),
                ),
                ("wanted_generation", models.BigIntegerField(default=0)),
                ("pushed_generation", models.BigIntegerField(default=0)),
                (
                    "behind_since",
                    models.DateTimeField(blank=True, help_text="Empty while Convex is not behind.", null=True),
                ),
                ("due_at", models.DateTimeField(blank=True, help_text="When the next push is due.", null=True)),
                (
                    "resend_at",
                    models.DateTimeField(
                        blank=True, help_text="A lost call may commit late: send once more then.", null=True
                    ),
                ),
                ("pushed_at", models.DateTimeField(blank=True, null=True)),
                ("attempt", models.PositiveIntegerField(default=0, help_text="Pushes that failed in a row.")),
                ("error", models.TextField(blank=True)),
                (
                    "refusal",
                    models.CharField(
                        blank=True,
                        help_text="Convex refused the row of a sandbox that is still being created.",
                        max_length=50,
                    ),
                ),
                ("known", models.BooleanField(default=False, help_text="Convex has, or may have, a row of it.")),
                (
                    "sent",
                    models.JSONField(
                        blank=True, default=dict, help_text="What Convex is known to have of it from us."
                    ),
                ),
                (
                    "withdrawn",
                    models.BooleanField(
                        default=False, help_text="It is gone, and taken off Convex's list to make room there."
                    ),
                ),
                (
                    "removed",
                    models.BooleanField(
                        default=False, help_text="Its user took it off Convex's list: it is not put back by itself."
                    ),
                ),
                (
                    "link_due",
                    models.BooleanField(
                        default=False, help_text="A person created it with a harness that is still to be linked."
                    ),
                ),
            ],
            options={
                "default_permissions": (),
            },
        ),
        migrations.AddIndex(
            model_name="convexprojection",
            index=models.Index(
                condition=models.Q(("due_at__isnull", False)), fields=["due_at"], name="projection_due"
            ),
        ),
        migrations.AddIndex(
            model_name="convexprojection",
            index=models.Index(
                condition=models.Q(("behind_since__isnull", False)),
                fields=["behind_since"],
                name="projection_behind",
            ),
        ),
        migrations.AddConstraint(
            model_name="convexprojection",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("behind_since__isnull", True), ("pushed_generation", models.F("wanted_generation"))),
                    models.Q(
                        ("behind_since__isnull", False),
                        ("due_at__isnull", False),
                        ("pushed_generation__lt", models.F("wanted_generation")),
                    ),
                    _connector="OR",
                ),
                name="projection_behind_is_due",
            ),
        ),
        migrations.RunPython(move, move_back),
    ]
