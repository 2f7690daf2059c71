"""Lifecycle policies: what they say, whose win, and whom they will touch."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.shortcuts import redirect
from django.urls import URLPattern, path, reverse
from unfold.decorators import display

from sandboxes import clock, html
from sandboxes.admin.base import MirrorAdmin
from sandboxes.admin.fields import FormText, OwnerId
from sandboxes.admin.verbs import actor_of
from sandboxes.core.codes import Code, Refused
from sandboxes.core.intervals import MAX_MINUTES, spelled
from sandboxes.core.policies import MEANINGS
from sandboxes.core.vocabulary import PolicyScope, Rule
from sandboxes.models import Policy
from sandboxes.services import policies
from sandboxes.services.rows import one

if TYPE_CHECKING:
    from django.db.models import QuerySet
    from django.http import HttpRequest, HttpResponse

    from sandboxes.models import Sandbox

MAY_CHANGE = "sandboxes.change_policy"
INPUT = {"class": "sk-input", "autocomplete": "off"}
SCOPES = {
    PolicyScope.DEFAULT: "all sandboxes",
    PolicyScope.TIER: "a tier",
    PolicyScope.OWNER: "an owner",
    PolicyScope.SANDBOX: "one sandbox",
}
HOURS = {"1": "hour", "6": "6 hours", "24": "day", "72": "3 days", "168": "week", "720": "30 days"}
USUAL = "24"
LOOKED_AT = 500  # sandboxes on one page of the preview


class RulesForm(forms.Form):
    """The minutes of each rule, by the name of its column."""

    reason = FormText(
        max_length=300,
        widget=forms.TextInput(INPUT),
        error_messages={"required": "Say why: the audit log keeps it."},
    )

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        for rule, meaning in MEANINGS.items():
            self.fields[f"{rule}_minutes"] = forms.IntegerField(
                label=f"{rule.label} (minutes)",
                required=False,
                min_value=0,
                max_value=MAX_MINUTES,
                widget=forms.NumberInput(INPUT),
                help_text=f"{meaning.action.label} after so long {meaning.words}. From {meaning.least}; 0: never.",
            )

    @property
    def rules(self) -> list[forms.BoundField]:
        return [self[f"{rule}_minutes"] for rule in Rule]

    @property
    def minutes(self) -> dict[Rule, int | None]:
        return {rule: self.cleaned_data[f"{rule}_minutes"] for rule in Rule}

    def refuse(self, error: Refused) -> None:
        """Show a service's refusal beside the field that it is about."""
        fields = [each["field"] for each in error.extra.get("errors", ())]
        subject = "subject" if error.code in (Code.POLICY_NOT_FOUND, Code.SANDBOX_NOT_FOUND) else None
        name = next((name for name in (*fields, subject) if name in self.fields), None)
        self.add_error(name, error.detail)


class NewPolicyForm(RulesForm):
    scope = forms.ChoiceField(
        label="Applies to", choices=[(scope.value, words) for scope, words in SCOPES.items()],
        widget=forms.Select({"class": "sk-input"}),
        help_text="The more specific wins: a sandbox's over its owner's, that over its tier's, that over all's.",
    )  # fmt: skip
    subject = OwnerId(
        label="Which",
        required=False,
        max_length=255,
        help_text="The tier's name, the owner's id or the sandbox's id; empty for all sandboxes.",
        widget=forms.TextInput(INPUT),
    )
    field_order = ("scope", "subject")

    def clean(self) -> dict[str, Any]:
        data = super().clean() or {}
        if data.get("scope") == PolicyScope.DEFAULT and data.get("subject"):
            self.add_error("subject", "Leave it empty for all sandboxes.")
        if not self.errors and not self.said:
            self.add_error(None, "Say a rule.")
        return data

    @property
    def said(self) -> dict[Rule, int | None]:
        """What is left empty stays as it is."""
        return {rule: minutes for rule, minutes in self.minutes.items() if minutes is not None}


