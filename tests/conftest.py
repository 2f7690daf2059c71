from __future__ import annotations

pytest_plugins = ["tests.support.emptying", "tests.support.fixtures", "tests.support.problems"]
