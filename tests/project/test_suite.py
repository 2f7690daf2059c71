"""What `make test` leaves out on one database runs on the other."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.__main__ import ONCE
from tests.support.environment import ROOT


@pytest.mark.parametrize("path", ONCE)
def test_what_is_left_out_on_postgresql_does_not_need_it(path: str) -> None:
    place = ROOT / "tests" / path
    files = [place] if place.is_file() else sorted(place.rglob("*.py"))
    assert files, f"{path} is not there any more"
    assert [file for file in files if needs_postgres(file)] == []


def needs_postgres(file: Path) -> bool:
    return "mark.postgres" in file.read_text() and file != Path(__file__)
