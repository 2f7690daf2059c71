"""Mixed REST load against web, two workers, reconcile and the emulator with injected faults, on PostgreSQL.

    .venv/bin/python -m bench.load [--seconds 300] [--clients 8] [--outages]

80 % ensure-running and touch, 15 % reads, 5 % changes; one call in twenty to Daytona and Convex fails. With
`--outages`, Daytona is away for a fifth of the time and then Convex for another. DATABASE_URL names the server.
Exit code 1 when one of the aims at the end is missed.
"""

from __future__ import annotations

import argparse
import json
import signal
import sys
import tempfile
import threading
import time
from contextlib import ExitStack
from pathlib import Path

import psycopg

from bench.environment import memory, postgres, worker_command
from bench.load_calls import OWNERS, Caller, Tally
from project.database import conninfo
from tests.support import convex
from tests.support.emulator import Emulator
from tests.support.environment import DEVELOPMENT, clean_environment
from tests.support.processes import Running, answers, free_port, manage, run_command, running, web_command
from tests.support.waiting import wait_until

SCOPES = ("sandboxes:read", "sandboxes:write", "sandboxes:use", "sandboxes:any")
PER_OWNER = 4
SETTLE = 60.0  # seconds after the end in which everything must have settled
RECOVERED = 5.0  # seconds after Daytona's return in which what was seen too long ago is looked at again
IN_PLACE = 0.8  # of the updates of sandboxes and operations
FLAT = 20.0  # MB that a process may still grow after a third of the time


def main() -> int:
    options = _options()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that what was started is ended, too
    with postgres("load") as url, tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        return Bench(url, Path(folder), options, stack).run()


