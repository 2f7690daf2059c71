from __future__ import annotations

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("sandboxes", "0015_projection")]
    operations = [
        migrations.RemoveIndex(model_name="sandbox", name="sandbox_push_due"),
        migrations.RemoveIndex(model_name="sandbox", name="sandbox_dirty"),
        migrations.RemoveField(model_name="sandbox", name="convex_again_at"),
        migrations.RemoveField(model_name="sandbox", name="convex_attempt"),
        migrations.RemoveField(model_name="sandbox", name="convex_error"),
        migrations.RemoveField(model_name="sandbox", name="convex_known"),
        migrations.RemoveField(model_name="sandbox", name="convex_lease_token"),
        migrations.RemoveField(model_name="sandbox", name="convex_lease_until"),
        migrations.RemoveField(model_name="sandbox", name="convex_link_due"),
        migrations.RemoveField(model_name="sandbox", name="convex_next_push_at"),
        migrations.RemoveField(model_name="sandbox", name="convex_pushed_at"),
        migrations.RemoveField(model_name="sandbox", name="convex_refusal"),
        migrations.RemoveField(model_name="sandbox", name="convex_removed"),
        migrations.RemoveField(model_name="sandbox", name="convex_revision"),
        migrations.RemoveField(model_name="sandbox", name="convex_sent"),
        migrations.RemoveField(model_name="sandbox", name="convex_withdrawn"),
        migrations.RemoveField(model_name="sandbox", name="dirty_since"),
        migrations.RemoveField(model_name="sandbox", name="revision"),
    ]
