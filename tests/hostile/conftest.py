from __future__ import annotations

from django.contrib import admin

from tests.api.conftest import alice, atlas, forgotten, issuer, issuer_server

__all__ = ["alice", "atlas", "forgotten", "issuer", "issuer_server"]

admin.autodiscover()  # tests are made of what is registered; else the URLconf does it
