"""A sandbox is shown as gone if, and only if, it has the time since when it is."""

from __future__ import annotations

from django.db import migrations, models
from django.db.models import Q


class Migration(migrations.Migration):
    dependencies = [("sandboxes", "0023_repair_gone")]

    operations = [
        migrations.AddConstraint(
            model_name="sandbox",
            constraint=models.CheckConstraint(
                condition=Q(status="gone", deleted_at__isnull=False)
                | (~Q(status="gone") & Q(deleted_at__isnull=True)),
                name="sandbox_gone_is_deleted",
            ),
        ),
    ]
