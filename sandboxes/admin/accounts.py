"""Django's own users and groups, in this admin's clothes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.contrib import admin
from django.contrib.auth.admin import GroupAdmin as DjangoGroupAdmin
from django.contrib.auth.admin import UserAdmin as DjangoUserAdmin
from django.contrib.auth.models import Group, User
from django.db import models
from unfold.forms import AdminPasswordChangeForm, UserChangeForm, UserCreationForm

from sandboxes.admin.base import ClosedLookups
from sandboxes.admin.fields import Text

if TYPE_CHECKING:
    from django.http import HttpRequest

for registered in (User, Group):
    admin.site.unregister(registered)


class PeopleAdmin(ClosedLookups):
    """The names that staff write here are text like any other."""

    def formfield_for_dbfield(self, db_field: Any, request: HttpRequest, **options: Any) -> Any:
        if type(db_field) is models.CharField:
            options.setdefault("form_class", Text)
        return super().formfield_for_dbfield(db_field, request, **options)


@admin.register(User)
class UserAdmin(PeopleAdmin, DjangoUserAdmin):
    form = UserChangeForm
    add_form = UserCreationForm
    change_password_form = AdminPasswordChangeForm


@admin.register(Group)
class GroupAdmin(PeopleAdmin, DjangoGroupAdmin):
    pass
