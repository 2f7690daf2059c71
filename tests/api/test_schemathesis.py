"""Schemathesis against the live API, as each of those who may call it: nothing undocumented, no 5xx."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import httpx
import pytest
from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY
from django.contrib.sessions.backends.db import SessionStore

from tests.admin import members
from tests.api.live import live_api
from tests.support import rows
from tests.support.issuer import AUDIENCE, Issuer
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

# Of each of the three; `make soak` takes a minute each.
SECONDS = os.environ.get("SCHEMATHESIS_SECONDS", "5")
SOAK_SECONDS = "60"
# A random id is nobody's: that documented 404 is no rejection of good data.
NOT_OURS = "positive_data_acceptance"
PRINCIPALS = ("service", "owner", "staff")


@pytest.fixture
def callers(tmp_path: Path, issuer_server: Issuer) -> Iterator[tuple[str, dict[str, dict[str, str]]]]:
    """The address of a live API with a sandbox in it, and the headers of each principal."""
    issuer_server.reset()
    rows.operation(rows.sandbox("atlas", of="alice"), "stop", "in_progress")
    limited = (*PRINCIPALS, "bad_credentials")
    limits = {"SANDBOXES_PER_OWNER": "100000", **{f"RATE_LIMIT_{name.upper()}": "0" for name in limited}}
    oidc = {
        "OIDC_ISSUER": issuer_server.url,
        "OIDC_AUDIENCE": AUDIENCE,
        "OIDC_JWKS_URL": issuer_server.jwks_url,
    }
    token = issuer_server.token("alice", exp=int(time.time()) + 3_600)
    csrf = "a" * 32
    with live_api(tmp_path, **limits, **oidc) as api:
        yield (
            str(api.base_url),
            {
                "service": {"Authorization": api.headers["Authorization"], "X-On-Behalf-Of": "alice"},
                "owner": {"Authorization": f"Bearer {token}"},
                "staff": {"Cookie": f"sessionid={session()}; csrftoken={csrf}", "X-CSRFToken": csrf},
            },
        )


def session() -> str:
    """The key of a session in which an administrator is signed in."""
    account = members.root()
    store = SessionStore()
    store[SESSION_KEY] = str(account.pk)
    store[BACKEND_SESSION_KEY] = "django.contrib.auth.backends.ModelBackend"
    store[HASH_SESSION_KEY] = account.get_session_auth_hash()
    store.create()
    assert store.session_key
    return store.session_key


def run(address: str, headers: dict[str, str], *, folder: Path, seconds: str) -> None:
    # Under load the identity provider's keys may take longer than their deadline: then it says 503 at first.
    wait_until(lambda: httpx.get(f"{address}/api/v1/sandboxes", headers=headers).status_code == 200, what="a 200")
    sent = [word for name, value in headers.items() for word in ("--header", f"{name}: {value}")]
    done = subprocess.run(
        [
            *(sys.executable, "-m", "schemathesis.cli", "run", f"{address}/api/v1/schema", *sent),
            *("--header", "Prefer: wait=0"),
            *("--checks", "all", "--exclude-checks", NOT_OURS, "--max-time", seconds, "--seed", "7"),
            *("--suppress-health-check", "all", "--warnings", "off", "--continue-on-failure"),
        ],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-20_000:] + done.stderr[-2_000:]
    assert "No issues found" in done.stdout or "passed" in done.stdout, done.stdout


@pytest.mark.django_db(transaction=True)
def test_nothing_undocumented_and_no_5xx(callers: tuple[str, dict[str, dict[str, str]]], tmp_path: Path) -> None:
    address, headers = callers
    for principal in PRINCIPALS:
        run(address, headers[principal], folder=tmp_path, seconds=SECONDS)


@pytest.mark.soak
@pytest.mark.django_db(transaction=True)
def test_nothing_undocumented_and_no_5xx_for_long(
    callers: tuple[str, dict[str, dict[str, str]]], tmp_path: Path
) -> None:
    address, headers = callers
    for principal in PRINCIPALS:
        run(address, headers[principal], folder=tmp_path, seconds=SOAK_SECONDS)
