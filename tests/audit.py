"""`make audit`: are vulnerabilities known in what production installs?

    .venv/bin/python -m tests.audit [options of pip-audit, such as -s osv]

Exit code 1 for a known vulnerability, 2 where a package was not looked up: pip-audit skips one that its service
does not know, and ends well, although nobody has looked then. AUDIT_OFFLINE=1 allows just that, for a machine that
cannot reach such a service; it is said all the same.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any

from tests.support.environment import ROOT

PATIENCE = 600  # seconds, for about a hundred packages


def main(options: list[str]) -> int:
    answer, complaint = ask(options)
    if answer is None:
        print(f"NOT AUDITED: the service gave no answer ({complaint})")
        return unaudited()
    skipped = [one for one in answer if "skip_reason" in one]
    vulnerable = [one for one in answer if one.get("vulns")]
    for one in vulnerable:
        for found in one["vulns"]:
            remedy = ", ".join(found["fix_versions"]) or "no version yet"
            print(f"VULNERABLE {one['name']} {one['version']}: {found['id']}, mended in {remedy}")
    if skipped:
        print(f"NOT AUDITED: {len(skipped)} of {len(answer)} packages ({skipped[0]['skip_reason']}, ...)")
    print(f"{len(answer) - len(skipped)} packages were looked up, {len(vulnerable)} have known vulnerabilities.")
    if vulnerable:
        return 1
    return unaudited() if skipped else 0


def unaudited() -> int:
    """The exit code where somebody should have looked and nobody did."""
    if os.environ.get("AUDIT_OFFLINE") == "1":
        return 0
    print("Run it where PyPI's JSON API or OSV (-s osv) can be reached, or set AUDIT_OFFLINE=1 to go on without.")
    return 2


def ask(options: list[str]) -> tuple[list[dict[str, Any]] | None, str]:
    """What pip-audit found of each package, or None and its last word."""
    command = [sys.executable, "-m", "pip_audit", "--requirement", str(ROOT / "requirements.txt")]
    command += ["--disable-pip", "--no-deps", "--format", "json", "--progress-spinner", "off", *options]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=False)
        return json.loads(done.stdout)["dependencies"], ""
    except subprocess.TimeoutExpired:
        return None, f"not within {PATIENCE} s"
    except ValueError:
        return None, (done.stderr.strip().splitlines() or ["without a word"])[-1]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
