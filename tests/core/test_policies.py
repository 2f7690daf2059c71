from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from sandboxes.core import policies
from sandboxes.core.codes import Code, Refused
from sandboxes.core.decide import decide
from sandboxes.core.plan import Call, Fail
from sandboxes.core.policies import Act, Due, Fetch, Setting, Wait, Warn
from sandboxes.core.vocabulary import Action, Actor, Intent, PolicyScope, Rule, Source, Status
from tests.core.building import NOW, at, call, facts, fetched, operation, sandbox

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sandboxes.core.facts import SandboxFacts

MINUTE, HOUR, DAY = 60.0, 3600.0, 86_400.0
WARNING = timedelta(minutes=15)


def rules(**minutes: int) -> dict[Rule, Setting]:
    """In force by default: rule=minutes."""
    return {Rule(rule): Setting(value, PolicyScope.DEFAULT) for rule, value in minutes.items()}


def running(**fields: Any) -> SandboxFacts:
    """It runs for an hour, wanted since then, and was used half an hour ago."""
    values = {"intent_at": at(-HOUR), "status_changed_at": at(-HOUR), "last_accessed_at": at(-HOUR / 2)}
    return sandbox(**(values | fields))


def resting(status: Status = Status.STOPPED, **fields: Any) -> SandboxFacts:
    """It stopped a day ago."""
    values = {
        "status": status, "status_changed_at": at(-DAY), "intent": Intent.STOPPED, "intent_at": at(-DAY - 10),
        "created_at": at(-2 * DAY), "last_accessed_at": at(-DAY - HOUR),
    }  # fmt: skip
    return sandbox(status.value, **(values | fields))


def acts_at(row: SandboxFacts, *, on_hold: bool = False, **minutes: Any) -> datetime | None:
    found = policies.dues(row, rules(**minutes), on_hold=on_hold)
    return found[0].at if found else None


def step(row: SandboxFacts, *, on_hold: bool = False, now: datetime = NOW, **minutes: Any) -> policies.Step:
    return policies.step(row, rules(**minutes), on_hold=on_hold, now=now, warning=WARNING)


def _of(rule: Rule, minutes: int) -> dict[str, Any]:
    return {rule.value: minutes}


def warned(row: SandboxFacts, rule: Rule, seconds: float) -> SandboxFacts:
    return replace(row, policy_warnings={rule: at(seconds).isoformat()})


# --- whose policy holds


@dataclass
class Said:
    scope: str
    minutes: Mapping[Rule, int | None] = field(default_factory=dict)


def test_the_most_specific_policy_that_says_something_of_a_rule_wins() -> None:
    found = policies.in_force(
        [
            Said("sandbox", {Rule.EXPIRY: 600}),
            Said("default", {Rule.IDLE_STOP: 60, Rule.LONGEST_RUN: 480, Rule.EXPIRY: 6000}),
            Said("owner", {Rule.IDLE_STOP: None, Rule.LONGEST_RUN: 0}),
            Said("tier", {Rule.IDLE_STOP: 30}),
        ]
    )
    assert found == {
        Rule.IDLE_STOP: Setting(30, "tier"),
        Rule.LONGEST_RUN: Setting(0, "owner"),
        Rule.EXPIRY: Setting(600, "sandbox"),
    }


@pytest.mark.parametrize(
    ("rule", "minutes"), [(Rule.IDLE_STOP, -1), (Rule.EXPIRY, 59), (Rule.LONGEST_RUN, 525_601)]
)
def test_minutes_that_make_no_sense_are_refused(rule: Rule, minutes: int) -> None:
    with pytest.raises(Refused) as error:
        policies.checked(rule, minutes)
    assert error.value.code == Code.INVALID_REQUEST
    assert error.value.extra["errors"][0]["field"] == f"{rule}_minutes"


@pytest.mark.parametrize(
    ("rule", "least"),
    [
        (Rule.IDLE_STOP, 1),
        (Rule.LONGEST_RUN, 1),
        (Rule.ARCHIVE_AFTER, 1),
        (Rule.DELETE_AFTER, 60),
        (Rule.EXPIRY, 60),
    ],
)
def test_the_fewest_and_the_most_minutes_of_each_rule(rule: Rule, least: int) -> None:
    assert (policies.checked(rule, least), policies.checked(rule, 525_600)) == (least, 525_600)


