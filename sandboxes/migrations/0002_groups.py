"""The two groups that staff are put into: those who look, and those who act."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.management import create_permissions
from django.db import migrations

VIEWERS, OPERATORS = "Sandbox viewers", "Sandbox operators"

VIEW = [
    "view_sandbox", "view_owner", "view_operation", "view_sandboxevent", "view_notice", "view_sweep",
    "view_workerheartbeat",
]  # fmt: skip
ACT = [
    "add_sandbox", "start_sandbox", "stop_sandbox", "archive_sandbox", "recover_sandbox", "sync_sandbox",
    "delete_sandbox", "protect_sandbox", "cancel_operation", "push_sandbox", "rename_sandbox", "change_sandbox",
    "hold_owner", "limit_owner",
]  # fmt: skip


def make_groups(apps: Any, schema_editor: Any) -> None:
    _create_permissions_now(apps, schema_editor.connection.alias)
    group_model = apps.get_model("auth", "Group")
    for name, codenames in ((VIEWERS, VIEW), (OPERATORS, [*VIEW, *ACT])):
        group, _ = group_model.objects.get_or_create(name=name)
        group.permissions.add(*_permissions(apps, codenames))


def _create_permissions_now(apps: Any, database: str) -> None:
    """Django makes them after all migrations, which is too late for a group that needs them."""
    app = apps.get_app_config("sandboxes")
    app.models_module = True  # what create_permissions asks of an app; a historical one has none
    create_permissions(app, apps=apps, verbosity=0, using=database)
    app.models_module = None


def _permissions(apps: Any, codenames: list[str]) -> Any:
    permission_model = apps.get_model("auth", "Permission")
    found = permission_model.objects.filter(content_type__app_label="sandboxes", codename__in=codenames)
    missing = set(codenames) - set(found.values_list("codename", flat=True))
    if missing:
        raise LookupError(f"There are no such permissions: {', '.join(sorted(missing))}")
    return found


def remove_groups(apps: Any, schema_editor: Any) -> None:
    apps.get_model("auth", "Group").objects.filter(name__in=[VIEWERS, OPERATORS]).delete()


class Migration(migrations.Migration):
    dependencies = [
        ("sandboxes", "0001_initial"),
        ("auth", "0012_alter_user_first_name_max_length"),
        ("contenttypes", "0002_remove_content_type_name"),
    ]
    operations = [migrations.RunPython(make_groups, remove_groups)]