@admin.register(Policy)
class PolicyAdmin(MirrorAdmin):
    list_display = ("cell_of", "cell_rules", "cell_changed")
    ordering = ("-changed_at",)
    nothing_yet = "No rule stops, archives or deletes a sandbox. Daytona's own intervals do, as each has them."
    change_list_template = "sandboxes/policies.html"
    list_before_template = "sandboxes/pieces/policy_preview_link.html"

    def get_queryset(self, request: HttpRequest) -> QuerySet[Policy]:
        return policies.listed(actor_of(request))

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return bool(request.user.has_perm(MAY_CHANGE))

    def get_urls(self) -> list[URLPattern]:
        wrap = self.admin_site.admin_view
        own = [
            path("preview/", wrap(self.preview_view), name="sandboxes_policy_preview"),
            path("<path:object_id>/remove/", wrap(self.remove_view), name="sandboxes_policy_remove"),
        ]
        return own + super().get_urls()

    def add_view(self, request: HttpRequest, form_url: str = "", extra_context: Any = None) -> HttpResponse:
        if not self.has_add_permission(request):
            raise PermissionDenied
        asked = {name: request.GET.get(name, "") for name in ("scope", "subject")}
        known = one(self.get_queryset(request).filter(**asked)) if request.method == "GET" else None
        if known is not None:
            return redirect("admin:sandboxes_policy_change", known.pk)
        form = NewPolicyForm(request.POST if request.method == "POST" else None, initial=asked)
        if form.is_valid():
            data = form.cleaned_data
            done = self._set(request, form, PolicyScope(data["scope"]), data["subject"], form.said)
            if done is not None:
                return done
        return self.page(request, "sandboxes/policy_new.html", title="Create a lifecycle policy", form=form)

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        row = self.readable(request, Policy.objects.all(), object_id)
        may_change = self.has_add_permission(request)
        if request.method == "POST" and not may_change:
            raise PermissionDenied
        said = {f"{rule}_minutes": minutes for rule, minutes in row.minutes.items()}
        form = RulesForm(request.POST if request.method == "POST" else None, initial=said)
        if form.is_valid():
            done = self._set(request, form, PolicyScope(row.scope), row.subject, form.minutes)
            if done is not None:
                return done
        return self.page(
            request, "sandboxes/policy.html", title=f"Lifecycle policy of {whose(row.scope, row.subject)}", row=row,
            form=form, rules=said_by(row), of=link_of(row), may_change=may_change,
        )  # fmt: skip

    def remove_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        row = self.readable(request, Policy.objects.all(), object_id)
        if request.method != "POST":
            return redirect("admin:sandboxes_policy_change", row.pk)
        if not self.has_add_permission(request):
            raise PermissionDenied
        if "confirmed" not in request.POST:
            title = f"Delete the lifecycle policy of {whose(row.scope, row.subject)}?"
            return self.page(request, "sandboxes/policy_remove.html", title=title, row=row, rules=said_by(row))
        policies.clear_policy(PolicyScope(row.scope), row.subject, actor=actor_of(request))
        messages.success(request, "It says nothing any more; less specific policies hold.")
        return redirect("admin:sandboxes_policy_changelist")

    def preview_view(self, request: HttpRequest) -> HttpResponse:
        """Whom rules will touch within the hours asked for."""
        if not (self.has_view_permission(request) and request.user.has_perm("sandboxes.view_sandbox")):
            raise PermissionDenied
        asked = request.GET.get("hours", USUAL)
        hours = asked if asked in HOURS else USUAL
        return self.page(
            request, "sandboxes/policy_preview.html", title=f"What policies will do in the next {HOURS[hours]}",
            choices=HOURS.items(), hours=hours, **upcoming(request, hours=float(hours)),
        )  # fmt: skip

    def _set(
        self,
        request: HttpRequest,
        form: RulesForm,
        scope: PolicyScope,
        subject: str,
        minutes: dict[Rule, int | None],
    ) -> HttpResponse | None:
        """Say it, and lead to the list; None if it was refused."""
        try:
            reason = form.cleaned_data["reason"]
            row = policies.set_policy(scope, subject, minutes, actor=actor_of(request), reason=reason)
        except Refused as error:
            form.refuse(error)
            return None
        messages.success(request, f"The policy of {whose(row.scope, row.subject)} is set.")
        return redirect("admin:sandboxes_policy_changelist")

    @display(description="Applies to")
    def cell_of(self, row: Policy) -> str:
        return whose(row.scope, row.subject)

    @display(description="Rules")
    def cell_rules(self, row: Policy) -> str:
        return html.stack(*said_by(row))

    @display(description="Changed")
    def cell_changed(self, row: Policy) -> str:
        return html.stack(html.ago(row.changed_at), row.changed_by)


# --- pieces of other pages


def whose(scope: str, subject: str) -> str:
    return f"{scope} {subject}" if subject else SCOPES[PolicyScope(scope)]


def said_by(row: Policy) -> list[str]:
    """What it says of each rule that it speaks of."""
    return [f"{rule.label}: {spelled(said)}" for rule, said in row.minutes.items() if said is not None]


def link_of(row: Policy) -> str:
    """Where what it is about is shown; empty for all, and for a tier."""
    names = {PolicyScope.OWNER: "owner", PolicyScope.SANDBOX: "sandbox"}
    name = names.get(PolicyScope(row.scope))
    return reverse(f"admin:sandboxes_{name}_change", args=[admin.utils.quote(row.subject)]) if name else ""


def upcoming(request: HttpRequest, *, hours: float, owner: str = "") -> dict[str, Any]:
    """What rules will do in that time, and whether that is not all."""
    until = policies.until(hours)
    rows = policies.concerned(actor_of(request), until=until, owner=owner).order_by("policy_due_at", "pk")
    found = list(rows[: LOOKED_AT + 1])
    return {
        "lines": policies.preview(found[:LOOKED_AT], until=until),
        "more": len(found) > LOOKED_AT,
        "looked_at": LOOKED_AT,
    }


def of_sandbox(request: HttpRequest, row: Sandbox) -> dict[str, Any]:
    """The rules that hold for it, and what they and Daytona's intervals will do."""
    return {
        "rules": policies.in_force(row),
        "foreseen": policies.forecast(row, now=clock.now()),
        "change_url": change_url(request, PolicyScope.SANDBOX, str(row.pk)),
    }


def of_owner(request: HttpRequest, owner: str) -> dict[str, Any]:
    return {"rules": policies.of_owner(owner), "change_url": change_url(request, PolicyScope.OWNER, owner)}


def change_url(request: HttpRequest, scope: PolicyScope, subject: str) -> str:
    """Where the policy of that one is set; empty for who may not."""
    if not request.user.has_perm(MAY_CHANGE):
        return ""
    return f"{reverse('admin:sandboxes_policy_add')}?{urlencode({'scope': scope, 'subject': subject})}"
