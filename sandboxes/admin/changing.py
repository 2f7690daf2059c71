"""The form that renames a sandbox and sets its intervals."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect

from sandboxes.admin.cures import told
from sandboxes.admin.fields import Text
from sandboxes.admin.verbs import actor_of
from sandboxes.codes import Refused
from sandboxes.models import Sandbox
from sandboxes.services import lifecycle
from sandboxes.services.asked import drift

RENAME, CHANGE = "sandboxes.rename_sandbox", "sandboxes.change_sandbox"
INPUT = {"class": "sk-input", "autocomplete": "off"}


def _minutes(name: str, help_text: str) -> forms.IntegerField:
    allowed = lifecycle.RANGES[name]
    return forms.IntegerField(
        min_value=allowed.least,
        max_value=allowed.most,
        label=name.replace("_", "-").capitalize(),
        help_text=help_text,
        widget=forms.NumberInput(INPUT),
        error_messages=dict.fromkeys(("min_value", "max_value"), allowed.words),
        required=False,
    )


class SettingsForm(forms.Form):
    """What this user may change of this sandbox, filled with what holds now."""

    name = Text(
        max_length=200,
        widget=forms.TextInput(INPUT),
        help_text="Here, in Convex, and in Daytona's label; Daytona's own name stays.",
    )
    auto_stop = _minutes("auto_stop", "Minutes without use; 0: never.")
    auto_archive = _minutes("auto_archive", "Minutes after a stop; 0: as late as Daytona allows, 43200.")
    auto_delete = _minutes("auto_delete", "Minutes after a stop; -1: never.")

    reapply = forms.BooleanField(required=False, label="Tell Daytona again what was asked for")

    def __init__(self, sandbox: Sandbox, user: Any, data: Any = None) -> None:
        now = {"name": sandbox.name, **{name: _in_force(sandbox, name) for name in lifecycle.RANGES}}
        super().__init__(data, initial=now)
        if not user.has_perm(RENAME):
            del self.fields["name"]
        if not user.has_perm(CHANGE):
            for name in (*lifecycle.RANGES, "reapply"):
                del self.fields[name]
            return
        if lifecycle.is_made_ephemeral(sandbox):
            del self.fields["auto_delete"]
        differing = [one for one in drift(sandbox) if one.key]
        if not differing:
            del self.fields["reapply"]
        else:
            self.fields["reapply"].help_text = f"{'; '.join(map(str, differing))}."

    @property
    def changes(self) -> dict[str, Any]:
        return {name: self.cleaned_data[name] for name in self.changed_data}


def _in_force(sandbox: Sandbox, name: str) -> int | None:
    """What was asked for, else what Daytona holds."""
    asked: int | None = getattr(sandbox, f"{name}_minutes")
    held: int | None = getattr(sandbox, f"observed_{name}")
    return held if asked is None else asked


def may_change(user: Any) -> bool:
    return bool(user.has_perm(RENAME) or user.has_perm(CHANGE))


def settings_view(model_admin: Any, request: HttpRequest, object_id: str) -> HttpResponse:
    """POST: first show what holds, then change what was changed."""
    if request.method != "POST":
        return redirect("admin:sandboxes_sandbox_change", object_id)
    if not may_change(request.user):
        raise PermissionDenied
    sandbox: Sandbox = model_admin.readable(request, Sandbox.objects.all(), object_id)
    form = SettingsForm(sandbox, request.user, request.POST if "confirmed" in request.POST else None)
    if form.is_valid() and _change(request, sandbox, form):
        messages.success(request, "The changes are made." if form.changes else "Nothing was changed.")
        return redirect("admin:sandboxes_sandbox_change", sandbox.pk)
    title = f"Settings of {sandbox.display_name}"
    return model_admin.page(request, "sandboxes/settings.html", title=title, sandbox=sandbox, form=form)


def _change(request: HttpRequest, sandbox: Sandbox, form: SettingsForm) -> bool:
    """All of it or nothing; what the services refuse is said in the form."""
    intervals = form.changes
    name = intervals.pop("name", None)
    reapply = intervals.pop("reapply", False)
    actor = actor_of(request)
    try:
        with transaction.atomic():
            if name is not None:
                lifecycle.rename(sandbox.pk, name, actor=actor)
            if intervals:
                lifecycle.set_intervals(sandbox.pk, actor=actor, **intervals)
            if reapply:
                lifecycle.reapply(sandbox.pk, actor=actor)
    except Refused as no:
        form.add_error(None, told(no))
        return False
    return True
