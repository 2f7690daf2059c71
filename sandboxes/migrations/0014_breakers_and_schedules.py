from __future__ import annotations

from typing import Any

from django.db import migrations, models

BREAKER = "convex"
SCHEDULES = ("convex_verification", "prune")


def part(apps: Any, schema_editor: Any) -> None:
    """What was kept in leases that nobody took as a mutex: the breaker before Convex, and when work is next due."""
    leases, breakers, schedules = _tables(apps, schema_editor)
    for row in leases.filter(name=BREAKER):
        breakers.create(
            name=row.name,
            reason=row.holder,
            failures=row.data.get("failures", 0),
            open_until=row.until,
            has_own_functions=row.data.get("own"),
            functions=row.data.get("functions", []),
        )
    for row in leases.filter(name__in=SCHEDULES):
        schedules.create(name=row.name, due_at=row.until, result=row.data)
    leases.filter(name__in=(BREAKER, *SCHEDULES)).delete()


def join(apps: Any, schema_editor: Any) -> None:
    leases, breakers, schedules = _tables(apps, schema_editor)
    for row in breakers.filter(name=BREAKER):
        known = {} if row.has_own_functions is None else {"own": row.has_own_functions, "functions": row.functions}
        data = {"failures": row.failures, **known}
        leases.create(name=row.name, holder=row.reason, until=row.open_until, data=data)
    for row in schedules.filter(name__in=SCHEDULES):
        leases.create(name=row.name, until=row.due_at, data=row.result)


def _tables(apps: Any, schema_editor: Any) -> tuple[Any, Any, Any]:
    alias = schema_editor.connection.alias
    names = ("Lease", "CircuitBreaker", "Schedule")
    lease, breaker, schedule = (apps.get_model("sandboxes", name).objects.using(alias) for name in names)
    return lease, breaker, schedule


class Migration(migrations.Migration):
    dependencies = [("sandboxes", "0013_notice_codes")]
    operations = [
        migrations.CreateModel(
            name="CircuitBreaker",
            fields=[
                ("name", models.CharField(max_length=255, primary_key=True, serialize=False)),
                (
                    "reason",
                    models.CharField(
                        blank=True, help_text="Why it counts failures; empty: all is well.", max_length=50
                    ),
                ),
                (
                    "failures",
                    models.PositiveIntegerField(default=0, help_text="Calls in a row without a usable answer."),
                ),
                ("open_until", models.DateTimeField(blank=True, null=True)),
                (
                    "has_own_functions",
                    models.BooleanField(
                        blank=True,
                        help_text="Whether the latest call found ours in Convex; empty: none has looked.",
                        null=True,
                    ),
                ),
                (
                    "functions",
                    models.JSONField(
                        blank=True, default=list, help_text="All that it found, where they can be listed."
                    ),
                ),
            ],
            options={"default_permissions": ()},
        ),
        migrations.CreateModel(
            name="Schedule",
            fields=[
                ("name", models.CharField(max_length=255, primary_key=True, serialize=False)),
                ("due_at", models.DateTimeField(blank=True, help_text="Empty: now.", null=True)),
                ("result", models.JSONField(blank=True, default=dict)),
            ],
            options={"default_permissions": ()},
        ),
        migrations.RunPython(part, join),
        migrations.RemoveField(model_name="lease", name="epoch"),
        migrations.RemoveField(model_name="lease", name="data"),
        migrations.RenameField(model_name="lease", old_name="token", new_name="lease_token"),
        migrations.RenameField(model_name="lease", old_name="until", new_name="lease_until"),
    ]
