"""The emulator answers as Daytona answered: every recording, as recorded and otherwise."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.contract.compare import IGNORED
from tests.contract.replay import RECORDINGS, SKIPPED, Replay
from tests.contract.scenarios import SCENARIOS
from tests.contract.variants import VARIANTS, Variant

if TYPE_CHECKING:
    from tests.support.emulator import Emulator

NAMES = sorted(path.stem for path in RECORDINGS.glob("*.json"))
NOT_REPLAYED = {entry["name"]: entry["reason"] for entry in IGNORED["recording"]}


@pytest.mark.parametrize("variant", VARIANTS, ids=lambda variant: variant.name)
@pytest.mark.parametrize("name", SCENARIOS)
def test_the_emulator_answers_as_recorded(name: str, variant: Variant, emulator: Emulator) -> None:
    Replay(name, SCENARIOS[name], variant, emulator).run()


@pytest.mark.parametrize("name", NAMES)
def test_every_recording_is_replayed_or_listed_with_a_reason(name: str) -> None:
    assert (name in SCENARIOS) != (name in NOT_REPLAYED)
    assert NOT_REPLAYED.get(name, "replayed")


def test_the_ignore_file_names_only_what_is_there() -> None:
    assert set(NOT_REPLAYED) <= set(NAMES)
    assert {recording for recording, _ in SKIPPED} <= set(SCENARIOS)
    reasons = [entry["reason"] for kind in IGNORED.values() for entry in kind]
    assert all(reasons)