def test_zero_says_never() -> None:
    assert policies.checked(Rule.DELETE_AFTER, 0) == 0
    assert acts_at(running(), idle_stop=0) is None
    assert step(running(), idle_stop=0) == Wait(None)


# --- when a rule acts


def test_the_longest_run_counts_from_when_it_began_to_run_else_from_its_create() -> None:
    assert acts_at(running(status_changed_at=at(-20 * MINUTE)), longest_run=60) == at(40 * MINUTE)
    never_changed = running(status_changed_at=None, created_at=at(-10 * MINUTE))
    assert acts_at(never_changed, longest_run=60) == at(50 * MINUTE)


def test_an_idle_stop_counts_from_the_last_use_by_either_clock() -> None:
    assert acts_at(running(), idle_stop=60) == at(HOUR / 2)
    assert acts_at(running(last_activity_at=at(-MINUTE)), idle_stop=60) == at(59 * MINUTE)


def test_what_was_last_used_before_it_started_is_idle_since_the_start() -> None:
    assert acts_at(running(last_accessed_at=at(-DAY)), idle_stop=60) == NOW


def test_the_longest_run_counts_from_the_start_whatever_the_use() -> None:
    assert acts_at(running(), longest_run=90) == at(HOUR / 2)


@pytest.mark.parametrize("rule", list(Rule))
def test_no_rule_counts_from_before_a_wish_or_from_before_policies_do(rule: Rule) -> None:
    row = resting() if rule in (Rule.ARCHIVE_AFTER, Rule.DELETE_AFTER) else running()
    minutes = _of(rule, 120)
    assert acts_at(replace(row, intent_at=at(-5)), **minutes) == at(-5 + 2 * HOUR)
    assert acts_at(replace(row, policies_from=at(-7), intent_at=None), **minutes) == at(-7 + 2 * HOUR)


@pytest.mark.parametrize("rule", list(Rule))
def test_a_protection_postpones_every_rule(rule: Rule) -> None:
    row = resting() if rule in (Rule.ARCHIVE_AFTER, Rule.DELETE_AFTER) else running()
    minutes = _of(rule, 60)
    assert acts_at(replace(row, protected_until=at(3 * DAY)), **minutes) == at(3 * DAY)


def test_rest_counts_from_the_stop_and_from_the_archive_anew() -> None:
    assert acts_at(resting(), archive_after=1440) == NOW
    assert acts_at(resting(Status.ARCHIVED), archive_after=1440) is None
    archived = resting(Status.ARCHIVED, status_changed_at=at(-HOUR))
    assert acts_at(archived, delete_after=1440) == at(DAY - HOUR)
    assert acts_at(resting(last_accessed_at=at(-MINUTE)), delete_after=1440) == at(DAY - MINUTE)
    assert acts_at(running(), delete_after=1440, archive_after=1440) is None


def test_expiry_counts_from_the_last_wish_running_or_not() -> None:
    for row in (running(), resting(intent_at=at(-HOUR))):
        assert acts_at(row, expiry=120) == at(HOUR)


@pytest.mark.parametrize("fields", [{"intent": Intent.DELETED}, {"deleted_at": at(-5), "status": Status.GONE}])
def test_what_is_deleted_or_to_be_has_no_rules(fields: dict[str, Any]) -> None:
    assert step(running(**fields), idle_stop=1, longest_run=1, expiry=60) == Wait(None)


@pytest.mark.parametrize(
    "fields",
    [{"ephemeral": True, "observed_auto_delete": 0}, {"observed_auto_delete": 60}, {"missing_since": at(-5)}],
)
def test_a_stop_that_would_destroy_is_not_made_and_it_is_judged_again(fields: dict[str, Any]) -> None:
    assert step(running(**fields), idle_stop=10) == Wait(at(HOUR))


def test_an_ephemeral_one_expires_all_the_same() -> None:
    row = running(ephemeral=True, observed_auto_delete=0, intent_at=at(-2 * HOUR), created_at=at(-2 * HOUR))
    assert acts_at(row, expiry=60) == at(-HOUR)


def test_nothing_of_an_owner_on_hold_is_deleted() -> None:
    assert step(resting(), on_hold=True, delete_after=60) == Wait(at(HOUR))
    assert acts_at(resting(), on_hold=True, archive_after=60) == at(-DAY + HOUR)


