from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import Group
from django.db import connection
from django.db.migrations.executor import MigrationExecutor
from django.test import Client
from django.urls import reverse

from sandboxes.admin.verbs import VERBS
from sandboxes.core.vocabulary import Action, OperationStatus, Status
from sandboxes.models import Operation, Owner, Sandbox, SandboxEvent, ServiceKey
from tests.admin import members
from tests.admin.pages import confirm, listing, page, text_of
from tests.support import rows


def signed_in(*codenames: str) -> Client:
    browser = Client()
    browser.force_login(members.member("mia", *codenames))
    return browser


@pytest.mark.parametrize("verb", VERBS)
def test_each_verb_needs_its_own_permission_and_no_other(db: None, verb: str) -> None:
    own = VERBS[verb].permission.removeprefix("sandboxes.")
    others = {v.permission.removeprefix("sandboxes.") for v in VERBS.values()} - {own}
    row = rows.sandbox(status=Status.ERROR, protected_until=rows.ago(hours=-1))
    rows.operation(row, Action.START, OperationStatus.QUEUED)
    browser = signed_in("view_sandbox", *others)
    assert confirm(browser, verb, row).status_code == 403
    assert Operation.objects.count() == 1
    browser.force_login(members.member("noa", "view_sandbox", own))
    assert confirm(browser, verb, row).status_code == 200


def test_a_permission_to_act_without_the_permission_to_see_is_not_enough(db: None) -> None:
    assert confirm(signed_in("start_sandbox"), "start", rows.sandbox()).status_code == 403


def test_a_viewer_sees_everything_about_sandboxes_and_can_do_nothing(viewer: Client) -> None:
    row = rows.sandbox("atlas")
    assert "atlas" in listing(viewer)
    content = page(viewer, row).content.decode()
    assert "formaction" not in content
    assert "_selected_action" not in viewer.get(reverse("admin:sandboxes_sandbox_changelist")).content.decode()
    for verb in VERBS:
        assert confirm(viewer, verb, row).status_code == 403
    for name in ("hold", "lift", "limit"):
        address = reverse(f"admin:sandboxes_owner_{name}", args=[row.owner_id])
        assert viewer.post(address, {"confirmed": "1", "reason": "x", "limit": "9"}).status_code == 403
    assert viewer.get(reverse("admin:sandboxes_sandbox_add")).status_code == 403
    assert viewer.get(reverse("admin:sandboxes_servicekey_changelist")).status_code == 403
    assert not Operation.objects.exists()


def test_an_operator_can_do_every_verb_but_makes_no_keys(operator: Client) -> None:
    content = page(operator, rows.sandbox(status=Status.RUNNING)).content.decode()
    for verb in ("stop", "archive", "sync", "delete", "protect", "push"):
        assert f'id="do-{verb}"' in content
    assert operator.get(reverse("admin:sandboxes_servicekey_add")).status_code == 403


def test_staff_without_any_permission_are_told_whom_to_ask(db: None) -> None:
    browser = signed_in()
    assert "Ask an administrator to add you to the group “Sandbox viewers”." in text_of(
        browser.get(reverse("admin:index"))
    )
    assert browser.get(reverse("admin:sandboxes_sandbox_changelist")).status_code == 403
    assert page(browser, rows.sandbox()).status_code == 403


MIRRORED: list[Any] = [Sandbox, Owner, Operation, SandboxEvent, ServiceKey]


@pytest.mark.parametrize("model", MIRRORED, ids=lambda model: model.__name__)
def test_django_can_neither_edit_nor_delete_a_mirrored_row(admin: Client, model: Any) -> None:
    row = rows.sandbox()
    rows.event(row, operation=rows.operation(row))
    ServiceKey.objects.create(name="key", prefix="abc", digest="x", scopes=[])
    before = list(model.objects.values())
    key = model.objects.get().pk
    meta = model._meta
    delete = reverse(f"admin:sandboxes_{meta.model_name}_delete", args=[key])
    change = reverse(f"admin:sandboxes_{meta.model_name}_change", args=[key])
    assert admin.get(delete).status_code == 403
    assert admin.post(delete, {"post": "yes"}).status_code == 403
    admin.post(change, {"name": "hacked", "status": "gone", "text": "hacked", "sandbox_limit": "99"})
    bulk = {"action": "delete_selected", "_selected_action": [str(key)], "index": "0", "post": "yes"}
    admin.post(reverse(f"admin:sandboxes_{meta.model_name}_changelist"), bulk)
    assert list(model.objects.values()) == before


@pytest.mark.parametrize("model", ["operation", "sandboxevent", "notice", "sweep", "workerheartbeat", "owner"])
def test_nobody_adds_a_row_by_hand(admin: Client, model: str) -> None:
    assert admin.get(reverse(f"admin:sandboxes_{model}_add")).status_code == 403


@pytest.mark.django_db(transaction=True)
def test_the_migration_makes_the_two_groups_and_can_be_taken_back() -> None:
    executor = MigrationExecutor(connection)
    newest = [node for node in executor.loader.graph.leaf_nodes() if node[0] == "sandboxes"]
    executor.migrate([("sandboxes", "0001_initial")])
    assert not Group.objects.filter(name__startswith="Sandbox ").exists()
    executor.loader.build_graph()
    executor.migrate(newest)
    found = {
        group.name: set(group.permissions.values_list("codename", flat=True))
        for group in Group.objects.filter(name__startswith="Sandbox ")
    }
    assert found == {
        "Sandbox viewers": {*members.GROUPS.VIEW, "view_note", "view_policy"},
        "Sandbox operators": {
            *members.GROUPS.VIEW,
            *members.GROUPS.ACT,
            "view_note",
            "view_policy",
            "add_note",
            "restart_sandbox",
        },
    }
    assert {verb.permission.removeprefix("sandboxes.") for verb in VERBS.values()} <= found["Sandbox operators"]
