from __future__ import annotations

from collections.abc import Callable, Iterator

from django.db import DatabaseError

from project.logs import redact
from sandboxes.services.doctor import connections, installation
from sandboxes.services.doctor.finding import DoctorFinding, Level, broken

__all__ = ["DoctorFinding", "Level", "examine"]

Check = Callable[[], Iterator[DoctorFinding]]

# What needs the tables comes after what says whether they are there.
FIRST: list[Check] = [
    installation.look_at_configuration,
    installation.look_at_database,
    installation.look_at_migrations,
]
TABLES: list[Check] = [
    installation.look_at_workers,
    installation.look_at_operations,
    installation.look_at_projection,
    installation.look_at_verification,
    installation.look_at_sweeps,
    installation.look_at_notices,
    installation.look_at_passwords,
]
REMOTE: list[Check] = [connections.look_at_daytona, connections.look_at_convex]


def examine() -> Iterator[DoctorFinding]:
    """Look at everything, in an order in which the first broken line explains the later ones. Never raises."""
    usable = True
    for look in FIRST:
        for finding in _safely(look):
            usable = usable and not (finding.check in ("database", "migrations") and finding.level == Level.BROKEN)
            yield finding
        if not usable:
            break
    for look in [*(TABLES if usable else []), *REMOTE]:
        yield from _safely(look)


def _safely(look: Check) -> Iterator[DoctorFinding]:
    try:
        yield from look()
    except DatabaseError as error:
        lines = redact(str(error)).strip().splitlines() or ["no reason given"]
        yield broken("database", f"A query failed: {lines[0]}", "Look at the database server's log.")
    except Exception as error:  # a value that nobody foresaw is what the doctor is asked about
        check = getattr(look, "__name__", "").removeprefix("look_at_")
        lines = [redact(f"{type(error).__name__}: {error}")]
        yield broken(check, f"It could not be looked at: {lines[0]}", "See the settings of it in .env.example.")
