"""Notes on the pages of owners and sandboxes: internal, and never changed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django import forms
from django.contrib import messages
from django.core.exceptions import PermissionDenied

from sandboxes.admin.fields import Lines
from sandboxes.admin.verbs import actor_of
from sandboxes.services import notes

if TYPE_CHECKING:
    from django.http import HttpRequest

    from sandboxes.models import Owner, Sandbox

SHOWN = 50


class NoteForm(forms.Form):
    text = Lines(
        max_length=2000,
        label="New note",
        help_text="Internal: no owner and no program reads it.",
        widget=forms.Textarea({"class": "sk-input", "rows": 2}),
    )


def shown(request: HttpRequest, about: Owner | Sandbox) -> dict[str, Any]:
    """What a page needs to show the notes and to take a new one."""
    may_read = request.user.has_perm("sandboxes.view_note")
    return {
        "may_read_notes": may_read,
        "notes": list(notes.of(about)[:SHOWN]) if may_read else [],
        "note_form": NoteForm() if request.user.has_perm("sandboxes.add_note") else None,
    }


def take(request: HttpRequest, about: Owner | Sandbox) -> None:
    """POST: add the note, or say what is wrong with it."""
    if not request.user.has_perm("sandboxes.add_note"):
        raise PermissionDenied
    form = NoteForm(request.POST)
    if form.is_valid():
        notes.add(about, form.cleaned_data["text"], actor=actor_of(request))
        messages.success(request, "The note is kept.")
    else:
        messages.error(request, " ".join(map(str, form.errors["text"])))
