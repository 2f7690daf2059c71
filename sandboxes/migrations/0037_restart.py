"""Restart is an action: whoever may both start and stop sandboxes may restart them."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from django.db import migrations, models

GROUPS: Any = import_module("sandboxes.migrations.0002_groups")


def permit(apps: Any, schema_editor: Any) -> None:
    GROUPS._create_permissions_now(apps, schema_editor.connection.alias)
    restart, start, stop = (GROUPS._permissions(apps, [f"{verb}_sandbox"]).get() for verb in ("restart", "start", "stop"))
    for group in apps.get_model("auth", "Group").objects.filter(permissions=start).filter(permissions=stop):
        group.permissions.add(restart)
    for user in apps.get_model("auth", "User").objects.filter(user_permissions=start).filter(user_permissions=stop):
        user.user_permissions.add(restart)


class Migration(migrations.Migration):

    dependencies = [
        ('sandboxes', '0036_usage_hours'),
    ]

    operations = [
        migrations.AlterModelOptions(
            name='sandbox',
            options={'permissions': [('start_sandbox', 'Can start sandboxes'), ('stop_sandbox', 'Can stop sandboxes'), ('restart_sandbox', 'Can restart sandboxes'), ('archive_sandbox', 'Can archive sandboxes'), ('recover_sandbox', 'Can recover sandboxes'), ('sync_sandbox', 'Can sync sandboxes'), ('protect_sandbox', 'Can protect sandboxes from eviction'), ('cancel_operation', 'Can cancel operations'), ('push_sandbox', 'Can push sandboxes to Convex again'), ('rename_sandbox', 'Can rename sandboxes')], 'verbose_name_plural': 'sandboxes'},
        ),
        migrations.RemoveIndex(
            model_name='operation',
            name='operation_rare',
        ),
        migrations.AlterField(
            model_name='operation',
            name='action',
            field=models.CharField(choices=[('create', 'Create'), ('start', 'Start'), ('stop', 'Stop'), ('restart', 'Restart'), ('archive', 'Archive'), ('delete', 'Delete'), ('recover', 'Recover'), ('sync', 'Sync')], max_length=20),
        ),
        migrations.AddIndex(
            model_name='operation',
            index=models.Index(condition=models.Q(('action__in', ('create', 'restart', 'archive', 'delete', 'recover'))), fields=['action', 'created_at'], name='operation_rare'),
        ),
        migrations.RunPython(permit, migrations.RunPython.noop),
    ]
