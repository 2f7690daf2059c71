"""What becomes of a delivery, by what its receiver answered."""

from __future__ import annotations

from dataclasses import dataclass

from sandboxes.core.backoff import backoff

FIRST_PAUSE, LONGEST_PAUSE = 10.0, 3600.0  # seconds between two attempts
GONE = 410


@dataclass(frozen=True, slots=True)
class Reply:
    """What came of one attempt: an HTTP status, or why there is none. `is_taken`: what has no status was taken."""

    status: int | None = None
    problem: str = ""
    is_taken: bool = False
    retry_after: float = 0.0  # seconds, if the receiver said so

    @property
    def is_success(self) -> bool:
        return self.is_taken or (self.status is not None and 200 <= self.status < 300)

    @property
    def error(self) -> str:
        """Why it is no success, for people."""
        if self.problem or self.status is None:
            return self.problem
        if 300 <= self.status < 400:
            return f"HTTP {self.status}: redirects are not followed"
        return f"HTTP {self.status}"


@dataclass(frozen=True, slots=True)
class Patience:
    """Seconds for which one delivery is tried, and after which a receiver that takes none is disabled."""

    delivery: float
    receiver: float


@dataclass(frozen=True, slots=True)
class DeliveryVerdict:
    """`again_in`: seconds until the next attempt; None where it is delivered, or given up (`is_dead`)."""

    again_in: float | None = None
    is_dead: bool = False
    disable: str = ""  # why nothing more is sent to this receiver


def judge(
    reply: Reply, *, attempt: int, age: float, failing_for: float, patience: Patience, jitter: float
) -> DeliveryVerdict:
    """What follows from a reply to the attempt of this number (0: the first).

    Args:
        age: seconds since the first attempt of this delivery.
        failing_for: seconds in which its receiver has taken nothing.
    """
    if reply.is_success:
        return DeliveryVerdict()
    disable = ""
    if reply.status == GONE:
        disable = "It answered 410 Gone: it wants no more deliveries."
    elif failing_for >= patience.receiver:
        disable = f"It took no delivery for {patience.receiver / 86400:.3g} days; the last error: {reply.error}."
    if age >= patience.delivery and not disable:
        return DeliveryVerdict(is_dead=True)
    pause = backoff(attempt, first=FIRST_PAUSE, longest=LONGEST_PAUSE, jitter=jitter)
    return DeliveryVerdict(again_in=max(pause, min(reply.retry_after, LONGEST_PAUSE)), disable=disable)
