"""Daytona and Convex on loopback, for development, demos and tests: `python -m emulator`."""

from __future__ import annotations
