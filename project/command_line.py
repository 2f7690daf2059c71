"""`manage.py` of a checkout and `sandkeeper-manage` of an installed package: Django's commands."""

from __future__ import annotations

import os
import sys


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "project.settings")
    import structlog
    from django.core.management import execute_from_command_line

    structlog.contextvars.bind_contextvars(command=" ".join(sys.argv[1:2]))
    execute_from_command_line(sys.argv)
