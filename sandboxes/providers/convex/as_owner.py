"""What the application's public functions tell when they are called as one of its users. Used by `convex.py` alone.

The key must be allowed to act as a user. Without an identity these functions answer "nothing" and success, so
nothing is believed only when the application counts nothing either, where it can count.
"""

from __future__ import annotations

from functools import partial
from typing import Any

from sandboxes.providers.convex.deployment import ACT_AS_USER, Deployment, read_value
from sandboxes.providers.convex.errors import ConvexRejected, ConvexUnauthorized, FunctionMissing
from sandboxes.providers.convex.functions import Function
from sandboxes.providers.convex.rows import ApplicationRow, read_row


class AsOwner(Deployment):
    """Reads, never writes: nothing is done in a user's name."""

    def rows_as_owner(self, owner_id: str) -> list[ApplicationRow]:
        """All rows of one owner, whole, by the application's own list.

        Raises ConvexUnauthorized with `permission` when the key may not act as a user, FunctionMissing without
        that list, and ConvexRejected when the list cannot be right.
        """
        rows = self._listed(owner_id)
        if not rows and self._counted(owner_id):
            rows = self._listed(owner_id)  # one may have been made in between
            if not rows:
                raise ConvexRejected(
                    f"{Function.LIST_AS_OWNER} shows nothing to {owner_id}, though Convex counts rows of theirs: "
                    "it does not know users by the subject of their tokens."
                )
        return rows

    def is_harness_of(self, owner_id: str, harness_id: str) -> bool | None:
        """Whether the application shows that harness to that owner as theirs.

        None when it cannot be told: the key may not act as a user, the function is not there, or it fails, as
        it does for an id that is none. Any other error is raised.
        """
        try:
            harness = self.call(Function.HARNESS_AS_OWNER, {"id": harness_id}, as_owner=owner_id)
            return harness is not None and read_value(
                lambda: bool(harness["userId"] == owner_id), Function.HARNESS_AS_OWNER
            )
        except (FunctionMissing, ConvexRejected):
            return None
        except ConvexUnauthorized as error:
            if error.permission != ACT_AS_USER:
                raise
            return None

    def link_of(self, owner_id: str, harness_id: str) -> tuple[str, str]:
        """What a harness of that owner points at: Convex's id of a row and Daytona's id, "" for none.

        Neither proves that there is such a row. Raises as `rows_as_owner` does.
        """
        harness = self.call(Function.HARNESS_AS_OWNER, {"id": harness_id}, as_owner=owner_id) or {}
        return str(harness.get("sandboxId") or ""), str(harness.get("daytonaSandboxId") or "")

    def _listed(self, owner_id: str) -> list[ApplicationRow]:
        value = self.call(Function.LIST_AS_OWNER, {}, as_owner=owner_id)
        rows = read_value(lambda: [read_row(item) for item in value], Function.LIST_AS_OWNER)
        if any(row.owner != owner_id for row in rows):
            raise ConvexRejected(f"{Function.LIST_AS_OWNER}, asked as {owner_id}, shows rows of somebody else.")
        return rows

    def _counted(self, owner_id: str) -> int | None:
        """How many rows the owner has by a function that needs no identity; None without one."""
        for function in (Function.COUNT, Function.LIST_FOR_RECONCILE):
            if self.has(function) is False:
                continue
            try:
                return read_value(partial(_number, self.call(function, {"userId": owner_id})), function)
            except FunctionMissing:
                continue
        return None


def _number(value: Any) -> int:
    return len(value) if isinstance(value, list) else int(value)
