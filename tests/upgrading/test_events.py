"""What events tell of Daytona's words, carried forwards and back."""

from __future__ import annotations

from importlib import import_module
from typing import Any

import pytest

from tests.upgrading.test_migrations import NOW, migrate, old, sandbox, states

__all__ = ["old", "states"]
pytestmark = pytest.mark.django_db(transaction=True)
BEFORE = ("sandboxes", "0042_parameters")
SAID = 'Sandbox "Ü" is not stopped'
# The kind of an event and its data; what that is afterwards.
TOLD: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
    ("call", {"words": SAID}, {"daytona_message": SAID}),
    ("call", {}, {}),
    ("change", {"words": SAID, "cause": "outside"}, {"daytona_message": SAID, "cause": "outside"}),
    ("operation", {"message": "words"}, {"message": "words"}),
]


@pytest.mark.parametrize("old", [BEFORE], indirect=True)
def test_what_daytona_said_has_a_name_that_says_so(old: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(import_module("sandboxes.migrations.0043_daytonas_message"), "BATCH", 2)
    pk = sandbox(old)
    events = old.get_model("sandboxes", "SandboxEvent").objects
    made = [
        events.create(sandbox_id=pk, owner="alice", kind=kind, at=NOW, text="t", data=data).pk
        for kind, data, _ in TOLD
    ]
    told = migrate().get_model("sandboxes", "SandboxEvent").objects.in_bulk()
    assert [told[one].data for one in made] == [after for *_, after in TOLD]
    back = migrate(BEFORE).get_model("sandboxes", "SandboxEvent").objects.in_bulk()
    assert [back[one].data for one in made] == [before for _, before, _ in TOLD]
