"""Who calls: an owner with a token, a program with a service key, or staff with a session."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sandboxes.core.vocabulary import Actor
from sandboxes.models import ServiceKey


@dataclass(frozen=True, slots=True)
class Principal:
    """The caller of one request; DRF's `request.user`.

    `id` names the caller in rate limits and idempotency keys. `owner` is whom the call is for, where it says
    so. `scopes` is None for those whom scopes do not bind (owners, staff). `account` is the Django user of staff,
    `key_id` that of a program's key.
    """

    id: str
    actor: Actor
    owner: str | None = None
    scopes: frozenset[str] | None = None
    account: Any = None
    key_id: int | None = None

    is_authenticated = True
    is_active = True

    @property
    def is_staff(self) -> bool:
        return self.account is not None

    @property
    def must_name_owner(self) -> bool:
        """A key without `sandboxes:any` that does not say for whom it acts."""
        return self.scopes is not None and self.owner is None and ServiceKey.Scope.ANY not in self.scopes

    @classmethod
    def of_owner(cls, owner: str) -> Principal:
        return cls(f"owner:{owner}", Actor.owner(owner), owner)

    @classmethod
    def of_key(cls, key: ServiceKey, *, owner: str | None) -> Principal:
        actor = Actor.service(key.name, on_behalf_of=owner)
        return cls(f"service:{key.pk}", actor, owner, frozenset(key.scopes), key_id=key.pk)

    @classmethod
    def of_staff(cls, account: Any, *, owner: str | None) -> Principal:
        username = account.get_username()
        return cls(f"staff:{username}", Actor.staff(username, on_behalf_of=owner), owner, account=account)
