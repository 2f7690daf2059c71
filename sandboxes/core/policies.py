"""Lifecycle policies: which rules hold for a sandbox, when each acts, and what is to be done about it now.

Pure: no query, no clock.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Protocol

from sandboxes.core.codes import Code, Refused, invalid
from sandboxes.core.gate import destroys
from sandboxes.core.intervals import MAX_MINUTES
from sandboxes.core.vocabulary import Action, Actor, ActorKind, Intent, PolicyScope, Rule, Status

if TYPE_CHECKING:
    from sandboxes.core.draft import Draft
    from sandboxes.core.facts import Facts, SandboxFacts

DAYTONA = "daytona"  # the scope of what Daytona's own intervals do
RESTING = (Status.STOPPED, Status.ARCHIVED)
# What spares a sandbox from a rule may end without a word to us: it is judged again then.
JUDGE_AGAIN = timedelta(hours=1)
# A delete cannot be taken back: it needs an observation that is no older.
SEEN_WITHIN = timedelta(minutes=1)
NEVER = 0  # minutes: the rule is off, also where a less specific policy has it


@dataclass(frozen=True, slots=True)
class RuleMeaning:
    """`least`: the fewest minutes that make sense."""

    action: Action
    least: int
    words: str


MEANINGS: dict[Rule, RuleMeaning] = {
    Rule.IDLE_STOP: RuleMeaning(Action.STOP, 1, "without use"),
    Rule.LONGEST_RUN: RuleMeaning(Action.STOP, 1, "of running"),
    Rule.ARCHIVE_AFTER: RuleMeaning(Action.ARCHIVE, 1, "at rest"),
    Rule.DELETE_AFTER: RuleMeaning(Action.DELETE, 60, "at rest"),
    Rule.EXPIRY: RuleMeaning(Action.DELETE, 60, "since somebody last asked for it"),
}


class PolicyRow(Protocol):
    """What one scope says: minutes by rule; None where it says nothing."""

    @property
    def scope(self) -> str: ...
    @property
    def minutes(self) -> Mapping[Rule, int | None]: ...


@dataclass(frozen=True, slots=True)
class Setting:
    """The minutes in force of one rule, and the scope that they come from."""

    minutes: int
    scope: str


Policy = Mapping[Rule, Setting]


@dataclass(frozen=True, slots=True)
class Due:
    """When a rule acts, if nothing changes. `rule` may also be one of Daytona's own intervals."""

    rule: str
    scope: str
    minutes: int
    action: Action
    at: datetime


@dataclass(frozen=True, slots=True)
class Wait:
    """Nothing is to be done before then; None: not before the sandbox changes."""

    at: datetime | None


@dataclass(frozen=True, slots=True)
class Fetch:
    """Daytona is asked first."""


@dataclass(frozen=True, slots=True)
class Warn:
    """It is announced that this rule acts, and when."""

    due: Due


@dataclass(frozen=True, slots=True)
class Act:
    """The rule acts now."""

    due: Due


Step = Wait | Fetch | Warn | Act


def checked(rule: Rule, minutes: int) -> int:
    """The minutes of a rule, if they make sense.

    Raises:
        Refused: INVALID_REQUEST.
    """
    least = MEANINGS[rule].least
    if minutes != NEVER and not least <= minutes <= MAX_MINUTES:
        raise invalid(f"{rule}_minutes", f"{rule} is 0 (never), or {least} to {MAX_MINUTES} minutes, a year.")
    return minutes


def check_may_set(actor: Actor, scope: PolicyScope) -> None:
    """Policies are the operator's: no end user sets one, and who acts for one owner sets none that is about others.

    Raises:
        Refused: PERMISSION_DENIED.
    """
    if actor.kind == ActorKind.OWNER:
        detail = "Lifecycle policies are the operator's: ask staff, or set protected_until of the sandbox."
        raise Refused(Code.PERMISSION_DENIED, detail)
    if actor.only_owner is not None and scope in (PolicyScope.DEFAULT, PolicyScope.TIER):
        detail = "It is about all owners' sandboxes: leave X-On-Behalf-Of out, with a key that has sandboxes:any."
        raise Refused(Code.PERMISSION_DENIED, detail)