# --- what is to be done


def test_a_rule_is_announced_before_it_acts() -> None:
    row = running()
    assert step(row, idle_stop=60) == Wait(at(15 * MINUTE))
    announced = step(row, now=at(15 * MINUTE), idle_stop=60)
    assert announced == Warn(Due(Rule.IDLE_STOP, "default", 60, Action.STOP, at(HOUR / 2)))
    row = warned(row, Rule.IDLE_STOP, HOUR / 2)
    assert step(row, now=at(20 * MINUTE), idle_stop=60) == Wait(at(HOUR / 2))
    assert isinstance(step(row, now=at(HOUR / 2), idle_stop=60), Act)


def test_of_several_rules_the_first_moment_is_waited_for() -> None:
    assert step(running(), idle_stop=60, longest_run=180) == Wait(at(15 * MINUTE))


def test_a_use_after_the_announcement_takes_it_back() -> None:
    row = warned(running(last_accessed_at=at(20 * MINUTE)), Rule.IDLE_STOP, HOUR / 2)
    assert step(row, now=at(HOUR / 2), idle_stop=60) == Wait(at(65 * MINUTE))


@pytest.mark.parametrize("rule", [Rule.LONGEST_RUN, Rule.EXPIRY])
def test_what_is_overdue_when_it_is_first_judged_is_announced_first(rule: Rule) -> None:
    """A policy that was just made, or workers that were away."""
    row = running(intent_at=at(-2 * DAY), status_changed_at=at(-2 * DAY), created_at=at(-2 * DAY))
    announced = step(row, **_of(rule, 120))
    assert isinstance(announced, Warn)
    assert announced.due.at == at(15 * MINUTE)
    row = warned(row, rule, 15 * MINUTE)
    assert step(row, now=at(14 * MINUTE), **_of(rule, 120)) == Wait(at(15 * MINUTE))


def test_a_short_rule_is_announced_when_half_of_it_is_over_and_a_delete_never_later() -> None:
    row = running(last_accessed_at=NOW)
    assert step(row, idle_stop=10) == Wait(at(5 * MINUTE))
    archived = resting(status_changed_at=at(-44 * MINUTE), intent_at=None, last_accessed_at=None)
    assert step(archived, delete_after=60) == Wait(at(MINUTE))


def test_each_rule_has_its_own_announcement() -> None:
    row = warned(running(intent_at=at(-HOUR)), Rule.IDLE_STOP, 10 * MINUTE)
    minutes: dict[str, Any] = {"idle_stop": 40, "expiry": 72}
    announced = step(row, **minutes)
    assert isinstance(announced, Warn)
    assert announced.due.rule == Rule.EXPIRY
    held = policies.warned(row, rules(**minutes), announced.due, on_hold=False)
    assert held == {"idle_stop": at(10 * MINUTE).isoformat(), "expiry": at(15 * MINUTE).isoformat()}


def test_before_a_delete_daytona_is_asked() -> None:
    row = warned(resting(observed_at=at(-61)), Rule.DELETE_AFTER, -1)
    assert step(row, delete_after=1439) == Fetch()
    assert isinstance(step(replace(row, observed_at=at(-60)), delete_after=1439), Act)


# --- just before the call


def began(action: Action, **fields: Any) -> Any:
    return operation(action, source=Source.POLICY, actor_kind="system", actor_id="policy", **fields)


def test_a_stop_is_judged_again_by_the_fetch_just_before_its_call() -> None:
    row = running()
    late = decide(facts(fetched(), of=row, operation=began(Action.STOP), policy=rules(idle_stop=30, expiry=6000)))
    assert late.step == Call(Action.STOP)
    used = fetched(last_activity_at=at(-MINUTE))
    decision = decide(facts(used, of=row, operation=began(Action.STOP), policy=rules(idle_stop=29)))
    assert decision.step == Fail(Code.NO_LONGER_DUE)
    assert decision.operation is not None
    assert decision.operation.status == "cancelled"
    assert decision.sandbox.intent == Intent.RUNNING


