from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from django.core.exceptions import ImproperlyConfigured

from project.environment import Environment

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

SECRET = "c4nary-value-of-a-secret"


@pytest.fixture
def env(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Environment]:
    def made(**values: str) -> Environment:
        for name, value in values.items():
            monkeypatch.setenv(name, value)
        return Environment()

    return made


@pytest.mark.parametrize(
    ("reader", "text", "expected"),
    [
        ("text", " words ", "words"),
        ("flag", "1", True),
        ("flag", "False", False),
        ("whole", "12", 12),
        ("number", "0.5", 0.5),
    ],
)
def test_a_value_is_read(env: Callable[..., Environment], reader: str, text: str, expected: Any) -> None:
    default: Any = {"text": "", "flag": False, "whole": 0, "number": 0.0}[reader]
    assert getattr(env(SK_VALUE=text), reader)("SK_VALUE", default=default) == expected


def test_what_is_not_set_or_empty_is_the_default(env: Callable[..., Environment]) -> None:
    found = env(SK_EMPTY="")
    assert found.whole("SK_EMPTY", default=7) == 7
    assert found.flag("SK_ABSENT", default=True) is True
    assert found.words("SK_ABSENT", default=["a"]) == ["a"]
    assert found.json("SK_EMPTY", default={"a": 1}) == {"a": 1}


@pytest.mark.parametrize(
    ("read", "text"),
    [
        (lambda env: env.flag("SK_VALUE", default=False), "ture"),
        (lambda env: env.whole("SK_VALUE", default=1), "1.5"),
        (lambda env: env.whole("SK_VALUE", default=1), "-1"),
        (lambda env: env.whole("SK_VALUE", default=1, minimum=1), "0"),
        (lambda env: env.number("SK_VALUE", default=1.0), "10s"),
        (lambda env: env.number("SK_VALUE", default=1.0), "-1"),
        (lambda env: env.number("SK_VALUE", default=1.0), "nan"),
        (lambda env: env.number("SK_VALUE", default=1.0), "inf"),
        (lambda env: env.one_of("SK_VALUE", "off", "owner", default="off"), "owners"),
        (lambda env: env.json("SK_VALUE", default=None), "{"),
        (lambda env: env.database("SK_VALUE", default="", statement_timeout=30), "postgres://h/n?nonsense=1"),
        (lambda env: env.cache_url("SK_VALUE", default=""), "nonsense://x"),
        (lambda env: env.required("SK_VALUE", why="Why."), ""),
    ],
)
def test_a_wrong_value_is_refused_by_name(
    env: Callable[..., Environment], read: Callable[[Environment], object], text: str
) -> None:
    with pytest.raises(ImproperlyConfigured, match="SK_VALUE"):
        read(env(SK_VALUE=text))


def test_a_former_name_is_read_where_the_new_one_is_not_set(env: Callable[..., Environment]) -> None:
    found = env(SK_OLD="7")
    assert found.number("SK_NEW", default=1.0, formerly="SK_OLD") == 7.0
    assert found.former_names == {"SK_OLD": "SK_NEW"}
    with pytest.raises(ImproperlyConfigured, match="SK_OLD"):
        env(SK_OLD="7s").number("SK_NEW", default=1.0, formerly="SK_OLD")
    both = env(SK_OLD="7", SK_NEW="8")
    assert both.number("SK_NEW", default=1.0, formerly="SK_OLD") == 8.0
    assert both.former_names == {"SK_OLD": "SK_NEW"}


def test_nothing_is_told_of_a_former_name_that_is_not_set(env: Callable[..., Environment]) -> None:
    found = env(SK_NEW="8")
    assert found.number("SK_NEW", default=1.0, formerly="SK_OLD") == 8.0
    assert found.former_names == {}


def test_a_refusal_does_not_repeat_the_value(env: Callable[..., Environment]) -> None:
    with pytest.raises(ImproperlyConfigured) as refusal:
        env(SK_VALUE=SECRET).number("SK_VALUE", default=1.0)
    assert SECRET not in str(refusal.value)


def test_a_secret_may_begin_with_a_dollar(env: Callable[..., Environment]) -> None:
    assert env(SK_VALUE="$ecret").text("SK_VALUE") == "$ecret"


def test_a_secret_comes_from_a_file_without_its_line_end(env: Callable[..., Environment], tmp_path: Path) -> None:
    (tmp_path / "secret").write_text(f"{SECRET}\n")
    assert env(SK_VALUE_FILE=str(tmp_path / "secret")).text("SK_VALUE") == SECRET


def test_a_missing_secret_file_is_loud(env: Callable[..., Environment], tmp_path: Path) -> None:
    with pytest.raises(ImproperlyConfigured, match=r"SK_VALUE_FILE cannot be read \(No such file"):
        env(SK_VALUE_FILE=str(tmp_path / "absent")).text("SK_VALUE")


def test_an_empty_secret_file_is_loud(env: Callable[..., Environment], tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("\n")
    with pytest.raises(ImproperlyConfigured, match="empty file"):
        env(SK_VALUE_FILE=str(tmp_path / "secret")).text("SK_VALUE")


def test_the_environment_wins_over_the_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("SK_ONE=file\nSK_TWO=file\n")
    monkeypatch.setenv("SK_ONE", "environment")
    monkeypatch.setenv("SK_TWO", "")  # restores SK_TWO when the test ends
    monkeypatch.delenv("SK_TWO")
    found = Environment(env_file=str(tmp_path / ".env"))
    assert (found.text("SK_ONE"), found.text("SK_TWO")) == ("environment", "file")
