"""The REST API's settings that are the same everywhere."""

from __future__ import annotations

from typing import Any

from corsheaders.defaults import default_headers

from project.version import VERSION
from sandboxes.core.causes import Cause
from sandboxes.core.codes import Code
from sandboxes.core.vocabulary import (
    Action,
    EventKind,
    Intent,
    OperationStatus,
    PolicyScope,
    Rule,
    Source,
    Status,
)

__all__ = [
    "CORS_ALLOW_HEADERS",
    "CORS_EXPOSE_HEADERS",
    "CORS_URLS_REGEX",
    "REST_FRAMEWORK",
    "SPECTACULAR_SETTINGS",
]

REST_FRAMEWORK: dict[str, Any] = {
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "sandboxes.api.authentication.BearerAuthentication",
        "sandboxes.api.authentication.StaffSessionAuthentication",
    ],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["sandboxes.api.http.StrictJson"],
    "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAuthenticated"],
    "DEFAULT_SCHEMA_CLASS": "sandboxes.api.schema.ViewSchema",
    "EXCEPTION_HANDLER": "sandboxes.api.problems.handler",
    "URL_FORMAT_OVERRIDE": None,
    "TEST_REQUEST_DEFAULT_FORMAT": "json",
}

SPECTACULAR_SETTINGS: dict[str, Any] = {
    "TITLE": "Sandkeeper",
    "DESCRIPTION": (
        "AI sandboxes on Daytona: who owns them, what is wanted, and what is true. See docs/clients.md.\n\n"
        "Within v1 a field, a code or a value keeps its meaning; fields, codes and addresses may be added. An "
        "`enum` is closed; the values of an `x-extensible-enum` may become more: its description says what to do."
    ),
    "VERSION": VERSION,
    "CONTACT": {"name": "Whoever runs this installation"},
    "SERVERS": [{"url": "/", "description": "This installation."}],
    "OAS_VERSION": "3.1.0",
    "SERVE_INCLUDE_SCHEMA": False,
    "SCHEMA_PATH_PREFIX": "/api/v1",
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "SWAGGER_UI_SETTINGS": {"deepLinking": True, "displayRequestDuration": True},
    "COMPONENT_SPLIT_REQUEST": True,
    "POSTPROCESSING_HOOKS": [
        "drf_spectacular.hooks.postprocess_schema_enums",
        "sandboxes.api.schema.finish",
    ],
    "ENUM_GENERATE_CHOICE_DESCRIPTION": False,
    "ENUM_NAME_OVERRIDES": {
        "BulkOutcome": ["accepted", "refused"],
        "Cause": Cause.choices,
        "EventType": EventKind.values,
        "ProblemCode": [code.value for code in Code],
        "SandboxStatus": Status.choices,
        "OperationStatus": OperationStatus.choices,
        "OperationAction": Action.choices,
        "RequestableAction": "sandboxes.api.representations.ACTIONS",
        "PolicyRule": Rule.choices,
        "PolicyScope": PolicyScope.choices,
        "RuleEnum": "sandboxes.api.representations.RULES",
        "ScopeEnum": "sandboxes.api.representations.SCOPES",
        "Intent": Intent.choices,
        "Source": Source.choices,
    },
}

CORS_URLS_REGEX = r"^/api/"
CORS_ALLOW_HEADERS = (
    *default_headers,
    "idempotency-key",
    "if-match",
    "if-none-match",
    "prefer",
    "x-on-behalf-of",
    "x-request-id",
)
CORS_EXPOSE_HEADERS = (
    "ETag",
    "Location",
    "Retry-After",
    "RateLimit",
    "RateLimit-Policy",
    "X-Request-ID",
    "Preference-Applied",
    "Idempotency-Replayed",
    "Deprecation",
    "Sunset",
    "Link",
)
