from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("sandboxes", "0019_due_times")]

    operations = [
        migrations.RenameField("notice", "cure", "remedy"),
        migrations.AlterField("notice", "remedy", models.CharField("fix", max_length=500)),
    ]
