"""Reconcile: drift between Daytona, Convex and our rows is seen and healed. A list row is only a hint."""

from __future__ import annotations

from sandboxes.services.reconcile.result import FindingKind, Options, SweepFinding, SweepResult
from sandboxes.services.reconcile.sweep import SweepUnderWay, sweep

__all__ = ["FindingKind", "Options", "SweepFinding", "SweepResult", "SweepUnderWay", "sweep"]
