"""How the admin looks: the settings of django-unfold."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.templatetags.static import static
from django.urls import reverse_lazy

if TYPE_CHECKING:
    from collections.abc import Callable

    from django.http import HttpRequest


def _may(permission: str) -> Callable[[HttpRequest], bool]:
    return lambda request: bool(request.user.has_perm(permission))


def _link(title: str, icon: str, model: str, app: str = "sandboxes") -> dict[str, Any]:
    return {
        "title": title,
        "icon": icon,
        "link": reverse_lazy(f"admin:{app}_{model}_changelist"),
        "permission": _may(f"{app}.view_{model}"),
    }


NAVIGATION: list[dict[str, Any]] = [
    {
        "items": [
            {"title": "Dashboard", "icon": "dashboard", "link": reverse_lazy("admin:index")},
            _link("Sandboxes", "deployed_code", "sandbox"),
            _link("Owners", "person", "owner"),
            _link("Operations", "bolt", "operation"),
            {**_link("Jobs", "checklist", "job"), "permission": _may("sandboxes.view_operation")},
            _link("Events", "history", "sandboxevent"),
            _link("Lifecycle policies", "schedule", "policy"),
        ],
    },
    {
        "title": "Installation",
        "separator": True,
        "items": [
            _link("Notices", "warning", "notice"),
            _link("Sweeps", "mop", "sweep"),
            {**_link("Orphans", "no_accounts", "orphan"), "permission": _may("sandboxes.view_sweep")},
            _link("Workers", "engineering", "workerheartbeat"),
            _link("Service keys", "key", "servicekey"),
            _link("Webhooks", "webhook", "receiver"),
        ],
    },
    {
        "title": "Staff",
        "separator": True,
        "items": [
            _link("Users", "badge", "user", "auth"),
            _link("Groups", "group", "group", "auth"),
            _link("Audit log", "policy", "auditentry"),
        ],
    },
]

# Teal, one step darker than usual: white on 600 and 600 on white both have a contrast of 5 or more.
TEAL = {
    "50": "#f0fdfa", "100": "#ccfbf1", "200": "#99f6e4", "300": "#5eead4", "400": "#2dd4bf", "500": "#14b8a6",
    "600": "#0f766e", "700": "#115e59", "800": "#134e4a", "900": "#134e4a", "950": "#042f2e",
}  # fmt: skip

UNFOLD: dict[str, Any] = {
    "SITE_TITLE": "Sandkeeper",
    "SITE_HEADER": "Sandkeeper",
    "SITE_SUBHEADER": "Sandboxes on Daytona",
    "SITE_URL": None,  # there is no other site to return to
    "SITE_SYMBOL": "deployed_code",
    "SITE_FAVICONS": [
        {"rel": "icon", "type": "image/svg+xml", "href": lambda _request: static("sandboxes/icon.svg")},
    ],
    "SHOW_HISTORY": False,
    "SHOW_VIEW_ON_SITE": False,
    "DASHBOARD_CALLBACK": "sandboxes.admin.dashboard.context",
    "STYLES": [lambda _request: static("sandboxes/admin.css")],
    "SCRIPTS": [lambda _request: static("sandboxes/admin.js")],
    "COLORS": {"primary": TEAL},
    "COMMAND": {"search_callback": "sandboxes.admin.everything.found"},
    "SIDEBAR": {"navigation": NAVIGATION, "show_search": True, "command_search": True},
}
