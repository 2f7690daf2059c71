"""Webhooks in the admin: created and shown once, disabled and enabled, replayed, deleted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from django.test import Client
from django.urls import reverse

from sandboxes import clock
from sandboxes.core.vocabulary import Actor
from sandboxes.models import Delivery, Receiver, ServiceKey
from sandboxes.services import keys
from tests.admin.members import member
from tests.admin.pages import text_of
from tests.admin.test_keys import secret_in

if TYPE_CHECKING:
    from django.db.models import QuerySet

URL = "https://agents.example.com/secret-path"
LIST = "admin:sandboxes_receiver_changelist"


def key(**more: Any) -> ServiceKey:
    made, _ = keys.create_key("agents", **{"scopes": ["sandboxes:read", "sandboxes:any"], **more})
    return made


def create(browser: Client, of: ServiceKey | None = None, **fields: Any) -> Any:
    form = {"key": (of or key()).pk, "owner": "", "url": URL, "kinds": ["gone"], **fields}
    return browser.post(reverse("admin:sandboxes_receiver_add"), form)


def made(browser: Client) -> Receiver:
    create(browser)
    return Receiver.objects.get()


def dead_of(row: Receiver, number: int = 1) -> QuerySet[Delivery]:
    Delivery.objects.create(
        receiver=row, number=number, stream="s", died_at=clock.now(), attempt=31, error="HTTP 500"
    )
    return row.deliveries.dead()


def press(browser: Client, button: str, row: Receiver, **fields: str) -> Any:
    return browser.post(reverse(f"admin:sandboxes_receiver_{button}", args=[row.pk]), fields, follow=True)


def page(browser: Client, row: Receiver) -> str:
    return text_of(browser.get(reverse("admin:sandboxes_receiver_change", args=[row.pk])))


def exported() -> str:
    return f"{reverse('admin:sandboxes_receiver_export')}?format=jsonl"


def test_its_secret_is_shown_once(admin: Client) -> None:
    answer = create(admin)
    secret = secret_in(answer)
    assert "no-store" in answer.headers["Cache-Control"]
    row = Receiver.objects.get()
    assert (row.url, row.kinds, row.owner, row.created_by) == (URL, ["gone"], "", "staff:admin")
    for address in (reverse(LIST), reverse("admin:sandboxes_receiver_change", args=[row.pk]), exported()):
        answered = admin.get(address)
        shown = b"".join(answered).decode()
        assert (answered.status_code, row.pk in shown) == (200, True)
        assert secret not in shown
        assert row.secret not in shown
        assert "secret-path" not in shown, "some receivers have their secret in the path"
    assert "https://agents.example.com" in text_of(admin.get(reverse(LIST)))
    assert secret_in(press(admin, "rotate", row)) != secret


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"url": "http://agents.example.com"}, "It must begin with https://."),
        ({"url": "https://10.0.0.1/"}, "is not on the public internet"),
        ({"url": ""}, "This field is required."),
        ({"key": "99999"}, "Select a valid choice."),
        ({"kinds": ["call"]}, "Select a valid choice."),
    ],
)
def test_what_is_not_in_order_is_said(admin: Client, fields: dict[str, Any], words: str, settings: Any) -> None:
    settings.WEBHOOK_NETWORKS = []
    assert words in text_of(create(admin, **fields))
    assert not Receiver.objects.exists()


def test_a_key_that_may_not_act_for_all_needs_an_owner(admin: Client) -> None:
    narrow = key(scopes=["sandboxes:read"])
    assert "owner" in text_of(create(admin, narrow)).lower()
    assert not Receiver.objects.exists()
    create(admin, narrow, owner="alice")
    assert Receiver.objects.get().owner == "alice"


def test_it_is_disabled_and_enabled(admin: Client) -> None:
    row = made(admin)
    assert "Nothing more is sent to it." in text_of(press(admin, "disable", row))
    assert "staff:admin disabled it." in page(admin, row)
    assert "It goes on where it was disabled." in text_of(press(admin, "enable", row))
    assert "enabled" in page(admin, row)
    assert row.key is not None
    keys.revoke(row.key, actor=Actor.staff("admin"))
    assert "Its key is revoked." in text_of(press(admin, "enable", row))


def test_dead_deliveries_are_shown_and_replayed(admin: Client) -> None:
    row = made(admin)
    assert "None: every delivery was taken" in page(admin, row)
    dead = dead_of(row)
    assert "evt_1" in page(admin, row)
    press(admin, "replay", row)
    assert not dead.exists()
    assert "Still to be delivered 1" in page(admin, row)


def test_a_long_list_of_dead_ones_is_cut(admin: Client, django_assert_max_num_queries: Any) -> None:
    row = made(admin)
    for number in range(60):
        dead_of(row, number)
    with django_assert_max_num_queries(12):
        assert "And more" in page(admin, row)


def tell_staff(browser: Client, **fields: Any) -> Any:
    return browser.post(reverse("admin:sandboxes_receiver_add_notices"), {"codes": [], **fields}, follow=True)


def test_staff_are_told_of_notices(admin: Client, settings: Any) -> None:
    settings.EMAIL_HOST = "mail.example.com"
    assert "is told of notices from now on" in text_of(tell_staff(admin, form="mail", address="ops@example.com"))
    row = Receiver.objects.get()
    assert (row.url, row.kinds, row.key, row.secret) == ("mailto:ops@example.com", [], None, "")
    assert "notices, as mail" in page(admin, row)
    assert "Rotate" not in page(admin, row)
    assert "it has no secret" in text_of(press(admin, "rotate", row))
    assert "mailto:ops@example.com" in text_of(admin.get(reverse(LIST)))
    assert "hears of notices that open after" in (press(admin, "disable", row), page(admin, row))[1]


def test_a_signed_receiver_of_notices_is_shown_its_secret(admin: Client) -> None:
    answer = tell_staff(admin, form="webhook", address=URL, codes=["orphans", "convex_paused"])
    assert secret_in(answer).startswith("whsec_")
    assert Receiver.objects.get().kinds == ["convex_paused", "orphans"]


def test_a_receiver_that_cannot_be_told_is_refused(admin: Client) -> None:
    assert "It is no mail address." in text_of(tell_staff(admin, form="mail", address="nobody"))
    assert "It must begin with https://" in text_of(tell_staff(admin, form="slack", address="hooks.example.com"))
    assert "Select a valid choice." in text_of(tell_staff(admin, form="slack", address=URL, codes=["everything"]))
    assert not Receiver.objects.exists()


def test_deleting_asks_first(admin: Client) -> None:
    row = made(admin)
    assert "Delete this webhook?" in text_of(press(admin, "remove", row))
    assert Receiver.objects.exists()
    press(admin, "remove", row, confirmed="1")
    assert not Receiver.objects.exists()


@pytest.mark.parametrize("button", ["rotate", "enable", "disable", "replay", "remove"])
def test_who_may_only_look_changes_nothing(admin: Client, button: str) -> None:
    row = made(admin)
    looker = Client()
    looker.force_login(member("vera", "view_receiver"))
    assert "Rotate" not in page(looker, row)
    before = Receiver.objects.values().get()
    assert press(looker, button, row, confirmed="1").status_code == 403
    admin.get(reverse(f"admin:sandboxes_receiver_{button}", args=[row.pk]), {"confirmed": "1"})
    assert Receiver.objects.values().get() == before
