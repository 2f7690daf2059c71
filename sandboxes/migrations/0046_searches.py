"""Indexes for the search of the audit log and for the list of owners.

Without them a search that finds little reads every entry of the log, and each page of owners sorts all of them.
"""

from django.db import DatabaseError, migrations, models, transaction

PARTS = ", ".join(f"upper({column}::text) gin_trgm_ops" for column in ("about_name", "owner", "actor", "address"))


def index_parts(apps, schema_editor):
    """For the admin's search. Without pg_trgm it scans, and a system check says what to do."""
    connection = schema_editor.connection
    if connection.vendor != "postgresql":
        return
    try:
        with transaction.atomic(using=connection.alias), connection.cursor() as cursor:
            cursor.execute(f"CREATE INDEX IF NOT EXISTS audit_parts ON sandboxes_auditentry USING gin ({PARTS})")
    except DatabaseError as error:  # no pg_trgm
        print(f" (no index of parts of the audit log: {str(error).splitlines()[0]}; see manage.py check --database default)")


def drop_parts(apps, schema_editor):
    if schema_editor.connection.vendor == "postgresql":
        schema_editor.execute("DROP INDEX IF EXISTS audit_parts")


class Migration(migrations.Migration):
    dependencies = [("sandboxes", "0045_view_policies")]

    operations = [
        migrations.RunPython(index_parts, drop_parts),
        migrations.AddIndex(
            model_name="auditentry",
            index=models.Index(
                fields=["request_id"], condition=models.Q(("request_id", ""), _negated=True), name="audit_request"
            ),
        ),
        migrations.AddIndex(
            model_name="owner",
            index=models.Index(fields=["-created_at", "id"], name="owner_created"),
        ),
    ]
