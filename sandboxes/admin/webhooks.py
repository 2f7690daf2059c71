"""Webhooks: programs are told of events, staff of notices. A secret is shown once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.shortcuts import redirect
from django.urls import URLPattern, path
from django.utils.html import format_html
from unfold.decorators import display

from sandboxes import html
from sandboxes.admin.base import MirrorAdmin
from sandboxes.admin.fields import FormText, OwnerId
from sandboxes.admin.verbs import actor_of
from sandboxes.core.codes import NoticeCode, Refused
from sandboxes.core.vocabulary import EventKind, Form
from sandboxes.models import Receiver, ServiceKey, counting
from sandboxes.services import webhooks

if TYPE_CHECKING:
    from collections.abc import Callable

    from django.http import HttpRequest, HttpResponse

DEAD_SHOWN = 50
INPUT = {"class": "sk-input", "autocomplete": "off"}


class WebhookForm(forms.Form):
    key = forms.ModelChoiceField(
        ServiceKey.objects.filter(revoked_at=None).order_by("name"),
        label="Service key",
        help_text="It is told what the key may read, and ends with the key.",
        widget=forms.Select({"class": "sk-input"}),
    )
    owner = OwnerId(
        required=False,
        max_length=255,
        help_text="Whose events; empty: all owners', for a key that may act for every owner.",
        widget=forms.TextInput(INPUT),
    )
    url = FormText(
        label="Address",
        max_length=webhooks.LONGEST_URL,
        help_text="It begins with https:// and is on the public internet, or in a network that the operator named.",
        widget=forms.TextInput(INPUT),
    )
    kinds = forms.MultipleChoiceField(
        label="Event types",
        required=False,
        choices=[(kind, kind) for kind in EventKind.for_programs()],
        help_text="None: all.",
        widget=forms.CheckboxSelectMultiple,
    )


class NoticesForm(forms.Form):
    form = forms.ChoiceField(label="As", choices=Form.choices, widget=forms.Select({"class": "sk-input"}))
    address = FormText(
        max_length=webhooks.LONGEST_URL,
        help_text="A mail address, or one that begins with https:// and is on the public internet, or in a network "
        "that the operator named.",
        widget=forms.TextInput(INPUT),
    )
    codes = forms.MultipleChoiceField(
        label="Notices",
        required=False,
        choices=[(code.value, code.value) for code in NoticeCode],
        help_text="None: all, those of later versions as well.",
        widget=forms.CheckboxSelectMultiple,
    )


@admin.register(Receiver)
class WebhookAdmin(MirrorAdmin):
    list_display = ("cell_address", "cell_state", "cell_told", "cell_kinds", "cell_created")
    list_select_related = ("key",)
    ordering = ("-created_at",)
    nothing_yet = (
        "Nobody is told. Programs register webhooks with their service keys, over REST; you can do so here."
    )

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return bool(request.user.has_perm("sandboxes.add_receiver"))

    def get_urls(self) -> list[URLPattern]:
        own = [
            path(
                f"<path:object_id>/{name}/", self.admin_site.admin_view(view), name=f"sandboxes_receiver_{name}"
            )
            for name, view in (
                ("rotate", self.rotate_view), ("enable", self.enable_view), ("disable", self.disable_view),
                ("replay", self.replay_view), ("remove", self.remove_view),
            )
        ]  # fmt: skip
        notices = self.admin_site.admin_view(self.add_notices_view)
        own.append(path("add-notices/", notices, name="sandboxes_receiver_add_notices"))
        return own + super().get_urls()

    def add_view(self, request: HttpRequest, form_url: str = "", extra_context: Any = None) -> HttpResponse:
        if not self.has_add_permission(request):
            raise PermissionDenied
        form = WebhookForm(request.POST if request.method == "POST" else None)
        if form.is_valid():
            data = form.cleaned_data
            try:
                made = webhooks.register(
                    data["key"].pk,
                    url=data["url"],
                    kinds=data["kinds"],
                    actor=actor_of(request),
                    owner=data["owner"],
                )
            except Refused as error:
                form.add_error(None, error.detail)
            else:
                return self._show_secret(request, *made)
        return self.page(request, "sandboxes/webhook_new.html", title="Create a webhook", form=form)

    def add_notices_view(self, request: HttpRequest) -> HttpResponse:
        if not self.has_add_permission(request):
            raise PermissionDenied
        form = NoticesForm(request.POST if request.method == "POST" else None)
        if form.is_valid():
            data = form.cleaned_data
            try:
                row, secret = webhooks.register_for_notices(
                    Form(data["form"]), address=data["address"], codes=data["codes"], actor=actor_of(request)
                )
            except Refused as error:
                form.add_error("address", error.detail)
            else:
                return self._show_secret(request, row, secret) if secret else self._made(request, row)
        return self.page(request, "sandboxes/webhook_notices.html", title="Tell staff of notices", form=form)

    def _made(self, request: HttpRequest, row: Receiver) -> HttpResponse:
        messages.success(request, f"{row} is told of notices from now on.")
        return redirect("admin:sandboxes_receiver_change", row.pk)

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        row = self.readable(request, Receiver.objects.select_related("key"), object_id)
        dead = list(row.deliveries.dead().order_by("-died_at")[: DEAD_SHOWN + 1])
        return self.page(
            request, "sandboxes/webhook.html", title=str(row), row=row, state=badge(row), told=told(row),
            dead=dead[:DEAD_SHOWN], more=len(dead) > DEAD_SHOWN, waiting=counting.number(row.deliveries.pending()),
            may_change=request.user.has_perm("sandboxes.change_receiver"),
            may_delete=request.user.has_perm("sandboxes.delete_receiver"),
        )  # fmt: skip

    # What changes something is a POST

    def rotate_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        row = self._asked(request, object_id)
        if row is None:
            return redirect("admin:sandboxes_receiver_change", object_id)
        try:
            return self._show_secret(request, *webhooks.rotate(row.pk, actor=actor_of(request)))
        except Refused as error:
            messages.error(request, error.detail)
            return redirect("admin:sandboxes_receiver_change", object_id)

    def enable_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        return self._change(request, object_id, self._enabled(True), "It goes on where it was disabled.")

    def disable_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        return self._change(request, object_id, self._enabled(False), "Nothing more is sent to it.")

    def replay_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        def replay(request: HttpRequest, row: Receiver) -> object:
            return webhooks.replay(row.pk, actor=actor_of(request))

        return self._change(request, object_id, replay, "All dead deliveries are tried once more.")

    def remove_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        if request.method == "POST" and "confirmed" not in request.POST:
            row = self.readable(request, Receiver.objects.all(), object_id)
            return self.page(request, "sandboxes/webhook_remove.html", title="Delete this webhook?", row=row)
        row = self._asked(request, object_id, permission="delete_receiver")
        if row is None:
            return redirect("admin:sandboxes_receiver_change", object_id)
        webhooks.delete(row.pk, actor=actor_of(request))
        messages.success(request, f"{row} is told nothing more.")
        return redirect("admin:sandboxes_receiver_changelist")

    def _enabled(self, enabled: bool) -> Callable[[HttpRequest, Receiver], object]:
        changes = webhooks.ReceiverChanges(enabled=enabled)
        return lambda request, row: webhooks.change(row.pk, changes, actor=actor_of(request))

    def _change(
        self, request: HttpRequest, object_id: str, work: Callable[[HttpRequest, Receiver], object], done: str
    ) -> HttpResponse:
        row = self._asked(request, object_id)
        if row is not None:
            try:
                work(request, row)
                messages.success(request, done)
            except Refused as error:
                messages.error(request, error.detail)
        return redirect("admin:sandboxes_receiver_change", object_id)

    def _asked(
        self, request: HttpRequest, object_id: str, *, permission: str = "change_receiver"
    ) -> Receiver | None:
        """The webhook that a POST is about; None for a GET, which changes nothing."""
        if request.method != "POST":
            return None
        if not request.user.has_perm(f"sandboxes.{permission}"):
            raise PermissionDenied
        found: Receiver = self.readable(request, Receiver.objects.all(), object_id)
        return found

    def _show_secret(self, request: HttpRequest, row: Receiver, secret: str) -> HttpResponse:
        """The answer to the POST shows it: a redirect would have to keep it somewhere."""
        return self.page(
            request, "sandboxes/webhook_secret.html", title=f"The secret of {row}", row=row, secret=secret
        )

    # Cells

    @display(description="Address")
    def cell_address(self, row: Receiver) -> str:
        return html.stack(str(row), format_html('<span class="sk-small sk-faint sk-mono">{}</span>', row.pk))

    @display(description="State")
    def cell_state(self, row: Receiver) -> str:
        return badge(row)

    @display(description="Is told")
    def cell_told(self, row: Receiver) -> str:
        return told(row)

    @display(description="Of which")
    def cell_kinds(self, row: Receiver) -> str:
        return ", ".join(row.kinds) or "all"

    @display(description="Created")
    def cell_created(self, row: Receiver) -> str:
        return html.ago(row.created_at)


def told(row: Receiver) -> str:
    """Of what, as what, and for whom."""
    if row.key is None:
        return f"notices, as {row.get_form_display().lower()}"
    return f"events of {row.owner or 'all owners'}, for the key “{row.key}”"


def badge(row: Receiver) -> str:
    if row.disabled_at is not None:
        return html.badge("disabled", colour="grey", symbol="block", title=row.disabled_reason)
    if row.failing_since is not None:
        return html.badge("failing", colour="amber", symbol="warning")
    return html.badge("enabled", colour="green", symbol="check_circle")
