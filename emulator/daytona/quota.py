"""The checks of `validateOrganizationQuotas` of Daytona's server (recordings 07 and 16)."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from emulator.daytona.errors import Refusal

if TYPE_CHECKING:
    from emulator.core import Core
    from emulator.daytona.usage import Amounts, Bucket, Usage

TIER = "To increase concurrency limits, upgrade your organization's Tier by visiting {dashboard}/limits."
ARCHIVE = "Consider archiving your unused Sandboxes to free up available storage."
CONTACT = (
    "Need higher resource limits per-sandbox? Contact us at support@daytona.io and let us know about your use case."
)


def check_suspended(core: Core) -> None:
    reason = core.settings.suspended
    if reason is not None:
        raise Refusal(403, f"Organization is suspended: {reason}" if reason else "Organization is suspended")


def check_shape(core: Core, amounts: Amounts) -> None:
    """The maxima of one sandbox: stopping others never helps."""
    most = core.settings.per_sandbox
    for word, unit, asked, key in (
        ("CPU", "", amounts.cpu, "cpu"),
        ("Memory", "GB", amounts.memory, "memory"),
        ("Disk", "GB", amounts.disk, "disk"),
    ):
        if key in most and asked > most[key]:
            text = f"{word} request {asked}{unit} exceeds maximum allowed per sandbox ({most[key]}{unit})."
            raise Refusal(400, f"{text}\n{CONTACT}")


async def reserve(core: Core, usage: Usage, bucket: Bucket, amounts: Amounts) -> int:
    """Reserve, then check, as Daytona does: under concurrency a refusal can be false.

    Returns the reservation, which the caller releases. Raises Refusal (400).
    """
    number = usage.reserve(bucket, amounts)
    try:
        await asyncio.sleep(0)
        _check(core, usage, bucket, amounts)
    except BaseException:
        usage.release(number)
        raise
    return number


def limits_of(core: Core, bucket: Bucket) -> dict[str, int] | None:
    """The most specific quota: `org:region/class`, then `region/class`, then the default one."""
    organization, region, sandbox_class = bucket
    quotas = core.settings.quotas
    for key in (f"{organization}:{region}/{sandbox_class}", f"{region}/{sandbox_class}"):
        if key in quotas:
            return quotas[key]
    return core.settings.quota


def _check(core: Core, usage: Usage, bucket: Bucket, amounts: Amounts) -> None:
    limits = limits_of(core, bucket)
    if limits is None:
        return
    tier = TIER.format(dashboard=core.settings.dashboard_url)
    total = usage.total(bucket)
    strict = core.random.random() < core.settings.false_refusals
    if amounts.cpu and (total.cpu > limits.get("cpu", total.cpu) or strict):
        raise Refusal(400, f"Total CPU limit exceeded. Maximum allowed: {limits.get('cpu', 0)}.\n{tier}")
    if amounts.memory and total.memory > limits.get("memory", total.memory):
        raise Refusal(400, f"Total memory limit exceeded. Maximum allowed: {limits['memory']}GiB.\n{tier}")
    if amounts.disk and total.disk > limits.get("disk", total.disk):
        text = f"Total disk limit exceeded. Maximum allowed: {limits['disk']}GiB.\n{ARCHIVE}\n{tier}"
        raise Refusal(400, text)
    if amounts.gpu and total.gpu > limits.get("gpu", 0):
        text = f"Total GPU limit exceeded. Maximum allowed: {limits.get('gpu', 0)}."
        raise Refusal(400, f"{text}\n{tier}" if limits.get("gpu") else text)
