"""ETag, If-Match and If-None-Match: nobody changes what is no longer as they saw it."""

from __future__ import annotations

import pytest
from django.db import connection

from sandboxes.core.vocabulary import Action, Actor, Source
from sandboxes.models import Operation, Sandbox
from sandboxes.services import lifecycle
from tests.admin import members
from tests.api.callers import Api, problem, signed_in
from tests.support import rows
from tests.support.driving import reload

pytestmark = pytest.mark.django_db
OTHER = '"0123456789abcdef0123456789abcdef"'


@pytest.fixture
def etag(alice: Api, atlas: Sandbox) -> str:
    return str(alice.get(f"/sandboxes/{atlas.pk}")["ETag"])


def test_every_sandbox_has_it(alice: Api, atlas: Sandbox, etag: str) -> None:
    assert alice.get("/sandboxes").json()["results"][0]["etag"] == etag
    assert alice.get(f"/sandboxes/{atlas.pk}").json()["etag"] == etag
    changed = alice.patch(f"/sandboxes/{atlas.pk}", {"name": "borealis"})
    assert changed["ETag"] == changed.json()["etag"] != etag


def test_it_moves_with_what_is_shown_and_not_with_mere_use(alice: Api, atlas: Sandbox, etag: str) -> None:
    now = lambda: alice.get(f"/sandboxes/{atlas.pk}")["ETag"]  # noqa: E731
    Sandbox.objects.update(last_accessed_at=rows.ago(), last_activity_at=rows.ago(), observed_at=rows.ago())
    Sandbox.objects.update(observed_auto_stop=7)
    assert now() == etag
    seen = {etag}
    lifecycle.request(atlas.pk, Action.STOP, actor=Actor.owner("alice"), source=Source.API)
    seen.add(now())
    rows.owner("alice", hold_since=rows.ago())
    seen.add(now())
    Sandbox.objects.update(recoverable=True)
    seen.add(now())
    assert len(seen) == 4


CHANGES = [("PATCH", "", {"name": "mine"}), ("DELETE", "", None)] + [
    ("POST", f"/{action}", {}) for action in ("start", "stop", "archive", "recover", "sync")
]


@pytest.mark.parametrize(("method", "path", "body"), CHANGES)
def test_what_has_changed_meanwhile_is_left_alone(
    alice: Api, atlas: Sandbox, etag: str, method: str, path: str, body: object
) -> None:
    lifecycle.rename(atlas.pk, "somebody else's", actor=Actor.staff("admin"))
    answer = alice.call(method, f"/sandboxes/{atlas.pk}{path}", body, If_Match=etag)
    assert problem(answer, "precondition_failed")["status"] == 412
    assert (reload(atlas.pk).name, Operation.objects.count()) == ("somebody else's", 0)
    current = alice.get(f"/sandboxes/{atlas.pk}")["ETag"]
    if path != "/recover":  # it runs
        answer = alice.call(method, f"/sandboxes/{atlas.daytona_id}{path}", body, If_Match=f"{OTHER}, {current}")
        assert answer.status_code in (200, 202)


@pytest.mark.parametrize(
    ("header", "status"),
    [
        ("*", 202),
        (" {etag} ", 202),
        ("{other},{etag}", 202),
        ('"a,b" ,, {etag}', 202),
        ("W/{etag}", 412),
        ("{other}", 412),
        ('""', 412),
        ("", 400),
        ("abc", 400),
        ('"open', 400),
        ("{etag} {other}", 400),
        ("{etag}, *", 400),
        ("w/{etag}", 400),
        ('{etag}, "a b"', 400),
    ],
)
def test_the_forms_of_if_match(alice: Api, atlas: Sandbox, etag: str, header: str, status: int) -> None:
    sent = header.format(etag=etag, other=OTHER)
    assert alice.get(f"/sandboxes/{atlas.pk}", If_Match=sent).status_code == (200 if status == 202 else status)
    answer = alice.post(f"/sandboxes/{atlas.pk}/stop", If_Match=sent)
    assert answer.status_code == status
    if status == 400:
        assert problem(answer, "invalid_request")["errors"][0]["field"] == "If-Match"