def in_force(rows: Iterable[PolicyRow]) -> Policy:
    """Of each rule the minutes of the most specific policy that says anything of it."""
    found: dict[Rule, Setting] = {}
    for row in sorted(rows, key=lambda one: PolicyScope.values.index(one.scope)):
        said = ((rule, minutes) for rule, minutes in row.minutes.items() if minutes is not None)
        found |= {rule: Setting(minutes, row.scope) for rule, minutes in said}
    return found


# --- when a rule acts


def _of_running(row: SandboxFacts) -> datetime | None:
    return (row.status_changed_at or row.created_at) if row.status == Status.RUNNING else None


def _of_use(row: SandboxFacts) -> datetime | None:
    runs_since = _of_running(row)
    return None if runs_since is None else max(runs_since, row.last_used_at)


def _of_rest(row: SandboxFacts, statuses: tuple[Status, ...]) -> datetime | None:
    """An archive is a rest of its own: what was archived is kept as long as what was only stopped."""
    return max(row.status_changed_at or row.created_at, row.last_used_at) if row.status in statuses else None


_SINCE: dict[Rule, Callable[[SandboxFacts], datetime | None]] = {
    Rule.IDLE_STOP: _of_use,
    Rule.LONGEST_RUN: _of_running,
    Rule.ARCHIVE_AFTER: lambda row: _of_rest(row, (Status.STOPPED,)),
    Rule.DELETE_AFTER: lambda row: _of_rest(row, RESTING),
    Rule.EXPIRY: lambda row: row.created_at,
}


def _since(row: SandboxFacts, rule: Rule) -> datetime | None:
    """What the rule counts from: never from before a wish, which is always later than what it changed."""
    since = None if row.deleted_at is not None or row.intent == Intent.DELETED else _SINCE[rule](row)
    return since and max(filter(None, (since, row.intent_at, row.policies_from)))


def _is_spared(row: SandboxFacts, action: Action, *, on_hold: bool) -> bool:
    """Whether the rule may not act for now: it would destroy what is only to be stopped, delete what its owner
    cannot save, or rely on what Daytona does not confirm."""
    is_missing = row.missing_since is not None
    return is_missing or (on_hold and action == Action.DELETE) or destroys(row, action, force=False) is not None


def dues(row: SandboxFacts, policy: Policy, *, on_hold: bool) -> list[Due]:
    """When each rule that concerns the sandbox as it is now acts; a protection postpones all of them."""
    found = []
    for rule, setting in policy.items():
        action, since = MEANINGS[rule].action, _since(row, rule)
        if setting.minutes == NEVER or since is None or _is_spared(row, action, on_hold=on_hold):
            continue
        at = since + timedelta(minutes=setting.minutes)
        at = max(at, row.protected_until) if row.protected_until is not None else at
        found.append(Due(rule, setting.scope, setting.minutes, action, at))
    return found


def is_withdrawn(draft: Draft, facts: Facts) -> bool:
    """Whether no rule asks any more for the stop or archive that one began, before it is called for: it was used
    since."""
    action = draft.attempted.action
    if action == Action.DELETE or draft.own_calls:
        return False
    found = dues(draft.sandbox, facts.policy, on_hold=facts.on_hold)
    return not any(due.action == action and due.at <= facts.now for due in found)


# --- what is to be done now


