"""System checks: what is configured and cannot work (E), or should not stay so (W), each with its remedy.

`manage.py check` runs them with all of Django's, each of our commands runs these alone before it begins, for the
others load the whole of the web. W1xx only with `check --deploy`.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator, Sequence
from typing import Any
from urllib.parse import urlsplit

from django.apps import AppConfig
from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, register
from django.core.checks import Warning as Caution

from project import limits
from project.database import limits_of_role, may_be_plain
from project.version import NAME
from sandboxes.providers.convex.environment import mistakes as convex_mistakes

LOCAL_HOSTS = frozenset({"127.0.0.1", "localhost", "::1", "[::1]"})
# What each address looks like when it is right.
URLS = {
    "DAYTONA_API_URL": "https://app.daytona.io/api",
    "OIDC_ISSUER": "https://clerk.example.com",
    "OIDC_JWKS_URL": "https://clerk.example.com/.well-known/jwks.json",
    "STAFF_OIDC_ISSUER": "https://login.example.com",
}
TIER_SIZES = ("cpu", "memory_gb", "disk_gb")

Apps = Sequence[AppConfig] | None


@register(NAME)
def keys_are_there(app_configs: Apps, **kwargs: Any) -> list[CheckMessage]:
    found: list[CheckMessage] = []
    if settings.DAYTONA_API_URL and not settings.DAYTONA_API_KEY:
        hint = "Set DAYTONA_API_KEY; the web process needs neither."
        found.append(Error("DAYTONA_API_URL is set without DAYTONA_API_KEY.", hint=hint, id="sandboxes.E002"))
    if settings.DAYTONA_API_KEY and not settings.DAYTONA_API_URL:
        hint = f"Set DAYTONA_API_URL, such as {URLS['DAYTONA_API_URL']}; the web process needs neither."
        found.append(Error("DAYTONA_API_KEY is set without DAYTONA_API_URL.", hint=hint, id="sandboxes.E002"))
    if bool(settings.OIDC_ISSUER) != bool(settings.OIDC_JWKS_URL):
        hint = "Set both to accept end users' tokens, or neither."
        found.append(Error("OIDC_ISSUER and OIDC_JWKS_URL belong together.", hint=hint, id="sandboxes.E003"))
    return found


@register(NAME)
def staff_can_sign_in(app_configs: Apps, **kwargs: Any) -> list[CheckMessage]:
    found: list[CheckMessage] = []
    needed = {
        "STAFF_OIDC_CLIENT_ID": settings.OIDC_RP_CLIENT_ID,
        "STAFF_OIDC_CLIENT_SECRET": settings.OIDC_RP_CLIENT_SECRET,
        "STAFF_OIDC_GROUPS": settings.STAFF_OIDC_GROUPS,
    }
    missing = [name for name, value in needed.items() if not value]
    if settings.STAFF_OIDC_ISSUER and missing:
        hint = "Set them as .env.example shows; nobody gets in at the provider before."
        problem = f"STAFF_OIDC_ISSUER is set without {', '.join(missing)}."
        found.append(Error(problem, hint=hint, id="sandboxes.E009"))
    groups: object = settings.STAFF_OIDC_GROUPS
    if not isinstance(groups, dict) or not all(isinstance(name, str) for name in groups.values()):
        hint = 'Write it as {"platform": "Sandbox operators"}.'
        found.append(Error("STAFF_OIDC_GROUPS does not name a group for each.", hint=hint, id="sandboxes.E009"))
    if not settings.STAFF_PASSWORDS and not settings.STAFF_OIDC_ISSUER:
        hint = "Set STAFF_OIDC_ISSUER, or take STAFF_PASSWORDS=0 away."
        found.append(Error("Nobody can sign in to the admin.", hint=hint, id="sandboxes.E010"))
    return found


@register(NAME)
def convex_is_meant_right(app_configs: Apps, **kwargs: Any) -> list[CheckMessage]:
    wrong = convex_mistakes(settings.CONVEX_URL, settings.CONVEX_DEPLOY_KEY)
    return [Error(mistake.text, hint=mistake.remedy, id="sandboxes.E001") for mistake in wrong]


@register(NAME)
def addresses_are_usable(app_configs: Apps, **kwargs: Any) -> list[CheckMessage]:
    return [
        Error(f"{name} is not an http address.", hint=f"Write it as {example}.", id="sandboxes.E004")
        for name, example in URLS.items()
        if (url := getattr(settings, name)) and _host_of(url) is None
    ]


@register(NAME)
def daytonas_address_ends_in_api(app_configs: Apps, **kwargs: Any) -> list[CheckMessage]:
    url: str = settings.DAYTONA_API_URL
    if _host_of(url) is None or urlsplit(url).path.rstrip("/").endswith("/api"):
        return []
    hint = f"Write {url}/api, unless your own server has its API elsewhere."
    return [Caution("DAYTONA_API_URL does not end in /api.", hint=hint, id="sandboxes.W008")]


@register(NAME)
def hosts_are_hosts(app_configs: Apps, **kwargs: Any) -> list[CheckMessage]:
    return [
        Error(
            f"ALLOWED_HOSTS has “{host}”, which no request's host equals.",
            hint=f"Write {_bare(host)}: no scheme, no port, no path.",
            id="sandboxes.E009",
        )
        for host in settings.ALLOWED_HOSTS
        if host != _bare(host)
    ]


def _bare(host: str) -> str:
    """The host of something that may be an address, or have a port: what ALLOWED_HOSTS takes."""
    place = host.partition("://")[2] or host
    place = place.partition("/")[0]
    return place if place.endswith("]") else place.rsplit(":", 1)[0] if ":" in place else place


@register(NAME)
def numbers_make_sense(app_configs: Apps, **kwargs: Any) -> list[CheckMessage]:
    hint = "See .env.example for its unit and its default."
    return [Error(problem, hint=hint, id="sandboxes.E010") for problem in limits.unusable(settings)]


@register(NAME)
def names_are_known(app_configs: Apps, **kwargs: Any) -> list[CheckMessage]:
    return [
        Caution(f"Nobody reads {name}.", hint=f"Did you mean {meant}?", id="sandboxes.W009")
        for name, meant in settings.MISTYPED_NAMES.items()
    ]


@register(NAME)
def connections_are_encrypted(app_configs: Apps, **kwargs: Any) -> list[CheckMessage]:
    hint = "Use https: keys and tokens go over this connection."
    plain = [name for name in (*URLS, "CONVEX_URL") if getattr(settings, name).startswith("http://")]
    return [
        Caution(f"{name} is plain http to another machine.", hint=hint, id="sandboxes.W001")
        for name in plain
        if _host_of(getattr(settings, name)) not in (None, *LOCAL_HOSTS)
    ]


def _host_of(url: str) -> str | None:
    """The host of an http address; None for anything else."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return None
    return parts.hostname if parts.scheme in ("http", "https") else None


