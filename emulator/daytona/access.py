"""Keys, permissions and throttles: what is checked before a request reaches a sandbox."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from emulator.daytona.errors import Refusal

if TYPE_CHECKING:
    from emulator.core import Core

CREATE, LIFECYCLE, AUTHENTICATED, FAILED = (
    "sandbox-create",
    "sandbox-lifecycle",
    "authenticated",
    "failed-auth",
)
TOO_MANY = "ThrottlerException: Too Many Requests"


@dataclass
class Window:
    """A fixed window that opens with its first request; a request too many blocks for a whole window."""

    ends: float
    count: int = 0
    blocked_until: float = 0.0


class Throttles:
    """@nestjs/throttler as recorded in 14_throttle: one counter per bucket and organisation (or address)."""

    def __init__(self, core: Core) -> None:
        self._core = core
        self._windows: dict[tuple[str, str], Window] = {}

    def clear(self) -> None:
        self._windows.clear()

    def take(self, bucket: str, tracker: str) -> dict[str, str]:
        """Count one request and return the headers of its answer. Raises Refusal (429)."""
        rule = self._core.settings.throttles.get(bucket)
        if rule is None:
            return {}
        now = self._core.clock.now()
        window = self._window(bucket, tracker, rule["window"], now)
        if now < window.blocked_until:
            raise _too_many({f"Retry-After-{bucket}": _left(window.blocked_until, now)})
        window.count += 1
        if window.count > rule["limit"]:
            window.blocked_until = now + rule["window"]
            raise _too_many({f"Retry-After-{bucket}": _left(window.blocked_until, now)})
        return _headers(bucket, rule["limit"], window, now)

    def failed(self, address: str) -> dict[str, str]:
        """Count a wrong key. Raises Refusal (429) from the last allowed one on."""
        rule = self._core.settings.throttles.get(FAILED)
        if rule is None:
            return {}
        now = self._core.clock.now()
        self._window(FAILED, address, rule["window"], now).count += 1
        self.check_lock_out(address)
        return _headers(FAILED, rule["limit"], self._windows[FAILED, address], now)

    def check_lock_out(self, address: str) -> None:
        """After too many wrong keys good keys of that address are refused, too. Raises Refusal (429)."""
        rule, window = self._core.settings.throttles.get(FAILED), self._windows.get((FAILED, address))
        now = self._core.clock.now()
        if rule and window and window.count >= rule["limit"] and now < window.ends:
            headers = _headers(FAILED, rule["limit"], window, now)
            raise _too_many(headers | {"Retry-After": _left(window.ends, now)})

    def _window(self, bucket: str, tracker: str, seconds: float, now: float) -> Window:
        window = self._windows.get((bucket, tracker))
        if window is None or now >= (window.blocked_until or window.ends):
            window = self._windows[bucket, tracker] = Window(ends=now + seconds)
        return window


class Access:
    def __init__(self, core: Core) -> None:
        self._core = core
        self.throttles = Throttles(core)
        self._database_down_since: float | None = None
        core.on_settings.append(self._notice_outage)

    def clear(self) -> None:
        self.throttles.clear()
        self._notice_outage()

    def enter(
        self, *, authorization: str, address: str, bucket: str, permission: str | None
    ) -> tuple[str, dict[str, str]]:
        """Return the organisation and the throttle's headers.

        In Daytona's order: lock-out of the address, key (401), throttle (429), permission (403).
        """
        self.throttles.check_lock_out(address)
        self._check_key_store()
        key = self._core.settings.keys.get(authorization[7:]) if authorization[:7] == "Bearer " else None
        if key is None or key.get("expired"):
            headers = self.throttles.failed(address)
            raise Refusal(401, "Invalid credentials", headers=headers)
        organization = key["organization"]
        headers = self.throttles.take(bucket, organization)
        if permission and permission not in key["permissions"]:
            raise Refusal(403, "Access denied", headers=headers)
        return organization, headers

    def organization_of(self, token: str) -> str | None:
        """For the socket: whose events this token may see."""
        key = self._core.settings.keys.get(token)
        return key["organization"] if key and not key.get("expired") else None

    def _check_key_store(self) -> None:
        """Keys are cached for `key_cache` seconds; after that an outage shows (recording 15_outages)."""
        since = self._database_down_since
        if since is not None and self._core.clock.now() - since >= self._core.settings.key_cache:
            raise Refusal(503, "Temporary authentication service error")

    def _notice_outage(self) -> None:
        down = self._core.settings.database == "down"
        if not down:
            self._database_down_since = None
        elif self._database_down_since is None:
            self._database_down_since = self._core.clock.now()


def _headers(bucket: str, limit: float, window: Window, now: float) -> dict[str, str]:
    return {
        f"X-RateLimit-Limit-{bucket}": str(int(limit)),
        f"X-RateLimit-Remaining-{bucket}": str(max(0, int(limit) - window.count)),
        f"X-RateLimit-Reset-{bucket}": _left(window.ends, now),
    }


def _left(until: float, now: float) -> str:
    return str(math.ceil(until - now))


def _too_many(headers: dict[str, str]) -> Refusal:
    return Refusal(429, TOO_MANY, headers=headers)
