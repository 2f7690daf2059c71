"""`make audit`: are vulnerabilities known in what production installs?

    .venv/bin/python -m tests.audit [options of pip-audit, such as -s osv]

pip-audit skips a package that its service does not know, and ends well; here that is said, because nobody has
looked then. Exit code 1 for a known vulnerability only: a service that cannot be reached stops no build.
"""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

from tests.support.environment import ROOT

PATIENCE = 600  # seconds, for about a hundred packages


def main(options: list[str]) -> int:
    answer, complaint = ask(options)
    if answer is None:
        print(f"NOT AUDITED: the service gave no answer ({complaint})")
        return 0
    skipped = [one for one in answer if "skip_reason" in one]
    vulnerable = [one for one in answer if one.get("vulns")]
    for one in vulnerable:
        for found in one["vulns"]:
            cure = ", ".join(found["fix_versions"]) or "no version yet"
            print(f"VULNERABLE {one['name']} {one['version']}: {found['id']}, mended in {cure}")
    if skipped:
        print(f"NOT AUDITED: {len(skipped)} of {len(answer)} packages ({skipped[0]['skip_reason']}, ...)")
    print(f"{len(answer) - len(skipped)} packages were looked up, {len(vulnerable)} have known vulnerabilities.")
    return 1 if vulnerable else 0


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