@register(NAME)
def tiers_are_complete(app_configs: Apps, **kwargs: Any) -> list[CheckMessage]:
    hint = 'Write {"basic": {"cpu": 1, "memory_gb": 1, "disk_gb": 3, "snapshot": "daytona-small"}}.'
    return [
        Error(f"TIERS {problem}.", hint=hint, id="sandboxes.E005") for problem in _tier_problems(settings.TIERS)
    ]


def _tier_problems(tiers: object) -> Iterator[str]:
    if not isinstance(tiers, dict):
        yield "is no JSON object"
        return
    if not tiers:
        yield "is empty: nobody could create a sandbox"
    for name, tier in tiers.items():
        if not isinstance(tier, dict):
            yield f"has no object for “{name}”"
            continue
        wrong = [size for size in TIER_SIZES if not isinstance(tier.get(size), int) or tier[size] < 1]
        unknown = set(tier) - {*TIER_SIZES, "snapshot"}
        if wrong or unknown:
            yield f"“{name}” has a wrong or unknown {', '.join([*wrong, *sorted(unknown)])}"


@register(NAME)
def times_fit_together(app_configs: Apps, **kwargs: Any) -> list[CheckMessage]:
    found: list[CheckMessage] = []
    longest = max(
        settings.DAYTONA_READ_TIMEOUT,
        settings.CONVEX_CONNECT_TIMEOUT + settings.CONVEX_READ_TIMEOUT,
    )
    if longest + settings.ATTEMPT_SECONDS >= settings.LEASE_SECONDS:
        hint = "Raise LEASE_SECONDS, or another worker takes a sandbox over while a call is under way."
        found.append(Error("LEASE_SECONDS is not longer than a call may take.", hint=hint, id="sandboxes.E006"))
    if settings.WORKER_SILENT_SECONDS <= settings.HEARTBEAT_SECONDS:
        hint = "Make WORKER_SILENT_SECONDS a few times HEARTBEAT_SECONDS."
        found.append(Error("A worker would count as dead between two beats.", hint=hint, id="sandboxes.E007"))
    return found


