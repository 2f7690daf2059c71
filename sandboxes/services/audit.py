"""The audit log: one function writes it, in the transaction of what it tells of."""

from __future__ import annotations

import getpass
import socket
from contextvars import ContextVar
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import structlog
from django.conf import settings
from django.core.serializers.json import DjangoJSONEncoder

from project.readable import cut
from sandboxes import clock
from sandboxes.core.vocabulary import Actor, ActorKind, AuditAction
from sandboxes.models import AuditEntry, Sandbox

if TYPE_CHECKING:
    from collections.abc import Mapping

    from django.db.models import Model

# The client's address while a request is answered; a process that answers none has its user and host.
client: ContextVar[str] = ContextVar("client", default="")
COMMAND = Actor.system("command")


def write(
    action: AuditAction,
    *,
    actor: Actor,
    about: Model | None = None,
    name: str = "",
    owner: str = "",
    reason: str = "",
    before: Mapping[str, Any] | None = None,
    after: Mapping[str, Any] | None = None,
) -> None:
    """Append what somebody did; what our own parts do by themselves, operations and events tell.

    `about` is what it was done to, or `name` where that is no row.
    """
    if actor.kind == ActorKind.SYSTEM and actor != COMMAND:
        return
    now = clock.now()
    AuditEntry.objects.create(
        at=now,
        actor=cut(str(actor), 300),
        action=action,
        **_subject(about, name, owner),
        reason=cut(reason, 500),
        before=_stored(before),
        after=_stored(after),
        request_id=str(structlog.contextvars.get_contextvars().get("request_id", ""))[:100],
        address=cut(client.get() or _process(), 300),
        keep_until=now + timedelta(days=settings.RETENTION_DAYS["audit"]),
    )


def _subject(about: Model | None, name: str, owner: str) -> dict[str, str]:
    """What it was done to, in words that outlive the row."""
    if about is None:
        return {"about_name": cut(name, 300), "owner": owner}
    if isinstance(about, Sandbox):
        owner, name = about.owner_id, about.display_name
    return {
        "about_kind": str(about._meta.verbose_name),
        "about_id": cut(str(about.pk), 255),
        "about_name": cut(name or str(about), 300),
        "owner": owner,
    }


def _stored(values: Mapping[str, Any] | None) -> dict[str, Any]:
    encoder = DjangoJSONEncoder()
    plain = (str, int, float, bool, list, type(None))
    return {
        name: value if isinstance(value, plain) else encoder.encode(value).strip('"')
        for name, value in (values or {}).items()
    }


def _process() -> str:
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # a container's user without a name
        user = "unknown"
    return f"{user}@{socket.gethostname()}"
