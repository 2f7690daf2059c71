"""Doing something to sandboxes: ask where it must be asked; one is done at once, several become a job."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import structlog
from django import forms
from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.db import DatabaseError
from django.shortcuts import redirect
from django.urls import reverse

from sandboxes.admin import choosing, selectors
from sandboxes.admin.choosing import CHOSEN, NAMED, QUERY, SKIPPED, Choice, Crowd
from sandboxes.admin.fields import FormText
from sandboxes.admin.plan import Plan
from sandboxes.admin.remedies import with_remedy
from sandboxes.admin.verbs import VERBS, Verb, actor_of, current_request_id, obstacle
from sandboxes.core.codes import Refused
from sandboxes.core.parameters import Parameters
from sandboxes.models import Sandbox
from sandboxes.services import jobs
from sandboxes.services.staff_actions import Wish, perform

if TYPE_CHECKING:
    from uuid import UUID

    from django.http import HttpRequest, HttpResponse, HttpResponseRedirect

    from sandboxes.core.parameters import Described
    from sandboxes.core.vocabulary import Actor

log = structlog.get_logger(__name__)


class ReasonForm(forms.Form):
    """What is asked before a stop, archive, delete or protect."""

    reason = FormText(
        max_length=300,
        strip=True,
        widget=forms.TextInput({"class": "sk-input", "autofocus": True, "autocomplete": "off"}),
        help_text="The owner, programs and the timeline see it.",
        error_messages={"required": "Say why: the owner and programs see it."},
    )

    def __init__(self, verb: Verb, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._verb = verb
        if not verb.asks_why:
            del self.fields["reason"]
        self.fields |= {name: _field_of(one) for name, one in verb.offers.items()}

    @property
    def said(self) -> list[forms.BoundField]:
        """What is said with this verb alone; the force has its place beside what is destroyed."""
        return [self[name] for name in self._verb.offers if name not in Parameters.described()]

    def wish(self, actor: Actor) -> Wish:
        data = {name: value for name, value in self.cleaned_data.items() if name in self._verb.offers}
        return Wish(
            actor=actor,
            request_id=current_request_id(),
            reason=self.cleaned_data.get("reason", ""),
            parameters=self._verb.does.parameters(**data),
        )


def _field_of(one: Described) -> forms.Field:
    """The field of a form for a parameter."""
    if one.kind is bool:
        return forms.BooleanField(required=False, label=one.about)
    if one.choices:
        widget = forms.Select({"class": "sk-input"})
        return forms.TypedChoiceField(
            choices=one.choices, coerce=int, initial=one.default, label=one.about, widget=widget
        )
    return forms.IntegerField(
        min_value=one.least, max_value=one.most, initial=one.default, required=False, label=one.about,
        widget=forms.NumberInput({"class": "sk-input"}),
    )  # fmt: skip


def from_list(model_admin: Any, request: HttpRequest, queryset: Any) -> HttpResponse:
    """Django's own way to run an action: the list posted to itself."""
    return act(model_admin, request, VERBS[request.POST["action"]])


def act(model_admin: Any, request: HttpRequest, verb: Verb) -> HttpResponse:
    """POST: do the verb to the chosen sandboxes, or first say what it will do and ask for a reason."""
    if request.method != "POST":  # a reload, or the address of a page that asked
        return redirect("admin:sandboxes_sandbox_changelist")
    if not (request.user.has_perm(verb.permission) and model_admin.has_view_permission(request)):
        raise PermissionDenied
    choice = choosing.chosen(model_admin, request)
    if not choice.ids:
        messages.warning(request, "No sandbox was chosen.")
        return redirect("admin:sandboxes_sandbox_changelist")
    is_confirmed = "confirmed" in request.POST
    form = ReasonForm(verb, request.POST if is_confirmed else None, initial=request.POST.dict())
    if not verb.asks and choice.is_seen and not is_confirmed:
        wish = Wish(actor=actor_of(request), request_id=current_request_id(), parameters=verb.does.parameters())
        return finish(request, verb, choice.ids, wish)
    if not form.is_valid() or not _agreed(form, verb, choice.ids):
        return ask(model_admin, request, verb, choice, form)
    return finish(request, verb, choice.ids, form.wish(actor_of(request)))


def _agreed(form: ReasonForm, verb: Verb, ids: list[UUID]) -> bool:
    """A stop of nothing but what it destroys does nothing unless it may."""
    if not verb.does.may_destroy or form.cleaned_data["force"] or len(ids) > NAMED:
        return True
    plan = Plan.of(verb, list(selectors.with_latest_operation(Sandbox.objects.filter(pk__in=ids))))
    if plan.todo or not plan.destroyed:
        return True
    form.add_error("force", "Agree to destroy, or cancel: there is no other way to stop it.")
    return False


