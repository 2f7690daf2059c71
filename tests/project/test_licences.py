from __future__ import annotations

import pytest

from tests.licences import is_allowed, licence_of


@pytest.mark.parametrize(
    ("licence", "expected"),
    [
        ("MIT", True),
        ("Apache-2.0 AND MIT", True),
        ("GPL-3.0-only OR MIT", True),
        ("MIT License; BSD License", True),
        ("GPL-3.0-only", False),
        ("MIT AND GPL-3.0-only", False),
        ("MIT License; GNU General Public License v3 (GPLv3)", False),
        ("UNKNOWN", False),
        ("", False),
    ],
)
def test_a_licence_is_allowed_when_one_way_of_it_is(licence: str, expected: bool) -> None:
    assert is_allowed(licence) is expected


def test_the_text_of_a_licence_speaks_where_nothing_is_declared() -> None:
    text = "\n                                 Apache License\n                           Version 2.0\n"
    assert licence_of("UNKNOWN", text) == "Apache-2.0"
    assert licence_of("GPL-3.0-only", text) == "GPL-3.0-only"
    assert licence_of("UNKNOWN", "All rights reserved.") == "UNKNOWN"
