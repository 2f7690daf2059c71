"""Lifecycle policies themselves: finding, listing and setting them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.conf import settings
from django.db import transaction

from sandboxes import clock
from sandboxes.core import policies
from sandboxes.core.codes import Code, Refused
from sandboxes.core.vocabulary import Actor, AuditAction, PolicyScope, Rule
from sandboxes.models import Owner, Sandbox
from sandboxes.models import Policy as PolicyRow
from sandboxes.models.policy import FROM_THE_FIRST
from sandboxes.services import audit, lookup
from sandboxes.services.rows import one
from sandboxes.services.wake import wake

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sandboxes.models.policy import PolicyRows

NOTHING: Mapping[Rule, int | None] = dict.fromkeys(Rule)


def listed(actor: Actor) -> PolicyRows:
    """The policies that say something, of what the actor may see."""
    found: PolicyRows = PolicyRow.objects.saying_something()
    if actor.only_owner is None:
        return found
    theirs = Sandbox.objects.visible_to(actor).values_list("pk", flat=True)
    return found.about_all() | found.about(actor.only_owner, theirs)


def find(address: str, *, actor: Actor) -> PolicyRow:
    """The policy of this address (`Policy.address`). Whatever there is has one, if only one that says nothing.

    Raises:
        Refused: POLICY_NOT_FOUND, SANDBOX_NOT_FOUND, for what is not there and for another owner's alike.
    """
    scope, _, subject = address.partition(":")
    if scope not in PolicyScope.values or bool(subject) == (scope == PolicyScope.DEFAULT):
        raise Refused(Code.POLICY_NOT_FOUND)
    name = _subject(PolicyScope(scope), subject, actor)
    found: PolicyRow | None = one(PolicyRow.objects.filter(scope=scope, subject=name))
    return found or PolicyRow(scope=scope, subject=name)


def set_policy(
    scope: PolicyScope, subject: str, minutes: Mapping[Rule, int | None], *, actor: Actor, reason: str = ""
) -> PolicyRow:
    """Say these rules of this scope; those that are not named stay as they are, and None says nothing any more.

    Raises:
        Refused: INVALID_REQUEST (out of range), POLICY_NOT_FOUND (no such tier or owner), SANDBOX_NOT_FOUND,
            PERMISSION_DENIED.
    """
    name = _subject(scope, subject, actor)
    policies.check_may_set(actor, scope)
    new = {f"{rule}_minutes": None if one is None else policies.checked(rule, one) for rule, one in minutes.items()}
    with transaction.atomic():
        PolicyRow.objects.get_or_create(scope=scope, subject=name, defaults={"changed_at": clock.now()})
        row: PolicyRow = PolicyRow.objects.select_for_update().get(scope=scope, subject=name)
        before = {field: getattr(row, field) for field in new}
        if before == new:
            return row
        for field, value in new.items():
            setattr(row, field, value)
        row.told_up_to, row.changed_by, row.changed_at = FROM_THE_FIRST, str(actor), clock.now()
        row.save()
        owner = _owner(scope, name)
        audit.write(
            AuditAction.POLICY, actor=actor, about=row, owner=owner, reason=reason, before=before, after=new
        )
    wake()
    return row


def clear_policy(scope: PolicyScope, subject: str, *, actor: Actor, reason: str = "") -> PolicyRow:
    """Say nothing any more of this scope.

    Raises:
        Refused: POLICY_NOT_FOUND, SANDBOX_NOT_FOUND, PERMISSION_DENIED.
    """
    return set_policy(scope, subject, NOTHING, actor=actor, reason=reason)


def _subject(scope: PolicyScope, subject: str, actor: Actor) -> str:
    """The subject in the form that is stored, if there is one that the actor may see."""
    match scope:
        case PolicyScope.DEFAULT:
            return ""
        case PolicyScope.SANDBOX:
            return str(lookup.identify(subject, actor=actor))
        case PolicyScope.TIER:
            exists = subject in settings.TIERS
        case PolicyScope.OWNER:
            exists = actor.may_see(subject) and Owner.objects.filter(pk=subject).exists()
    if not exists:
        raise Refused(Code.POLICY_NOT_FOUND, f"There is no {scope} “{subject}”.")
    return subject


def _owner(scope: PolicyScope, subject: str) -> str:
    """Whom it is about, for the audit log."""
    if scope == PolicyScope.SANDBOX:
        return str(Sandbox.objects.values_list("owner_id", flat=True).get(pk=subject))
    return subject if scope == PolicyScope.OWNER else ""