def ask(model_admin: Any, request: HttpRequest, verb: Verb, choice: Choice, form: ReasonForm) -> HttpResponse:
    """The page that says what will happen to *these* sandboxes, whatever the list shows by then."""
    asked = [*choice.ids, *choosing.ids_in(request, SKIPPED)]
    plan, crowd = Plan(), None
    if len(asked) > NAMED:
        crowd = Crowd.of(verb, asked)
        title = sandboxes(crowd.total)
        ids, left_out = asked, []
    else:
        rows = list(selectors.with_latest_operation(Sandbox.objects.filter(pk__in=asked)).order_by("name"))
        plan = Plan.of(verb, rows)
        named = plan.acted_on or rows
        title = sandboxes(len(named)) if len(named) != 1 else named[0].display_name
        ids, left_out = [row.pk for row in plan.acted_on], [row.pk for row, _ in plan.skipped]
    return model_admin.page(
        request,
        "sandboxes/ask.html",
        title=f"{verb.label} {title}?",
        verb=verb,
        form=form,
        plan=plan,
        crowd=crowd,
        choice=choice,
        at_most=choosing.AT_MOST,
        fields=[(CHOSEN, _together(ids)), (SKIPPED, _together(left_out))],
        query=request.POST.get(QUERY),
        back=back_to(request, asked),
    )


def _together(ids: list[UUID]) -> str:
    return ",".join(pk.hex for pk in ids)


def back_to(request: HttpRequest, ids: list[UUID]) -> str:
    """The list as it was, if the choice was made there; else the sandbox's page."""
    if len(ids) == 1 and QUERY not in request.POST:
        return reverse("admin:sandboxes_sandbox_change", args=[ids[0]])
    return selectors.list_address(request.POST.get(QUERY, ""))


def finish(request: HttpRequest, verb: Verb, ids: list[UUID], wish: Wish) -> HttpResponseRedirect:
    """Do it to the one and go to its page, or make a job of several and go to the job's."""
    skipped = [pk for pk in choosing.ids_in(request, SKIPPED) if pk not in ids]
    if len(ids) + len(skipped) > 1:
        left_out = _why_left_out(verb, skipped)
        job = jobs.create(verb.name, ids, wish, left_out=left_out, query=request.POST.get(QUERY, ""))
        return redirect("admin:sandboxes_job_change", job.pk)
    return _finish_one(request, verb, ids[0], wish)


def _why_left_out(verb: Verb, ids: list[UUID]) -> dict[UUID, str]:
    """What the page that asked had said to be skipped is, even if nothing is in the way any more."""
    found = selectors.with_latest_operation(Sandbox.objects.all()).in_bulk(ids)
    return {
        pk: obstacle(verb, found[pk], active=selectors.active_of(found[pk]))
        or "It was to be skipped when this was agreed."
        for pk in ids
        if pk in found
    }


def _finish_one(request: HttpRequest, verb: Verb, sandbox_id: UUID, wish: Wish) -> HttpResponseRedirect:
    row = selectors.with_latest_operation(Sandbox.objects.all()).in_bulk([sandbox_id]).get(sandbox_id)
    level, said = _attempt(verb, sandbox_id, row, wish)
    messages.add_message(request, level, said)
    if row is None:
        return redirect("admin:sandboxes_sandbox_changelist")
    return redirect("admin:sandboxes_sandbox_change", sandbox_id)


def _attempt(verb: Verb, sandbox_id: UUID, row: Sandbox | None, wish: Wish) -> tuple[int, str]:
    """Do it; returns how it went, for the top of the sandbox's page, which shows the rest."""
    if row is not None and (why := verb.does.pointless(row, selectors.active_of(row))):
        return messages.WARNING, f"{verb.label}: {why}"
    try:
        operation = perform(verb.does, sandbox_id, wish)
    except Refused as error:
        return messages.WARNING, f"{verb.label}: {with_remedy(error)}"
    except DatabaseError:
        log.exception("admin_action_failed", sandbox_id=str(sandbox_id), verb=verb.name)
        return messages.ERROR, f"{verb.label}: The database did not answer. Try again."
    done = f"{verb.label} requested; this page follows it." if operation else f"{verb.label}: done."
    return messages.SUCCESS, done


def sandboxes(count: int) -> str:
    return f"{count} sandbox" if count == 1 else f"{count:,} sandboxes"
