"""Service keys: made here and shown once, revoked here, never changed."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.shortcuts import redirect
from django.urls import URLPattern, path
from unfold.decorators import display

from sandboxes import clock, html
from sandboxes.admin.base import MirrorAdmin
from sandboxes.admin.fields import FormText
from sandboxes.admin.verbs import actor_of
from sandboxes.core.codes import Refused
from sandboxes.models import ServiceKey
from sandboxes.services import keys

if TYPE_CHECKING:
    from django.http import HttpRequest, HttpResponse

SCOPES = {
    ServiceKey.Scope.READ: "read sandboxes and operations",
    ServiceKey.Scope.WRITE: "create, start, stop, archive, delete",
    ServiceKey.Scope.USE: "ensure-running and touch",
    ServiceKey.Scope.ANY: "act for every owner, not only the one it names",
}
DAYS = (("", "never"), ("30", "in 30 days"), ("90", "in 90 days"), ("365", "in a year"))


class KeyForm(forms.Form):
    name = FormText(max_length=100, widget=forms.TextInput({"class": "sk-input", "autocomplete": "off"}))
    scopes = forms.MultipleChoiceField(
        choices=[(scope.value, label) for scope, label in SCOPES.items()],
        widget=forms.CheckboxSelectMultiple,
        error_messages={"required": "Choose at least one scope."},
    )
    expires = forms.ChoiceField(choices=DAYS, required=False, widget=forms.Select({"class": "sk-input"}))
    networks = FormText(
        required=False,
        label="Allowed networks",
        help_text="Like 10.0.0.0/8, separated by spaces. Empty: from anywhere.",
        widget=forms.TextInput({"class": "sk-input", "autocomplete": "off"}),
    )


@admin.register(ServiceKey)
class ServiceKeyAdmin(MirrorAdmin):
    list_display = ("name", "cell_prefix", "cell_state", "cell_scopes", "cell_used", "cell_expires", "created_by")
    ordering = ("-created_at",)
    nothing_yet = "No program has a key yet. Create one for each program, with the scopes it needs."

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return bool(request.user.has_perm("sandboxes.add_servicekey"))

    def get_urls(self) -> list[URLPattern]:
        revoke = self.admin_site.admin_view(self.revoke_view)
        own = [path("<path:object_id>/revoke/", revoke, name="sandboxes_servicekey_revoke")]
        return own + super().get_urls()

    def add_view(self, request: HttpRequest, form_url: str = "", extra_context: Any = None) -> HttpResponse:
        if not self.has_add_permission(request):
            raise PermissionDenied
        form = KeyForm(request.POST if request.method == "POST" else None)
        if form.is_valid():
            made = self._make(request, form)
            if made is not None:
                return made
        return self.page(request, "sandboxes/key_new.html", title="Create a service key", form=form, scopes=SCOPES)

    def _make(self, request: HttpRequest, form: KeyForm) -> HttpResponse | None:
        """The answer to the POST shows the key: a redirect would have to keep the secret somewhere."""
        data = form.cleaned_data
        try:
            key, secret = keys.create_key(
                data["name"],
                scopes=data["scopes"],
                actor=actor_of(request),
                expires_at=clock.here() + timedelta(days=int(data["expires"])) if data["expires"] else None,
                allowed_networks=data["networks"].split(),
            )
        except Refused as error:
            form.add_error(None, error.detail)
            return None
        acts_for_all = ServiceKey.Scope.ANY in key.scopes
        return self.page(
            request, "sandboxes/key_made.html", title=f"Service key {key.name}", key=key, secret=secret,
            acts_for_all=acts_for_all,
        )  # fmt: skip

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        key = self.readable(request, ServiceKey.objects.all(), object_id)
        may_revoke = key.revoked_at is None and request.user.has_perm("sandboxes.revoke_servicekey")
        return self.page(
            request, "sandboxes/key.html", title=key.name, key=key, state=key_badge(key), may_revoke=may_revoke
        )

    def revoke_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        if request.method != "POST":
            return redirect("admin:sandboxes_servicekey_change", object_id)
        if not request.user.has_perm("sandboxes.revoke_servicekey"):
            raise PermissionDenied
        key = self.readable(request, ServiceKey.objects.all(), object_id)
        if "confirmed" not in request.POST:
            return self.page(request, "sandboxes/key_revoke.html", title=f"Revoke {key.name}?", key=key)
        keys.revoke(key, actor=actor_of(request))
        messages.success(request, f"“{key.name}” is revoked: calls with it are refused from now on.")
        return redirect("admin:sandboxes_servicekey_changelist")

    @display(description="Key")
    def cell_prefix(self, key: ServiceKey) -> str:
        return f"{keys.START}{key.prefix}_…"

    @display(description="State")
    def cell_state(self, key: ServiceKey) -> str:
        return key_badge(key)

    @display(description="Scopes")
    def cell_scopes(self, key: ServiceKey) -> str:
        return ", ".join(scope.removeprefix("sandboxes:") for scope in key.scopes)

    @display(description="Last used")
    def cell_used(self, key: ServiceKey) -> str:
        return html.ago(key.last_used_at)

    @display(description="Expires")
    def cell_expires(self, key: ServiceKey) -> str:
        return html.ago(key.expires_at)


def key_badge(key: ServiceKey) -> str:
    if key.revoked_at is not None:
        return html.badge("revoked", colour="grey", symbol="block")
    if key.expires_at is not None and key.expires_at <= clock.here():
        return html.badge("expired", colour="amber", symbol="timer_off")
    return html.badge("active", colour="green", symbol="key")
