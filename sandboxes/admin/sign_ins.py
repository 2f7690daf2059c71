"""Sign-ins of staff, their ends and failures, for the audit log."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.contrib.auth.signals import user_logged_in, user_logged_out, user_login_failed
from django.dispatch import receiver

from project.readable import visible
from sandboxes.core.vocabulary import Actor, AuditAction
from sandboxes.services import audit

if TYPE_CHECKING:
    from django.contrib.auth.models import AbstractBaseUser


@receiver(user_logged_in, dispatch_uid="audit_signed_in")
def signed_in(user: AbstractBaseUser, **_: Any) -> None:
    audit.write(AuditAction.SIGNED_IN, actor=Actor.staff(user.get_username()), about=user)


@receiver(user_logged_out, dispatch_uid="audit_signed_out")
def signed_out(user: AbstractBaseUser | None, **_: Any) -> None:
    if user is not None:
        audit.write(AuditAction.SIGNED_OUT, actor=Actor.staff(user.get_username()), about=user)


@receiver(user_login_failed, dispatch_uid="audit_sign_in_failed")
def sign_in_failed(credentials: dict[str, Any], **_: Any) -> None:
    name = visible(str(credentials.get("username") or ""))
    audit.write(AuditAction.SIGN_IN_FAILED, actor=Actor.staff(name), name=name)
