"""Members of staff with the permissions of the groups that the migration makes."""

from __future__ import annotations

from importlib import import_module

from django.contrib.auth.models import Permission, User

GROUPS = import_module("sandboxes.migrations.0002_groups")


def member(name: str, *codenames: str, password: str | None = None) -> User:
    """Somebody on staff with these permissions of `sandboxes`; a password takes a second to hash."""
    user = User.objects.create_user(name, password=password, is_staff=True)
    user.user_permissions.set(
        Permission.objects.filter(content_type__app_label="sandboxes", codename__in=codenames)
    )
    return user


def viewer(name: str = "vera", *, password: str | None = None) -> User:
    return member(name, *GROUPS.VIEW, password=password)


def operator(name: str = "otto", *, password: str | None = None) -> User:
    return member(name, *GROUPS.VIEW, *GROUPS.ACT, password=password)


def root(name: str = "admin", *, password: str | None = None) -> User:
    return User.objects.create_superuser(name, password=password)
