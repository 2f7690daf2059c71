"""The apps of others that load more than commands and workers need: their configuration, without that."""

from __future__ import annotations

from django.apps import AppConfig
from django.contrib.admin.apps import SimpleAdminConfig


class Unfold(AppConfig):
    """Without its own configuration, which imports the whole admin to make a site."""

    name = "unfold"


class Admin(SimpleAdminConfig):
    """The URLconf finds what is registered, so that only the web process imports it."""

    default_site = "unfold.sites.UnfoldAdminSite"
