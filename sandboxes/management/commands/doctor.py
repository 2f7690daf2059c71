from __future__ import annotations

import json
import sys
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from project.readable import visible
from sandboxes.management.output import ReadableCommand
from sandboxes.services import doctor
from sandboxes.services.doctor import Level

if TYPE_CHECKING:
    from argparse import ArgumentParser

MARKS = {Level.OK: "ok     ", Level.WARNING: "WARNING", Level.BROKEN: "BROKEN "}


class Command(ReadableCommand):
    help = "Say what is wrong with this installation, each with its fix; exit code 1 when something is broken."
    requires_system_checks = []  # the examination reports them

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--json", action="store_true", dest="as_json", help="one JSON object, for programs")

        parser.add_argument(
            "--fail-on",
            choices=[Level.WARNING.value, Level.BROKEN.value],
            default=Level.BROKEN.value,
            help="exit with 1 from this level on (default: broken)",
        )

    def handle(self, *, as_json: bool, fail_on: str, **options: Any) -> None:
        findings = []
        for finding in doctor.examine():
            findings.append(finding)
            if not as_json:
                remedy = f" {finding.remedy}" if finding.remedy else ""
                self.stdout.write(f"{MARKS[finding.level]} {visible(finding.text)}{remedy}")
        is_broken = any(finding.level == Level.BROKEN for finding in findings)
        if as_json:
            found = [asdict(finding) for finding in findings]
            self.stdout.write(json.dumps({"broken": is_broken, "findings": found}, indent=2))
        failing = {Level.BROKEN, Level(fail_on)}
        if any(finding.level in failing for finding in findings):
            sys.exit(1)
