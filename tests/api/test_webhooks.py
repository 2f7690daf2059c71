"""Webhooks over REST: of one key, of the owner that it acts for, with a secret that is shown once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest

from sandboxes import clock
from sandboxes.models import AuditEntry, Delivery, IdempotencyAnswer, Receiver
from sandboxes.services.webhooks import registering
from tests.api.callers import ALL, Api, problem, program, signed_in
from tests.support import rows

if TYPE_CHECKING:
    from django.contrib.auth.models import User

    from tests.support.issuer import Issuer

pytestmark = pytest.mark.django_db
URL = "https://agents.example.com/sandkeeper"


def register(api: Api, **body: Any) -> dict[str, Any]:
    response = api.post("/webhooks", {"url": URL, **body})
    assert response.status_code == 201, response.content
    return dict(response.json())


def acting_for(owner: str, program: Api) -> Api:
    """The same key, for another owner."""
    return Api(Authorization=program.headers["Authorization"], X_On_Behalf_Of=owner)


def dead(webhook: dict[str, Any], number: int) -> Delivery:
    return Delivery.objects.create(
        receiver_id=webhook["id"], number=number, stream=str(uuid4()), died_at=clock.now(), first_at=clock.now(),
        attempt=30, error="HTTP 500",
    )  # fmt: skip


def test_a_webhook_from_its_beginning_to_its_end(alice: Api) -> None:
    made = register(alice, types=["operation", "gone"])
    secret = made.pop("secret")
    assert secret.startswith("whsec_")
    assert (made["url"], made["types"], made["owner"], made["enabled"]) == (
        URL,
        ["gone", "operation"],
        "alice",
        True,
    )
    assert alice.get("/webhooks").json() == {"results": [made], "next": None}
    path = f"/webhooks/{made['id']}"
    assert alice.get(path).json() == made
    changed = alice.patch(path, {"url": f"{URL}/2", "types": [], "enabled": False}).json()
    assert (changed["url"], changed["types"], changed["enabled"]) == (f"{URL}/2", [], False)
    assert "disabled it" in changed["disabled_reason"]
    assert alice.patch(path, {"enabled": True}).json()["disabled_at"] is None
    assert alice.delete(path).status_code == 204
    problem(alice.get(path), "webhook_not_found")
    told = list(AuditEntry.objects.filter(about_id=made["id"]).order_by("pk").values_list("action", flat=True))
    assert told == ["webhook_created", "webhook_changed", "webhook_changed", "webhook_deleted"]


def test_the_secret_is_in_no_other_answer_and_in_no_table(alice: Api) -> None:
    made = register(alice)
    rotated = alice.post(f"/webhooks/{made['id']}/rotate")
    assert rotated["Cache-Control"] == "no-store"
    for secret in (made["secret"], rotated.json()["secret"]):
        for path in ("/webhooks", f"/webhooks/{made['id']}"):
            assert secret.encode() not in alice.get(path).content
        assert secret not in str(list(Receiver.objects.values()) + list(AuditEntry.objects.values()))
    assert made["secret"] != rotated.json()["secret"]


def test_an_answer_with_a_secret_is_not_kept_for_a_repetition(alice: Api) -> None:
    found = problem(alice.post("/webhooks", {"url": URL}, Idempotency_Key="once"), "invalid_request")
    assert found["errors"][0]["field"] == "Idempotency-Key"
    assert not IdempotencyAnswer.objects.exists()
    assert not Receiver.objects.exists()


def test_another_keys_and_another_owners_do_not_exist(alice: Api) -> None:
    made = register(alice)
    bob = acting_for("bob", alice)
    for other in (program("alice"), bob):
        assert other.get("/webhooks").json()["results"] == []
        for method, path in (
            ("GET", ""), ("PATCH", ""), ("DELETE", ""), ("POST", "/rotate"), ("GET", "/dead"), ("POST", "/replay"),
        ):  # fmt: skip
            body: dict[str, Any] | None = {} if method in ("PATCH", "POST") else None
            problem(other.call(method, f"/webhooks/{made['id']}{path}", body), "webhook_not_found")
    assert Receiver.objects.get().disabled_at is None


def test_a_key_for_any_owner_is_told_of_all_or_of_one() -> None:
    everybody = program(None, scopes=(*ALL, "sandboxes:any"))
    one = acting_for("alice", everybody)
    assert register(everybody)["owner"] == ""
    assert register(one)["owner"] == "alice"
    assert len(everybody.get("/webhooks").json()["results"]) == 2
    assert len(one.get("/webhooks").json()["results"]) == 1


def test_others_than_programs_have_none(issuer: Issuer, admin_user: User) -> None:
    owner = Api(Authorization=f"Bearer {issuer.token('alice')}")
    for caller in (owner, signed_in(admin_user)):
        problem(caller.get("/webhooks"), "permission_denied")
        problem(caller.post("/webhooks", {"url": URL}), "permission_denied")


def test_it_needs_the_scope_to_read() -> None:
    problem(program("alice", scopes=["sandboxes:use"]).post("/webhooks", {"url": URL}), "missing_scope")


@pytest.mark.parametrize("url", ["http://example.com/", "https://10.0.0.1/", "https://u:p@example.com/"])
def test_an_address_that_is_not_allowed(alice: Api, url: str, settings: Any) -> None:
    settings.WEBHOOK_NETWORKS = []
    found = problem(alice.post("/webhooks", {"url": url}), "address_not_allowed")
    assert found["errors"][0]["field"] == "url"
    made = register(alice)
    problem(alice.patch(f"/webhooks/{made['id']}", {"url": url}), "address_not_allowed")


@pytest.mark.parametrize(
    "body", [{}, {"url": URL, "types": ["call"]}, {"url": URL, "types": "gone"}, {"url": 1}, {"url": URL, "x": 1}]
)
def test_a_body_that_is_not_in_order(alice: Api, body: dict[str, Any]) -> None:
    problem(alice.post("/webhooks", body), "invalid_request")


def test_a_key_has_so_many_and_no_more(alice: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registering, "MOST", 2)
    register(alice)
    register(alice)
    assert problem(alice.post("/webhooks", {"url": URL}), "webhook_limit_reached")["limit"] == 2


def test_dead_deliveries_are_listed_and_replayed(alice: Api) -> None:
    made = register(alice)
    first, second = dead(made, 1), dead(made, 2)
    dead(register(alice), 1)
    listed = alice.get(f"/webhooks/{made['id']}/dead").json()["results"]
    assert [one["webhook_id"] for one in listed] == ["evt_2", "evt_1"]
    assert (listed[1]["seq"], listed[1]["attempts"], listed[1]["error"]) == (1, 30, "HTTP 500")
    assert listed[1]["sandbox"] == first.stream
    path = f"/webhooks/{made['id']}/replay"
    assert alice.post(path, {"ids": [str(first.pk), str(uuid4())]}).json() == {"replayed": 1}
    assert alice.post(path, {}).json() == {"replayed": 1}
    assert alice.post(path).json() == {"replayed": 0}
    for row in (first, second):
        row.refresh_from_db()
        assert (row.died_at, row.attempt, row.due_at is None) == (None, 0, False)


def test_a_list_costs_the_same_for_any_number(alice: Api, django_assert_max_num_queries: Any) -> None:
    for _ in range(5):
        register(alice)
    with django_assert_max_num_queries(3):
        assert len(alice.get("/webhooks").json()["results"]) == 5


def test_events_before_it_was_registered_are_not_told(alice: Api) -> None:
    box = rows.sandbox(of="alice")
    rows.event(box)
    cursor = alice.get("/events").json()["cursor"]
    assert register(alice)["position"] == cursor
