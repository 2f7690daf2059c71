"""Say the lifecycle rules of all sandboxes, a tier's, an owner's or one's."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.core.management.base import CommandError

from sandboxes.core.codes import Refused
from sandboxes.core.policies import MEANINGS
from sandboxes.core.vocabulary import PolicyScope, Rule
from sandboxes.management.output import ReadableCommand
from sandboxes.services import audit, policies

if TYPE_CHECKING:
    from argparse import ArgumentParser

SUBJECTS = [scope.value for scope in PolicyScope if scope != PolicyScope.DEFAULT]


class Command(ReadableCommand):
    help = (
        "Set the lifecycle rules of one scope: of all sandboxes, or of a tier, an owner or one sandbox, the more "
        "specific ones of which win. Minutes; 0: never; `none`: nothing is said here any more. Rules that are not "
        "named stay as they are."
    )
    needs_tables = True

    def add_arguments(self, parser: ArgumentParser) -> None:
        whose = parser.add_mutually_exclusive_group()
        for scope in SUBJECTS:
            whose.add_argument(f"--{scope}", help=f"of this {scope}, instead of all")
        for rule in Rule:
            meaning = MEANINGS[rule]
            text = f"{meaning.action} after so many minutes {meaning.words}"
            parser.add_argument(f"--{rule.replace('_', '-')}", type=_minutes, metavar="MINUTES", help=text)
        parser.add_argument("--reason", default="", help="why, for the audit log")

    def handle(self, *, reason: str, **options: Any) -> None:
        scope = next((name for name in SUBJECTS if options[name]), PolicyScope.DEFAULT)
        given = {rule: options[rule.value] for rule in Rule if options[rule.value] is not None}
        if not given:
            raise CommandError("Name a rule, such as --idle-stop 120.")
        minutes = {rule: one if one >= 0 else None for rule, one in given.items()}
        try:
            row = policies.set_policy(
                PolicyScope(scope), options.get(scope) or "", minutes, actor=audit.COMMAND, reason=reason
            )
        except Refused as error:
            raise CommandError(error.detail) from None
        said = ", ".join(f"{rule} {one}" for rule, one in row.minutes.items() if one is not None) or "nothing"
        self.stdout.write(f"Policy of {row}: {said}.")


def _minutes(text: str) -> int:
    return -1 if text == "none" else int(text)
