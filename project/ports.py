"""What `make run` needs before anything is installed: a Python that is new enough, and ports that are free.

Runs with any Python 3. Each refusal is one line with the remedy.
"""

from __future__ import annotations

import os
import socket
import sys
from pathlib import Path

NEEDED = (3, 11)
PORTS = {"WEB_PORT": 8000, "EMULATOR_PORT": 8010}
ENV_FILE = Path(__file__).resolve().parent.parent / ".env"
# A `.env` with nothing else was written to choose a port; the rest is then added to it.
CHOICES = {"WEB_PORT", "EMULATOR_PORT", "WEB_PROCESSES", "EMULATOR_STATE", "LOG_LEVEL"}


def written(file: Path) -> dict[str, str]:
    """The lines of a `.env`."""
    lines = file.read_text().splitlines() if file.exists() else []
    pairs = (line.split("=", 1) for line in lines if "=" in line and not line.startswith("#"))
    return {name.strip(): value.strip() for name, value in pairs}


def in_use(port: int) -> bool:
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind(("127.0.0.1", port))
        except OSError:
            return True
    return False


def refusal(known: dict[str, str]) -> str:
    """Why nothing should be started, and what to do; empty: all is well."""
    if sys.version_info < NEEDED:
        found = ".".join(str(part) for part in sys.version_info[:2])
        return f"This is Python {found}; Sandkeeper needs 3.11 or newer: make run PYTHON=/path/to/python3.11"
    here = written(ENV_FILE)
    if here and not CHOICES.issuperset(here) and "SECRET_KEY" not in {**here, **os.environ}:
        return ".env has no SECRET_KEY. Add one, long and random, or move .env away: make run writes another."
    for name, default in PORTS.items():
        given = known.get(name) or str(default)
        if not (given.isascii() and given.isdigit() and 0 < int(given) < 65_536):
            return f"{name}={given} is no port. Choose a number from 1 to 65535, such as {name}={default}."
        if in_use(int(given)):
            return f"Port {given} is in use. End what listens there, or choose another by {name} in .env."
    return ""


def main() -> int:
    why = refusal({**os.environ, **written(ENV_FILE)})  # as honcho reads them: the file wins
    if why:
        print(why)
    return 1 if why else 0


if __name__ == "__main__":
    sys.exit(main())
