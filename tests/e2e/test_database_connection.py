"""What DATABASE_URL says, as it reaches the server and the kernel."""

from __future__ import annotations

import os
import socket
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING
from urllib.parse import quote, urlsplit

import pytest
from django.db import OperationalError, connection
from django.db.utils import ConnectionHandler

from project.database import django_settings
from tests.support.processes import database_url

if TYPE_CHECKING:
    from collections.abc import Iterator

    from django.db.backends.base.base import BaseDatabaseWrapper

pytestmark = [pytest.mark.postgres, pytest.mark.django_db]


@contextmanager
def connected(url: str) -> Iterator[BaseDatabaseWrapper]:
    """A connection of its own to this address, as Django makes it."""
    made = ConnectionHandler({"default": django_settings(url, statement_timeout=30)})["default"]
    with closing(made):
        made.ensure_connection()
        yield made


def setting(made: BaseDatabaseWrapper, name: str) -> str:
    with made.cursor() as cursor:
        cursor.execute(f"SHOW {name}")
        return str(cursor.fetchone()[0])


def test_a_vanished_server_is_noticed_by_the_kernel() -> None:
    connection.ensure_connection()
    assert connection.connection is not None
    with socket.socket(fileno=os.dup(connection.connection.fileno())) as wire:
        found = {
            name: wire.getsockopt(socket.IPPROTO_TCP, getattr(socket, name))
            for name in ("TCP_USER_TIMEOUT", "TCP_KEEPIDLE", "TCP_KEEPINTVL", "TCP_KEEPCNT")
        }
        assert wire.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
    assert found == {"TCP_USER_TIMEOUT": 20_000, "TCP_KEEPIDLE": 10, "TCP_KEEPINTVL": 5, "TCP_KEEPCNT": 2}
    assert connection.connection.info.get_parameters()["tcp_user_timeout"] == "20000"


@pytest.mark.parametrize("mode", ["require", "verify-full"])
def test_a_server_without_tls_is_refused_where_tls_is_required(mode: str) -> None:
    assert setting(connection, "ssl") == "off"  # or this test shows nothing
    with (
        pytest.raises(OperationalError, match=r"root certificate file|does not support SSL"),
        connected(f"{database_url()}?sslmode={mode}"),
    ):
        pass


def test_the_next_host_is_taken_and_every_parameter_arrives() -> None:
    url = urlsplit(database_url())
    login, _, host = url.netloc.rpartition("@")
    nobody = "127.0.0.1:1"  # no server listens on this port
    options = quote("-c lock_timeout=1s -c work_mem=5MB")
    query = f"target_session_attrs=read-write&application_name=a%26b&options={options}"
    with connected(url._replace(netloc=f"{login}@{nobody},{host}", query=query).geturl()) as made:
        named = ("application_name", "lock_timeout", "work_mem", "statement_timeout")
        assert [setting(made, name) for name in named] == ["a&b", "1s", "5MB", "30s"]
