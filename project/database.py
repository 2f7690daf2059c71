"""DATABASE_URL as Django's settings: nothing of the URL is dropped, and it wins over our defaults.

A PostgreSQL URL is read by libpq itself, so it means here what it means to psql and pg_dump, but for
`pooler=transaction`, which is ours: a pooler in between gives each transaction any of its connections.
"""

from __future__ import annotations

import ipaddress
import os
import re
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, unquote

if TYPE_CHECKING:
    from collections.abc import Mapping

SQLITE = "sqlite:///"
POSTGRES = ("postgres://", "postgresql://")

# A server that vanishes without a reset is noticed within 25 s: 20 for an answer that does not come (whether the
# question arrived or not), 5 to connect again, or to the next host. Linux itself takes 15 minutes to 2 hours.
CONNECTION = {
    "connect_timeout": "5",
    "keepalives": "1",
    "keepalives_idle": "10",
    "keepalives_interval": "5",
    "keepalives_count": "2",
    "tcp_user_timeout": "20000",
}
SESSION = {"lock_timeout": 10, "statement_timeout": 30, "idle_in_transaction_session_timeout": 60}  # seconds
POOLER = re.compile(r"(?<=[?&])pooler=([^&]*)(?:&|$)")
DJANGO_NAMES = {"dbname": "NAME", "user": "USER", "password": "PASSWORD", "host": "HOST", "port": "PORT"}

# WAL + IMMEDIATE: readers never wait, and a transaction that will write takes the lock when it begins instead of
# failing half way. Measured with the task queue: 160/s by default, 423/s so.
SQLITE_OPTIONS: dict[str, Any] = {
    "timeout": 30.0,
    "transaction_mode": "IMMEDIATE",
    "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; PRAGMA foreign_keys=ON;",
}
TRANSACTION_MODES = ("DEFERRED", "IMMEDIATE", "EXCLUSIVE")
MAY_BE_PLAIN = ("disable", "allow", "prefer")  # the values of sslmode that connect to a server without TLS
SECRETS = ("password", "sslpassword", "oauth_client_secret", "scram_client_key", "scram_server_key")


class WrongAddress(ValueError):
    """What is wrong with the address, in words that follow its name and repeat no secret."""


def django_settings(url: str, *, statement_timeout: int) -> dict[str, Any]:
    """What Django's DATABASES takes for this address; raises WrongAddress."""
    if url.startswith(SQLITE):
        name, _, query = url.removeprefix(SQLITE).partition("?")
        if not name:
            raise WrongAddress("names no file.")
        return {"ENGINE": "django.db.backends.sqlite3", "NAME": unquote(name), "OPTIONS": _sqlite_options(query)}
    options = parameters(url, statement_timeout=statement_timeout)
    named = {name: options.pop(keyword, "") for keyword, name in DJANGO_NAMES.items()}
    engine = "django.db.backends.postgresql"
    # A cursor of the server would be looked for on another connection. Django prepares no statements.
    found = {"ENGINE": engine, "CONN_HEALTH_CHECKS": True, **named, "OPTIONS": options}
    return found | {"DISABLE_SERVER_SIDE_CURSORS": _pooled(url)[1]}


def parameters(url: str, *, statement_timeout: int = SESSION["statement_timeout"]) -> dict[str, str]:
    """The parameters of libpq for this PostgreSQL address; raises WrongAddress."""
    url, is_pooled = _pooled(url)
    given = _parsed(url)
    if is_pooled:
        return CONNECTION | given  # poolers refuse the others; the role has them, see docs/operations.md
    session = SESSION | {"statement_timeout": statement_timeout}
    ours = " ".join(f"-c {name}={seconds}s" for name, seconds in session.items())
    # Of two settings of one name the later counts, for PostgreSQL.
    return CONNECTION | given | {"options": f"{ours} {given.get('options', '')}".strip()}


def _pooled(url: str) -> tuple[str, bool]:
    """The address as libpq knows it, and whether a pooler is there; raises WrongAddress."""
    found = POOLER.search(url)
    if found is None:
        return url, False
    if found[1] != "transaction":
        raise WrongAddress("has a pooler that is not “transaction”; leave it out for one that keeps sessions.")
    return POOLER.sub("", url, count=1).rstrip("?&"), True


