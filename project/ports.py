"""Whether the ports of `make run` are free; runs before anything is installed, so it needs Python alone."""

from __future__ import annotations

import os
import socket
import sys
from pathlib import Path

PORTS = {"WEB_PORT": 8000, "EMULATOR_PORT": 8010}
ENV_FILE = Path(__file__).resolve().parent.parent / ".env"


def settings() -> dict[str, str]:
    lines = ENV_FILE.read_text().splitlines() if ENV_FILE.exists() else []
    written = dict(line.split("=", 1) for line in lines if "=" in line and not line.startswith("#"))
    return {**written, **os.environ}


def in_use(port: int) -> bool:
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind(("127.0.0.1", port))
        except OSError:
            return True
    return False


def main() -> int:
    known = settings()
    for name, default in PORTS.items():
        port = int(known.get(name) or default)
        if in_use(port):
            print(f"Port {port} is in use. End what listens there, or choose another by {name} in .env.")
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
