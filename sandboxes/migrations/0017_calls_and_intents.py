"""Calls to Daytona and changes of an intent get rows of their own; what was in JSON is carried over."""

from __future__ import annotations

from datetime import datetime

import django.db.models.deletion
from django.db import migrations, models
from django.db.models import Q

BATCH = 1000
INTENTS = [("running", "Running"), ("stopped", "Stopped"), ("archived", "Archived"), ("deleted", "Deleted")]
ACTORS = [("owner", "Owner"), ("staff", "Staff"), ("service", "Service"), ("system", "System")]
OUTCOMES = [
    ("pending", "Pending"), ("accepted", "Accepted"), ("failed", "Failed"), ("refused", "Refused"),
    ("unknown", "Unknown"),
]  # fmt: skip
IN_DOUBT = ("pending", "unknown")
SEARCH_KEYS = ("phase", "victims", "leaving", "not_before", "until", "lease", "lease_name", "exhausted", "ranking")


def at(text):
    return datetime.fromisoformat(text)


def carry_calls(apps, schema_editor):
    """Each call of each operation becomes a row, in the order in which they were made."""
    calls = apps.get_model("sandboxes", "DaytonaCall").objects
    operations = apps.get_model("sandboxes", "Operation").objects.exclude(calls=[]).order_by("created_at", "id")
    rows = operations.values_list("pk", "sandbox_id", "calls")
    batch = []
    for pk, sandbox_id, made in rows.iterator(chunk_size=BATCH):
        batch += [
            calls.model(
                sandbox_id=sandbox_id, operation_id=pk, name=call["name"], made_at=at(call["at"]),
                first_at=at(call["at"]), times=call.get("times", 1), outcome=call["outcome"],
                message=call.get("words", ""), may_be_stale=call.get("may_be_stale", False),
            )
            for call in made
        ]  # fmt: skip
        if len(batch) >= BATCH:
            calls.bulk_create(batch)
            batch = []
    calls.bulk_create(batch)


def carry_doubts(apps, schema_editor):
    """The doubt of a sandbox is that of its latest call without a definite answer; else of its latest call.

    A call that was made while an earlier one was in doubt remembers until when that one is.
    """
    calls = apps.get_model("sandboxes", "DaytonaCall").objects
    sandboxes = apps.get_model("sandboxes", "Sandbox").objects.filter(unsettled_until__isnull=False)
    for pk, until, last in sandboxes.values_list("pk", "unsettled_until", "last_call").iterator(chunk_size=BATCH):
        of_sandbox = calls.filter(sandbox_id=pk).order_by("-id")
        uncertain = list(of_sandbox.filter(outcome__in=IN_DOUBT)[:2]) or list(of_sandbox[:1])
        before = last.get("unsettled_before") if last.get("outcome") in IN_DOUBT else None
        for call, doubt in zip(uncertain, (until, before and at(before))):
            call.in_doubt_until = doubt
        if uncertain:
            uncertain[0].was_outage = last.get("outcome") == "unknown" and not last.get("counted", True)
        calls.bulk_update(uncertain, ["in_doubt_until", "was_outage"])


def carry_operations(apps, schema_editor):
    """What an operation in flight waits for, and what was wanted before it."""
    changes = apps.get_model("sandboxes", "IntentChange").objects
    operations = apps.get_model("sandboxes", "Operation").objects.filter(status__in=("queued", "in_progress"))
    for operation in operations.select_related("sandbox").iterator(chunk_size=BATCH):
        if room := (operation.progress or {}).get("room"):
            search = {key: room[key] for key in SEARCH_KEYS if room.get(key)}
            operation.search = search | {"message": room.get("words", ""), "unanswered": room.get("silent", [])}
        if before := operation.previous_intent:
            row = operation.sandbox
            operation.intent_change = changes.create(
                sandbox=row, at=row.intent_at, intent=row.intent, actor_kind=row.intent_actor_kind,
                actor_id=row.intent_actor_id, reason=row.intent_reason, from_intent=before["intent"],
                from_actor_kind=before["actor_kind"], from_actor_id=before["actor_id"],
                from_reason=before["reason"], from_at=before["at"] and at(before["at"]),
                from_met_at=before["met_at"] and at(before["met_at"]),
            )  # fmt: skip
        operation.save(update_fields=["search", "intent_change"])


