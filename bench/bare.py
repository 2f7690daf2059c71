"""The measure for bench/api.py: a bare DRF view that does one indexed SELECT and returns the same JSON.

Settings and URLs of the project, and this one view beside them: `DJANGO_SETTINGS_MODULE=bench.bare`.
"""

from __future__ import annotations

from project.settings import *  # noqa: F403

ROOT_URLCONF = "bench.bare_urls"
