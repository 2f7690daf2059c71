"""Why something happened to a sandbox: a pure function of what its event has."""

from __future__ import annotations

from sandboxes.core.vocabulary import ActorKind, Word


class Cause(Word):
    PERSON = "person"  # its owner or staff asked for it
    PROGRAM = "program"  # a service key asked for it
    OPERATION = "operation"  # it came of the operation that the event names
    EVICTION = "eviction"  # another sandbox needed its place
    POLICY = "policy"  # a lifecycle policy says so
    INTENT = "intent"  # what a person wanted before was brought about again
    SWEEP = "sweep"  # found by a comparison with Daytona, an import or a restore
    RETENTION = "retention"  # it was kept as long as it had to be
    AUTO_STOP = "auto_stop"  # Daytona stopped what was idle for as long as its interval says
    OUTSIDE = "outside"  # Daytona, or somebody there, without us
    SYSTEM = "system"  # our own work


OF_PART = {
    "evictor": Cause.EVICTION,
    "policy": Cause.POLICY,
    "intent": Cause.INTENT,
    "sweep": Cause.SWEEP,
    "adopt": Cause.SWEEP,
    "restore": Cause.SWEEP,
}
OF_ACTOR = {
    ActorKind.OWNER: Cause.PERSON,
    ActorKind.STAFF: Cause.PERSON,
    ActorKind.SERVICE: Cause.PROGRAM,
}
OF_KIND = {
    "observation": Cause.OUTSIDE,
    "gone": Cause.OUTSIDE,
    "returned": Cause.OUTSIDE,
    "pruned": Cause.RETENTION,
}


def cause_of(*, kind: str, actor: str, has_operation: bool, noted: str = "") -> Cause:
    """What was noted when it was seen counts first, then who asked for it, then what it came of."""
    if noted:
        return Cause(noted)
    asked_by, _, name = actor.partition(":")
    if asked_by == ActorKind.SYSTEM:
        return OF_PART.get(name, Cause.SYSTEM)
    if asked_by:
        return OF_ACTOR[ActorKind(asked_by)]
    return Cause.OPERATION if has_operation else OF_KIND.get(kind, Cause.SYSTEM)
