"""Doing something to sandboxes: ask where it must be asked, do it to each, remember how each one went."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import structlog
from django import forms
from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.db import DatabaseError
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed, HttpResponseRedirect
from django.shortcuts import redirect
from django.urls import reverse

from sandboxes.admin import outcomes, selectors
from sandboxes.admin.verbs import PROTECT_HOURS, VERBS, Verb, Wish, actor_of, obstacle, perform
from sandboxes.codes import Code, Refused
from sandboxes.models import Sandbox
from sandboxes.states import Actor

log = structlog.get_logger(__name__)
CHOSEN = "_selected_action"  # Django's name for the checkboxes of a list
AT_MOST = 100


class ReasonForm(forms.Form):
    """What is asked before a stop, archive, delete or protect."""

    reason = forms.CharField(
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
        if verb.name != "protect":
            del self.fields["hours"]
        if verb.name != "stop":
            del self.fields["force"]

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
    if request.method != "POST":
        return HttpResponseNotAllowed(["POST"])
    if not (request.user.has_perm(verb.permission) and model_admin.has_view_permission(request)):
        raise PermissionDenied
    ids = chosen_ids(request)
    if not ids:
        messages.warning(request, "No sandbox was chosen.")
        return redirect("admin:sandboxes_sandbox_changelist")
    if not verb.asks:
        return finish(request, verb, ids, Wish(actor=actor_of(request)))
    form = ReasonForm(verb, request.POST if "confirmed" in request.POST else None, initial=request.POST.dict())
    if not form.is_valid():
        return ask(model_admin, request, verb, ids, form)
    return finish(request, verb, ids, form.wish(actor_of(request)))


def chosen_ids(request: HttpRequest) -> list[UUID]:
    found = []
    for text in request.POST.getlist(CHOSEN)[:AT_MOST]:
        try:
            found.append(UUID(text))
        except ValueError:
            continue
    return list(dict.fromkeys(found))


def ask(model_admin: Any, request: HttpRequest, verb: Verb, ids: list[UUID], form: ReasonForm) -> HttpResponse:
    """The page that says what will happen to *these* sandboxes."""
    rows = list(selectors.with_latest_operation(Sandbox.objects.filter(pk__in=ids)).order_by("name"))
    plans = [(row, obstacle(verb, row, active=selectors.active_of(row))) for row in rows]
    todo = [row for row, why in plans if not why]
    return model_admin.page(
        request,
        "sandboxes/ask.html",
        title=f"{verb.label} {sandboxes(len(rows)) if len(rows) != 1 else rows[0].name}?",
        verb=verb,
        ids=ids,
        form=form,
        todo=[row for row in todo if not row.ephemeral or verb.name != "stop"],
        destroyed=[row for row in todo if row.ephemeral and verb.name == "stop"],
        skipped=[(row, why) for row, why in plans if why],
        chosen=CHOSEN,
        back=_back(ids),
    )


def _back(ids: list[UUID]) -> str:
    if len(ids) == 1:
        return reverse("admin:sandboxes_sandbox_change", args=[ids[0]])
    return reverse("admin:sandboxes_sandbox_changelist")


def finish(request: HttpRequest, verb: Verb, ids: list[UUID], wish: Wish) -> HttpResponseRedirect:
    """Do it to each and go where the outcome is: the sandbox's page for one, a page of rows for many."""
    outcome = outcomes.Outcome.of(verb, wish)
    names = dict(Sandbox.objects.filter(pk__in=ids).values_list("pk", "name"))
    for pk in ids:
        outcome.rows.append(attempt(verb, pk, names.get(pk, str(pk)), wish))
    if len(ids) == 1:
        row = outcome.rows[0]
        level = messages.SUCCESS if row.result == "requested" else messages.ERROR
        messages.add_message(request, level, f"{verb.label}: {row.words}")
        return redirect(_back(ids) if names else "admin:sandboxes_sandbox_changelist")
    return redirect("admin:sandboxes_sandbox_outcome", outcome_id=outcomes.remember(request, outcome))


def attempt(verb: Verb, sandbox_id: UUID, name: str, wish: Wish) -> outcomes.Row:
    """One sandbox; what goes wrong with it stops none of the others."""
    try:
        operation = perform(verb, sandbox_id, wish)
    except Refused as no:
        return outcomes.Row(str(sandbox_id), name, "skipped", why_not(no), code=no.code.value)
    except DatabaseError:
        log.exception("admin_action_failed", sandbox_id=str(sandbox_id), verb=verb.name)
        return outcomes.Row(str(sandbox_id), name, "failed", "The database did not answer. Try again.")
    words = f"{verb.label.lower()} requested" if operation else "done"
    return outcomes.Row(str(sandbox_id), name, "requested", words, operation=str(operation.pk) if operation else "")


def why_not(no: Refused) -> str:
    """A refusal with its cure, as this admin offers it."""
    if no.code == Code.EPHEMERAL_WOULD_BE_DESTROYED:
        return f"{no.detail} Stop it again and agree to destroy it, or leave it running."
    return f"{no.detail} {no.meaning.cure}"


def sandboxes(count: int) -> str:
    return f"{count} sandbox" if count == 1 else f"{count} sandboxes"
