"""What is wrong with this installation, and the remedy: checks as data; the command prints them."""

from __future__ import annotations

from sandboxes.services.doctor.examine import DoctorFinding, Level, examine

__all__ = ["DoctorFinding", "Level", "examine"]
