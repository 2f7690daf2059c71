"""Make the pictures of the README again: `.venv/bin/python -m docs.make_pictures` (needs Debian's chromium).

A Sandkeeper of its own with the demo data, on free ports and in a folder that is thrown away: emulator, web, worker
and one sweep. Most of what the pictures show is in the demo; stops in progress are asked for here.

With `--all` it takes every page of the admin in four sizes, light and dark, into var/pictures, to be looked at.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from playwright.sync_api import Page, expect, sync_playwright

from tests.support.emulator import Emulator
from tests.support.environment import DEVELOPMENT, ROOT, clean_environment
from tests.support.processes import answers, free_port, manage, run_command, running, web_command, worker
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

PICTURES = Path(__file__).parent / "pictures"
SIZE = {"width": 1440, "height": 900}
EVERY = ROOT / "var" / "pictures"
WIDTHS = (1440, 1024, 768, 390)
SLOW = 60.0  # seconds: a stop that is still in flight when its picture is taken


def main() -> int:
    chromium = shutil.which("chromium")
    if chromium is None:
        print("There is no chromium. On Debian: apt install chromium")
        return 1
    every = "--all" in sys.argv[1:]
    with tempfile.TemporaryDirectory() as folder, Emulator(transition=0.1) as emulator:
        environment = _environment(Path(folder), emulator)
        for command in (["migrate"], ["ensure_dev_admin"], ["load_demo"], ["reconcile_sandboxes"]):
            done = run_command(*command, environment=environment, timeout=300)
            assert done.returncode in (0, 2), done.stdout + done.stderr
        paths = _paths(environment) if every else {}  # before Playwright's event loop: Django would refuse to ask
        with _everything(Path(folder), environment) as address, sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
            page = browser.new_page(viewport=SIZE, color_scheme="light")  # type: ignore[arg-type]
            _sign_in(page, address)
            if every:
                _take_every(page, address, paths)
            else:
                _take(page, address, emulator)
            browser.close()
    return 0


def _environment(folder: Path, emulator: Emulator) -> dict[str, str]:
    return clean_environment(
        **DEVELOPMENT,
        DATABASE_URL=f"sqlite:///{folder / 'pictures.sqlite3'}",
        DAYTONA_API_URL=emulator.daytona_url,
        DAYTONA_API_KEY=emulator.daytona_key,
        CONVEX_URL=emulator.convex_url,
        CONVEX_DEPLOY_KEY=emulator.convex_key,
        ATTEMPT_SECONDS="0.2",
        LOG_LEVEL="WARNING",
    )


@contextmanager
def _everything(folder: Path, environment: dict[str, str]) -> Iterator[str]:
    """Web and worker; gives the address of the web."""
    port = free_port()
    sweep = manage("reconcile_sandboxes", "--every", "5")
    with (
        running(web_command(port), environment=environment, log=folder / "web.log"),
        worker(environment, log=folder / "worker.log"),
        running(sweep, environment=environment, log=folder / "sweep.log"),
    ):
        wait_until(lambda: answers(port), what="an answer of the web process")
        yield f"http://127.0.0.1:{port}"


def _sign_in(page: Page, address: str) -> None:
    page.goto(f"{address}/admin/")
    page.get_by_label("Username").fill("admin")
    page.get_by_label("Password").fill("admin")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Last sweep")).to_be_visible()


def _paths(environment: dict[str, str]) -> dict[str, str]:
    """Every page of the admin by its name, with something to show on each."""
    os.environ.update(environment, DJANGO_SETTINGS_MODULE="project.settings")
    import django

    django.setup()
    from django.contrib.auth.models import User
    from django.test import Client

    from sandboxes.core.vocabulary import Actor
    from sandboxes.models import Owner, Sandbox
    from sandboxes.services import keys, notes, webhooks
    from tests.support.admin_addresses import pages

    staff = Actor.staff("admin")
    key, _ = keys.create_key("agents", scopes=["sandboxes:read", "sandboxes:any"])
    webhooks.register(key.pk, url="https://agents.example.com/hook", kinds=["gone"], actor=staff)
    owner = Owner.objects.get(pk="user_ada")
    notes.add(owner, "Called them on Monday; they move to a larger tier.", actor=staff)
    browser = Client(SERVER_NAME="127.0.0.1")
    browser.force_login(User.objects.get(username="admin"))
    fullest = Sandbox.objects.filter(owner=owner, status="running").latest("created_at")
    return dict(pages(browser, {"owner": owner.pk, "sandbox": str(fullest.pk)}))


def _take_every(page: Page, address: str, paths: dict[str, str]) -> None:
    shutil.rmtree(EVERY, ignore_errors=True)
    for name, path in paths.items():
        page.goto(address + path)
        for theme in ("light", "dark"):
            # What Unfold does when it loads: all of a theme hangs on this class.
            page.evaluate("dark => document.documentElement.classList.toggle('dark', dark)", theme == "dark")
            for width in WIDTHS:
                page.set_viewport_size({"width": width, "height": SIZE["height"]})
                page.screenshot(path=EVERY / f"{width}-{theme}" / f"{name}.png", full_page=True)


def _take(page: Page, address: str, emulator: Emulator) -> None:
    _open_the_evicted(page, address)
    page.screenshot(path=PICTURES / "sandbox.png", full_page=True)
    page.emulate_media(color_scheme="dark")
    page.goto(f"{address}/admin/?usage=7d")
    page.screenshot(path=PICTURES / "dashboard-dark.png", full_page=True)
    page.emulate_media(color_scheme="light")
    page.goto(f"{address}/admin/?usage=7d")
    page.screenshot(path=PICTURES / "dashboard.png", full_page=True)
    emulator.settings(transition=SLOW)
    _stop_two(page, address)
    page.screenshot(path=PICTURES / "list.png")


def _open_the_evicted(page: Page, address: str) -> None:
    page.goto(f"{address}/admin/sandboxes/sandbox/?q=user_ada&drift=yes")
    page.locator("#result_list .field-cell_name a").first.click()
    expect(page.locator("#why")).to_be_visible()


def _stop_two(page: Page, address: str) -> None:
    page.goto(f"{address}/admin/sandboxes/sandbox/?status=running")
    for row in (1, 3):
        page.locator("#result_list input.action-select").nth(row).check()
    page.get_by_role("button", name="Stop…").click()
    page.get_by_label("Reason").fill("maintenance at noon")
    page.get_by_role("button", name="Stop", exact=True).click()
    expect(page.get_by_text("Daytona is stopping it").first).to_be_visible(timeout=30_000)
    page.goto(f"{address}/admin/sandboxes/sandbox/")
    expect(page.get_by_text("Stop: Daytona is stopping it").first).to_be_visible()


if __name__ == "__main__":
    sys.exit(main())
