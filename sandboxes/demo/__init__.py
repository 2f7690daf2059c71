"""Demo data for a development machine, made through the emulator by the services themselves."""

from __future__ import annotations
