from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("sandboxes", "0021_rows_are_the_queue")]

    operations = [
        migrations.AddField(
            "workerheartbeat",
            "role",
            models.CharField(
                choices=[("worker", "Worker"), ("reconcile", "Reconcile"), ("watch", "Watch")],
                db_default="worker",
                default="worker",
                max_length=20,
            ),
        ),
    ]
