"""The fields of every text that staff may write and that people will read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django import forms

from project.readable import UnreadableText, checked, checked_owner_id

if TYPE_CHECKING:
    from collections.abc import Callable


class FormText(forms.CharField):
    """One line in NFC, without what nobody can read."""

    check: Callable[[str], str] = staticmethod(checked)

    def to_python(self, value: Any) -> Any:
        text = super().to_python(value.strip(" \t\r\n") if isinstance(value, str) else value)
        try:
            return self.check(text) if text else text
        except UnreadableText as error:
            raise forms.ValidationError(str(error), code=error.code) from None


class OwnerId(FormText):
    check = staticmethod(checked_owner_id)


def _checked_lines(text: str) -> str:
    return "\n".join(checked(line) for line in text.splitlines())


class Lines(FormText):
    """Several lines of such a text."""

    check = staticmethod(_checked_lines)
