from django.db import migrations
from django.db.models import Max

BATCH = 10_000  # ids; each in a transaction of its own
KINDS = "kind IN ('call', 'change')"  # who else has no such key
RENAME = {
    "postgresql": "UPDATE sandboxes_sandboxevent SET data = (data - '{old}') || jsonb_build_object('{new}', data->'{old}') "
    "WHERE id > %s AND id <= %s AND " + KINDS + " AND data->'{old}' IS NOT NULL",
    "sqlite": "UPDATE sandboxes_sandboxevent "
    "SET data = json_remove(json_set(data, '$.{new}', json_extract(data, '$.{old}')), '$.{old}') "
    "WHERE id > %s AND id <= %s AND " + KINDS + " AND json_extract(data, '$.{old}') IS NOT NULL",
}


def rename(old, new):
    """Call what Daytona said by another name in the events that tell it."""

    def run(apps, schema_editor):
        statement = RENAME[schema_editor.connection.vendor].format(old=old, new=new)
        events = apps.get_model("sandboxes", "SandboxEvent").objects
        last = events.aggregate(last=Max("id"))["last"] or 0
        with schema_editor.connection.cursor() as cursor:
            for after in range(0, last, BATCH):
                cursor.execute(statement, [after, after + BATCH])

    return run


class Migration(migrations.Migration):
    atomic = False
    dependencies = [("sandboxes", "0042_parameters")]

    operations = [migrations.RunPython(rename("words", "daytona_message"), rename("daytona_message", "words"))]
