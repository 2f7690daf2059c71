"""What to do about a code, said to staff: the remedies of codes.py are for those who have to ask them."""

from __future__ import annotations

from sandboxes.core.codes import MEANINGS, Code, Refused

FOR_STAFF: dict[Code, str] = {
    Code.EPHEMERAL_WOULD_BE_DESTROYED: "Stop it again and agree to destroy it, or leave it running.",
    Code.AUTO_DELETE_WOULD_DESTROY: "Set its auto-delete to -1 first, or agree to let it be deleted.",
    Code.OWNER_ON_HOLD: "Lift the hold on the owner's page.",
    Code.SANDBOX_LIMIT_REACHED: "Delete one, or set a higher limit on the owner's page.",
    Code.SANDBOX_STOPPED_BY_USER: "Start it here if its owner agrees.",
    Code.NOT_CONFIGURED: "Run `manage.py doctor`.",
    Code.DAYTONA_REJECTED: "Daytona's words are in the sandbox's timeline.",
    Code.PERMISSION_DENIED: "Ask an administrator for the permission.",
}


def remedy(code: str) -> str:
    return FOR_STAFF.get(Code(code)) or MEANINGS[Code(code)].remedy


def with_remedy(error: Refused) -> str:
    """A refusal with its remedy."""
    return f"{error.detail} {remedy(error.code)}"
