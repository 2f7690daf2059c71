from __future__ import annotations

import unicodedata

from django.db import migrations


def compose(apps, schema_editor):
    """Names are looked for in NFC from now on."""
    sandboxes = apps.get_model("sandboxes", "Sandbox").objects
    for pk, name in sandboxes.filter(name__regex="[^ -~]").values_list("pk", "name").iterator():
        composed = unicodedata.normalize("NFC", name)
        if composed != name:
            sandboxes.filter(pk=pk).update(name=composed)


class Migration(migrations.Migration):
    dependencies = [("sandboxes", "0009_settings_asked_and_observed")]
    operations = [migrations.RunPython(compose, migrations.RunPython.noop, elidable=True)]
