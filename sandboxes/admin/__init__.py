"""The admin: staff read here, and ask the services for what they want done."""

from __future__ import annotations

from django.contrib import admin

from sandboxes.admin import keys, owner, people, reading, sandbox

admin.site.index_template = "sandboxes/dashboard.html"
admin.site.enable_nav_sidebar = True

__all__ = ["keys", "owner", "people", "reading", "sandbox"]
