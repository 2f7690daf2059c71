"""What was asked of Daytona for a sandbox, beside what Daytona holds. Pure: no query, no call.

A value counts as asked for only when a person gave it, or our own create did. Of an adopted sandbox nobody asked
for anything: Daytona's values are shown, and differ from nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from datetime import datetime
    from uuid import UUID

INTERVALS = ("auto_stop", "auto_archive", "auto_delete")
NAME_LABEL = "harness_name"
OWNER_LABEL = "harness_user_id"

Value = str | int


class AskedRow(Protocol):
    """What of a sandbox is compared: the model, or a part of it that was read for the purpose."""

    @property
    def pk(self) -> UUID: ...
    @property
    def name(self) -> str: ...
    @property
    def owner_id(self) -> str: ...
    @property
    def resource_tier(self) -> str: ...
    @property
    def harness_id(self) -> str: ...
    @property
    def language(self) -> str: ...
    @property
    def was_made_here(self) -> bool: ...
    @property
    def labels(self) -> Mapping[str, str]: ...
    @property
    def user_labels(self) -> Mapping[str, str]: ...
    @property
    def created_with(self) -> Mapping[str, Any]: ...
    @property
    def pending_changes(self) -> Mapping[str, Any]: ...
    @property
    def observed_at(self) -> datetime | None: ...
    @property
    def deleted_at(self) -> datetime | None: ...


@dataclass(frozen=True, slots=True)
class Difference:
    """One setting that Daytona holds otherwise than it was asked for.

    `pending`: Daytona has not confirmed the change yet. `key` is its name among the pending changes; empty for
    what Daytona can only be told at a create.
    """

    field: str
    asked: Value
    observed: Value | None
    key: str = ""
    pending: bool = False

    def __str__(self) -> str:
        held = "not set" if self.observed in (None, "") else self.observed
        return f"{self.field} is {held} in Daytona, {self.asked} was asked for"


def labels_of(row: AskedRow) -> dict[str, str]:
    """The labels we put on a sandbox in Daytona, with those that people gave it; `sandkeeper_id` proves it ours."""
    labels = {
        **row.user_labels,
        "sandkeeper_id": str(row.pk),
        OWNER_LABEL: row.owner_id,
        "harness_resource_tier": row.resource_tier,
        "harness_id": row.harness_id,
        NAME_LABEL: row.name,
        "code-toolbox-language": row.language,
    }
    return {name: value for name, value in labels.items() if value}


def differences(row: AskedRow) -> list[Difference]:
    """Each setting of a living sandbox that Daytona holds otherwise than it was asked for."""
    if row.observed_at is None or row.deleted_at is not None:
        return []
    return [*_of_intervals(row), *_of_labels(row), *_of_create(row)]


def drift(row: AskedRow) -> list[Difference]:
    """The differences that no change of ours will end: Daytona holds another value for good."""
    return [one for one in differences(row) if not one.pending]


def lost_labels(row: AskedRow) -> dict[str, str]:
    """The labels that we put there and Daytona no longer holds, with no change on its way."""
    return {one.key: str(one.asked) for one in drift(row) if one.key and one.key not in INTERVALS}


def observed(row: AskedRow, key: str) -> Value | None:
    """What Daytona holds of a setting, by the name it has among the pending changes."""
    held: Value | None = getattr(row, f"observed_{key}") if key in INTERVALS else row.labels.get(key)
    return held


def holds(row: AskedRow, key: str, value: Value) -> bool:
    """Whether Daytona holds this value; of a label that is taken away (""), whether it has none."""
    held = observed(row, key)
    return held is None if value == "" else held == value


def _of_intervals(row: AskedRow) -> Iterator[Difference]:
    for key in INTERVALS:
        asked, held = getattr(row, f"{key}_minutes"), observed(row, key)
        if asked is not None and held is not None and asked != held:
            yield Difference(f"{key}_minutes", asked, held, key, key in row.pending_changes)


def _of_labels(row: AskedRow) -> Iterator[Difference]:
    """Ours are all that our create set; of an adopted sandbox the name, once Daytona has one. People's are all."""
    ours = labels_of(row)
    if not row.was_made_here:
        named = {NAME_LABEL: row.name} if row.name and NAME_LABEL in row.labels else {}
        ours = {**row.user_labels, **named}
    for key, asked in ours.items():
        held = row.labels.get(key)
        if asked != held:
            field = "name" if key == NAME_LABEL else f"labels.{key}"
            yield Difference(field, asked, held, key, key in row.pending_changes)


def _of_create(row: AskedRow) -> Iterator[Difference]:
    for field, asked in row.created_with.items():
        held = getattr(row, field)
        if asked and held and asked != held:
            yield Difference(field, asked, held)
