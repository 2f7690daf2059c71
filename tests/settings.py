"""The project's settings for tests: of the machine's own settings only TEST_DATABASE_URL counts."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from tests.support.environment import DEVELOPMENT, clean_environment

_scratch = Path(tempfile.gettempdir())
_database = os.environ.get("TEST_DATABASE_URL") or f"sqlite:///{_scratch / 'sandkeeper.sqlite3'}"
_module = os.environ.get("DJANGO_SETTINGS_MODULE", "tests.settings")
_environment = clean_environment(**DEVELOPMENT, DATABASE_URL=_database, DJANGO_SETTINGS_MODULE=_module)
os.environ.clear()
os.environ.update(_environment)

from project.settings import *  # noqa: E402, F403
from project.settings import DATABASES, MIDDLEWARE  # noqa: E402

# A database of this process, so that runs beside each other do not meet; with SQLite a file, because several
# threads use it at once, as in production.
_name = f"test_sandkeeper_{os.getpid()}"
_is_file = "sqlite" in DATABASES["default"]["ENGINE"]
if not _is_file:
    # Nothing has to outlive the server: no commit waits for the disk.
    DATABASES["default"]["OPTIONS"]["options"] += " -c synchronous_commit=off"
DATABASES["default"]["TEST"] = {"NAME": str(_scratch / f"{_name}.sqlite3") if _is_file else _name}

MIDDLEWARE = ["tests.support.problems.OnlyProblems", *MIDDLEWARE]
# Signing in is no matter of these tests, and a good hash takes its time on purpose.
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
# All tests have one address and one cache; what tests the limits sets them.
ATTEMPT_LIMITS = {"credentials": 0, "sign_in": 0}
