"""`python -m tests`, which `make test` calls: everything that can run here, and what could not and why.

REQUIRE=postgres,browser,node makes the absence of one of them a failure (CI). COVERAGE=1 measures branches.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import psycopg

ROOT = Path(__file__).resolve().parent.parent
CONVEX = ROOT / "convex"
POSTGRES = os.environ.get("TEST_DATABASE_URL") or "postgres://postgres@127.0.0.1:5432/postgres"
# What touches no database, always its own, this one task by task, or shows a page or a log line, says the same
# on every database: it runs on SQLite.
ONCE = [
    "breakages", "browser", "contract", "emulator", "gateways", "installing", "project", "pure",
    "api/test_clients_page.py", "api/test_cutting_over_page.py", "api/test_schemathesis.py",
    "e2e/test_logs.py", "e2e/test_secrets_appear_nowhere.py",
    "faults/test_state_machine.py",
]  # fmt: skip
SOAK = "--soak" in sys.argv


def no_postgres() -> str:
    try:
        psycopg.connect(POSTGRES, connect_timeout=5).close()
    except psycopg.OperationalError as error:
        return f"the PostgreSQL half: {str(error).strip().splitlines()[0]} (set TEST_DATABASE_URL)"
    return ""


def no_browser() -> str:
    return "" if shutil.which("chromium") else "tests in a browser: no chromium (on Debian: apt install chromium)"


def no_node() -> str:
    return "" if shutil.which("npm") else "what runs TypeScript: no npm (install Node 20 or newer)"


def run(title: str, *command: str, cwd: Path = ROOT, environment: dict[str, str] | None = None) -> bool:
    print(f"\n=== {title}", flush=True)
    began = time.monotonic()
    code = subprocess.run(command, cwd=cwd, env=os.environ | (environment or {}), check=False).returncode
    print(f"=== {title}: {'passed' if code == 0 else 'FAILED'} in {time.monotonic() - began:.0f} s", flush=True)
    return code == 0


def suite(database: str, *, without: list[str]) -> bool:
    """The suite on SQLite or PostgreSQL; `without` are markers of what cannot run here.

    The tests in a browser run by themselves: Playwright leaves an event loop in its process.
    """
    passed = pytest(f"tests on {database}", database, without=[*without, "browser"])
    if database == "SQLite" and "browser" not in without and not SOAK:
        passed &= pytest("tests in a browser", database, "tests/browser", without=without)
    return passed


def pytest(title: str, database: str, *folders: str, without: list[str]) -> bool:
    markers = ["soak" if SOAK else "not soak", *(f"not {name}" for name in without)]
    # More workers than cores: most tests wait for other processes most of the time.
    arguments = ["-n", "1" if SOAK else "4", "--dist", "worksteal", "-q", *folders]
    if database == "SQLite":
        environment = {"TEST_DATABASE_URL": ""}
        markers.append("not postgres")
    else:
        environment = {"TEST_DATABASE_URL": POSTGRES}
        arguments += [f"--ignore=tests/{folder}" for folder in ONCE]
    if os.environ.get("COVERAGE") and database == "SQLite":  # the half with every test; it takes half as long again
        arguments += ["--cov", "--cov-append", "--cov-report="]
    if SOAK:
        arguments.append("-s")  # it prints its figures
    command = [sys.executable, "-m", "pytest", *arguments, "-m", " and ".join(markers)]
    return run(title, *command, environment=environment)


def convex_packages() -> bool:
    installed = (CONVEX / "node_modules" / ".package-lock.json").exists()
    return installed or run("npm ci in convex/", "npm", "ci", "--no-audit", "--no-fund", cwd=CONVEX)


def main() -> int:
    absent = {"postgres": no_postgres(), "browser": no_browser(), "node": no_node()}
    required = [name for name in os.environ.get("REQUIRE", "").split(",") if name]
    passed = [not absent[name] for name in required]
    without = [name for name in ("browser", "node") if absent[name]]
    if all(passed) and not absent["node"]:
        passed.append(convex_packages())
    if all(passed):
        if not absent["node"] and not SOAK:
            passed.append(run("tests of convex/", "npm", "test", cwd=CONVEX))
        passed.append(suite("SQLite", without=without))
        if not absent["postgres"]:
            passed.append(suite("PostgreSQL", without=without))
    for name, why in absent.items():
        if why:
            print(f"{'MISSING' if name in required else 'SKIPPED'} {why}")
    print("ALL PASSED" if all(passed) else "FAILED")
    return 0 if all(passed) else 1


if __name__ == "__main__":
    sys.exit(main())