def step(row: SandboxFacts, policy: Policy, *, on_hold: bool, now: datetime, warning: timedelta) -> Step:
    """What the rules ask for now: each is announced before it acts, however late that is."""
    found = sorted(dues(row, policy, on_hold=on_hold), key=lambda due: due.at)
    moments = []
    for due in found:
        acts_at = _announced(row, due)
        if acts_at is None:
            lead = _lead(due, warning)
            if due.at - lead <= now:
                return Warn(replace(due, at=max(due.at, now + lead)))
            moments.append(due.at - lead)
        elif acts_at > now:
            moments.append(acts_at)
        elif due.action == Action.DELETE and not _is_seen(row, now):
            return Fetch()
        else:
            return Act(replace(due, at=acts_at))
    counted = [rule for rule, setting in policy.items() if setting.minutes != NEVER and _since(row, rule)]
    if len(counted) > len(found):
        moments.append(now + JUDGE_AGAIN)
    return Wait(min(moments, default=None))


def _announced(row: SandboxFacts, due: Due) -> datetime | None:
    """When the rule acts, if it was announced; a use, or a wish, that came later takes it back."""
    text = row.policy_warnings.get(due.rule)
    at = datetime.fromisoformat(text) if text else None
    return at if at is not None and at >= due.at else None


def _lead(due: Due, warning: timedelta) -> timedelta:
    """How long before it is announced: for a rule of a few minutes half of them, else each use would be followed by
    a warning. A delete has the whole time."""
    return warning if due.action == Action.DELETE else min(warning, timedelta(minutes=due.minutes) / 2)


def _is_seen(row: SandboxFacts, now: datetime) -> bool:
    return row.daytona_id is None or (row.observed_at is not None and now - row.observed_at <= SEEN_WITHIN)


def warned(row: SandboxFacts, policy: Policy, due: Due, *, on_hold: bool) -> dict[str, str]:
    """The announcements that hold, with this one."""
    held = {other.rule: at for other in dues(row, policy, on_hold=on_hold) if (at := _announced(row, other))}
    return {rule: at.isoformat() for rule, at in (held | {due.rule: due.at}).items()}


# --- what is shown


def forecast(row: SandboxFacts, policy: Policy, *, on_hold: bool, now: datetime, warning: timedelta) -> list[Due]:
    """All that will be done to the sandbox by a rule or by Daytona's own intervals, the first of them first."""
    ours = [
        replace(due, at=_announced(row, due) or max(due.at, now + _lead(due, warning)))
        for due in dues(row, policy, on_hold=on_hold)
    ]
    return sorted([*ours, *_of_daytona(row)], key=lambda due: due.at)


def _of_daytona(row: SandboxFacts) -> list[Due]:
    """What Daytona's intervals will do, as far as we know when it was last used there."""
    found: list[tuple[str, Action, datetime | None, int | None]] = []
    if row.status == Status.RUNNING and row.observed_auto_stop:
        used = max(
            filter(None, (row.last_activity_at, row.touch_forwarded_at, row.status_changed_at)), default=None
        )
        action = Action.DELETE if row.ephemeral else Action.STOP
        found.append(("auto_stop", action, used, row.observed_auto_stop))
    if row.status == Status.STOPPED:
        found.append(("auto_archive", Action.ARCHIVE, row.status_changed_at, row.observed_auto_archive))
        found.append(("auto_delete", Action.DELETE, row.status_changed_at, row.observed_auto_delete))
    return [
        Due(rule, DAYTONA, minutes, action, since + timedelta(minutes=minutes))
        for rule, action, since, minutes in found
        if since is not None and minutes is not None and minutes > 0
    ]


def first(forecast: Iterable[Due], action: Action) -> Due | None:
    """What comes first of those that end so."""
    return next((due for due in forecast if due.action == action), None)


def by_rules(forecast: Iterable[Due]) -> list[Due]:
    """What our rules will do: of each action the first, and nothing after a delete."""
    found: list[Due] = []
    for due in forecast:
        if due.scope != DAYTONA and not any(one.action in (due.action, Action.DELETE) for one in found):
            found.append(due)
    return found
