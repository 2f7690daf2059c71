"""The `.env` of a development machine, for `make run`: the emulator stands for Daytona and Convex."""

from __future__ import annotations

import os
import secrets

WEB_PORT = os.environ.get("WEB_PORT", "8000")
EMULATOR_PORT = os.environ.get("EMULATOR_PORT", "8010")
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

if __name__ == "__main__":
    print(ENV, end="")
