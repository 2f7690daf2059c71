"""Doing something to sandboxes: ask where it must be asked, do it to each, remember how each one went."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from uuid import UUID

import structlog
from django import forms
from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.db import DatabaseError
from django.shortcuts import redirect
from django.urls import reverse

from sandboxes.admin import outcomes, selectors
from sandboxes.admin.fields import Text
from sandboxes.admin.plan import Plan
from sandboxes.admin.remedies import with_remedy
from sandboxes.admin.verbs import PROTECT_HOURS, VERBS, Verb, Wish, actor_of, obstacle, perform
from sandboxes.core.codes import Refused
from sandboxes.models import Sandbox

if TYPE_CHECKING:
    from django.http import HttpRequest, HttpResponse, HttpResponseRedirect

    from sandboxes.core.vocabulary import Actor

log = structlog.get_logger(__name__)
CHOSEN = "_selected_action"  # Django's name for the checkboxes of a list
SKIPPED = "skipped"
QUERY = "query"  # of the list where the choice was made
AT_MOST = 100
LEVELS = {"requested": messages.SUCCESS, "skipped": messages.WARNING, "failed": messages.ERROR}


class ReasonForm(forms.Form):
    """What is asked before a stop, archive, delete or protect."""

    reason = Text(
        max_length=300,
        strip=True,
        widget=forms.TextInput({"class": "sk-input", "autofocus": True, "autocomplete": "off"}),
        help_text="The owner, programs and the timeline see it.",
        error_messages={"required": "Say why: the owner and programs see it."},
    )
    hours = forms.ChoiceField(choices=PROTECT_HOURS, initial="24", widget=forms.Select({"class": "sk-input"}))
    force = forms.BooleanField(required=False)

    def __init__(self, verb: Verb, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields = {name: field for name, field in self.fields.items() if name in verb.asks}

    def wish(self, actor: Actor) -> Wish:
        data = self.cleaned_data
        return Wish(
            actor=actor,
            reason=data["reason"],
            force=data.get("force", False),
            hours=int(data.get("hours", 24)),
        )


def from_list(model_admin: Any, request: HttpRequest, queryset: Any) -> HttpResponse:
    """Django's own way to run an action: the list posted to itself."""
    return act(model_admin, request, VERBS[request.POST["action"]])


def act(model_admin: Any, request: HttpRequest, verb: Verb) -> HttpResponse:
    """POST: do the verb to the chosen sandboxes, or first say what it will do and ask for a reason."""
    if request.method != "POST":  # a reload, or the address of a page that asked
        return redirect("admin:sandboxes_sandbox_changelist")
    if not (request.user.has_perm(verb.permission) and model_admin.has_view_permission(request)):
        raise PermissionDenied
    ids = chosen_ids(request)
    if not ids:
        messages.warning(request, "No sandbox was chosen.")
        return redirect("admin:sandboxes_sandbox_changelist")
    if not verb.asks:
        return finish(request, verb, ids, Wish(actor=actor_of(request)))
    form = ReasonForm(verb, request.POST if "confirmed" in request.POST else None, initial=request.POST.dict())
    if not form.is_valid() or not _agreed(form, verb, ids):
        return ask(model_admin, request, verb, ids, form)
    return finish(request, verb, ids, form.wish(actor_of(request)))


def _agreed(form: ReasonForm, verb: Verb, ids: list[UUID]) -> bool:
    """A stop of nothing but what it destroys does nothing unless it may."""
    if not verb.may_destroy or form.cleaned_data["force"]:
        return True
    plan = Plan.of(verb, list(selectors.with_latest_operation(Sandbox.objects.filter(pk__in=ids))))
    if plan.todo or not plan.destroyed:
        return True
    form.add_error("force", "Agree to destroy, or cancel: there is no other way to stop it.")
    return False


def chosen_ids(request: HttpRequest, name: str = CHOSEN) -> list[UUID]:
    found = []
    for text in request.POST.getlist(name)[:AT_MOST]:
        try:
            found.append(UUID(text))
        except ValueError:
            continue
    return list(dict.fromkeys(found))