@register(NAME)
def metrics_networks_are_networks(app_configs: Apps, **kwargs: Any) -> list[CheckMessage]:
    found: list[CheckMessage] = []
    for network in settings.METRICS_NETWORKS:
        try:
            ipaddress.ip_network(network)
        except ValueError as error:
            hint = "Write networks such as 10.0.0.0/8, comma-separated."
            found.append(Error(f"METRICS_NETWORKS: {error}.", hint=hint, id="sandboxes.E008"))
    return found


@register(NAME)
def not_everybody_is_a_proxy(app_configs: Apps, **kwargs: Any) -> list[CheckMessage]:
    networks = [word for word in settings.TRUSTED_PROXIES if word.endswith("/0")]
    hint = "Name the proxies' own networks, or how many there are: everybody can write X-Forwarded-For."
    return [Caution(f"TRUSTED_PROXIES trusts everybody: {n}.", hint=hint, id="sandboxes.W006") for n in networks]


@register(NAME)
def names_are_todays(app_configs: Apps, **kwargs: Any) -> list[CheckMessage]:
    hint = "Rename it: the next release does not read the old name, and this one only where the new one is not set."
    renamed = sorted(settings.FORMER_NAMES.items())
    return [Caution(f"{old} is now {new}.", hint=hint, id="sandboxes.W007") for old, new in renamed]


@register(NAME)
def debug_stays_at_home(app_configs: Apps, **kwargs: Any) -> list[CheckMessage]:
    public = [host for host in settings.ALLOWED_HOSTS if host not in LOCAL_HOSTS]
    if not (settings.DEBUG and public):
        return []
    hint = "Set DEBUG=0: its error pages show settings and source to everybody."
    return [Caution(f"DEBUG=1 while {public[0]} is an allowed host.", hint=hint, id="sandboxes.W002")]


@register(NAME)
def connections_are_kept(app_configs: Apps, **kwargs: Any) -> list[CheckMessage]:
    default = settings.DATABASES["default"]
    if "sqlite" in default["ENGINE"] or default.get("CONN_MAX_AGE"):
        return []
    hint = "Unset CONN_MAX_AGE: a connection per task took three quarters of the task rate."
    return [Caution("CONN_MAX_AGE is 0.", hint=hint, id="sandboxes.W003")]


@register(Tags.database)
def one_machine_with_sqlite(
    app_configs: Apps, databases: Sequence[str] | None = None, **kwargs: Any
) -> list[CheckMessage]:
    if not databases or "sqlite" not in settings.DATABASES["default"]["ENGINE"]:
        return []
    from django.db import connection

    from sandboxes.models import WorkerHeartbeat

    if WorkerHeartbeat._meta.db_table not in connection.introspection.table_names():
        return []  # before the first migration
    hosts = set(WorkerHeartbeat.objects.filter(stopped_at=None).values_list("host", flat=True))
    if len(hosts) < 2:
        return []
    hint = "Set DATABASE_URL to a PostgreSQL server: SQLite's locks do not hold across machines."
    return [Caution(f"{len(hosts)} machines work on one SQLite file.", hint=hint, id="sandboxes.W004")]


