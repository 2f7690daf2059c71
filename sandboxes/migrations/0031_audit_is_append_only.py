"""No entry of the audit log is changed, and none goes before it is outdated, whoever has the database's password."""

from importlib import import_module

from django.db import migrations

GROUPS = import_module("sandboxes.migrations.0002_groups")
NEW = {GROUPS.VIEWERS: ["view_note"], GROUPS.OPERATORS: ["view_note", "add_note"]}
TABLE = "sandboxes_auditentry"

POSTGRESQL = [
    """
    CREATE FUNCTION sandkeeper_audit_is_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        IF TG_OP = 'DELETE' AND OLD.keep_until < now() THEN
            RETURN OLD;
        END IF;
        RAISE EXCEPTION 'The audit log is append-only: entry % is kept until %.', OLD.id, OLD.keep_until;
    END $$
    """,
    f"CREATE TRIGGER audit_is_append_only BEFORE UPDATE OR DELETE ON {TABLE} "
    "FOR EACH ROW EXECUTE FUNCTION sandkeeper_audit_is_append_only()",
]
SQLITE = [
    f"""
    CREATE TRIGGER audit_is_never_changed BEFORE UPDATE ON {TABLE}
    BEGIN SELECT RAISE(ABORT, 'The audit log is append-only.'); END
    """,
    f"""
    CREATE TRIGGER audit_is_kept BEFORE DELETE ON {TABLE} WHEN OLD.keep_until >= CURRENT_TIMESTAMP
    BEGIN SELECT RAISE(ABORT, 'The audit log is append-only: the entry is kept until its keep_until.'); END
    """,
]
UNDO = {
    "postgresql": [
        f"DROP TRIGGER IF EXISTS audit_is_append_only ON {TABLE}",
        "DROP FUNCTION IF EXISTS sandkeeper_audit_is_append_only()",
    ],
    "sqlite": ["DROP TRIGGER IF EXISTS audit_is_never_changed", "DROP TRIGGER IF EXISTS audit_is_kept"],
}
DO = {"postgresql": POSTGRESQL, "sqlite": SQLITE}


def _run(statements):
    def run(apps, schema_editor):
        for statement in statements[schema_editor.connection.vendor]:
            schema_editor.execute(statement, params=None)

    return run


def give(apps, schema_editor):
    GROUPS._create_permissions_now(apps, schema_editor.connection.alias)
    groups = apps.get_model("auth", "Group").objects
    for name, codenames in NEW.items():
        for group in groups.filter(name=name):
            group.permissions.add(*GROUPS._permissions(apps, codenames))


class Migration(migrations.Migration):
    dependencies = [("sandboxes", "0030_audit")]

    operations = [
        migrations.RunPython(_run(DO), _run(UNDO)),
        migrations.RunPython(give, migrations.RunPython.noop),
    ]