def ask(model_admin: Any, request: HttpRequest, verb: Verb, ids: list[UUID], form: ReasonForm) -> HttpResponse:
    """The page that says what will happen to *these* sandboxes."""
    asked = [*ids, *chosen_ids(request, SKIPPED)]
    rows = list(selectors.with_latest_operation(Sandbox.objects.filter(pk__in=asked)).order_by("name"))
    plan = Plan.of(verb, rows)
    named = plan.acted_on or rows
    return model_admin.page(
        request,
        "sandboxes/ask.html",
        title=f"{verb.label} {sandboxes(len(named)) if len(named) != 1 else named[0].display_name}?",
        verb=verb,
        form=form,
        plan=plan,
        chosen=CHOSEN,
        left_out=SKIPPED,
        query=request.POST.get(QUERY),
        back=back_to(request, asked),
    )


def back_to(request: HttpRequest, ids: list[UUID]) -> str:
    """The list as it was, if the choice was made there; else the sandbox's page."""
    if len(ids) == 1 and QUERY not in request.POST:
        return reverse("admin:sandboxes_sandbox_change", args=[ids[0]])
    return selectors.list_address(request.POST.get(QUERY, ""))


def finish(request: HttpRequest, verb: Verb, ids: list[UUID], wish: Wish) -> HttpResponseRedirect:
    """Do it to each and go where the outcome is: the sandbox's page for one, a page of rows for many."""
    skipped = [pk for pk in chosen_ids(request, SKIPPED) if pk not in ids]
    found = selectors.with_latest_operation(Sandbox.objects.all()).in_bulk([*ids, *skipped])
    outcome = outcomes.BulkOutcome.of(verb, wish, query=request.POST.get(QUERY, ""))
    outcome.rows += [attempt(verb, pk, found.get(pk), wish) for pk in ids]
    outcome.rows += [_left_out(verb, found[pk]) for pk in skipped if pk in found]
    if len(outcome.rows) > 1:
        return redirect("admin:sandboxes_sandbox_outcome", outcome_id=outcomes.remember(request, outcome))
    row = outcome.rows[0]
    messages.add_message(request, LEVELS[row.result], _sentence(verb, row))
    if not found:
        return redirect("admin:sandboxes_sandbox_changelist")
    return redirect("admin:sandboxes_sandbox_change", row.sandbox)


def _sentence(verb: Verb, row: outcomes.ActionResult) -> str:
    """How it went, at the top of the sandbox's page, which shows the rest."""
    if row.result != "requested":
        return f"{verb.label}: {row.message}"
    return f"{verb.label} requested; this page follows it." if row.operation else f"{verb.label}: done."


def attempt(verb: Verb, sandbox_id: UUID, sandbox: Sandbox | None, wish: Wish) -> outcomes.ActionResult:
    """One sandbox; what goes wrong with it stops none of the others."""
    name = sandbox.display_name if sandbox is not None else str(sandbox_id)
    if sandbox is not None and (why := verb.pointless(sandbox, selectors.active_of(sandbox))):
        return outcomes.ActionResult(str(sandbox_id), name, "skipped", why)
    try:
        operation = perform(verb, sandbox_id, wish)
    except Refused as error:
        return outcomes.ActionResult(str(sandbox_id), name, "skipped", with_remedy(error), code=error.code.value)
    except DatabaseError:
        log.exception("admin_action_failed", sandbox_id=str(sandbox_id), verb=verb.name)
        return outcomes.ActionResult(str(sandbox_id), name, "failed", "The database did not answer. Try again.")
    message = f"{verb.label.lower()} requested" if operation else "done"
    return outcomes.ActionResult(
        str(sandbox_id), name, "requested", message, operation=str(operation.pk) if operation else ""
    )


def _left_out(verb: Verb, row: Sandbox) -> outcomes.ActionResult:
    """What the page that asked had said to be skipped is, even if nothing is in the way any more."""
    why = obstacle(verb, row, active=selectors.active_of(row))
    return outcomes.ActionResult(
        str(row.pk), row.display_name, "skipped", why or "It was to be skipped when this was agreed."
    )


def sandboxes(count: int) -> str:
    return f"{count} sandbox" if count == 1 else f"{count} sandboxes"