@register(Tags.database)
def waiting_is_limited(
    app_configs: Apps, databases: Sequence[str] | None = None, **kwargs: Any
) -> list[CheckMessage]:
    from django.db import connection

    if not databases or connection.vendor != "postgresql":
        return []
    with connection.cursor() as cursor:
        cursor.execute("SELECT current_setting('lock_timeout'), quote_ident(current_user)")
        limit, role = cursor.fetchone()
    if limit != "0":
        return []
    hint = f"{limits_of_role(role)} Then let the pooler connect anew."
    return [Caution("Nothing limits how long a statement waits for a lock.", hint=hint, id="sandboxes.W010")]


INDEXES_OF_PARTS = {
    "sandbox_name_parts": "sandboxes_sandbox USING gin (upper(name::text) gin_trgm_ops)",
    "sandbox_owner_parts": "sandboxes_sandbox USING gin (upper(owner_id::text) gin_trgm_ops)",
    "sandbox_daytona_name_parts": "sandboxes_sandbox USING gin (upper(daytona_name::text) gin_trgm_ops)",
    "owner_parts": "sandboxes_owner USING gin (upper(id::text) gin_trgm_ops)",
    "audit_parts": "sandboxes_auditentry USING gin (upper(about_name::text) gin_trgm_ops, "
    "upper(owner::text) gin_trgm_ops, upper(actor::text) gin_trgm_ops, upper(address::text) gin_trgm_ops)",
}


@register(Tags.database)
def parts_of_names_are_indexed(
    app_configs: Apps, databases: Sequence[str] | None = None, **kwargs: Any
) -> list[CheckMessage]:
    from django.db import connection

    if not databases or connection.vendor != "postgresql":
        return []
    if "sandboxes_sandbox" not in connection.introspection.table_names():
        return []  # before the first migration
    with connection.cursor() as cursor:
        cursor.execute("SELECT indexname FROM pg_indexes WHERE indexname = ANY(%s)", [list(INDEXES_OF_PARTS)])
        there = {name for (name,) in cursor.fetchall()}
    missing = [
        f"CREATE INDEX CONCURRENTLY {name} ON {what};"
        for name, what in INDEXES_OF_PARTS.items()
        if name not in there
    ]
    if not missing:
        return []
    hint = f"As a role that may: CREATE EXTENSION IF NOT EXISTS pg_trgm; then {' '.join(missing)}"
    return [Caution("A search for a part of a name or owner reads every row.", hint=hint, id="sandboxes.W005")]


@register(Tags.security, deploy=True)
def ready_for_production(app_configs: Apps, **kwargs: Any) -> list[CheckMessage]:
    found: list[CheckMessage] = [
        Caution(problem, hint="See .env.example for its unit and its default.", id="sandboxes.W105")
        for problem in limits.unusual(settings)
    ]
    if "*" in settings.ALLOWED_HOSTS:
        hint = "Name the hosts: with * anybody's address in a Host header stands in the links that we send."
        found.append(Caution("ALLOWED_HOSTS takes every host.", hint=hint, id="sandboxes.W104"))
    if settings.SERVICE_KEY_PEPPERS == [settings.SECRET_KEY]:
        hint = "Set SERVICE_KEY_PEPPERS, or rotating SECRET_KEY revokes every service key."
        found.append(Caution("Service keys hang on SECRET_KEY.", hint=hint, id="sandboxes.W101"))
    if "sqlite" in settings.DATABASES["default"]["ENGINE"]:
        hint = "Set DATABASE_URL to a PostgreSQL server unless one machine does everything."
        found.append(Caution("The database is SQLite.", hint=hint, id="sandboxes.W102"))
    elif may_be_plain(settings.DATABASES["default"]):
        hint = "Add ?sslmode=verify-full (and sslrootcert=) to DATABASE_URL; see docs/operations.md, Database."
        problem = "The database is on another machine, and nothing requires TLS of the connection."
        found.append(Caution(problem, hint=hint, id="sandboxes.W103"))
    return found
