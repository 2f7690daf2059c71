"""A process's environment for tests: none of the machine's own Sandkeeper settings."""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path
from urllib.parse import urlsplit

ROOT = Path(__file__).resolve().parents[2]
DEVELOPMENT = {"ENV_FILE": "", "DEBUG": "1", "SECRET_KEY": "for-tests-" + "0123456789" * 5}


def variables() -> set[str]:
    """Every variable that `.env.example` names."""
    lines = (ROOT / ".env.example").read_text().splitlines()
    return {match[1] for line in lines if (match := re.match(r"(?:# )?([A-Z][A-Z_]+)=", line))}


def clean_environment(**values: str) -> dict[str, str]:
    """The machine's environment without any setting of ours, and with `values`; no `.env` is read."""
    ours = variables() | {f"{name}_FILE" for name in variables()} | {"DJANGO_SETTINGS_MODULE"}
    kept = {name: value for name, value in os.environ.items() if name not in ours}
    return {**kept, "ENV_FILE": "", **values}


def ending_with_us(command: list[str]) -> list[str]:
    """The command, which gets SIGTERM when the thread that starts it is gone: also when this process is killed.

    Where the system has no `setpriv` (Linux has it), it ends by its context manager alone.
    """
    setpriv = shutil.which("setpriv")
    return [setpriv, "--pdeathsig", "TERM", "--", *command] if setpriv else command


def beside(url: str, name: str) -> str:
    """The URL of another database on the same PostgreSQL server, with the parameters of this one."""
    return urlsplit(url)._replace(path=f"/{name}").geturl()
