"""`python -m tests`, which `make test` calls: everything that can run here, and what could not and why.

REQUIRE=postgres,browser,… makes the absence of one of what `absent` names below a failure (CI).
COVERAGE=1 measures branches.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import psycopg

from project.database import conninfo
from tests.support.postgres_server import programs

ROOT = Path(__file__).resolve().parent.parent
CONVEX = ROOT / "convex"
CLIENT = ROOT / "clients" / "typescript"
POSTGRES = os.environ.get("TEST_DATABASE_URL") or "postgres://postgres@127.0.0.1:5432/postgres"
# What touches no database, always its own, this one task by task, or shows a page or a log line, says the same
# on every database: it runs on SQLite.
ONCE = [
    "breakages", "browser", "clients", "contract", "emulator", "core", "providers", "installing", "project",
    "simulation", "deploy",
    "api/test_clients_page.py", "api/test_cutting_over_page.py", "api/test_schemathesis.py",
    "commands/test_health.py", "commands/test_log_lines.py", "commands/test_what_is_loaded.py",
    "e2e/test_logs.py", "e2e/test_readme_page.py", "e2e/test_secrets_appear_nowhere.py", "e2e/test_traces.py",
    "faults/test_state_machine.py",
    "hostile/test_admin_lookups.py", "hostile/test_outlets.py", "hostile/test_redaction.py",
]  # fmt: skip
FAST_ONLY = "--fast" in sys.argv
SOAK = "--soak" in sys.argv
# What `--fast` runs: the rules, the services, and what holds the project together; of the services not what takes
# as long as all the others: comparing with Daytona, and pushing to Convex.
FAST = ["tests/core", "tests/services", "tests/project/test_structure.py", "tests/project/test_dead_code.py"]
NOT_FAST = ["tests/services/projection", "tests/services/reconcile"]


def no_postgres() -> str:
    try:
        psycopg.connect(conninfo(POSTGRES)).close()
    except psycopg.OperationalError as error:
        return f"the PostgreSQL half: {str(error).strip().splitlines()[0]} (set TEST_DATABASE_URL)"
    return ""


def no_initdb() -> str:
    return "" if programs() else "restarts of the database: no initdb (on Debian: apt install postgresql)"


def no_browser() -> str:
    return "" if shutil.which("chromium") else "tests in a browser: no chromium (on Debian: apt install chromium)"


def no_node() -> str:
    return "" if shutil.which("npm") else "what runs TypeScript: no npm (install Node 20 or newer)"


def no_nginx() -> str:
    found = shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin")
    return "" if found else "tests of the proxy: no nginx (on Debian: apt install nginx-light)"


def no_systemd() -> str:
    found = shutil.which("systemd-analyze")
    return "" if found else "the systemd units: no systemd-analyze (on Debian: apt install systemd)"


def no_pgbouncer() -> str:
    found = shutil.which("pgbouncer", path=f"{os.environ['PATH']}:/usr/sbin")
    return "" if found else "tests of the pooler: no pgbouncer (on Debian: apt install pgbouncer)"


def no_strip() -> str:
    return "" if shutil.which("strip") else "the size of the image: no strip (on Debian: apt install binutils)"


def no_curl() -> str:
    return "" if shutil.which("curl") else "the calls that the pages show: no curl (on Debian: apt install curl)"


def no_promtool() -> str:
    return (
        "" if shutil.which("promtool") else "the alerts' own tests: no promtool (on Debian: apt install prometheus)"
    )


_begun: list[subprocess.Popen[str]] = []
GRACE = 10.0  # seconds to end in good order: databases are dropped, emulators stopped


def end_all(number: int, _frame: object = None) -> None:
    """End every part with all that it has started, then this process."""
    for sent in (signal.SIGINT, signal.SIGKILL):
        for process in _begun:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, sent)
        deadline = time.monotonic() + GRACE
        while time.monotonic() < deadline and any(process.poll() is None for process in _begun):
            time.sleep(0.1)
    os._exit(128 + number)


@dataclass(frozen=True)
class Part:
    """A command, and what it is called where its output is shown."""

    title: str
    command: list[str]
    environment: dict[str, str] = field(default_factory=dict)
    cwd: Path = ROOT

    def run(self) -> bool:
        began = time.monotonic()
        with subprocess.Popen(
            self.command, cwd=self.cwd, env=os.environ | self.environment, text=True, errors="replace",
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True,
        ) as process:  # fmt: skip
            _begun.append(process)
            assert process.stdout is not None
            for line in process.stdout:
                self.say(line.rstrip())
        self.say(f"{'passed' if process.returncode == 0 else 'FAILED'} in {time.monotonic() - began:.0f} s")
        return process.returncode == 0

    def say(self, words: str) -> None:
        print(f"{self.title:>10} | {words}", flush=True)


def pytest(title: str, *arguments: str, processes: int, without: list[str], environment: dict[str, str]) -> Part:
    """`without`: markers of what is not to run."""
    markers = ["soak" if SOAK else "not soak", *(f"not {name}" for name in without)]
    shown = ["-s"] if SOAK else []  # a soak prints its figures, which a process beside would keep to itself
    command = [
        *(sys.executable, "-m", "pytest", "-q", "-n", str(0 if SOAK else processes), "--dist", "worksteal"),
        *("-m", " and ".join(markers), *shown, *arguments),
    ]
    return Part(title, command, environment)


def parts(*, absent: dict[str, str]) -> list[Part]:
    """All that can run here. Side by side they keep two cores busy: most tests wait now and then."""
    without = [name for name, why in absent.items() if why and name != "postgres"]
    sqlite, postgres = {"TEST_DATABASE_URL": ""}, {"TEST_DATABASE_URL": POSTGRES}
    # Every test but those that need PostgreSQL; measuring takes twice the time.
    measured = ["--cov", "--cov-append", "--cov-report="] if os.environ.get("COVERAGE") else []
    left_out = [*without, "postgres", "browser"]
    found = [pytest("SQLite", *measured, processes=4, without=left_out, environment=sqlite)]
    if not absent["postgres"]:
        ignored = [f"--ignore=tests/{place}" for place in ONCE]
        found.append(pytest("PostgreSQL", *ignored, processes=5, without=without, environment=postgres))
    if not absent["browser"] and not SOAK:
        # By itself: Playwright leaves an event loop in its process.
        found.append(pytest("browser", "tests/browser", processes=1, without=without, environment=sqlite))
    if not absent["node"] and not SOAK:
        found.append(Part("convex", ["npm", "test"], cwd=CONVEX))
    return found


def node_packages(folder: Path) -> bool:
    installed = (folder / "node_modules" / ".package-lock.json").exists()
    return installed or Part("npm ci", ["npm", "ci", "--no-audit", "--no-fund"], cwd=folder).run()


def main() -> int:
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, end_all)
    if FAST_ONLY:
        fast = pytest(
            "fast", *FAST, *(f"--ignore={place}" for place in NOT_FAST),
            processes=5, without=["postgres", "browser"], environment={"TEST_DATABASE_URL": ""},
        )  # fmt: skip
        return 0 if fast.run() else 1
    absent = {
        "postgres": no_postgres(),
        "initdb": no_initdb(),
        "browser": no_browser(),
        "node": no_node(),
        "nginx": no_nginx(),
        "pgbouncer": no_pgbouncer(),
        "curl": no_curl(),
        "promtool": no_promtool(),
        "strip": no_strip(),
        "systemd": no_systemd(),
    }
    required = [name for name in os.environ.get("REQUIRE", "").split(",") if name]
    passed = [not absent[name] for name in required]
    if all(passed) and not absent["node"]:
        passed += map(node_packages, (CONVEX, CLIENT))
    if all(passed):
        at_once = 1 if SOAK else 4
        with ThreadPoolExecutor(at_once) as pool:
            passed += pool.map(Part.run, parts(absent=absent))
    for name, why in absent.items():
        if why:
            print(f"{'MISSING' if name in required else 'SKIPPED'} {why}")
    print("ALL PASSED" if all(passed) else "FAILED")
    return 0 if all(passed) else 1


if __name__ == "__main__":
    sys.exit(main())
