from __future__ import annotations

from typing import Any

import pytest
from psycopg import pq

from project.database import WrongAddress, django_settings, may_be_plain, parameters, secrets_of

SECRET = "c4nary"
REMOTE = "postgres://u@db.example.com/sandkeeper"


def settings_of(url: str) -> dict[str, Any]:
    return django_settings(url, statement_timeout=30)


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("postgres://u:p@h:6432/n", {"NAME": "n", "USER": "u", "PASSWORD": "p", "HOST": "h", "PORT": "6432"}),
        ("postgresql://a:1,b:2,c/n", {"HOST": "a,b,c", "PORT": "1,2,"}),
        ("postgres://[::1]:1,10.0.0.2:2/n", {"HOST": "::1,10.0.0.2", "PORT": "1,2"}),
        ("postgres:///n?host=/run/db&port=7", {"HOST": "/run/db", "PORT": "7", "USER": ""}),
        ("postgres://%2Frun%2Fdb/n", {"HOST": "/run/db"}),
        ("postgres://h/n?user=o&password=p%26q", {"USER": "o", "PASSWORD": "p&q"}),
        ("postgres://u%40x:%2F%3F%25@h/n%20m", {"USER": "u@x", "PASSWORD": "/?%", "NAME": "n m"}),
        ("postgres://h/n?client_encoding=utf-8", {"HOST": "h", "DISABLE_SERVER_SIDE_CURSORS": False}),
        ("postgres://h/n?pooler=transaction", {"HOST": "h", "NAME": "n", "DISABLE_SERVER_SIDE_CURSORS": True}),
        ("sqlite:////srv/a%23b+c.sqlite3", {"NAME": "/srv/a#b+c.sqlite3"}),
    ],
)
def test_an_address_is_read_as_psql_reads_it(url: str, expected: dict[str, str]) -> None:
    found = settings_of(url)
    assert {name: found[name] for name in expected} == expected


def test_every_parameter_that_libpq_knows_is_kept() -> None:
    known = [option.keyword.decode() for option in pq.Conninfo.get_defaults()]
    given = {name: "17" for name in known if name not in ("dbname", "client_encoding", "options")}
    query = "&".join(f"{name}={value}" for name, value in given.items())
    found = parameters(f"postgres:///n?{query}")
    assert len(given) > 40
    assert {name: found[name] for name in given} == given


def test_a_server_that_vanishes_is_noticed_within_30_seconds() -> None:
    kept = {name: int(value) for name, value in parameters(REMOTE).items() if value.isdecimal()}
    silence = kept["keepalives_idle"] + kept["keepalives_interval"] * kept["keepalives_count"]
    assert kept["keepalives"] == 1
    assert max(silence, kept["tcp_user_timeout"] / 1000) + kept["connect_timeout"] <= 30


def test_the_address_wins_over_our_defaults_and_keeps_the_others() -> None:
    options = settings_of(f"{REMOTE}?tcp_user_timeout=5000&options=-c%20lock_timeout%3D1s")["OPTIONS"]
    assert (options["tcp_user_timeout"], options["keepalives_idle"]) == ("5000", "10")
    words = options["options"]
    assert words.index("lock_timeout=10s") < words.index("lock_timeout=1s")  # PostgreSQL takes the later one
    assert "statement_timeout=30s" in words


def test_the_address_of_a_sqlite_file_wins_over_our_defaults_and_keeps_the_others() -> None:
    ours = settings_of("sqlite:///x.sqlite3")["OPTIONS"]
    url = "sqlite:///x.sqlite3?timeout=2.5&transaction_mode=deferred&init_command=PRAGMA%20cache_size%3D-9"
    found = settings_of(url)["OPTIONS"]
    assert (found["timeout"], found["transaction_mode"]) == (2.5, "DEFERRED")
    assert found["init_command"] == f"{ours['init_command']} PRAGMA cache_size=-9"
    assert settings_of("sqlite:///x.sqlite3?timeout=1")["OPTIONS"] == ours | {"timeout": 1.0}


def test_a_pooler_gets_no_options_but_those_of_the_address() -> None:
    found = settings_of(f"{REMOTE}?sslmode=require&pooler=transaction&tcp_user_timeout=5000")["OPTIONS"]
    assert (found["sslmode"], found["tcp_user_timeout"], found["keepalives"]) == ("require", "5000", "1")
    assert "options" not in found


@pytest.mark.parametrize(
    ("url", "said"),
    [
        (f"{REMOTE}?sslmoode=require", "“sslmoode”"),
        (f"{REMOTE}?CONN_MAX_AGE=0", "“CONN_MAX_AGE”"),
        (f"{REMOTE}?pooler=session", "leave it out"),
        (f"{REMOTE}?sslmode", "not a usable address"),
        (f"{REMOTE}?client_encoding=latin1", "client_encoding"),
        (f"postgres://u:{SECRET}/x@h/n", "%2F"),
        (f"postgres://u:{SECRET}%zz@h/n", "%XX"),
        (f"postgres://u:{SECRET}@[::1/n", "%XX"),
        (f"postgres://u:{SECRET}@h/", "names no database"),
        (f"mysql://u:{SECRET}@h/n", "postgres:// or sqlite:///"),
        ("sqlite:///", "names no file"),
        ("sqlite:///x?mode=ro", "“mode”"),
        ("sqlite:///x?timeout=soon", "timeout"),
        ("sqlite:///x?timeout=1&timeout=2", "twice"),
        ("sqlite:///x?transaction_mode=none", "transaction_mode"),
        ("sqlite:///x?timeout", "name=value"),
    ],
)
def test_what_cannot_be_meant_is_refused_without_its_secrets(url: str, said: str) -> None:
    with pytest.raises(WrongAddress) as refusal:
        settings_of(url)
    assert said in str(refusal.value)
    assert SECRET not in str(refusal.value)


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        (REMOTE, True),
        (f"{REMOTE}?sslmode=disable", True),
        (f"{REMOTE}?sslmode=prefer", True),
        (f"{REMOTE}?sslmode=require", False),
        (f"{REMOTE}?sslmode=verify-full", False),
        ("postgres://127.0.0.1,db.example.com/n", True),
        ("postgres://db.example.com/n?hostaddr=127.0.0.1", False),
        ("postgres://10.0.0.2/n", True),
        ("postgres:///n?service=other", True),
        ("postgres://localhost,127.0.0.9,[::1]/n", False),
        ("postgres:///n?host=/run/db", False),
        ("postgres:///n", False),
    ],
)
def test_a_connection_that_may_leave_this_machine_in_clear_is_known(
    monkeypatch: pytest.MonkeyPatch, url: str, expected: bool
) -> None:
    monkeypatch.delenv("PGSSLMODE", raising=False)
    monkeypatch.delenv("PGHOST", raising=False)
    assert may_be_plain(settings_of(url)) is expected
    monkeypatch.setenv("PGSSLMODE", "require")
    assert may_be_plain(settings_of(url)) is (expected and "sslmode" in url)
    monkeypatch.setenv("PGHOST", "db.example.com")
    monkeypatch.delenv("PGSSLMODE")
    assert may_be_plain(settings_of(url)) is (expected or url == "postgres:///n")


def test_every_secret_of_an_address_is_known() -> None:
    found = secrets_of(settings_of(f"{REMOTE}?password={SECRET}&sslpassword={SECRET}2&sslmode=require"))
    assert found == [SECRET, f"{SECRET}2"]
    assert secrets_of(settings_of("sqlite:///x")) == []
