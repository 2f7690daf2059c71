"""Django's own users and groups, in this admin's clothes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.contrib import admin
from django.contrib.auth.admin import GroupAdmin as DjangoGroupAdmin
from django.contrib.auth.admin import UserAdmin as DjangoUserAdmin
from django.contrib.auth.models import Group, User
from django.db import models
from django.db.models import QuerySet
from unfold.forms import AdminPasswordChangeForm, UserChangeForm, UserCreationForm

from sandboxes.admin.base import ClosedLookups
from sandboxes.admin.fields import FormText
from sandboxes.admin.verbs import actor_of
from sandboxes.core.vocabulary import AuditAction
from sandboxes.services import audit

if TYPE_CHECKING:
    from django.db.models import Model
    from django.http import HttpRequest

for registered in (User, Group):
    admin.site.unregister(registered)


class PeopleAdmin(ClosedLookups):
    """The names that staff write here are text like any other. The audit log has what Django logs, with values."""

    def formfield_for_dbfield(self, db_field: Any, request: HttpRequest, **options: Any) -> Any:
        if type(db_field) is models.CharField:
            options.setdefault("form_class", FormText)
        return super().formfield_for_dbfield(db_field, request, **options)

    def construct_change_message(self, request: HttpRequest, form: Any, formsets: Any, add: bool = False) -> Any:
        request.account_change = _change_of(form)  # type: ignore[attr-defined]
        return super().construct_change_message(request, form, formsets, add)

    def log_addition(self, request: HttpRequest, obj: Model, message: Any) -> Any:
        self._audit(AuditAction.ACCOUNT_ADDED, request, obj)
        return super().log_addition(request, obj, message)

    def log_change(self, request: HttpRequest, obj: Model, message: Any) -> Any:
        self._audit(AuditAction.ACCOUNT_CHANGED, request, obj)
        return super().log_change(request, obj, message)

    def log_deletions(self, request: HttpRequest, queryset: Any) -> Any:
        for obj in queryset:
            self._audit(AuditAction.ACCOUNT_DELETED, request, obj)
        return super().log_deletions(request, queryset)

    def _audit(self, action: AuditAction, request: HttpRequest, obj: Model) -> None:
        before, after = getattr(request, "account_change", ({}, {}))
        audit.write(action, actor=actor_of(request), about=obj, before=before, after=after)


def _change_of(form: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """What a form changes, before and after; of a password only that it does."""
    before, after = {}, {}
    for name in form.changed_data:
        if "password" in name:
            after[name] = "(changed)"
        else:
            before[name] = _words(form.initial.get(name))
            after[name] = _words(form.cleaned_data.get(name))
    return before, after


def _words(value: Any) -> Any:
    if isinstance(value, QuerySet | list | tuple):
        return sorted(map(str, value))
    return value if isinstance(value, bool) or value is None else str(value)


@admin.register(User)
class UserAdmin(PeopleAdmin, DjangoUserAdmin):
    add_fieldsets = DjangoUserAdmin.add_fieldsets  # Unfold's, which come first, are empty: a user without a name
    form = UserChangeForm
    add_form = UserCreationForm
    change_password_form = AdminPasswordChangeForm


@admin.register(Group)
class GroupAdmin(PeopleAdmin, DjangoGroupAdmin):
    pass
