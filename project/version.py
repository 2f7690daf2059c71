"""Which Sandkeeper this is: the version in pyproject.toml, written nowhere else."""

from __future__ import annotations

import tomllib
from importlib import metadata
from pathlib import Path

NAME = "sandkeeper"


def _version(root: Path) -> str:
    """From the file itself in a checkout or an image, from what pip noted of an installed package."""
    if not (root / "manage.py").is_file():
        return metadata.version(NAME)
    return str(tomllib.loads((root / "pyproject.toml").read_text())["project"]["version"])


VERSION = _version(Path(__file__).resolve().parent.parent)
USER_AGENT = f"{NAME}/{VERSION}"  # what Daytona and Convex see
