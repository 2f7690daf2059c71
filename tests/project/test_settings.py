from __future__ import annotations

import re
import subprocess
import sys

import pytest

from sandboxes.core.actions import DEADLINES
from tests.support.environment import DEVELOPMENT, ROOT, clean_environment, variables
from tests.support.processes import manage


def check(**values: str) -> subprocess.CompletedProcess[str]:
    environment = clean_environment(**(DEVELOPMENT | values))
    return subprocess.run(manage("check"), cwd=ROOT, env=environment, capture_output=True, text=True, check=False)


def setting(name: str, **values: str) -> subprocess.CompletedProcess[str]:
    """Prints what a process with this environment has for the setting."""
    environment = clean_environment(**(DEVELOPMENT | values))
    code = f"from django.conf import settings; print(settings.{name})"
    command = [sys.executable, "-c", code]
    environment |= {"DJANGO_SETTINGS_MODULE": "project.settings"}
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True)


def test_the_example_names_every_variable_and_no_other() -> None:
    source = "".join((ROOT / "project" / name).read_text() for name in ("settings.py", "rest.py"))
    read = set(re.findall(r"env\.\w+\(\s*\"([A-Z_]+)\"", source))
    read |= {f"DEADLINE_{name.upper()}" for name in DEADLINES}
    assert read == variables()


def test_every_variable_of_the_example_is_explained() -> None:
    unexplained, explained = [], False
    for line in (ROOT / ".env.example").read_text().splitlines():
        if re.match(r"(# )?[A-Z][A-Z_]+=", line):
            unexplained += [] if explained else [line]
        else:
            explained = line.startswith("# ") and not line.startswith("# ---")
    assert unexplained == []


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("SECRET_KEY", ""),
        ("EVICTION_SCOPE", "everyone"),
        ("DEBUG", "ture"),
        ("ATTEMPT_SECONDS", "-1"),
        ("DATABASE_URL", "postgres://h/n?sslmoode=require"),
        ("TRUST_PROXY", "1"),
        ("IDLE_STOP_AFTER", "7200"),
    ],
)
def test_a_wrong_setting_refuses_to_start_and_says_which(name: str, value: str) -> None:
    done = check(**{name: value})
    assert done.returncode != 0
    assert name in done.stderr.splitlines()[-1]


@pytest.mark.parametrize(
    ("former", "name"),
    [
        ("TICK_SECONDS", "ATTEMPT_SECONDS"),
        ("UNSETTLED_SECONDS", "IN_DOUBT_SECONDS"),
        ("CALL_ECHO_SECONDS", "READ_CACHE_SECONDS"),
        ("CONVEX_AGAIN_SECONDS", "CONVEX_RESEND_SECONDS"),
    ],
)
def test_a_former_name_is_still_read_and_warned_of(former: str, name: str) -> None:
    done = setting(name, **{former: "7"})
    assert done.stdout.splitlines()[-1] == "7.0"
    warned = check(**{former: "7"})
    assert warned.returncode == 0
    assert "sandboxes.W007" in warned.stderr
    assert f"{former} is now {name}." in warned.stderr


def test_a_name_that_nobody_reads_is_told_with_what_was_meant() -> None:
    told = check(EVICTIN_SCOPE="off", SECRET_KEY_FIEL="/run/secrets/key")
    assert told.returncode == 0
    assert "(sandboxes.W009) Nobody reads EVICTIN_SCOPE." in told.stderr
    assert "Did you mean EVICTION_SCOPE?" in told.stderr
    assert "Did you mean SECRET_KEY_FILE?" in told.stderr
    assert "sandboxes.W009" not in check(MY_OWN_SETTING="1", NO_PROXY="x", DATABASE_HOST="y").stderr


@pytest.mark.parametrize("name", ["SECURE_HSTS_INCLUDE_SUBDOMAINS", "SECURE_HSTS_PRELOAD"])
def test_what_binds_other_hosts_is_asked_for(name: str) -> None:
    assert setting(name, DEBUG="0").stdout.splitlines()[-1] == "False"
    assert setting(name, DEBUG="0", **{name: "1"}).stdout.splitlines()[-1] == "True"


def test_commands_refuse_half_of_a_configuration() -> None:
    done = check(CONVEX_URL="https://x.convex.cloud")
    assert done.returncode != 0
    assert "sandboxes.E001" in done.stderr


def test_nothing_of_daytona_and_convex_is_needed_to_start() -> None:
    done = check()
    assert done.returncode == 0, done.stderr
