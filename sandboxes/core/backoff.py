"""How long to wait before something is tried or fetched again. Seconds, with jitter, in one place."""

from __future__ import annotations


def backoff(attempt: int, *, first: float, longest: float, factor: float = 2.0, jitter: float) -> float:
    """The pause after the given number of attempts that achieved nothing (0: after the first).

    Args:
        jitter: 0 to 1, drawn anew each time: the pause is between half and all of what it grows to, so that those
            that failed together do not come back together.
    """
    grown = min(first * factor ** min(attempt, 60), longest)  # an operation may wait for days: the exponent ends
    return grown * (0.5 + jitter / 2)


def by_age(age: float, *, first: float, longest: float) -> float:
    """The pause before the next fetch of what has lasted for `age` seconds: half of it, so that there are few."""
    return min(max(first, age / 2), longest)
