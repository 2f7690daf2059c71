"""This installation: the database, the configuration, the workers, what waits."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from django.conf import settings
from django.contrib.auth import get_user_model
from django.core.checks import ERROR, WARNING, Tags, run_checks
from django.db import DEFAULT_DB_ALIAS, DatabaseError, connection
from django.db.models import Min

from project.logs import redact
from project.unusable import is_read_only, missing_migrations
from project.version import NAME
from sandboxes import clock
from sandboxes.models import ConvexProjection, Notice, Operation
from sandboxes.services import backlog, heartbeat, projection, sweeps, verifications
from sandboxes.services.doctor.finding import DoctorFinding, broken, length, ok, warning

if TYPE_CHECKING:
    from collections.abc import Iterator

LATE = timedelta(seconds=60)


def look_at_configuration() -> Iterator[DoctorFinding]:
    messages = [found for found in run_checks(tags=[NAME]) if found.level >= WARNING and not found.is_silenced()]
    for found in messages:
        make = broken if found.level >= ERROR else warning
        yield make("configuration", str(found.msg), str(found.hint or "See `manage.py check`."))
    if not messages:
        yield ok("configuration", "The settings fit together.")


def look_at_database() -> Iterator[DoctorFinding]:
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    except DatabaseError as error:
        lines = redact(str(error)).strip().splitlines() or ["no reason given"]
        yield broken(
            "database", f"The database does not answer: {lines[0]}", "Look at DATABASE_URL and the server."
        )
    else:
        if is_read_only():
            yield broken("database", "The database takes no changes.", "Point DATABASE_URL at the primary.")
            return
        yield ok("database", f"The database answers ({connection.display_name}).")
        for found in run_checks(tags=[Tags.database], databases=[DEFAULT_DB_ALIAS]):
            yield warning("database", str(found.msg), str(found.hint))


def look_at_migrations() -> Iterator[DoctorFinding]:
    waiting = missing_migrations()
    if waiting:
        names = ", ".join(f"{migration.app_label}.{migration.name}" for migration in waiting[:3])
        yield broken("migrations", f"{len(waiting)} migrations are missing: {names}.", "Run `manage.py migrate`.")
    else:
        yield ok("migrations", "The tables are up to date.")


def look_at_workers() -> Iterator[DoctorFinding]:
    alive = list(heartbeat.alive())
    if alive:
        places = sum(worker.places for worker in alive)
        are = "1 worker is alive" if len(alive) == 1 else f"{len(alive)} workers are alive"
        yield ok("workers", f"{are}, with {places} places.")
    else:
        silence = length(timedelta(seconds=settings.WORKER_SILENT_SECONDS))
        yield broken(
            "workers", f"No worker has given a sign of life for {silence}.", "Start `manage.py run_worker`."
        )
    for worker in heartbeat.silent():
        ago = length(clock.now() - worker.beat_at)
        remedy = "Look at its log; what it held is taken over by the others."
        yield warning("worker_silent", f"The {worker.role} {worker.worker_id} fell silent {ago} ago.", remedy)


def look_at_operations() -> Iterator[DoctorFinding]:
    lanes = backlog.waiting(clock.now())
    late = [one for one in lanes if one.is_late]
    for one in late:
        since = length(one.oldest)
        text = f"{one.rows} rows of the lane {one.lane} are due and nobody takes them; the oldest for {since}."
        yield broken("operations", text, "Start more workers; see their log where there are enough.")
    if not late:
        yield ok("operations", f"{Operation.objects.active().count()} operations are in progress, nothing is late.")
    if failing := backlog.failing():
        text = f"Attempts on {failing} sandboxes end with an error of our own."
        yield broken("failing", text, "Report it with the error in the workers' log; the others go on.")


def look_at_projection() -> Iterator[DoctorFinding]:
    if not projection.is_used():
        return
    now = clock.now()
    behind = ConvexProjection.objects.behind()
    oldest = behind.aggregate(oldest=Min("behind_since"))["oldest"] or now
    if now - oldest > LATE:
        text = f"{behind.count()} sandboxes wait for Convex, the oldest change is {length(now - oldest)} old."
        remedy = "See the lines about Convex; a sandbox's page shows what Convex said."
        yield warning("behind", text, remedy)
    else:
        yield ok("behind", f"{behind.count()} sandboxes wait for Convex, none for long.")


def look_at_verification() -> Iterator[DoctorFinding]:
    if not projection.is_used():
        return
    made = verifications.last()
    remedy = "Run `manage.py reconcile_sandboxes --verify-convex`: it says of each sandbox what differs."
    if made is None:
        yield ok("convex_verified", "Convex was not compared with our rows yet; a sweep does it.")
        return
    text = f"Convex was compared with our rows {length(clock.now() - made.at)} ago: {made.in_words()}."
    if made.error:
        yield warning("convex_verified", f"{text} It was not done to the end: {made.error}", remedy)
    elif made.differences or verifications.is_overdue(made):
        yield warning("convex_verified", text, remedy)
    else:
        yield ok("convex_verified", text)


def look_at_sweeps() -> Iterator[DoctorFinding]:
    last = sweeps.last_complete()
    remedy = "Run `manage.py reconcile_sandboxes`, by cron or with --every 30."
    if last is None:
        yield warning("sweep", "No sweep has ever been completed.", remedy)
        return
    age = clock.now() - last
    text = f"The last complete sweep ended {length(age)} ago."
    if age > sweeps.stale_after():
        yield warning("sweep", text, remedy)
    elif (pause := sweeps.last_pause()) is not None and pause > sweeps.stale_after():
        rare = "Set SWEEP_STALE_SECONDS above the pause between two sweeps, or sweep more often."
        yield warning(
            "sweep", f"{text} The one before was {length(pause)} earlier, more than SWEEP_STALE_SECONDS.", rare
        )
    elif age > timedelta(seconds=settings.OBSERVATION_TTL) and not sweeps.is_running():
        rare = (
            "Changes from outside may show as late as that: sweep more often, or run `manage.py watch_sandboxes`."
        )
        yield warning("sweep", f"{text} OBSERVATION_TTL is {settings.OBSERVATION_TTL:g} s.", rare)
    else:
        yield ok("sweep", text)


def look_at_notices() -> Iterator[DoctorFinding]:
    notices = list(Notice.objects.filter(closed_at=None).order_by("first_seen_at"))
    for notice in notices:
        yield warning(f"notice_{notice.code}", f"{notice.message} (seen {notice.count} times)", notice.remedy)
    if not notices:
        yield ok("notices", "No notice is open.")


def look_at_passwords() -> Iterator[DoctorFinding]:
    if settings.DEBUG:
        return
    user = get_user_model()._default_manager.filter(username="admin", is_active=True).first()
    if user is not None and user.check_password("admin"):
        yield broken("password", "The user admin has the password admin.", "Run `manage.py changepassword admin`.")
