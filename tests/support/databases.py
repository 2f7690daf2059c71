"""The processes of one run share one migration: who starts them makes a database, and each of them copies it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from django.db import connection
from django.test.utils import setup_databases, teardown_databases
from pytest_django.plugin import blocking_manager_key

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytest_django import DjangoDbBlocker

MADE = pytest.StashKey[Any]()


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_setupnodes(config: pytest.Config) -> None:
    with config.stash[blocking_manager_key].unblock():
        config.stash[MADE] = setup_databases(verbosity=0, interactive=False)
        connection.close()  # PostgreSQL copies what nobody is connected to


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    node.workerinput["database"] = connection.settings_dict["NAME"]


@pytest.hookimpl(tryfirst=True)
def pytest_unconfigure(config: pytest.Config) -> None:
    if MADE in config.stash:
        with config.stash[blocking_manager_key].unblock():
            teardown_databases(config.stash[MADE], verbosity=0)


@pytest.fixture(scope="session")
def django_db_setup(
    request: pytest.FixtureRequest, django_test_environment: None, django_db_blocker: DjangoDbBlocker
) -> Iterator[None]:
    """A copy of the run's database; a process that runs the tests alone makes its own."""
    given = getattr(request.config, "workerinput", None)
    if given is None:
        request.getfixturevalue("django_db_setup")
        yield
        return
    whole, mine = connection.settings_dict["NAME"], given["workerid"]
    with django_db_blocker.unblock():
        connection.settings_dict["NAME"] = given["database"]
        connection.creation.clone_test_db(mine, verbosity=0)
        connection.settings_dict["NAME"] = connection.creation.get_test_db_clone_settings(mine)["NAME"]
    yield
    with django_db_blocker.unblock():
        connection.close()
        connection.settings_dict["NAME"] = given["database"]
        connection.creation.destroy_test_db(suffix=mine, verbosity=0)
        connection.settings_dict["NAME"] = whole
