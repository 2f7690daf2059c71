"""What a caller needs for a method: keys a scope, staff a Django permission, owners nothing more."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sandboxes.core.codes import Code, Refused
from sandboxes.models import ServiceKey

if TYPE_CHECKING:
    from sandboxes.api.principals import Principal

READ, WRITE, USE = ServiceKey.Scope.READ, ServiceKey.Scope.WRITE, ServiceKey.Scope.USE


@dataclass(frozen=True, slots=True)
class Need:
    """A scope for service keys, a permission (of the app `sandboxes`) for staff."""

    scope: str
    permission: str


def check(principal: Principal, need: Need) -> None:
    """Refuse a caller that may not do this.

    Raises:
        Refused: MISSING_SCOPE, PERMISSION_DENIED, OWNER_REQUIRED.
    """
    if principal.scopes is not None and need.scope not in principal.scopes:
        raise Refused(Code.MISSING_SCOPE, f"The key lacks the scope {need.scope}.")
    if principal.must_name_owner:
        raise Refused(Code.OWNER_REQUIRED)
    check_permission(principal, need.permission)


def check_permission(principal: Principal, permission: str) -> None:
    if principal.is_staff and not principal.account.has_perm(f"sandboxes.{permission}"):
        raise Refused(Code.PERMISSION_DENIED, f"You lack the permission sandboxes.{permission}.")
