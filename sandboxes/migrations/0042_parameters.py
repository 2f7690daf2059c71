from django.db import migrations, models
from django.db.models import Value


def keep(apps, schema_editor):
    """What was said with an operation or a job, of those that said something."""
    forced = {"parameters": {"force": True}}
    apps.get_model("sandboxes", "Operation").objects.filter(force=True).update(**forced)
    jobs = apps.get_model("sandboxes", "Job").objects
    jobs.filter(force=True).update(**forced)
    for hours in jobs.filter(action="protect").exclude(hours=24).values_list("hours", flat=True).distinct():
        jobs.filter(action="protect", hours=hours).update(parameters={"hours": hours})


def put_back(apps, schema_editor):
    apps.get_model("sandboxes", "Operation").objects.filter(parameters__force=True).update(force=True)
    jobs = apps.get_model("sandboxes", "Job").objects
    jobs.filter(parameters__force=True).update(force=True)
    for job in jobs.filter(action="protect").exclude(parameters={}):
        jobs.filter(pk=job.pk).update(hours=job.parameters["hours"])


def parameters(about):
    return models.JSONField(
        blank=True, db_default=Value({}, models.JSONField()), default=dict, help_text=about
    )


class Migration(migrations.Migration):
    dependencies = [("sandboxes", "0041_owner_of_an_active_operation")]

    operations = [
        migrations.AddField(
            model_name="operation",
            name="parameters",
            field=parameters("What was said with it otherwise than by default: core/parameters.py."),
        ),
        migrations.AddField(
            model_name="job",
            name="parameters",
            field=parameters("What was said with it otherwise than by default."),
        ),
        migrations.RunPython(keep, put_back),
        migrations.RemoveField(model_name="operation", name="force"),
        migrations.RemoveField(model_name="job", name="force"),
        migrations.RemoveField(model_name="job", name="hours"),
    ]
