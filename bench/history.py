"""What time leaves in a database of so many sandboxes: events, audit entries, usage, jobs, notices, webhooks.

The owner `big` and the sandbox that was made last have the fullest pages.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from bench.rows import execute, selected

if TYPE_CHECKING:
    from django.db.models import Model

ITEMS = 10_000  # of the latest job
USERS = 500  # of so many sandboxes one owner uses something in every hour of 90 days

PLACED = "(SELECT id, owner_id, row_number() OVER (ORDER BY created_at DESC) AS place FROM sandboxes_sandbox)"
SOME_OWNER = "CASE WHEN n % 20 = 0 THEN 'big' ELSE 'user_' || md5((n / 5)::text) END"


class Made(NamedTuple):
    """What the rows of a model say beyond Django's defaults, as SQL, and from what they are made."""

    model: type[Model]
    values: dict[str, str]
    source: str


def fill(rows: int) -> None:
    statements = [
        f"INSERT INTO {made.model._meta.db_table} {selected(made.model, made.values)} FROM {made.source}"
        for made in _made(rows)
    ]
    execute(";\n".join(statements))


def _numbers(count: int) -> str:
    return f"generate_series(1, {count}) n"


def _one_of(*words: str) -> str:
    listed = ", ".join(f"'{word}'" for word in words)
    return f"(ARRAY[{listed}])[1 + n % {len(words)}]"


def _ago(length: str) -> str:
    return f"now() - n * interval '{length}'"


def _made(rows: int) -> list[Made]:
    from django.contrib.auth.models import User

    from sandboxes import models

    return [
        Made(
            models.SandboxEvent,
            {
                "seq": "n", "sandbox_id": "s.id", "owner": "s.owner_id",
                "at": _ago(f"{90 * 86400 / (2 * rows)} seconds"), "text": "'Daytona says started'",
                "kind": _one_of("intent", "operation", "call", "observation", "eviction", "convex", "change"),
                "actor": _one_of("owner:x", "staff:admin", "system:evictor", ""),
                "data": "jsonb_build_object('words', 'Daytona says started, ' || n)",
            },
            f"{_numbers(2 * rows)} JOIN {PLACED} s ON s.place = (n % 20 > 0)::int * (n % {rows}) + 1",
        ),
        Made(
            models.AuditEntry,
            {
                "at": _ago(f"{400 * 86400 / rows} seconds"), "actor": "'staff:person' || n % 50",
                "action": _one_of("hold", "limit", "protection", "signed_in", "job", "settings"),
                "about_kind": "'owner'", "about_id": SOME_OWNER, "about_name": SOME_OWNER, "owner": SOME_OWNER,
                "reason": "'maintenance ' || n", "request_id": "md5(n::text)", "address": "'10.0.0.' || n % 250",
                "keep_until": "now() + interval '400 days'",
            },
            _numbers(rows),
        ),
        Made(
            models.UsageHour,
            {
                "hour": "date_trunc('hour', now()) - n * interval '1 hour'", "owner": "o.id", "tier": "'basic'",
                "region": "'eu'", "measure": "m.measure", "bound": "m.bound", "value": "3600",
                "rolled_up_at": "now()",
            },
            f"generate_series(0, 2200) n, (SELECT id FROM sandboxes_owner ORDER BY id LIMIT {rows // USERS}) o, "
            "(VALUES ('vcpu_seconds', 0), ('memory_gib_seconds', 0), ('sandbox_seconds', 0), ('starts', 974)) "
            "m (measure, bound)",
        ),
        Made(
            models.Job,
            {
                "id": "md5('job' || n)::uuid", "action": "'stop'", "actor_id": "'admin'", "reason": "'noon'",
                "total": str(ITEMS), "created_at": _ago("20 minutes"), "finished_at": "now()",
            },
            _numbers(1000),
        ),
        Made(
            models.JobItem,
            {
                "job_id": "md5('job1')::uuid", "sandbox_id": "s.id", "operation_id": "o.id", "name": "s.name",
                "owner": "s.owner_id", "result": "CASE WHEN o.id IS NULL THEN 'waiting' ELSE 'requested' END",
            },
            f"(SELECT * FROM sandboxes_sandbox ORDER BY created_at DESC LIMIT {ITEMS}) s "
            "LEFT JOIN LATERAL (SELECT id FROM sandboxes_operation WHERE sandbox_id = s.id LIMIT 1) o ON true",
        ),
        Made(
            models.Notice,
            {
                "code": _one_of("org_suspended", "orphans", "sandbox_stuck", "sweep_stale"),
                "message": "'It is so'",
                "remedy": "'Look.'", "first_seen_at": _ago("1 hour"), "last_seen_at": _ago("1 hour"),
                "closed_at": "CASE WHEN n > 4 THEN now() END",
            },
            _numbers(2000),
        ),
        Made(
            models.Orphan,
            {
                "daytona_id": "'lost-' || n", "name": "'lost-' || n", "state": "'started'", "target": "'eu'",
                "cpu": "1",
                "owner": f"CASE WHEN n % 3 > 0 THEN {SOME_OWNER} ELSE '' END",
                "created_at": _ago("1 day"), "first_seen_at": _ago("1 minute"), "seen_at": "now()",
            },
            _numbers(rows // 10),
        ),
        Made(
            models.Sweep,
            {
                "result": "'complete'", "started_at": _ago("30 minutes"), "finished_at": _ago("30 minutes"),
                "counts": """'{"listed": 9, "drift": 2}'""",
            },
            _numbers(5000),
        ),
        Made(
            models.WorkerHeartbeat,
            {
                "worker_id": "'worker-' || n", "host": "'h'", "pid": "n", "places": "64", "started_at": "now()",
                "beat_at": _ago("1 minute"), "stopped_at": "CASE WHEN n > 9 THEN now() END",
            },
            _numbers(500),
        ),
        Made(
            models.ServiceKey,
            {"name": "'key ' || n", "prefix": "'p' || n", "created_at": _ago("1 hour")},
            _numbers(1000),
        ),
        Made(
            models.Receiver,
            {
                "id": "'wh_' || md5(k.id::text)", "key_id": "k.id", "url": "'https://example.com/' || k.id",
                "created_at": "k.created_at",
            },
            "sandboxes_servicekey k",
        ),
        Made(
            models.Delivery,
            {
                "id": "gen_random_uuid()", "receiver_id": "k.id", "number": "n", "stream": "'s' || n % 100",
                "attempt": "9", "error": "'It answered 503'", "died_at": "CASE WHEN n % 2 = 0 THEN now() END",
            },
            f"{_numbers(rows)}, (SELECT id FROM sandboxes_receiver ORDER BY created_at DESC LIMIT 1) k",
        ),
        Made(
            models.Policy,
            {
                "scope": "CASE WHEN n = 1 THEN 'default' ELSE 'owner' END",
                "subject": "CASE WHEN n > 1 THEN 'user_' || md5(n::text) ELSE '' END",
                "idle_stop_minutes": "n", "changed_at": "now()",
            },
            _numbers(1000),
        ),
        Made(
            models.Note,
            {"owner_id": "'big'", "at": _ago("1 hour"), "author": "'staff:admin'", "text": "'Called them, ' || n"},
            _numbers(1000),
        ),
        Made(
            User,
            {"username": "'person' || n", "is_staff": "true", "date_joined": "now()"},
            _numbers(500),
        ),
    ]  # fmt: skip
