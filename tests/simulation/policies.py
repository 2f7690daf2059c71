"""Lifecycle policies in the simulation: rules that change at random, what services do by them, what must hold."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from random import Random
from typing import TYPE_CHECKING

from sandboxes.core import gate, policies
from sandboxes.core.policies import MEANINGS, Act, Fetch, Policy, Setting, Wait, Warn
from sandboxes.core.vocabulary import Action, Actor, Rule, Source, Status

if TYPE_CHECKING:
    from collections.abc import Callable
    from uuid import UUID

    from sandboxes.core.facts import Facts, SandboxFacts
    from sandboxes.core.policies import Due
    from tests.simulation.store import Row, Store
    from tests.simulation.world import Time

POLICY = Actor.system("policy")
WARNING = timedelta(seconds=40)
MINUTES = (0, 1, 1, 2, 4, 12)  # hostility lasts for less than half an hour, so a delete comes sooner than it may
BUSY, FETCHING, ACTED = timedelta(seconds=20), timedelta(seconds=5), timedelta(seconds=60)
JUDGED_EVERY = 4.0  # seconds


class Misjudged(AssertionError):
    """A rule did what it must not."""


class Policies:
    """What services make of rules, and people of what rules are about. In some runs there are none."""

    def __init__(self, seed: int, time: Time, store: Store, look: Callable[[Row], None]) -> None:
        self.rng, self.time, self.store, self.look = Random(-seed - 2), time, store, look
        self.is_on = self.rng.random() < 0.6
        self.lasts_into_calm = self.rng.choice((0.0, 1500.0)) if self.is_on else 0.0
        # For when each rule of a sandbox was last announced.
        self._told: dict[tuple[UUID, Rule], datetime] = {}

    def begin(self) -> None:
        if self.is_on:
            self.time.after(30, self._change)
            self.time.after(30, self._judge)
            self.time.after(30, self._use)

    def end(self) -> None:
        """Nobody says a rule any more: what one began, and nobody was asked for yet, is taken back."""
        self.is_on = False
        self._set({})

    # --- what happens around

    def _change(self) -> None:
        if not self.is_on:
            return
        said = [rule for rule in Rule if self.rng.random() < (0.15 if rule == Rule.EXPIRY else 0.4)]
        self._set({rule: Setting(self.rng.choice(MINUTES), "default") for rule in said})
        self.time.after(self.rng.choice((60, 200, 600)), self._change)

    def _set(self, policy: Policy) -> None:
        self.store.policy = policy
        self.store.say(f"rules: {', '.join(f'{rule} {one.minutes} min' for rule, one in policy.items()) or 'none'}")
        for row in self.store.rows:
            if row.sandbox.deleted_at is None:
                self._write(row, policy_due_at=self.time.now)

    def _use(self) -> None:
        """Programs use what runs; now and then somebody protects one."""
        if not self.is_on:
            return
        running = [row for row in self.store.rows if row.sandbox.status == Status.RUNNING]
        if running:
            row, now = self.rng.choice(running), self.time.now
            if self.rng.random() < 0.9:
                self._write(row, last_accessed_at=now)
            else:
                until = self.rng.choice((None, now + timedelta(seconds=200)))
                self._write(row, protected_until=until, policy_due_at=now)
        self.time.after(self.rng.choice((5, 20, 90)), self._use)

    def _write(self, row: Row, **values: object) -> None:
        row.sandbox = replace(row.sandbox, **values)  # type: ignore[arg-type]
        row.version += 1

    # --- what services do

    def _judge(self) -> None:
        for row in self.store.rows:
            due = row.sandbox.policy_due_at
            if due is not None and due <= self.time.now:
                self._judge_one(row)
        if self.is_on:
            self.time.after(JUDGED_EVERY, self._judge)

    def _judge_one(self, row: Row) -> None:
        now, one = self.time.now, row.sandbox
        if row.active is not None:
            self._write(row, policy_due_at=now + BUSY)
            return
        on_hold = self.store.on_hold
        match policies.step(one, self.store.policy, on_hold=on_hold, now=now, warning=WARNING):
            case Wait(at):
                self._write(row, policy_due_at=at)
            case Fetch():
                self._write(row, policy_due_at=now + FETCHING)
                self.look(row)
            case Warn(due):
                self._announced(one, due)
                told = policies.warned(one, self.store.policy, due, on_hold=on_hold)
                self._write(row, policy_warnings=told, policy_due_at=now)
            case Act(due):
                self._write(row, policy_due_at=now + ACTED)
                if self.store.refusal(row, due.action, force=False) is None:
                    self._may_act(row, due)
                    self._act(row, due)

    def _act(self, row: Row, due: Due) -> None:
        self.store.say(f"{row.name}: {due.rule}, {due.minutes} min")
        if due.action == Action.DELETE:
            self.store.request(row, due.action, actor=POLICY, source=Source.POLICY)
        else:
            self.store.create_operation(row, due.action, actor=POLICY, source=Source.POLICY)

    # --- what must hold

    def _announced(self, one: SandboxFacts, due: Due) -> None:
        self.store.say(f"{one.name}: {due.rule} is announced for {due.at:%T}")
        least = WARNING if due.action == Action.DELETE else min(WARNING, timedelta(minutes=due.minutes) / 2)
        if due.at - self.time.now < least:
            raise Misjudged(f"{one.name}: {due.rule} is announced for {due.at:%T}, which is too soon")
        self._told[one.id, Rule(due.rule)] = due.at

    def _may_act(self, row: Row, due: Due) -> None:
        """It was announced in time, and nobody has used or wanted it since so that it would have to wait."""
        rule, now = Rule(due.rule), self.time.now
        announced_for = self._told.get((row.sandbox.id, rule))
        if announced_for is None or announced_for > now:
            raise Misjudged(f"{row.name}: {rule} was announced for {announced_for}")
        self._is_asked_for(row.sandbox, rule, due.minutes)

    def may_call(self, row: Row, facts: Facts, name: str) -> None:
        """Of what a rule began, the first call: a rule still asks for it."""
        operation = facts.operation
        assert operation is not None
        is_rules = (operation.source, operation.actor_kind) == (Source.POLICY, POLICY.kind)
        if not is_rules or any(call.operation_id == operation.id for call in facts.calls):
            return
        wished = facts.sandbox.intent_at
        if operation.action != Action.DELETE and wished is not None and wished > operation.created_at:
            raise Misjudged(f"{row.name}: {name} by a rule, against the wish of {wished:%T}")
        if operation.action != Action.DELETE:
            self._some_rule_asks(row, facts, Action(operation.action))

    def _some_rule_asks(self, row: Row, facts: Facts, action: Action) -> None:
        problems = []
        for rule, said in self.store.policy.items():
            if MEANINGS[rule].action == action and said.minutes:
                try:
                    self._is_asked_for(facts.sandbox, rule, said.minutes)
                except Misjudged as problem:
                    problems.append(str(problem))
                else:
                    return
        raise Misjudged(f"{row.name}: {action} is called for, and no rule asks for it: {problems}")

    def _is_asked_for(self, one: SandboxFacts, rule: Rule, minutes: int) -> None:
        """By the rule's own words: so long without use, of running, at rest, or since the last wish."""
        counts_from = {
            "the wish": one.intent_at,
            "the cancel or the hold": one.policies_from if rule != Rule.EXPIRY else None,
            "the use": one.last_used_at if rule not in (Rule.LONGEST_RUN, Rule.EXPIRY) else None,
            "the change of its status": one.status_changed_at if rule != Rule.EXPIRY else None,
        }
        for what, moment in counts_from.items():
            if moment is not None and self.time.now - moment < timedelta(minutes=minutes):
                raise Misjudged(f"{one.name}: {rule} of {minutes} min, and {what} was at {moment:%T}")
        action = MEANINGS[rule].action
        if one.protected_until is not None and one.protected_until > self.time.now:
            raise Misjudged(f"{one.name}: {rule}, and it is protected")
        if action == Action.DELETE and self.store.on_hold:
            raise Misjudged(f"{one.name}: {rule} deletes what its owner cannot save")
        if action != Action.DELETE and gate.destroys(one, action, force=False) is not None:
            raise Misjudged(f"{one.name}: {rule} destroys it")
        awake, asleep = (Status.RUNNING,), (Status.STOPPED, Status.ARCHIVED)
        allowed = {Rule.IDLE_STOP: awake, Rule.LONGEST_RUN: awake, Rule.ARCHIVE_AFTER: asleep[:1]}
        if one.status not in allowed.get(rule, asleep if rule == Rule.DELETE_AFTER else Status):
            raise Misjudged(f"{one.name}: {rule}, and it is {one.status}")
