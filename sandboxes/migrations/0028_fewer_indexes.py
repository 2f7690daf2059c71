"""Drop the indexes of sandboxes that no measured query needs: 22 become 20.

Every page of bench/lists.py and bench/admin_list.py was explained on 100,000 rows of PostgreSQL, with each index that was
in question and without it. None reads more blocks without these two:

* the second index of `daytona_id` (`varchar_pattern_ops`, 5.8 MB): nobody searches the start of Daytona's ids;
* `sandbox_live_intent` (1.5 MB): each intent is so frequent among the living that the newest are found by their time.

The others stay. Without `sandbox_status_created` the list of those in error reads 1,562 blocks for 257, without
`sandbox_live_tier` a rare tier with other filters 4,165 for 381, without `sandbox_live_region`, `sandbox_protected`,
`sandbox_ephemeral`, `sandbox_live_last_used`, `sandbox_harness` and `sandbox_live_state` their pages scan the table (80 to
320 ms for less than 1), without `sandbox_running` each page of the admin's list reads 1,860 blocks for 30, and without
`sandbox_last_accessed` the API's order `last_used` sorts all rows.
"""

from __future__ import annotations

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("sandboxes", "0027_indexes_of_parts")]

    operations = [
        migrations.RemoveIndex(model_name="sandbox", name="sandbox_live_intent"),
        migrations.AlterField(
            model_name="sandbox",
            name="daytona_id",
            field=models.CharField(blank=True, max_length=255, null=True),
        ),
        migrations.AddConstraint(
            model_name="sandbox",
            constraint=models.UniqueConstraint(fields=("daytona_id",), name="sandbox_daytona_id"),
        ),
    ]
