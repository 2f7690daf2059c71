"""The admin: staff read here, and ask the services for what they want done."""

from __future__ import annotations

from django.contrib import admin

from sandboxes.admin import (
    accounts,
    audit_log,
    jobs,
    keys,
    orphans,
    owner,
    policies,
    read_only,
    sandbox,
    sign_ins,
    webhooks,
)

admin.site.index_template = "sandboxes/dashboard.html"
admin.site.enable_nav_sidebar = True

__all__ = [
    "accounts", "audit_log", "jobs", "keys", "orphans", "owner", "policies", "read_only", "sandbox", "sign_ins",
    "webhooks",
]  # fmt: skip
