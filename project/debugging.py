"""Django's error pages of DEBUG without our secrets, whatever setting or variable holds them."""

from __future__ import annotations

import re
from typing import Any

from django.utils.html import escape
from django.utils.safestring import SafeString, mark_safe
from django.views.debug import ExceptionReporter, SafeExceptionReporterFilter

from project.logs import REDACTED, hidden, redact

NAMES = re.compile(
    "API|AUTH|TOKEN|KEY|SECRET|PASS|PEPPER|SIGNATURE|COOKIE|CREDENTIAL|DATABASE_URL|CACHE_URL|_FILE$", re.IGNORECASE
)
IN_ADDRESSES = re.compile(r"(://[^\s/@:]{0,255}:)[^\s/@]{1,1024}@")


class Filter(SafeExceptionReporterFilter):
    """For settings, the environment and the request's META."""

    hidden_settings = NAMES

    def cleanse_setting(self, key: Any, value: Any) -> Any:
        cleansed = super().cleanse_setting(key, value)
        return clean(cleansed) if isinstance(cleansed, str) else cleansed


class Reporter(ExceptionReporter):
    """The page as a whole once more: local variables, messages and source lines hold secrets, too."""

    def get_traceback_html(self) -> SafeString:
        return mark_safe(clean(super().get_traceback_html()))  # noqa: S308 - escaped by Django's template

    def get_traceback_text(self) -> SafeString:
        return mark_safe(clean(super().get_traceback_text()))  # noqa: S308 - plain text


def clean(text: str) -> str:
    """Text, plain or HTML, without secrets and without the passwords of addresses."""
    for secret in hidden():
        text = text.replace(escape(secret), REDACTED)
    return IN_ADDRESSES.sub(rf"\1{REDACTED}@", redact(text))
