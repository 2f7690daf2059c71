"""The `.env` of a development machine, for `make run`: the emulator stands for Daytona and Convex."""

from __future__ import annotations

import os
import secrets

from project.ports import CHOICES, ENV_FILE, PORTS, written

CHOSEN = {**os.environ, **written(ENV_FILE)}
WEB_PORT, EMULATOR_PORT = (CHOSEN.get(name) or str(default) for name, default in PORTS.items())
DAYTONA_KEY = "dtn_development"
CONVEX_KEY = "dev:sandkeeper|development"

ENV = f"""\
# Written once by `make run`, for development. Every variable is described in .env.example.
DEBUG=1
SECRET_KEY=dev-{secrets.token_urlsafe(40)}
DAYTONA_API_URL=http://127.0.0.1:{EMULATOR_PORT}/api
DAYTONA_API_KEY={DAYTONA_KEY}
CONVEX_URL=http://127.0.0.1:{EMULATOR_PORT}
CONVEX_DEPLOY_KEY={CONVEX_KEY}

# The processes of `make run`.
WEB_PROCESSES=1
WEB_PORT={WEB_PORT}
EMULATOR_PORT={EMULATOR_PORT}
EMULATOR_STATE=var/emulator.sqlite3
EMULATOR_DAYTONA_KEY={DAYTONA_KEY}
EMULATOR_CONVEX_KEY={CONVEX_KEY}
# As a Convex app that has all that Sandkeeper can use; EMULATOR_WITH_SANDKEEPER=0 leaves our own functions out.
EMULATOR_CONVEX_FUNCTIONS=second
EMULATOR_WITH_SANDKEEPER=1
PYTHONUNBUFFERED=1
"""


def main() -> None:
    """Write the file, or add what is not in one that only makes a choice; leave any other as it is."""
    here = written(ENV_FILE)
    if not CHOICES.issuperset(here):
        return
    missing = [line for line in ENV.splitlines() if line.partition("=")[0] not in here]
    with ENV_FILE.open("a", encoding="utf-8") as file:
        file.write("\n".join([*([""] if here else []), *missing, ""]))
    print("Wrote .env for development: DEBUG=1, and the emulator in the place of Daytona and Convex.")


if __name__ == "__main__":
    main()
