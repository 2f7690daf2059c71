"""Daytona, as v0.190 of its API answered in the recordings of tests/contract/recordings."""

from __future__ import annotations
