from django.db import migrations, models


def make_label_index(apps, schema_editor):
    """For a search by labels, of those that have any. SQLite scans, which it may."""
    if schema_editor.connection.vendor == "postgresql":
        schema_editor.execute(
            "CREATE INDEX sandbox_user_labels ON sandboxes_sandbox USING gin (user_labels jsonb_path_ops) "
            "WHERE NOT (user_labels = '{}'::jsonb)"
        )


def drop_label_index(apps, schema_editor):
    if schema_editor.connection.vendor == "postgresql":
        schema_editor.execute("DROP INDEX IF EXISTS sandbox_user_labels")


class Migration(migrations.Migration):
    dependencies = [("sandboxes", "0034_jobs")]

    operations = [
        migrations.AddField(
            model_name="sandbox",
            name="user_labels",
            field=models.JSONField(blank=True, db_default={}, default=dict, help_text="Those that people gave it, told Daytona with ours."),
        ),
        migrations.AlterField(
            model_name="sandbox",
            name="labels",
            field=models.JSONField(blank=True, default=dict, help_text="What Daytona holds, ours among them."),
        ),
        migrations.RunPython(make_label_index, drop_label_index),
    ]
