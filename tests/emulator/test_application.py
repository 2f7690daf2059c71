"""The worlds that tests start from are those that the application leaves behind."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.application import Application, Published

if TYPE_CHECKING:
    from tests.support.emulator import Emulator

ALL: tuple[Published, ...] = ("first", "second", "main")


@pytest.mark.parametrize("published", ALL)
def test_a_name_lives_in_convex_only(emulator: Emulator, published: Published) -> None:
    application = Application(emulator, published)
    harness = application.harness("user_ada")

    box = application.create("user_ada", "Ada's box", harness_id=harness)

    remote = emulator.sandbox(box)
    assert remote is not None
    assert remote["name"] == box
    labels = {"harness_user_id": "user_ada", "harness_resource_tier": "basic", "harness_id": harness}
    assert remote["labels"] == labels
    (shown,) = application.shown_to("user_ada")
    assert (shown["name"], shown["daytonaSandboxId"], shown["harnessId"]) == ("Ada's box", box, harness)
    linked = application.harness_row("user_ada", harness)
    assert (linked["sandboxId"], linked["daytonaSandboxId"]) == (shown["_id"], box)

    application.change("user_ada", box, name="renamed")
    assert [row["name"] for row in application.shown_to("user_ada")] == ["renamed"]
    assert emulator.sandbox(box) == remote


@pytest.mark.parametrize("published", ALL)
def test_on_main_a_deleted_sandbox_lives_on_in_daytona(emulator: Emulator, published: Published) -> None:
    application = Application(emulator, published)
    harness = application.harness("user_ada")
    box = application.create("user_ada", "Ada's box", harness_id=harness)

    application.delete("user_ada", box)

    assert application.shown_to("user_ada") == []
    assert application.harness_row("user_ada", harness)["sandboxEnabled"] is False
    assert (emulator.sandbox(box) is not None) is (published == "main")


def test_on_main_the_sixth_is_refused(emulator: Emulator) -> None:
    application = Application(emulator, "main")
    for number in range(5):
        application.create("user_ada", f"box {number}")

    with pytest.raises(AssertionError, match="sandbox_limit_reached"):
        application.create("user_ada", "one more")
