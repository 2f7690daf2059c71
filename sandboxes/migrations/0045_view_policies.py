"""Whoever may see sandboxes may see the rules that stop, archive and delete them."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from django.db import migrations

GROUPS: Any = import_module("sandboxes.migrations.0002_groups")


def permit(apps: Any, schema_editor: Any) -> None:
    GROUPS._create_permissions_now(apps, schema_editor.connection.alias)
    seeing, policies = (GROUPS._permissions(apps, [name]).get() for name in ("view_sandbox", "view_policy"))
    for group in apps.get_model("auth", "Group").objects.filter(permissions=seeing):
        group.permissions.add(policies)
    for user in apps.get_model("auth", "User").objects.filter(user_permissions=seeing):
        user.user_permissions.add(policies)


class Migration(migrations.Migration):
    dependencies = [("sandboxes", "0044_quota_hours")]
    operations = [migrations.RunPython(permit, migrations.RunPython.noop)]
