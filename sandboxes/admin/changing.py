"""The form that renames a sandbox and sets its labels and intervals."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django import forms
from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.shortcuts import redirect

from sandboxes.admin.fields import FormText, Lines
from sandboxes.admin.remedies import with_remedy
from sandboxes.admin.verbs import actor_of
from sandboxes.core.asked import drift
from sandboxes.core.codes import Refused
from sandboxes.models import Sandbox
from sandboxes.services import lifecycle, lookup

if TYPE_CHECKING:
    from collections.abc import Mapping

    from django.http import HttpRequest, HttpResponse

    from sandboxes.core.vocabulary import Actor

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
        error_messages=dict.fromkeys(("min_value", "max_value"), allowed.message),
        required=False,
        show_hidden_initial=True,
    )


def labels_in(lines: str) -> dict[str, str]:
    pairs = (line.partition("=") for line in lines.splitlines() if line.strip())
    return {name.strip(): value.strip() for name, _, value in pairs}


class LabelLines(Lines):
    def clean(self, value: Any) -> Any:
        lines: str = super().clean(value)
        if wrong := [line for line in lines.splitlines() if line.strip() and "=" not in line]:
            raise forms.ValidationError(f"Write name=value, not “{wrong[0]}”.")
        return lines


class SettingsForm(forms.Form):
    """What this user may change of this sandbox, filled with what holds now.

    It comes back with what it was filled with, hidden: a field counts as changed if its user changed it, and what
    somebody else changed meanwhile is left alone.
    """

    name = FormText(
        max_length=200,
        widget=forms.TextInput(INPUT),
        show_hidden_initial=True,
        help_text="Here, in Convex, and in Daytona's label; Daytona's own name stays.",
    )
    labels = LabelLines(
        required=False,
        show_hidden_initial=True,
        widget=forms.Textarea(INPUT | {"rows": 4}),
        help_text="One a line: team=core. Also in Daytona, beside those of Sandkeeper's own.",
    )
    auto_stop = _minutes("auto_stop", "Minutes without use; 0: never.")
    auto_archive = _minutes("auto_archive", "Minutes after a stop; 0: as late as Daytona allows, 43200.")
    auto_delete = _minutes("auto_delete", "Minutes after a stop; -1: never.")

    reapply = forms.BooleanField(required=False, label="Tell Daytona again what was asked for")

    def __init__(self, sandbox: Sandbox, user: Any, data: Any = None) -> None:
        super().__init__(data, initial=_values(sandbox))
        self.fields["name"].required = sandbox.name_known
        if not user.has_perm(RENAME):
            del self.fields["name"]
        if not user.has_perm(CHANGE):
            for name in ("labels", *lifecycle.RANGES, "reapply"):
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

    def moved(self, sandbox: Sandbox) -> dict[str, Any]:
        """What somebody else has changed since the form was filled, and holds now."""
        now = _values(sandbox)
        shown = {name: self.data.get(self.add_initial_prefix(name)) for name in now if name in self.fields}
        return {name: now[name] for name, value in shown.items() if _as_sent(value) != _text(now[name])}

    def refuse_moved(self, moved: Mapping[str, Any]) -> None:
        """Say of each field what holds now; the next try knows it."""
        self.data = {
            **dict(self.data.items()),
            **{self.add_initial_prefix(name): value for name, value in moved.items()},
        }
        for name, value in moved.items():
            self.add_error(name, f"Somebody else has changed it to “{value}” meanwhile. Save again to overrule it.")


def _values(sandbox: Sandbox) -> dict[str, Any]:
    lines = "\n".join(f"{name}={value}" for name, value in sorted(sandbox.user_labels.items()))
    return {"name": sandbox.name, "labels": lines, **{name: _in_force(sandbox, name) for name in lifecycle.RANGES}}


def _as_sent(value: str | None) -> str:
    """Browsers end lines as they like."""
    return "\n".join((value or "").splitlines())


def _text(value: Any) -> str:
    return "" if value is None else str(value)


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
        return redirect("admin:sandboxes_sandbox_change", sandbox.pk)
    title = f"Settings of {sandbox.display_name}"
    return model_admin.page(request, "sandboxes/settings.html", title=title, sandbox=sandbox, form=form)


def _change(request: HttpRequest, sandbox: Sandbox, form: SettingsForm) -> bool:
    """All of it or nothing; what the services refuse is said in the form."""
    changes, actor = form.changes, actor_of(request)
    try:
        with lookup.held(str(sandbox.pk), actor=actor) as row:
            moved = form.moved(row)
            if contested := {name: value for name, value in moved.items() if name in changes}:
                form.refuse_moved(contested)
                return False
            _make(row, changes, actor)
    except Refused as error:
        form.add_error(None, with_remedy(error))
        return False
    messages.success(request, "The changes are made." if changes else "Nothing was changed.")
    if moved:
        others = ", ".join(f"{form[name].label} is “{value}”" for name, value in moved.items())
        messages.warning(
            request, f"Somebody else has changed this sandbox meanwhile: {others}. That was left alone."
        )
    return True


def _make(row: Sandbox, changes: Mapping[str, Any], actor: Actor) -> None:
    intervals = {name: value for name, value in changes.items() if name in lifecycle.RANGES}
    if "name" in changes:
        lifecycle.rename(row.pk, changes["name"], actor=actor)
    if "labels" in changes:
        given = labels_in(changes["labels"])
        lifecycle.set_labels(row.pk, {**dict.fromkeys(row.user_labels), **given}, actor=actor)
    if intervals:
        lifecycle.set_intervals(row.pk, actor=actor, **intervals)
    if changes.get("reapply"):
        lifecycle.reapply(row.pk, actor=actor)
