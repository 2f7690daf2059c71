"""What workers claim by: whose an operation is, when a use is to be told, how often an attempt failed."""

from __future__ import annotations

from django.db import migrations, models
from django.db.models import OuterRef, Q, Subquery

ACTIVE = Q(status__in=["queued", "in_progress"])


def owners(apps, schema_editor):
    """Those that are active; the older ones are not claimed any more."""
    operations = apps.get_model("sandboxes", "Operation").objects.filter(ACTIVE)
    of = apps.get_model("sandboxes", "Sandbox").objects.filter(pk=OuterRef("sandbox_id")).values("owner_id")
    operations.update(owner=Subquery(of))


class Migration(migrations.Migration):
    dependencies = [("sandboxes", "0020_notice_remedy")]

    operations = [
        migrations.AddField(
            "operation", "owner",
            models.CharField(
                blank=True, db_default="", default="", help_text="Whose the sandbox is: owners take turns.", max_length=255
            ),
            preserve_default=False,
        ),
        migrations.AddField(
            "sandbox", "failures",
            models.PositiveSmallIntegerField(
                db_default=0, default=0, help_text="Attempts in a row that ended with an error of our own."
            ),
        ),
        migrations.AddField(
            "sandbox", "touch_due_at",
            models.DateTimeField(
                blank=True, help_text="Daytona and Convex are told of its use then.", null=True
            ),
        ),
        migrations.RenameField("workerheartbeat", "threads", "places"),
        migrations.AlterField(
            "workerheartbeat", "places",
            models.PositiveIntegerField(help_text="Turns that it takes at the same time."),
        ),
        migrations.AddField(
            "workerheartbeat", "freed_at",
            models.DateTimeField(blank=True, help_text="When another worker freed what it held.", null=True),
        ),
        migrations.AddField(
            "workerheartbeat", "lanes",
            models.JSONField(
                blank=True, db_default={}, default=dict, help_text="Of each lane: the places taken, and those there are."
            ),
        ),
        migrations.AlterField(
            model_name='notice',
            name='code',
            field=models.CharField(choices=[('daytona_unauthorized', 'daytona_unauthorized'), ('daytona_not_configured', 'daytona_not_configured'), ('org_suspended', 'org_suspended'), ('unknown_state', 'unknown_state'), ('unknown_answer', 'unknown_answer'), ('settings_differ', 'settings_differ'), ('convex_paused', 'convex_paused'), ('convex_unauthorized', 'convex_unauthorized'), ('convex_function_missing', 'convex_function_missing'), ('convex_refused', 'convex_refused'), ('convex_foreign_owner', 'convex_foreign_owner'), ('convex_differs', 'convex_differs'), ('sweep_refused', 'sweep_refused'), ('sweep_stale', 'sweep_stale'), ('delete_stuck', 'delete_stuck'), ('worker_silent', 'worker_silent'), ('rows_failing', 'rows_failing'), ('clock_stepped_back', 'clock_stepped_back'), ('orphans', 'orphans')], max_length=50),
        ),
        migrations.RunPython(owners, migrations.RunPython.noop),
        migrations.AddIndex(
            "operation",
            models.Index(condition=ACTIVE, fields=["owner", "due_at"], name="operation_turn"),
        ),
        migrations.AddIndex(
            "sandbox",
            models.Index(
                condition=Q(fetch_due_at__isnull=False), fields=["owner", "fetch_due_at"], name="sandbox_fetch_turn"
            ),
        ),
        migrations.AddIndex(
            "sandbox",
            models.Index(condition=Q(touch_due_at__isnull=False), fields=["touch_due_at"], name="sandbox_touch_due"),
        ),
        migrations.AddIndex(
            "sandbox", models.Index(condition=Q(failures__gt=0), fields=["failures"], name="sandbox_failing")
        ),
    ]
