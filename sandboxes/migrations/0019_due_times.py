"""When a row is due has one name everywhere."""

from __future__ import annotations

from django.db import migrations, models
from django.db.models import Q


class Migration(migrations.Migration):
    dependencies = [("sandboxes", "0018_calls_and_intents_only")]

    operations = [
        migrations.RemoveIndex(model_name="operation", name="operation_due"),
        migrations.RemoveIndex(model_name="sandbox", name="sandbox_observe_due"),
        migrations.RenameField(model_name="operation", old_name="next_check_at", new_name="due_at"),
        migrations.RenameField(model_name="sandbox", old_name="observe_after", new_name="fetch_due_at"),
        migrations.AddIndex(
            model_name="operation",
            index=models.Index(
                condition=Q(status__in=("queued", "in_progress")), fields=["due_at"], name="operation_due"
            ),
        ),
        migrations.AddIndex(
            model_name="sandbox",
            index=models.Index(
                condition=Q(fetch_due_at__isnull=False), fields=["fetch_due_at"], name="sandbox_fetch_due"
            ),
        ),
    ]
