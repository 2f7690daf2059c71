"""The form that creates a sandbox for an owner, with the owner's sandbox limit."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django import forms
from django.conf import settings
from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.shortcuts import redirect, render

from sandboxes.admin import selectors
from sandboxes.admin.fields import FormText, OwnerId
from sandboxes.admin.remedies import with_remedy
from sandboxes.admin.verbs import actor_of, current_request_id
from sandboxes.core.codes import Refused
from sandboxes.core.vocabulary import Source
from sandboxes.models import Owner
from sandboxes.services import lifecycle, owners

if TYPE_CHECKING:
    from django.http import HttpRequest, HttpResponse

LANGUAGES = ("python", "typescript", "javascript")
TEXT = {"class": "sk-input", "autocomplete": "off"}


class CreateForm(forms.Form):
    owner = OwnerId(max_length=255, help_text="The end user's id, as their identity token has it.")
    name = FormText(max_length=200, initial="sandbox")
    tier = forms.ChoiceField(choices=selectors.tiers)
    language = forms.ChoiceField(choices=[(name, name) for name in LANGUAGES])
    harness_id = FormText(max_length=255, required=False, label="Harness", help_text="Its id, if it has one.")
    region = FormText(max_length=100, required=False, help_text="Empty: Daytona's default.")
    git_repo = FormText(
        max_length=500, required=False, label="Git repository", help_text="For display only; not cloned."
    )
    ephemeral = forms.BooleanField(
        required=False, label="Ephemeral: Daytona deletes it when it stops, whoever stops it."
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name, field in self.fields.items():
            if name != "ephemeral":
                field.widget.attrs |= TEXT
        self.fields["region"].widget.attrs |= {"list": "regions", "placeholder": settings.DAYTONA_TARGET}

    def request(self) -> lifecycle.NewRequest:
        data = self.cleaned_data
        return lifecycle.NewRequest(
            name=data["name"],
            tier=data["tier"],
            language=data["language"],
            harness_id=data["harness_id"],
            target=data["region"],
            git_repo=data["git_repo"],
            ephemeral=data["ephemeral"],
        )


def create_view(model_admin: Any, request: HttpRequest) -> HttpResponse:
    if not model_admin.has_add_permission(request):
        raise PermissionDenied
    form = CreateForm(request.POST if request.method == "POST" else None, initial=request.GET.dict())
    if form.is_valid():
        made = _create(request, form)
        if made is not None:
            return made
    owner_id = str(form["owner"].value() or "")
    return model_admin.page(
        request,
        "sandboxes/create.html",
        title="Create a sandbox",
        form=form,
        regions=selectors.regions(),
        room=room_of(owner_id),
    )


def _create(request: HttpRequest, form: CreateForm) -> HttpResponse | None:
    try:
        operation = lifecycle.create(
            form.cleaned_data["owner"],
            actor=actor_of(request),
            source=Source.ADMIN,
            new=form.request(),
            request_id=current_request_id(),
        )
    except Refused as error:
        form.add_error(None, with_remedy(error))
        return None
    messages.success(request, "The create was requested; this page follows it.")
    return redirect("admin:sandboxes_sandbox_change", operation.sandbox_id)


def room_of(owner_id: str) -> dict[str, Any]:
    """What is to be said of an owner's limit before the button is pressed."""
    if not owner_id:
        return {}
    owner = Owner.objects.filter(pk=owner_id).first()
    return {"owner_id": owner_id, "owner": owner, "cap": owners.cap(owner_id)}


def room_view(request: HttpRequest) -> HttpResponse:
    """The same as a piece of HTML, while the owner is typed."""
    if not request.user.has_perm("sandboxes.add_sandbox"):
        raise PermissionDenied
    return render(request, "sandboxes/pieces/room.html", {"room": room_of(request.GET.get("owner", "").strip())})
