"""Mail by the server of the settings (EMAIL_HOST), in threads of its own: smtplib waits."""

from __future__ import annotations

import asyncio
import smtplib
import time
from concurrent.futures import ThreadPoolExecutor
from functools import cache

import structlog
from django.conf import settings
from django.core.mail import EmailMessage

from sandboxes.core.deliveries import Reply
from sandboxes.providers import counters

log = structlog.get_logger(__name__)


async def send(address: str, *, subject: str, text: str, message: str) -> Reply:
    """Send it once. Returns what came of it within WEBHOOK_TIMEOUT seconds."""
    started = time.monotonic()
    mail = EmailMessage(subject, text, to=[address], headers={"Message-ID": f"<{message}@sandkeeper>"})
    try:
        async with asyncio.timeout(settings.WEBHOOK_TIMEOUT):
            await asyncio.get_running_loop().run_in_executor(_threads(), mail.send)
        error = ""
    except TimeoutError:
        error = f"The mail server did not take it within {settings.WEBHOOK_TIMEOUT:g} s"
    except smtplib.SMTPException as refused:
        error = f"The mail server refused it ({type(refused).__name__})"
    except OSError as lost:
        error = f"The mail server cannot be reached ({type(lost).__name__})"
    seconds = time.monotonic() - started
    counters.record("mail", "send", "failed" if error else "ok", seconds)
    log.info("delivery", message=message, host=settings.EMAIL_HOST, error=error, ms=round(seconds * 1000, 1))
    return Reply(problem=error, is_taken=not error)


@cache
def _threads() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(4, thread_name_prefix="mail")
