"""Whose a sandbox without a row is: its label says it, or during an import Convex's row."""

from __future__ import annotations

from collections.abc import Iterable

from sandboxes.gateways import convex
from sandboxes.gateways.daytona import RemoteSandbox
from sandboxes.services.reconcile.result import Options
from sandboxes.services.reconcile.run import Run

LABEL = "harness_user_id"


def owners_of(run: Run, items: Iterable[RemoteSandbox]) -> dict[str, str]:
    """The owner of each by Daytona's id; those that have none are somebody else's.

    The replaced application lost the labels of a sandbox when it was renamed, so an import asks Convex about
    those that have none.
    """
    owners = {item.id: item.labels.get(LABEL, "") for item in items}
    if _is_import(run.options):
        for daytona_id in [key for key, owner in owners.items() if not owner]:
            owners[daytona_id] = _ask_convex(run, daytona_id)
    return {daytona_id: owner for daytona_id, owner in owners.items() if owner}


def _is_import(options: Options) -> bool:
    return options.adopt and options.verify_convex


def _ask_convex(run: Run, daytona_id: str) -> str:
    gateway = convex.gateway()
    if gateway is None:
        return ""
    try:
        run.beat()
        if gateway.own_functions() and gateway.has(convex.Function.OWNER) is False:
            return ""  # the comparison with Convex's list names it, if that has a row of it
        return gateway.owner_of(daytona_id) or ""
    except convex.ConvexError as error:
        run.partial(f"Convex did not say whose a sandbox without labels is: {error}")
        return ""