@pytest.mark.parametrize(
    ("header", "status"),
    [("{etag}", 304), ("W/{etag}", 304), ("*", 304), ("{other}, {etag}", 304), ("{other}", 200), ("{", 400)],
)
def test_who_has_it_already_is_told_so(alice: Api, atlas: Sandbox, etag: str, header: str, status: int) -> None:
    sent = header if header == "{" else header.format(etag=etag, other=OTHER)
    answer = alice.get(f"/sandboxes/{atlas.pk}", If_None_Match=sent)
    assert answer.status_code == status
    if status == 304:
        assert (answer.content, answer["ETag"]) == (b"", etag)


@pytest.mark.parametrize(
    "path", ["/sandboxes", "/sandboxes/{}/ensure-running", "/sandboxes/{}/touch", "/sandboxes/bulk"]
)
def test_where_it_would_not_be_heeded_it_is_refused(alice: Api, atlas: Sandbox, etag: str, path: str) -> None:
    problem(alice.post(path.format(atlas.pk), {}, If_Match=etag), "invalid_request")
    assert not Operation.objects.exists()


def test_a_repetition_gets_the_first_answer_although_the_sandbox_has_changed(
    alice: Api, atlas: Sandbox, etag: str
) -> None:
    first = alice.post(f"/sandboxes/{atlas.pk}/stop", Idempotency_Key="k", If_Match=etag)
    again = alice.post(f"/sandboxes/{atlas.pk}/stop", Idempotency_Key="k", If_Match=etag)
    assert (again.status_code, again.json()["id"]) == (202, first.json()["id"])


def test_the_check_is_made_under_the_lock(alice: Api, atlas: Sandbox, etag: str) -> None:
    """Whoever changes it before we have the lock has changed it before us."""
    renamed: list[str] = []

    def rename_first(execute: object, sql: str, *rest: object) -> object:
        is_check = "sandboxes_sandbox" in sql and ("FOR UPDATE" in sql or "sandboxes_owner" in sql)
        if is_check and not renamed:
            renamed.append(sql)
            Sandbox.objects.filter(pk=atlas.pk).update(name="meanwhile")
        return execute(sql, *rest)  # type: ignore[operator]

    with connection.execute_wrapper(rename_first):
        problem(alice.post(f"/sandboxes/{atlas.pk}/stop", If_Match=etag), "precondition_failed")
    assert renamed
    assert not Operation.objects.exists()


def test_another_owners_sandbox_does_not_exist(alice: Api) -> None:
    his = rows.sandbox(of="bob")
    problem(alice.delete(f"/sandboxes/{his.pk}", If_Match="*"), "sandbox_not_found")
    problem(alice.post(f"/sandboxes/{his.pk}/stop", If_Match=OTHER), "sandbox_not_found")


def test_staff_see_more_and_have_etags_of_their_own(atlas: Sandbox, etag: str) -> None:
    staff = signed_in(members.member("mover", "view_sandbox", "stop_sandbox"))
    mine = staff.get(f"/sandboxes/{atlas.pk}")["ETag"]
    assert mine != etag
    assert staff.post(f"/sandboxes/{atlas.pk}/stop", If_Match=mine).status_code == 202


# Caches


@pytest.mark.parametrize(
    ("path", "kept"),
    [("/sandboxes", False), ("/sandboxes/{}", False), ("/nowhere", False), ("/events", False),
     ("/schema", True), ("/docs", False), ("/problems", True)],
)  # fmt: skip
def test_no_cache_keeps_an_answer(alice: Api, atlas: Sandbox, path: str, kept: bool) -> None:
    address = path.format(atlas.pk)
    for api in (alice, Api()):
        answer = api.get(address)
        assert (answer.get("Cache-Control") != "no-store") == kept, answer.status_code
