"""An index of what is being deleted: counting those that stand for too long read every sandbox that there is."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("sandboxes", "0046_searches")]

    operations = [
        migrations.AddIndex(
            model_name="sandbox",
            index=models.Index(
                fields=["-created_at"],
                condition=models.Q(("deleted_at__isnull", True), ("intent", "deleted")),
                name="sandbox_deleting",
            ),
        ),
    ]
