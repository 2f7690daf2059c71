"""The field of every text that a client may send and that people will read."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from project.readable import UnreadableText, checked
from sandboxes.core.labels import LONGEST


class Labels(serializers.DictField):
    """Names and values; which of them may be is the service's to refuse."""

    def __init__(self, *, removable: bool = False, **options: Any) -> None:
        super().__init__(child=ApiText(max_length=LONGEST, allow_null=removable), **options)


class ApiText(serializers.CharField):
    """One line in NFC. Refuses, as `unreadable_text`, what nobody can read: control, bidirectional, invisible."""

    def to_internal_value(self, data: Any) -> str:
        try:
            text = checked(data.strip(" \t\r\n")) if isinstance(data, str) else data
        except UnreadableText as error:
            raise serializers.ValidationError(str(error), code=error.code) from None
        return super().to_internal_value(text)
