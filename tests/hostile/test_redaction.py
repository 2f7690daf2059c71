"""Redaction reads whatever strangers send: its time must grow with the length alone."""

from __future__ import annotations

import re
import time
from re import _constants as constants  # type: ignore[attr-defined]
from re import _parser as parser  # type: ignore[attr-defined]
from typing import Any

import pytest

from project import logs

REPEATS = (constants.MAX_REPEAT, constants.MIN_REPEAT, constants.POSSESSIVE_REPEAT)
MOST_THAT_MAY_FAIL = 300  # characters that one place of the text can cost before a pattern gives up there
HOSTILE = [
    "dev:",
    "eyJ",
    "eyJaaaaa.",
    "Convex ",
    "Bearer ",
    "dtn_",
    "sandkeeper_",
    "prod:a|",
    "preview:a-",
    "Convex a|",
]


def repeats(item: tuple[Any, Any]) -> bool:
    return item[0] in REPEATS


def can_fail_after_no_bound(pattern: str) -> bool:
    """Whether something that may fail follows a repetition without an end, or it gives back what it took."""
    endless = False
    for operator, argument in parser.parse(pattern):
        least = argument[0] if operator in REPEATS else 1
        if endless and least:
            return True
        if operator in REPEATS and argument[1] is constants.MAXREPEAT:
            endless = True
            if operator is not constants.POSSESSIVE_REPEAT:
                return True
    return False


def longest_that_may_fail(pattern: str) -> int:
    """How far the pattern may read before it can still fail."""
    bounded = []
    for operator, argument in parser.parse(pattern):
        if operator in REPEATS and argument[1] is constants.MAXREPEAT:
            bounded.append(argument[0])
            break
        if operator in REPEATS:
            bounded.append(argument[1])
        elif operator is constants.SUBPATTERN:
            bounded.append(argument[3].getwidth()[1])
        else:
            bounded.append(1)
    return sum(bounded)


@pytest.mark.parametrize("pattern", logs.SECRET_SHAPES)
def test_a_pattern_cannot_fail_after_reading_without_a_bound(pattern: str) -> None:
    assert not can_fail_after_no_bound(pattern)
    assert longest_that_may_fail(pattern) <= MOST_THAT_MAY_FAIL


@pytest.mark.parametrize("pattern", [r"(?:prod|dev):[\w:-]+\|\w+", r"eyJ[\w-]+\.\w+", r"a{1,3}b*", r"a++b"])
def test_the_check_finds_patterns_that_are_slow(pattern: str) -> None:
    assert can_fail_after_no_bound(pattern)


def work(text: str) -> float:
    """Seconds of this process alone, the least of three: what else the machine does is not counted."""
    found = []
    for _ in range(3):
        began = time.process_time()
        logs._secrets.sub("", text)
        found.append(time.process_time() - began)
    return min(found)


@pytest.mark.parametrize("piece", HOSTILE)
def test_sixteen_times_the_text_is_not_sixty_times_the_work(piece: str) -> None:
    """In proportion it is 16 times as much, by the square 256 times."""
    few, many = (work(piece * (size // len(piece))) for size in (4_000, 64_000))
    assert many < 60 * max(few, 1e-4)


@pytest.mark.parametrize("piece", HOSTILE)
def test_no_more_is_read_than_is_shown(piece: str) -> None:
    shown = logs.redact(piece * 300_000, 500)
    assert len(shown) <= 500
    assert shown.endswith("…")


def test_a_secret_across_the_cut_is_not_left_in_half() -> None:
    token = f"dtn_{'0123456789abcdef' * 4}"
    for place in range(60, 110):
        shown = logs.redact(f"{'.' * place}{token} and more", 100)
        assert len(shown) <= 100
        assert "dtn_" not in shown
    logs.hide("plain words as a key")
    assert "plain" not in logs.redact(f"{'.' * 90}plain words as a key", 100)


def test_text_is_not_moved_from_behind_the_cut_into_sight() -> None:
    """What a redaction shortens makes no room for the half of a secret at the end of what was looked at."""
    many = "dtn_" + "a" * 200 + " "
    assert not re.search(r"a{8}", logs.redact(many * 100, 1_000))