class Bench:
    def __init__(self, url: str, folder: Path, options: argparse.Namespace, stack: ExitStack) -> None:
        self.url, self.folder, self.options, self.stack = url, folder, options, stack
        self.emulator = stack.enter_context(Emulator("--transition", "0.3", "--archive", "1"))
        # As in production: with DEBUG, Django keeps the last 9,000 queries of each connection.
        production = {"DEBUG": "0", "ALLOWED_HOSTS": "127.0.0.1", "SECURE_SSL_REDIRECT": "0"}
        self.environment = clean_environment(
            **(DEVELOPMENT | production),
            DATABASE_URL=url,
            STATIC_ROOT=str(folder),
            LOG_LEVEL="WARNING",
            LOG_JSON="1",
            WEB_PROCESSES="1",
            RATE_LIMIT_SERVICE="0",
            OPERATIONS_PER_OWNER_PER_HOUR="0",
            DAYTONA_API_URL=self.emulator.daytona_url,
            DAYTONA_API_KEY=self.emulator.daytona_key,
            CONVEX_URL=self.emulator.convex_url,
            CONVEX_DEPLOY_KEY=self.emulator.convex_key,
        )

    def run(self) -> int:
        self.start()
        caller = Caller(f"http://{self.address}", self.key)
        sandboxes = caller.create(PER_OWNER)
        self.spoil()
        tally = self.load(caller, sandboxes)
        self.emulator.faults.clear()
        settled = self.settle()
        aims = self.judge(tally, settled=settled)
        for what, (met, text) in aims.items():
            print(f"{'met   ' if met else 'MISSED'} {what}: {text}")
        return 0 if all(met for met, _ in aims.values()) else 1

    def start(self) -> None:
        done = run_command("migrate", "--verbosity", "0", environment=self.environment, timeout=120)
        assert done.returncode == 0, done.stderr
        scopes = [word for scope in SCOPES for word in ("--scope", scope)]
        made = run_command("create_service_key", "bench", "--quiet", *scopes, environment=self.environment)
        self.key = made.stdout.strip()
        port = free_port()
        self.address = f"127.0.0.1:{port}"
        commands = {
            "web": web_command(port),
            "worker 1": worker_command(),
            "worker 2": worker_command(),
            "reconcile": manage("reconcile_sandboxes", "--every", "30"),
        }
        self.programs: dict[str, Running] = {
            name: self.stack.enter_context(
                running(command, environment=self.environment, log=self.folder / f"{name}.log")
            )
            for name, command in commands.items()
        }
        wait_until(lambda: answers(port), what="an answer of the web process")

    def spoil(self) -> None:
        """One call in twenty fails: before it was carried out, or after."""
        for system in ("daytona", "convex"):
            self.emulator.faults.add("status", system=system, status=503, probability=0.03)
            self.emulator.faults.add("drop_after", system=system, probability=0.02)

    def load(self, caller: Caller, sandboxes: list[tuple[str, str]]) -> Tally:
        tally, ends = Tally(), time.monotonic() + self.options.seconds
        threads = [
            threading.Thread(target=caller.work, args=(tally, sandboxes, ends, number))
            for number in range(self.options.clients)
        ]
        threads.append(threading.Thread(target=self.look_at_memory))
        if self.options.outages:
            threads.append(threading.Thread(target=self.outages, args=(tally,)))
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return tally

    def look_at_memory(self) -> None:
        """After a third of the time everything that is loaded late has been."""
        time.sleep(self.options.seconds / 3)
        self.early = self.memory()

    def outages(self, tally: Tally) -> None:
        """A fifth of the time well, a fifth without Daytona, well, without Convex, well."""
        part = self.options.seconds / 5
        for system in ("daytona", "convex"):
            time.sleep(part)
            self.emulator.faults.clear()  # rules are tried in order: the outage goes first
            down = self.emulator.faults.add("status", system=system, status=503)
            self.spoil()
            if system == "daytona":
                tally.away.set()
            time.sleep(part)
            self.emulator.faults.remove(down)
            threading.Timer(RECOVERED, tally.away.clear).start()

    def settle(self) -> float:
        began = time.monotonic()
        waiting = (
            "SELECT (SELECT count(*) FROM sandboxes_operation WHERE status IN ('queued', 'in_progress'))"
            " + (SELECT count(*) FROM sandboxes_convexprojection WHERE behind_since IS NOT NULL)"
        )
        with psycopg.connect(conninfo(self.url), autocommit=True) as connection:

            def quiet() -> bool:
                row = connection.execute(waiting).fetchone()
                return row is not None and row[0] == 0

            wait_until(quiet, timeout=SETTLE * 3, pause=0.2, what="everything settled")
        return time.monotonic() - began

    def differences(self) -> list[str]:
        """Rows of which Django, Daytona and Convex do not say the same."""
        query = "SELECT daytona_id, observed_state, status FROM sandboxes_sandbox WHERE deleted_at IS NULL"
        with psycopg.connect(conninfo(self.url)) as connection:
            rows = connection.execute(query).fetchall()
        found = []
        for daytona_id, state, status in rows:
            remote = self.emulator.sandbox(daytona_id) or {}
            shown = [row["status"] for row in convex.rows(self.emulator, daytona_id)]
            if remote.get("state") != state or shown != [status]:
                found.append(f"{daytona_id}: Daytona {remote.get('state')}, ours {state} {status}, Convex {shown}")
        return found

    def in_place(self) -> dict[str, float]:
        """The share of updates that left every index alone (HOT), by table."""
        query = (
            "SELECT relname, n_tup_hot_upd::float8 / n_tup_upd FROM pg_stat_user_tables "
            "WHERE relname IN ('sandboxes_sandbox', 'sandboxes_operation') AND n_tup_upd > 0"
        )
        with psycopg.connect(conninfo(self.url)) as connection:
            return dict(connection.execute(query).fetchall())

    def memory(self) -> dict[str, float]:
        """Resident MB of each process."""
        return {name: memory(program.process.pid) for name, program in self.programs.items()}

    def judge(self, tally: Tally, *, settled: float) -> dict[str, tuple[bool, str]]:
        print(json.dumps(tally.summary(), indent=2))
        print(f"{tally.requests} requests, {tally.requests / self.options.seconds:.1f} a second")
        different = self.differences()
        late = self.memory()
        memory = {name: f"{self.early[name]:.0f} to {late[name]:.0f}" for name in late}
        share = tally.yes / max(1, tally.asked)
        hot = self.in_place()
        return {
            "no 5xx": (not tally.broken, f"{len(tally.broken)} {tally.broken[:3]}"),
            "99 % of ensure-running say yes at once": (share >= 0.99, f"{share:.2%} of {tally.asked}"),
            "settled in a minute": (settled <= SETTLE, f"{settled:.1f} s"),
            "80 % of the updates leave the indexes alone": (
                all(one >= IN_PLACE for one in hot.values()),
                ", ".join(f"{table} {one:.0%}" for table, one in hot.items()),
            ),
            "Django = Daytona = Convex": (not different, "; ".join(different[:3]) or "all"),
            "memory is flat (MB after a third, at the end)": (
                all(late[name] - self.early[name] < FLAT for name in late),
                str(memory),
            ),
        }


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=300)
    parser.add_argument("--clients", type=int, default=8)
    parser.add_argument("--outages", action="store_true", help="Daytona and Convex are away, one after the other")
    options = parser.parse_args()
    print(f"{options.clients} clients for {options.seconds:g} s, {len(OWNERS) * PER_OWNER} sandboxes")
    return options


if __name__ == "__main__":
    sys.exit(main())
