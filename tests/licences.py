"""`make licences`: a bill of materials and the licences of what production installs, written into var/.

    .venv/bin/python -m tests.licences

Exit code 1 for a licence that is not allowed, an unknown one included.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.support.environment import ROOT

# What an unmodified library may be under without asking anything of our own code, in the words that packages use.
ALLOWED = frozenset({
    "3-Clause BSD License", "Apache Software License", "Apache-2.0", "BSD 3-Clause", "BSD License", "BSD-2-Clause",
    "BSD-3-Clause", "ISC", "LGPL-3.0-only", "MIT", "MIT License", "MIT-0", "MPL-2.0",
    "Mozilla Public License 2.0 (MPL 2.0)", "PSF-2.0", "Python Software Foundation License",
})  # fmt: skip
# Where a package declares nothing, but ships the text of a licence: its first line.
TEXTS = {"Apache License": "Apache-2.0", "MIT License": "MIT"}
BIN = Path(sys.prefix) / "bin"


def is_allowed(licence: str) -> bool:
    """Whether we may use it: one way (OR) of which every part (AND, or “;” between classifiers) is allowed."""
    return any(ALLOWED.issuperset(re.split(r" AND |; ", way)) for way in licence.split(" OR "))


def licence_of(declared: str, text: str) -> str:
    first = next((line.strip() for line in text.splitlines() if line.strip()), "")
    return TEXTS.get(first, declared) if declared == "UNKNOWN" else declared


def installed(python: Path) -> list[tuple[str, str, str]]:
    """Name, version and licence of each package that this Python has."""
    told = _run("pip-licenses", f"--python={python}", "--from=mixed", "--format=json", "--with-license-file")
    return [
        (one["Name"], one["Version"], licence_of(one["License"], one["LicenseText"])) for one in json.loads(told)
    ]


def install(folder: Path) -> Path:
    """The Python of a new environment that has what production installs, and nothing else."""
    _run("uv", "venv", "--quiet", "--python", sys.executable, str(folder))
    python = folder / "bin" / "python"
    requirements = str(ROOT / "requirements.txt")
    _run("uv", "pip", "install", "--quiet", "--require-hashes", "--python", str(python), "-r", requirements)
    return python


def _run(program: str, *arguments: str) -> str:
    command = [str(BIN / program), *arguments]
    return subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True).stdout


def main() -> int:
    (ROOT / "var").mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        python = install(Path(folder) / "production")
        packages = installed(python)
        # Its own validation takes ten seconds and looks for its own mistakes only.
        bill = ["--no-validate", "--output-reproducible", "-o", "var/sbom.json"]
        _run("cyclonedx-py", "environment", *bill, str(python))
    rows = [f"| {name} | {version} | {licence} |" for name, version, licence in packages]
    table = ["| package | version | licence |", "|---|---|---|", *rows, ""]
    (ROOT / "var" / "licences.md").write_text("\n".join(table))
    refused = [package for package in packages if not is_allowed(package[2])]
    for name, version, licence in refused:
        print(f"NOT ALLOWED {name} {version}: {licence}; replace it, or add to ALLOWED in tests/licences.py")
    print(f"{len(packages)} packages, {len(refused)} not allowed: var/licences.md, var/sbom.json")
    return 1 if refused else 0


if __name__ == "__main__":
    sys.exit(main())
