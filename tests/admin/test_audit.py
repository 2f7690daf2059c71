"""Everything that anybody does is in one log that nobody can change."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import Group, Permission, User
from django.core.management import call_command
from django.db import DatabaseError, transaction
from django.test import Client
from django.urls import reverse

from sandboxes import clock
from sandboxes.core.vocabulary import Actor, AuditAction
from sandboxes.models import AuditEntry, Owner, ServiceKey
from sandboxes.services import audit, erasure, lifecycle, owners, prune
from tests.admin import members
from tests.admin.pages import text_of
from tests.support import rows

LIST = "admin:sandboxes_auditentry_changelist"


def told(action: AuditAction) -> AuditEntry:
    return AuditEntry.objects.get(action=action)


def test_a_hold_and_its_end_say_who_why_from_where_and_what_changed(admin: Client) -> None:
    rows.owner("ann")
    headers = {"X-Request-ID": "req-9"}
    hold = reverse("admin:sandboxes_owner_hold", args=["ann"])
    admin.post(hold, {"confirmed": "1", "reason": "mining", "public_reason": "See your mail"}, headers=headers)
    entry = told(AuditAction.HOLD)
    assert (entry.actor, entry.owner, entry.about_kind, entry.about_id) == ("staff:admin", "ann", "owner", "ann")
    assert (entry.reason, entry.request_id, entry.address) == ("mining", "req-9", "127.0.0.1")
    assert (entry.before["hold_since"], entry.before["hold_reason"]) == (None, "")
    assert (entry.after["hold_reason"], entry.after["hold_public_reason"]) == ("mining", "See your mail")
    admin.post(reverse("admin:sandboxes_owner_lift", args=["ann"]))
    assert told(AuditAction.HOLD_LIFTED).before["hold_reason"] == "mining"
    admin.post(reverse("admin:sandboxes_owner_limit", args=["ann"]), {"limit": "9", "reason": "asked"})
    assert (told(AuditAction.LIMIT).before["sandbox_limit"], told(AuditAction.LIMIT).after["sandbox_limit"]) == (
        None,
        9,
    )


def test_the_log_says_what_changed_in_words(admin: Client) -> None:
    before, after = {"sandbox_limit": 0, "hold_reason": ""}, {"sandbox_limit": None, "hold_reason": None}
    audit.write(AuditAction.LIMIT, actor=Actor.staff("rosa"), about=rows.owner("ann"), before=before, after=after)
    words = text_of(admin.get(reverse("admin:sandboxes_auditentry_changelist")))
    assert "sandbox limit: 0 →" in words
    assert "hold reason" not in words


def test_a_key_says_who_made_and_who_revoked_it(admin: Client) -> None:
    admin.post(reverse("admin:sandboxes_servicekey_add"), {"name": "harness", "scopes": ["sandboxes:read"]})
    key = ServiceKey.objects.get()
    assert told(AuditAction.KEY_CREATED).after["scopes"] == ["sandboxes:read"]
    admin.post(reverse("admin:sandboxes_servicekey_revoke", args=[key.pk]), {"confirmed": "1"})
    assert (told(AuditAction.KEY_REVOKED).actor, told(AuditAction.KEY_REVOKED).about_name) == (
        "staff:admin",
        "harness",
    )
    assert "by admin" in text_of(admin.get(reverse("admin:sandboxes_servicekey_change", args=[key.pk])))
    assert not any(key.digest in str(vars(entry)) for entry in AuditEntry.objects.all())


def test_the_settings_of_a_sandbox_have_before_and_after(db: None) -> None:
    row = rows.sandbox("atlas", of="ann")
    staff = Actor.staff("rosa")
    lifecycle.rename(row.pk, "globe", actor=staff)
    lifecycle.set_intervals(row.pk, actor=staff, auto_stop=30)
    lifecycle.protect(row.pk, actor=staff, until=clock.now() + timedelta(hours=1), reason="demo")
    assert (told(AuditAction.RENAMED).before, told(AuditAction.RENAMED).after) == (
        {"name": "atlas"},
        {"name": "globe"},
    )
    assert (told(AuditAction.SETTINGS).before, told(AuditAction.SETTINGS).after) == (
        {"auto_stop": 15},
        {"auto_stop": 30},
    )
    assert (told(AuditAction.PROTECTION).reason, told(AuditAction.PROTECTION).owner) == ("demo", "ann")


def test_our_own_parts_are_no_deed_of_anybody(db: None) -> None:
    lifecycle.rename(rows.sandbox().pk, "globe", actor=Actor.system("sweep"))
    assert not AuditEntry.objects.exists()


def test_accounts_and_their_permissions_are_told_but_no_password(admin: Client) -> None:
    add = {
        "username": "vera",
        "password1": "correct-horse-7",
        "password2": "correct-horse-7",
        "usable_password": "true",
    }
    made = admin.post(reverse("admin:auth_user_add"), add)
    assert made.status_code == 302, made.context["errors"]
    user = User.objects.get(username="vera")
    group, _ = Group.objects.get_or_create(name="Support")
    joined = {"date_joined_0": "2026-01-01", "date_joined_1": "00:00:00"}
    change = {"username": "vera", "is_active": "on", "is_staff": "on", "groups": [group.pk], **joined}
    answer = admin.post(reverse("admin:auth_user_change", args=[user.pk]), change)
    assert answer.status_code == 302, answer.context["errors"]
    changed = told(AuditAction.ACCOUNT_CHANGED)
    assert (changed.about_name, changed.before["groups"], changed.after["groups"]) == ("vera", [], [group.name])
    assert (changed.before["is_staff"], changed.after["is_staff"]) == (False, True)
    permission = Permission.objects.get(codename="view_sandbox")
    admin.post(reverse("admin:auth_group_add"), {"name": "readers", "permissions": [permission.pk]})
    assert AuditEntry.objects.filter(about_name="readers", after__permissions=[str(permission)]).exists()
    admin.post(reverse("admin:auth_user_delete", args=[user.pk]), {"post": "yes"})
    assert told(AuditAction.ACCOUNT_DELETED).about_name == "vera"
    assert not any("correct-horse" in str(vars(entry)) for entry in AuditEntry.objects.all())


def test_sign_ins_their_ends_and_failures_are_told(db: None) -> None:
    members.viewer(password="a good one")
    browser = Client()
    login = reverse("admin:login")
    browser.post(login, {"username": "vera", "password": "wrong"})
    failed = told(AuditAction.SIGN_IN_FAILED)
    assert (failed.actor, failed.address) == ("staff:vera", "127.0.0.1")
    browser.post(login, {"username": "vera", "password": "a good one"})
    browser.post(reverse("admin:logout"))
    assert told(AuditAction.SIGNED_IN).actor == told(AuditAction.SIGNED_OUT).actor == "staff:vera"


def test_what_operators_do_by_commands_says_on_which_machine(db: None) -> None:
    call_command("create_service_key", "harness", "--scope", "sandboxes:read", "--quiet")
    entry = told(AuditAction.KEY_CREATED)
    assert entry.actor == "system:command"
    assert "@" in entry.address


def test_an_owner_who_is_erased_is_told_without_their_name(db: None) -> None:
    rows.owner("ann")
    erasure.erase_owner("ann", actor=audit.COMMAND)
    assert told(AuditAction.OWNER_ERASED).after["owners"] == 1
    assert told(AuditAction.OWNER_ERASED).owner == ""


def entry(**fields: Any) -> AuditEntry:
    values: dict[str, Any] = {"at": clock.now(), "actor": "staff:rosa", "action": AuditAction.LIMIT}
    return AuditEntry.objects.create(**{**values, "keep_until": rows.ago(days=-1), **fields})


def test_the_database_itself_keeps_every_entry_as_it_is(db: None) -> None:
    entry()
    for change in (lambda: AuditEntry.objects.update(actor="nobody"), AuditEntry.objects.all().delete):
        with pytest.raises(DatabaseError, match="append-only"), transaction.atomic():
            change()
    assert AuditEntry.objects.get().actor == "staff:rosa"


def test_an_entry_goes_when_it_is_outdated(db: None) -> None:
    entry(actor="staff:old", keep_until=rows.ago(minutes=1))
    entry(actor="staff:new")
    assert prune.prune()["audit"] == 1
    assert [one.actor for one in AuditEntry.objects.all()] == ["staff:new"]


def test_entries_are_kept_for_as_long_as_the_setting_says(db: None) -> None:
    owners.set_limit("ann", 3, actor=Actor.staff("rosa"), reason="x")
    kept = told(AuditAction.LIMIT)
    assert kept.keep_until - kept.at == timedelta(days=400)


def test_the_log_is_filtered_and_searched(admin: Client) -> None:
    entry(owner="ann", at=rows.ago(days=3))
    entry(
        actor="service:bot", action=AuditAction.RENAMED, about_name="atlas", about_id="7" * 32, request_id="req-5"
    )

    def actions(**query: str) -> list[str]:
        found = admin.get(reverse(LIST), query).context["cl"].result_list
        return [one.action for one in found if one.action != AuditAction.SIGNED_IN]

    assert actions(actor="staff") == ["limit"]
    assert (
        actions(actor="service:bot")
        == actions(action="renamed")
        == actions(q="tla")
        == actions(q="req-5")
        == ["renamed"]
    )
    assert actions(owner="ann") == actions(q="ann") == ["limit"]
    assert actions(at="day") == ["renamed"]
    page = admin.get(reverse("admin:sandboxes_auditentry_change", args=[AuditEntry.objects.earliest("pk").pk]))
    assert page.status_code == 200


def test_the_log_has_a_permission_of_its_own(operator: Client) -> None:
    assert operator.get(reverse(LIST)).status_code == 403
    browser = Client()
    browser.force_login(members.member("audra", "view_auditentry"))
    assert browser.get(reverse(LIST)).status_code == 200


@pytest.mark.parametrize("kind", ["owner", "sandbox"])
def test_a_note_is_kept_for_staff_and_told(admin: Client, viewer: Client, kind: str) -> None:
    row = rows.sandbox("atlas", of="ann")
    about = {"owner": "ann", "sandbox": row.pk}[kind]
    address = reverse(f"admin:sandboxes_{kind}_note", args=[about])
    page = reverse(f"admin:sandboxes_{kind}_change", args=[about])
    answer = admin.post(address, {"text": "Called twice.\nWill pay."}, follow=True)
    assert "staff:admin now Called twice. Will pay." in text_of(answer)
    assert "Called twice." in text_of(admin.get(reverse("admin:sandboxes_owner_change", args=["ann"])))
    assert told(AuditAction.NOTE).after == {"text": "Called twice.\nWill pay."}
    assert "Called twice." not in text_of(viewer.get(page)) or viewer.get(page).status_code == 200
    assert viewer.post(address, {"text": "x"}).status_code == 403
    assert "This field is required" in text_of(admin.post(address, {"text": " "}, follow=True))
    assert admin.get(address).status_code == 302


def test_programs_read_the_public_reason_of_a_hold_alone(db: None) -> None:
    row = rows.sandbox(of="ann")
    owners.hold("ann", actor=Actor.staff("rosa"), reason="Suspected crypto mining", public_reason="See your mail")
    row.refresh_from_db()
    assert row.intent_reason == "Owner on hold: See your mail"
    assert "crypto" not in str([vars(event) for event in row.events.all()])
    assert Owner.objects.get(pk="ann").hold_reason == "Suspected crypto mining"
    other = rows.sandbox(of="bob")
    owners.hold("bob", actor=Actor.staff("rosa"), reason="Suspected crypto mining")
    other.refresh_from_db()
    assert other.intent_reason == "Owner on hold"


def test_a_sandbox_links_to_the_dashboards_of_other_systems(admin: Client, settings: Any) -> None:
    row = rows.sandbox(of="a b")
    page = reverse("admin:sandboxes_sandbox_change", args=[row.pk])
    assert "open_in_new" not in admin.get(page).content.decode()
    settings.DAYTONA_DASHBOARD = "https://daytona.example/{daytona_id}?of={owner}"
    assert f'href="https://daytona.example/{row.daytona_id}?of=a%20b"' in admin.get(page).content.decode()
