"""What an owner's id may be, wherever it comes in. It stands in paths, where `.` and `..` mean something else."""

from __future__ import annotations

# Of a header: its bytes beyond ASCII name nobody for sure.
IN_A_HEADER = r"^(?!\.{1,2}$)[!-~]{1,255}$"
NOT_IN_PATHS = frozenset({".", ".."})


def fits_a_path(owner: str) -> bool:
    return owner not in NOT_IN_PATHS
