"""Every address of the admin is asked for by a superuser; database and outside world stay as they were."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from django.contrib.auth.models import Group
from django.contrib.contenttypes.models import ContentType
from django.db import connection
from django.urls import URLPattern, URLResolver, get_resolver, reverse

from sandboxes.core.codes import NoticeCode
from sandboxes.core.vocabulary import Action, OperationStatus, Status
from sandboxes.models import Notice, Orphan, Owner, Receiver, ServiceKey, Sweep, WorkerHeartbeat
from sandboxes.providers.daytona import gateway as daytona
from sandboxes.services import notices
from tests.admin import members
from tests.admin.pages import confirm
from tests.support import rows

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
    (daytona_id,) = world.seed(count=1, name="atlas", state="started")
    row = rows.sandbox("atlas", daytona_id=daytona_id, protected_until=rows.ago(hours=-1))
    rows.event(row, operation=rows.operation(row, Action.START, OperationStatus.IN_PROGRESS))
    rows.sandbox("gone", status=Status.GONE)
    notices.tell(NoticeCode.ORPHANS, "2 orphans")
    Sweep.objects.create(started_at=rows.ago(hours=1))
    beat = {"host": "h", "pid": 1, "places": 1, "started_at": rows.ago(hours=1), "beat_at": rows.ago(seconds=1)}
    WorkerHeartbeat.objects.create(worker_id="one", **beat)
    key = ServiceKey.objects.create(name="key", prefix="abc", digest="x", scopes=[])
    Receiver.objects.create(key=key, url="https://example.com/", position=0, created_at=rows.ago(hours=1))
    Orphan.objects.create(daytona_id="stray", owner="bob", first_seen_at=rows.ago(), seen_at=rows.ago())
    Group.objects.get_or_create(name="people")
    return client


def patterns(found: list[Any], prefix: str = "") -> Iterator[URLPattern]:
    for entry in found:
        if isinstance(entry, URLResolver):
            yield from patterns(entry.url_patterns)
        else:
            yield entry


def admin_patterns() -> list[URLPattern]:
    (resolver,) = [entry for entry in get_resolver().url_patterns if getattr(entry, "namespace", "") == "admin"]
    assert isinstance(resolver, URLResolver)
    return list(patterns(resolver.url_patterns))


def some_key(name: str) -> str:
    """The key of some row of the model that an address of this name is about."""
    app, model_name, *_ = name.split("_")
    model = ContentType.objects.get(app_label=app, model=model_name).model_class()
    assert model is not None
    rows_of = model._default_manager.exclude(name="gone") if model_name == "sandbox" else model._default_manager
    return str(rows_of.all()[0].pk)


def addresses() -> Iterator[str]:
    """Each pattern's address, filled with rows that exist. Fails for an argument that nobody knows."""
    for pattern in admin_patterns():
        arguments: dict[str, Any] = {}
        for argument in pattern.pattern.regex.groupindex:
            if argument in ("object_id", "id"):
                arguments[argument] = (
                    "1" if pattern.name == "view_on_site" else some_key(pattern.name or "auth_user")
                )
            else:
                arguments[argument] = {
                    "app_label": "sandboxes",
                    "url": "nowhere",
                    "content_type_id": ContentType.objects.get_for_model(Owner).pk,
                }[argument]
        if pattern.name is not None:
            yield reverse(f"admin:{pattern.name}", kwargs=arguments)


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
    asked = [address for address in addresses() if not address.endswith("/logout/")]
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
