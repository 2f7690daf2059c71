from django.db import migrations


def _set(statistics):
    """How finely PostgreSQL knows the beginnings of names: too coarsely, and it walks a million rows for seven."""

    def run(apps, schema_editor):
        if schema_editor.connection.vendor == "postgresql":
            schema_editor.execute(f"ALTER INDEX sandbox_name_prefix ALTER COLUMN 1 SET STATISTICS {statistics}")

    return run


class Migration(migrations.Migration):
    dependencies = [("sandboxes", "0005_dirty_since")]

    operations = [migrations.RunPython(_set(1000), _set(-1))]
