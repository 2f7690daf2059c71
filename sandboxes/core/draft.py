"""A decision while it is being made: the new values so far, and the effects in their order."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from sandboxes.core.actions import INTENT_OF
from sandboxes.core.facts import (
    AddEvent,
    CallFacts,
    ChangeIntent,
    Decision,
    Effect,
    Facts,
    IntentSetting,
    Limits,
    OpenNotice,
    OperationFacts,
    ReleaseRoom,
    SandboxFacts,
)
from sandboxes.core.vocabulary import Action, Actor, EventKind, Intent, OperationStatus

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sandboxes.core.codes import Code, NoticeCode
    from sandboxes.core.plan import Step


class Draft:
    """Local to one decision; the facts themselves are never changed.

    `fetched_at`: when the latest fetch began, also one that found nothing.
    """

    def __init__(
        self,
        sandbox: SandboxFacts,
        *,
        now: datetime,
        limits: Limits,
        operation: OperationFacts | None = None,
        active: str | None = None,
        calls: tuple[CallFacts, ...] = (),
    ) -> None:
        self.sandbox, self.operation, self.calls = sandbox, operation, calls
        self.now, self.limits, self._active = now, limits, active
        self.effects: list[Effect] = []
        self.fetched_at = sandbox.observed_at

    @classmethod
    def of(cls, facts: Facts) -> Draft:
        return cls(
            facts.sandbox, now=facts.now, limits=facts.limits, operation=facts.operation, active=facts.active,
            calls=facts.calls,
        )  # fmt: skip

    def decide(self, step: Step | None) -> Decision:
        """What has been drafted, with the step that follows it."""
        return Decision(
            step=step, sandbox=self.sandbox, operation=self.operation, calls=self.calls, effects=tuple(self.effects)
        )

    @property
    def attempted(self) -> OperationFacts:
        """The operation, for whoever knows that there is one."""
        assert self.operation is not None
        return self.operation

    @property
    def active(self) -> str | None:
        """The action of the active operation; None when there is none."""
        if self.operation is not None and self.operation.is_active:
            return self.operation.action
        return self._active

    @property
    def own_calls(self) -> tuple[CallFacts, ...]:
        """The calls that this operation has made."""
        if self.operation is None:
            return ()
        return tuple(call for call in self.calls if call.operation_id == self.operation.id)

    def set(self, **values: Any) -> None:
        self.sandbox = self.sandbox.but(**values)

    def set_operation(self, **values: Any) -> None:
        self.operation = self.attempted.but(**values)

    def set_call(self, before: CallFacts, after: CallFacts) -> None:
        self.calls = tuple(after if call is before else call for call in self.calls)

    def event(
        self,
        kind: EventKind,
        text: str,
        data: Mapping[str, Any] | None = None,
        *,
        of_operation: bool = True,
        actor: object = "",
    ) -> None:
        self.effects.append(
            AddEvent(kind=kind, text=text, data=data or {}, actor=str(actor), of_operation=of_operation)
        )

    def tell(self, code: NoticeCode, text: str) -> None:
        self.effects.append(OpenNotice(code, text))

    def later(self, seconds: float) -> datetime:
        return self.now + timedelta(seconds=seconds)

    def intent_setting(self) -> IntentSetting:
        """What is wanted now."""
        row = self.sandbox
        return IntentSetting(
            intent=row.intent, actor_kind=row.intent_actor_kind, actor_id=row.intent_actor_id,
            reason=row.intent_reason, at=row.intent_at, met_at=row.intent_met_at,
        )  # fmt: skip

    def set_intent(self, intent: Intent, *, actor: Actor, reason: str) -> None:
        """Somebody wants this from now on."""
        before = self.intent_setting()
        setting = IntentSetting(
            intent=intent, actor_kind=actor.kind, actor_id=actor.id, reason=reason[:500], at=self.now, met_at=None
        )
        self._put_intent(setting, before)
        if before.intent != intent:
            message = f"Wanted {intent}" + (f": {reason}" if reason else "")
            self.event(EventKind.INTENT, message, of_operation=False, actor=actor)

    def revert_intent(self) -> None:
        """Take back the intent that the operation brought, if it is still the one that is wanted."""
        previous = self.attempted.previous_intent
        if previous is None or INTENT_OF.get(self.attempted.action) != self.sandbox.intent:
            return
        self._put_intent(previous, self.intent_setting())
        self.event(EventKind.INTENT, f"Wanted {previous.intent} again")

    def _put_intent(self, setting: IntentSetting, before: IntentSetting) -> None:
        self.set(
            intent=setting.intent, intent_actor_kind=setting.actor_kind, intent_actor_id=setting.actor_id,
            intent_reason=setting.reason, intent_at=setting.at, intent_met_at=setting.met_at,
        )  # fmt: skip
        self.effects.append(ChangeIntent(before=before, setting=setting))

    def release_room(self) -> None:
        """The search for room is over: somebody else may search."""
        search = self.operation.search if self.operation is not None else None
        if search is not None and search.lease:
            self.effects.append(ReleaseRoom(search))
            self.set_operation(search=search.released())

    def close_operation(self, status: OperationStatus, *, code: Code | None = None, message: str = "") -> None:
        """End the operation. A sync that learned something has told of it already."""
        self.release_room()
        operation = self.attempted
        self.set_operation(
            status=status, code=code or "", message=message, step="", due_at=None, finished_at=self.now
        )
        if operation.action == Action.SYNC and status != OperationStatus.FAILED:
            return
        text = f"{Action(operation.action).label} {status}" + (f": {code}" if code else "")
        data = {"status": status, "code": code or ""} | ({"message": message} if message else {})
        self.event(EventKind.OPERATION, text, data)
