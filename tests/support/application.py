"""The application that Sandkeeper replaces, doing to Daytona and Convex what it really does.

It never tells Daytona a sandbox's name: that lives in Convex only, and Daytona's own is the id. Its labels are
`harness_user_id`, `harness_resource_tier` and, for a harness, `harness_id`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from tests.support.convex import call, call_as, rows, seed, value_of

if TYPE_CHECKING:
    from tests.support.emulator import Emulator

Published = Literal["first", "second", "main"]
TIERS = {"basic": (1, 1, 3), "standard": (2, 4, 8), "performance": (4, 8, 10)}
SNAPSHOTS = {"basic": "daytona-small", "standard": "daytona-medium", "performance": "daytona-large"}


class Application:
    """One published set of its functions, and the habits of the service and the pages that belong to it."""

    def __init__(self, emulator: Emulator, published: Published, **convex: Any) -> None:
        self.emulator = emulator
        self.published = published
        emulator.settings(convex={"functions": published} | convex)

    def harness(self, owner: str, name: str = "harness", **fields: Any) -> str:
        """A harness of that owner, with sandboxes enabled as its page does; returns its id."""
        row = {"_id": "$harness", "userId": owner, "name": name, "sandboxEnabled": True}
        return seed(self.emulator, harnesses=[row | fields])["$harness"]

    def create(self, owner: str, name: str, *, tier: str = "basic", harness_id: str = "", **daytona: Any) -> str:
        """A sandbox of that owner, running unless told otherwise; returns Daytona's id.

        `daytona` are fields of its row there. On main the row is refused beyond five: AssertionError.
        """
        cpu, memory, disk = TIERS[tier]
        labels = {"harness_user_id": owner, "harness_resource_tier": tier}
        labels |= {"harness_id": harness_id} if harness_id else {}
        size = {"cpu": cpu, "memory": memory, "disk": disk, "snapshot": SNAPSHOTS[tier]}
        (daytona_id,) = self.emulator.seed([{"labels": labels, "state": "started"} | size | daytona])
        created = {"daytonaSandboxId": daytona_id, "userId": owner, "name": name, "status": "running"}
        known: dict[str, Any] = {"language": "python", "ephemeral": False}
        resources = {"cpu": cpu, "memoryGB": memory, "diskGB": disk}
        link = {"harnessId": harness_id} if harness_id else {}
        value_of(call(self.emulator, "sandboxes:createInternal", **created, **known, resources=resources, **link))
        return daytona_id

    def delete(self, owner: str, daytona_id: str) -> None:
        """What its Delete does: on main the row goes and the sandbox stays in Daytona, else both go."""
        if self.published == "main":
            row_id = rows(self.emulator, daytona_id)[0]["_id"]
            value_of(call_as(self.emulator, owner, "sandboxes:remove", id=row_id))
            return
        self.emulator.vanish(daytona_id)
        value_of(call(self.emulator, "sandboxes:removeByDaytonaIdInternal", daytonaSandboxId=daytona_id))

    def change(self, owner: str, daytona_id: str, **fields: str) -> None:
        """The user changes `name`, `status` or `errorMessage` of the row, as the pages let everybody."""
        row_id = rows(self.emulator, daytona_id)[0]["_id"]
        value_of(call_as(self.emulator, owner, "sandboxes:update", id=row_id, **fields))

    def shown_to(self, owner: str) -> list[dict[str, Any]]:
        """The owner's list as the page shows it, whole rows."""
        return list(value_of(call_as(self.emulator, owner, "sandboxes:list", kind="query")))

    def harness_row(self, owner: str, harness_id: str) -> dict[str, Any]:
        return dict(value_of(call_as(self.emulator, owner, "harnesses:get", kind="query", id=harness_id)))
