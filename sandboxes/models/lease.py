"""Rows that one process holds at a time: the one implementation for whatever is leased.

A claim returns a token, and every later write of its holder is fenced by it: `held(token)` finds no row any more
once somebody else has taken over. Times are the database's, whatever the clock of a host.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any, Self
from uuid import uuid4

from django.db import models
from django.db.models import Q

from sandboxes import clock

# No lease is as long: one that ends later was written before a clock was set back, and is void.
LONGEST = timedelta(minutes=15)


class Leased(models.Model):
    """The columns of a lease; both are empty while nobody holds it."""

    lease_token = models.CharField(max_length=40, blank=True)
    lease_until = models.DateTimeField(null=True, blank=True)

    class Meta:
        abstract = True


class LeasedRows(models.QuerySet[Any]):
    def free(self) -> Self:
        """Those that nobody holds, or whose holder let the lease run out."""
        void = Q(lease_until__gt=clock.present(plus=LONGEST))
        return self.filter(Q(lease_until=None) | Q(lease_until__lt=clock.present()) | void)

    def abandoned(self) -> Self:
        """Those whose holder let the lease run out: it died, or waits for an answer that does not come."""
        return self.filter(lease_until__lt=clock.present())

    def taken(self) -> Self:
        """Those that somebody holds now."""
        return self.filter(lease_until__gte=clock.present())

    def held(self, token: str) -> Self:
        """Those that the holder of this token may still write."""
        return self.filter(lease_token=token)

    def claim(self, seconds: float, *, token: str = "", **values: Any) -> str | None:
        """Lease the free ones of these rows, and write `values`; returns the token, None where none was free.

        Two may both have read a row as free: the UPDATE of the second changes no row.
        """
        token = token or uuid4().hex
        until = clock.present(plus=timedelta(seconds=seconds))
        return token if self.free().update(**values, lease_token=token, lease_until=until) else None

    def renew(self, token: str, seconds: float) -> int:
        """Keep those that are still held for so much longer; returns how many they are."""
        return self.held(token).update(lease_until=clock.present(plus=timedelta(seconds=seconds)))

    def release(self, token: str, **values: Any) -> int:
        """Give back those that are still held, and write `values`; returns how many they were."""
        return self.held(token).update(**values, lease_token="", lease_until=None)
