"""The JSON from before goes. Apart from what carries it over: PostgreSQL alters no table with events pending."""

from __future__ import annotations

import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("sandboxes", "0017_calls_and_intents")]

    operations = [
        migrations.RemoveField(model_name="operation", name="calls"),
        migrations.AlterField(
            model_name="daytonacall",
            name="operation",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.CASCADE, related_name="calls", to="sandboxes.operation"
            ),
        ),
        migrations.RemoveField(model_name="operation", name="progress"),
        migrations.RemoveField(model_name="operation", name="previous_intent"),
        migrations.RemoveField(model_name="sandbox", name="last_call"),
        migrations.RemoveField(model_name="sandbox", name="unsettled_until"),
    ]
