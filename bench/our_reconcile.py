"""Our sweep, once, in a process of its own. Run by bench/reconcile.py; prints one JSON object."""

from __future__ import annotations

import json
import os

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "project.settings")
django.setup()

import daytona_api_client_async  # noqa: E402, F401 - the gateway imports it at its first call; here it is part of the start

from sandboxes.services import reconcile  # noqa: E402

if __name__ == "__main__":
    print(json.dumps(reconcile.sweep().as_data()))
