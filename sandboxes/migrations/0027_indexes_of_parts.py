from django.db import DatabaseError, migrations, transaction

INDEXES = {
    "sandbox_owner_parts": "sandboxes_sandbox USING gin (upper(owner_id::text) gin_trgm_ops)",
    "sandbox_daytona_name_parts": "sandboxes_sandbox USING gin (upper(daytona_name::text) gin_trgm_ops)",
    "owner_parts": "sandboxes_owner USING gin (upper(id::text) gin_trgm_ops)",
}


def index_parts(apps, schema_editor):
    """For the admin's search. Without pg_trgm it scans, and a system check says what to do."""
    connection = schema_editor.connection
    if connection.vendor != "postgresql":
        return
    try:
        with transaction.atomic(using=connection.alias), connection.cursor() as cursor:
            cursor.execute("CREATE EXTENSION IF NOT EXISTS pg_trgm")
            for name, index in INDEXES.items():
                cursor.execute(f"CREATE INDEX IF NOT EXISTS {name} ON {index}")
    except DatabaseError as error:  # not allowed, or not installed
        print(f" (no index of parts of owners: {str(error).splitlines()[0]}; see manage.py check --database default)")


def drop_parts(apps, schema_editor):
    if schema_editor.connection.vendor == "postgresql":
        for name in INDEXES:
            schema_editor.execute(f"DROP INDEX IF EXISTS {name}")


class Migration(migrations.Migration):
    dependencies = [("sandboxes", "0026_names_for_people")]

    operations = [migrations.RunPython(index_parts, drop_parts)]