class Migration(migrations.Migration):
    dependencies = [("sandboxes", "0016_sandbox_without_projection")]

    operations = [
        migrations.CreateModel(
            name="IntentChange",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("at", models.DateTimeField(blank=True, null=True)),
                ("intent", models.CharField(choices=INTENTS, max_length=20)),
                ("actor_kind", models.CharField(choices=ACTORS, max_length=20)),
                ("actor_id", models.CharField(blank=True, max_length=255)),
                ("reason", models.CharField(blank=True, max_length=500)),
                ("from_intent", models.CharField(choices=INTENTS, max_length=20)),
                ("from_actor_kind", models.CharField(choices=ACTORS, max_length=20)),
                ("from_actor_id", models.CharField(blank=True, max_length=255)),
                ("from_reason", models.CharField(blank=True, max_length=500)),
                ("from_at", models.DateTimeField(blank=True, null=True)),
                (
                    "from_met_at",
                    models.DateTimeField(
                        blank=True, help_text="Since when it was met; empty: it was not.", null=True
                    ),
                ),
                (
                    "sandbox",
                    models.ForeignKey(
                        db_index=False, on_delete=django.db.models.deletion.CASCADE,
                        related_name="intent_changes", to="sandboxes.sandbox",
                    ),
                ),
            ],
            options={
                "default_permissions": ("view",),
                "indexes": [models.Index(fields=["sandbox", "id"], name="intent_change_of_sandbox")],
            },
        ),
        migrations.CreateModel(
            name="DaytonaCall",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("name", models.CharField(max_length=20)),
                ("made_at", models.DateTimeField(help_text="When it was made; of several, the latest.")),
                (
                    "first_at",
                    models.DateTimeField(help_text="When the first of several refused alike was made."),
                ),
                ("times", models.PositiveIntegerField(default=1)),
                ("outcome", models.CharField(choices=OUTCOMES, default="pending", max_length=20)),
                (
                    "message",
                    models.TextField(
                        blank=True, help_text="For staff: Daytona's words, where it was refused or failed."
                    ),
                ),
                (
                    "may_be_stale",
                    models.BooleanField(default=False, help_text="The refusal may be of a state that is over."),
                ),
                (
                    "was_outage",
                    models.BooleanField(default=False, help_text="The answer said nothing of the call."),
                ),
                (
                    "effect_seen_at",
                    models.DateTimeField(
                        blank=True, help_text="When a look that showed it began.", null=True
                    ),
                ),
                (
                    "in_doubt_until",
                    models.DateTimeField(blank=True, help_text="It may be carried out until then.", null=True),
                ),
                (
                    "operation",
                    models.ForeignKey(
                        # "calls" is still the name of the JSON: 0018 gives it to the rows.
                        on_delete=django.db.models.deletion.CASCADE, related_name="+", to="sandboxes.operation"
                    ),
                ),
                (
                    "sandbox",
                    models.ForeignKey(
                        db_index=False, on_delete=django.db.models.deletion.CASCADE, related_name="calls",
                        to="sandboxes.sandbox",
                    ),
                ),
            ],
            options={
                "verbose_name": "call to Daytona",
                "verbose_name_plural": "calls to Daytona",
                "default_permissions": ("view",),
                "indexes": [
                    models.Index(fields=["sandbox", "id"], name="call_of_sandbox"),
                    models.Index(
                        condition=Q(in_doubt_until__isnull=False), fields=["sandbox"], name="call_in_doubt"
                    ),
                ],
            },
        ),
        migrations.AddField(
            model_name="operation",
            name="search",
            field=models.JSONField(blank=True, help_text="The search for room in a full quota.", null=True),
        ),
        migrations.AddField(
            model_name="operation",
            name="deadline_runs",
            field=models.BooleanField(
                db_default=True, default=True, help_text="Whether the time since the last attempt counts."
            ),
        ),
        migrations.AddField(
            model_name="operation",
            name="intent_change",
            field=models.ForeignKey(
                blank=True, db_index=False, null=True, on_delete=django.db.models.deletion.SET_NULL,
                related_name="+", to="sandboxes.intentchange",
                help_text="What it changed of the intent; taken back when it is cancelled before any call.",
            ),
        ),
        migrations.RenameField(model_name="operation", old_name="ticked_at", new_name="attempted_at"),
        migrations.RunPython(carry_calls, migrations.RunPython.noop),
        migrations.RunPython(carry_doubts, migrations.RunPython.noop),
        migrations.RunPython(carry_operations, migrations.RunPython.noop),
    ]  # fmt: skip