def limits_of_role(role: str) -> str:
    """The statement that gives a role the limits which a pooler's connections cannot be given otherwise."""
    return " ".join(f"ALTER ROLE {role} SET {name} = '{seconds}s';" for name, seconds in SESSION.items())


def conninfo(url: str) -> str:
    """What whoever connects without Django gives to psycopg; raises WrongAddress."""
    from psycopg.conninfo import make_conninfo

    return make_conninfo(**parameters(url))


def _parsed(url: str) -> dict[str, str]:
    from psycopg import ProgrammingError  # here: with SQLite nobody needs it
    from psycopg.conninfo import conninfo_to_dict

    if not url.startswith(POSTGRES):
        raise WrongAddress("must be a postgres:// or sqlite:/// address.")
    try:
        given = {keyword: str(value) for keyword, value in conninfo_to_dict(url).items()}
    except ProgrammingError as error:
        raise WrongAddress(_complaint(str(error))) from None
    if not all(port.isdecimal() or not port for port in given.get("port", "").split(",")):
        raise WrongAddress("has a port that is no number; write “/” in a user or password as %2F and “@” as %40.")
    if not given.get("dbname") and not given.get("service"):
        raise WrongAddress("names no database.")
    if given.pop("client_encoding", "UTF8").upper().replace("-", "") != "UTF8":
        raise WrongAddress("sets a client_encoding; Django speaks UTF8 only.")
    return given


def _complaint(words: str) -> str:
    """What libpq complains of; its own words may repeat the password."""
    if unknown := re.search(r'invalid URI query parameter: "(\w+)"', words):
        return f"has the parameter “{unknown[1]}”, which PostgreSQL's client (libpq) does not know."
    return "is not a usable address; write what is special in a user, password or value as %XX."


def _sqlite_options(query: str) -> dict[str, Any]:
    try:
        pairs = parse_qsl(query, keep_blank_values=True, strict_parsing=bool(query))
    except ValueError:
        raise WrongAddress("has parameters that are not name=value, divided by “&”.") from None
    given = dict(pairs)
    if len(given) < len(pairs):
        raise WrongAddress("gives a parameter twice.")
    if unknown := sorted(set(given) - set(SQLITE_OPTIONS)):
        known = ", ".join(SQLITE_OPTIONS)
        raise WrongAddress(f"has the parameter “{unknown[0]}”; for SQLite there are {known}.")
    return SQLITE_OPTIONS | {name: _sqlite_value(name, value) for name, value in given.items()}


def _sqlite_value(name: str, value: str) -> Any:
    if name == "init_command":
        return f"{SQLITE_OPTIONS['init_command']} {value}"
    if name == "transaction_mode":
        if value.upper() not in TRANSACTION_MODES:
            raise WrongAddress(f"has a transaction_mode that is none of {', '.join(TRANSACTION_MODES)}.")
        return value.upper()
    if not re.fullmatch(r"\d+(\.\d+)?", value):
        raise WrongAddress("has a timeout that is no number of seconds.")
    return float(value)


def secrets_of(config: Mapping[str, Any]) -> list[str]:
    """Every secret in the settings of a database."""
    found = [config.get("PASSWORD"), *(config.get("OPTIONS", {}).get(keyword) for keyword in SECRETS)]
    return [str(secret) for secret in found if secret]


def may_be_plain(config: Mapping[str, Any]) -> bool:
    """Whether a PostgreSQL connection may leave this machine without TLS."""
    options = config.get("OPTIONS", {})
    mode = options.get("sslmode") or os.environ.get("PGSSLMODE") or "prefer"
    hosts = str(options.get("hostaddr") or config.get("HOST") or os.environ.get("PGHOST") or "").split(",")
    remote = bool(options.get("service")) or any(_is_remote(host) for host in hosts)
    return remote and mode in MAY_BE_PLAIN


def _is_remote(host: str) -> bool:
    if not host or host.startswith(("/", "@")) or host == "localhost":  # a socket of this machine
        return False
    try:
        return not ipaddress.ip_address(host).is_loopback
    except ValueError:
        return True