def test_a_stop_that_was_called_for_goes_on_and_one_that_a_person_joined_is_theirs() -> None:
    used = fetched(last_activity_at=at(-MINUTE))
    refused = call(Action.STOP, -20, "refused")
    row = running(status=Status.STOPPING)
    decision = decide(
        facts(used, of=row, operation=began(Action.STOP), calls=(refused,), policy=rules(idle_stop=29))
    )
    assert decision.step == Call(Action.STOP)
    theirs = replace(began(Action.STOP), actor_kind="owner", actor_id="alice")
    joined = decide(facts(used, of=running(), operation=theirs, policy=rules(idle_stop=29)))
    assert joined.step == Call(Action.STOP)


# --- what is shown


def shown(row: SandboxFacts, **minutes: int) -> list[tuple[str, str, datetime]]:
    found = policies.forecast(row, rules(**minutes), on_hold=False, now=NOW, warning=WARNING)
    return [(due.rule, due.scope, due.at) for due in found]


def test_daytonas_own_intervals_are_shown_beside_the_rules_and_the_first_comes_first() -> None:
    row = running(last_activity_at=at(-MINUTE))
    assert shown(row, idle_stop=60) == [
        ("auto_stop", "daytona", at(14 * MINUTE)), ("idle_stop", "default", at(59 * MINUTE)),
    ]  # fmt: skip
    stopped = resting(observed_auto_archive=2880, observed_auto_delete=7200)
    assert shown(stopped, archive_after=1500) == [
        ("archive_after", "default", at(HOUR)),
        ("auto_archive", "daytona", at(DAY)),
        ("auto_delete", "daytona", at(4 * DAY)),
    ]


def test_an_interval_of_daytonas_that_is_off_unknown_or_without_a_beginning_is_not_shown() -> None:
    off: dict[str, Any] = {"observed_auto_archive": None, "observed_auto_delete": -1}
    assert shown(resting(**off)) == []
    assert shown(resting(**(off | {"observed_auto_delete": 0}))) == []
    assert shown(resting(**(off | {"observed_auto_archive": 1440, "status_changed_at": None}))) == []
    just_now = resting(**(off | {"observed_auto_archive": 1, "status_changed_at": NOW}))
    assert shown(just_now) == [("auto_archive", "daytona", at(MINUTE))]


def test_of_each_action_the_first_rule_is_told_and_nothing_after_a_delete() -> None:
    def told(row: SandboxFacts, **minutes: int) -> list[str]:
        found = policies.forecast(row, rules(**minutes), on_hold=False, now=NOW, warning=WARNING)
        return [due.rule for due in policies.by_rules(found)]

    row = running(last_activity_at=at(-MINUTE), last_accessed_at=NOW)
    assert told(row, idle_stop=100, longest_run=3000, expiry=6000) == ["idle_stop", "expiry"]
    assert told(row, idle_stop=300, expiry=180) == ["expiry"]
    assert told(row) == []


@pytest.mark.parametrize("scope", PolicyScope)
def test_who_may_set_a_policy(scope: PolicyScope) -> None:
    policies.check_may_set(Actor.staff("bob"), scope)
    policies.check_may_set(Actor.service("app", on_behalf_of=None), scope)
    refused = [Actor.owner("alice")]
    if scope in (PolicyScope.DEFAULT, PolicyScope.TIER):
        refused += [Actor.service("app", on_behalf_of="alice"), Actor.staff("bob", on_behalf_of="alice")]
    else:
        policies.check_may_set(Actor.service("app", on_behalf_of="alice"), scope)
    for actor in refused:
        with pytest.raises(Refused) as error:
            policies.check_may_set(actor, scope)
        assert error.value.code == Code.PERMISSION_DENIED


def test_what_ends_an_ephemeral_one_is_shown_as_a_delete() -> None:
    row = running(ephemeral=True, observed_auto_delete=0, last_activity_at=NOW)
    found = policies.forecast(row, {}, on_hold=False, now=NOW, warning=WARNING)
    assert policies.first(found, Action.STOP) is None
    assert policies.first(found, Action.DELETE) == Due("auto_stop", "daytona", 15, Action.DELETE, at(15 * MINUTE))


def test_what_is_overdue_is_shown_for_when_it_will_be_done() -> None:
    row = running(observed_auto_stop=0)
    assert shown(row, longest_run=30) == [("longest_run", "default", at(15 * MINUTE))]
    row = warned(row, Rule.LONGEST_RUN, 7 * MINUTE)
    assert shown(row, longest_run=30) == [("longest_run", "default", at(7 * MINUTE))]
