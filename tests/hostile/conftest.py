from __future__ import annotations

from tests.api.conftest import alice, atlas, forgotten, issuer, issuer_server

__all__ = ["alice", "atlas", "forgotten", "issuer", "issuer_server"]
