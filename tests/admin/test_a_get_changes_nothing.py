"""Every address of the admin is asked for by a superuser; database and outside world stay as they were."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from django.db import connection
from django.urls import reverse

from sandboxes.core.vocabulary import Action, OperationStatus
from sandboxes.models import Notice
from sandboxes.providers.daytona import gateway as daytona
from tests.admin import members
from tests.admin.furnishing import furnish
from tests.admin.pages import confirm
from tests.support import rows
from tests.support.admin_addresses import addresses, admin_patterns

if TYPE_CHECKING:
    from collections.abc import Iterator

    from django.test import Client
    from pytest_django import Settings

    from tests.support.emulator import Emulator

# Whatever a GET might be talked into doing.
TEMPTING = [
    {},
    {
        "action": "stop",
        "_selected_action": "{sandbox}",
        "index": "0",
        "confirmed": "1",
        "reason": "x",
        "force": "on",
    },
    {"ids": "{sandbox}", "owner": "user_brand_new", "q": "atlas", "s": "atlas", "status": "all", "p": "2"},
]
MAY_NOT_BE_ASKED_FOR = {405}


@pytest.fixture
def world(emulator: Emulator, settings: Settings, transactional_db: None) -> Iterator[Emulator]:
    settings.DAYTONA_API_URL, settings.DAYTONA_API_KEY = emulator.daytona_url, emulator.daytona_key
    settings.CONVEX_URL, settings.CONVEX_DEPLOY_KEY = emulator.convex_url, emulator.convex_key
    daytona.reset()
    yield emulator
    daytona.reset()


@pytest.fixture
def furnished(world: Emulator, client: Client) -> Client:
    """At least one row of everything, and a sandbox in Daytona."""
    client.force_login(members.root())
    furnish()
    (daytona_id,) = world.seed(count=1, name="atlas", state="started")
    row = rows.sandbox("atlas", daytona_id=daytona_id, protected_until=rows.ago(hours=-1))
    rows.operation(row, Action.START, OperationStatus.IN_PROGRESS)
    return client


def dump() -> dict[str, list[Any]]:
    """Everything the database holds, but for sessions."""
    tables = [name for name in connection.introspection.table_names() if name != "django_session"]
    found = {}
    with connection.cursor() as cursor:
        for table in tables:
            cursor.execute(f"SELECT * FROM {connection.ops.quote_name(table)}")
            found[table] = sorted(map(repr, cursor.fetchall()))
    return found


def test_a_get_to_any_address_of_the_admin_changes_nothing(furnished: Client, world: Emulator) -> None:
    one, two = rows.sandbox("one"), rows.sandbox("two")
    confirm(furnished, "stop", one, two)
    asked = [address.path for address in addresses() if address.name != "logout"]
    assert len(asked) > 60, "the walk has lost its way"
    assert Notice.objects.exists()
    before, calls, log = dump(), world.counts(), world.last_log()
    broken = {}
    for address in asked:
        for query in TEMPTING:
            filled = {name: value.format(sandbox=one.pk) for name, value in query.items()}
            answer = furnished.get(address, filled)
            if answer.status_code >= 500:
                broken[address, str(filled)] = answer.status_code
    assert not broken
    after = dump()
    assert {table for table in before if after[table] != before[table]} == set()
    assert world.last_log() == log
    assert world.counts() == calls


def test_signing_out_by_a_get_is_refused(furnished: Client) -> None:
    assert furnished.get(reverse("admin:logout")).status_code == 405


def test_every_verb_answers_a_get_by_leading_to_the_list(furnished: Client) -> None:
    acts = [p.name for p in admin_patterns() if p.name and p.name.startswith("sandboxes_sandbox_act_")]
    assert len(acts) == 12
    answers = {furnished.get(reverse(f"admin:{name}")).headers["Location"] for name in acts}
    assert answers == {reverse("admin:sandboxes_sandbox_changelist")}
