"""An active operation says whose it is: owners take turns by that, and those of nobody would wait behind each other.

Operations that ended before 0021 have none.
"""

from __future__ import annotations

from django.db import migrations, models
from django.db.models import Q


class Migration(migrations.Migration):
    dependencies = [("sandboxes", "0040_lifecycle_policies")]

    operations = [
        migrations.AddConstraint(
            model_name="operation",
            constraint=models.CheckConstraint(
                condition=~Q(status__in=("queued", "in_progress")) | ~Q(owner=""),
                name="active_operation_has_its_owner",
            ),
        ),
    ]
