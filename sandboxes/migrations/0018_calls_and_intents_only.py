"""The JSON from before goes. Apart from what carries it over: PostgreSQL alters no table with events pending."""

from __future__ import annotations

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("sandboxes", "0017_calls_and_intents")]

    operations = [
        migrations.RemoveField(model_name="operation", name="calls"),
        migrations.RemoveField(model_name="operation", name="progress"),
        migrations.RemoveField(model_name="operation", name="previous_intent"),
        migrations.RemoveField(model_name="sandbox", name="last_call"),
        migrations.RemoveField(model_name="sandbox", name="unsettled_until"),
    ]
