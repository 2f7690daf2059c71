"""docs/cutting-over.md names only calls, functions and options that there are."""

from __future__ import annotations

import re

import pytest
from django.core.management import load_command_class
from django.test import Client

from sandboxes.providers.convex.functions import Function
from tests.support.environment import ROOT

PAGE = (ROOT / "docs" / "cutting-over.md").read_text()


@pytest.mark.django_db
def test_every_call_it_names_is_in_the_schema() -> None:
    paths = Client().get("/api/v1/schema").json()["paths"]
    there = {
        f"{method.upper()} {path.removeprefix('/api/v1').replace('{sandbox_id}', '{id}')}"
        for path, methods in paths.items()
        for method in methods
    }
    named = set(re.findall(r"`((?:GET|POST|PATCH|DELETE) /(?:sandboxes|operations|capacity)[^`\s]*)", PAGE))
    assert len(named) > 8
    assert named <= there


def test_every_function_of_convex_that_we_call_is_told_of() -> None:
    called = {function.partition(":")[2] for function in Function if function.startswith("sandboxes:")}
    told = set(re.findall(r"`(\w+)`", PAGE))
    assert called <= told


def test_every_option_it_names_is_there() -> None:
    command = load_command_class("sandboxes", "reconcile_sandboxes")
    known = command.create_parser("manage.py", "reconcile_sandboxes").format_help()
    named = set(re.findall(r"(?<!-)--[a-z][a-z-]+", PAGE))
    assert len(named) >= 4
    assert {option for option in named if option not in known} == set()
