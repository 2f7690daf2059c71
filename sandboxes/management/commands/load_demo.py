from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.management.base import CommandError

from sandboxes.demo import emulated, loading
from sandboxes.management.output import ReadableCommand


class Command(ReadableCommand):
    help = (
        "Make 60 demo sandboxes of 15 owners in the emulator of this machine, with an eviction, a hold, a failed "
        "start, a job, an orphan and two weeks of usage; makes only what is missing, also after it was interrupted."
    )

    def handle(self, **options: Any) -> None:
        if not settings.DEBUG:
            raise CommandError("Demo data is made with DEBUG=1 alone.")
        try:
            with emulated.quick_emulator() as control:
                made = loading.load(control)
        except emulated.NotTheEmulator as error:
            raise CommandError(str(error)) from None
        self.stdout.write(f"Made {made} demo sandboxes." if made else "The demo data is there.")
