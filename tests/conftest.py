from __future__ import annotations

from hypothesis import HealthCheck, settings

pytest_plugins = ["tests.support.emptying", "tests.support.fixtures", "tests.support.problems"]

# How long an example takes says how busy the machine is.
settings.register_profile("any speed", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any speed")
