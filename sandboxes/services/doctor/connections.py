"""The other systems: one read of Daytona, Convex's own diagnosis."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.conf import settings

from sandboxes.providers import blocking
from sandboxes.providers.convex import gateway as convex
from sandboxes.providers.convex.environment import mistakes
from sandboxes.providers.daytona import gateway as daytona
from sandboxes.services.doctor.finding import DoctorFinding, Level, broken, ok

if TYPE_CHECKING:
    from collections.abc import Iterator

LEVELS = {"ok": Level.OK, "warning": Level.WARNING, "error": Level.BROKEN}


def look_at_daytona() -> Iterator[DoctorFinding]:
    try:
        page = blocking.run(daytona.gateway().list_page(limit=1))
    except daytona.NotConfigured as error:
        yield broken("daytona", error.message, "Set DAYTONA_API_URL and DAYTONA_API_KEY for workers and commands.")
    except daytona.Unauthorized:
        remedy = "Put a valid key into DAYTONA_API_KEY and restart the workers."
        yield broken("daytona", "Daytona refuses DAYTONA_API_KEY.", remedy)
    except daytona.Suspended as error:
        yield broken(
            "daytona", f"Daytona has suspended the organisation: {error.message}", "Settle it with Daytona."
        )
    except daytona.DaytonaError as error:
        remedy = f"Look whether {settings.DAYTONA_API_URL} can be reached from here; operations wait until then."
        yield broken("daytona", f"Daytona does not answer as it should: {error.message}", remedy)
    else:
        some = "has sandboxes" if page.items else "has no sandboxes yet"
        yield ok("daytona", f"Daytona answers, the key is valid, the organisation {some}.")


def look_at_convex() -> Iterator[DoctorFinding]:
    if not settings.CONVEX_URL and not settings.CONVEX_DEPLOY_KEY:
        yield ok("convex", "CONVEX_URL is not set: nothing is shown in Convex.")
        return
    wrong = mistakes(settings.CONVEX_URL, settings.CONVEX_DEPLOY_KEY)
    yield from (broken("convex", mistake.text, mistake.remedy) for mistake in wrong)
    if wrong:
        return  # whatever answers there answers something else
    try:
        gateway = convex.gateway()
    except convex.ConvexError as error:
        yield broken("convex", error.message, "Correct CONVEX_URL or CONVEX_DEPLOY_KEY; see .env.example.")
        return
    assert gateway is not None  # else something is not set
    for found in gateway.diagnose().findings:
        yield DoctorFinding(found.code, LEVELS[found.level], found.text, found.remedy)
