"""Every page in light and dark, wide and narrow: quiet, readable, without a sideways scroll."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from axe_playwright_python.base import AXE_SCRIPT
from django.contrib.auth.models import User
from django.test import Client
from playwright.sync_api import expect

from tests.admin import members
from tests.admin.furnishing import furnish
from tests.support import rows
from tests.support.admin_addresses import pages

if TYPE_CHECKING:
    from tests.browser.conftest import Desk

pytestmark = pytest.mark.browser

# The contrast of each badge's words against what is behind them (WCAG: 4.5 for small text).
CONTRAST = """
() => {
  const canvas = document.createElement("canvas").getContext("2d", {willReadFrequently: true});
  function painted(colours) {
    canvas.fillStyle = "#fff"; canvas.fillRect(0, 0, 1, 1);
    for (const colour of colours) { canvas.fillStyle = colour; canvas.fillRect(0, 0, 1, 1); }
    return [...canvas.getImageData(0, 0, 1, 1).data].slice(0, 3);
  }
  function light(rgb) {
    const [r, g, b] = rgb.map((v) => (v /= 255) <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  }
  function behind(element) {
    const colours = [];
    for (let at = element; at; at = at.parentElement) colours.unshift(getComputedStyle(at).backgroundColor);
    return colours;
  }
  return [...document.querySelectorAll(".sk-badge, .sk-faint, .sk-warn, .sk-link, .sk-good, .sk-bad, .sk-button")]
    .filter((e) => e.checkVisibility() && !e.disabled && e.textContent.trim())
    .map((e) => {
      const back = behind(e);
      const [a, b] = [light(painted(back)), light(painted([...back, getComputedStyle(e).color]))];
      return [e.textContent.trim(), (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05)];
    });
}
"""


AXE_OPTIONS = {"resultTypes": ["violations"], "rules": {"target-size": {"enabled": True}}}
AXE_FAULTS = """
async (options) => (await axe.run(options)).violations.flatMap(
  (rule) => rule.nodes.map((node) => `${rule.id}: ${node.html.slice(0, 160)}`))
"""


def violations(desk: Desk) -> list[str]:
    """What axe finds, of any impact, with the size of targets."""
    if not desk.page.evaluate("'axe' in window"):
        desk.page.evaluate(AXE_SCRIPT)  # once for each document: it is large
    found: list[str] = desk.page.evaluate(AXE_FAULTS, AXE_OPTIONS)
    return found


WIDTHS = (390, 1024, 1440)
# What a POST answers: pages that ask, by the address and the button that leads there.
ASKED = (
    ("sandboxes_sandbox_change", "#do-delete"), ("sandboxes_sandbox_change", "#do-protect"),
    ("sandboxes_owner_change", "#hold"),
)  # fmt: skip


def addresses() -> dict[str, str]:
    """The path of every page of the admin, by its name; each shows something."""
    row = furnish()
    browser = Client()
    browser.force_login(members.root())
    keys = {"sandbox": str(row.pk), "owner": row.owner_id, "orphan": "stray"}
    found = {page.name: page.path for page in pages(browser, keys)}
    assert len(found) > 35, "the walk has lost its way"
    return found


def test_every_page_is_quiet_readable_and_fits(desk: Desk, transactional_db: None) -> None:
    found = addresses()
    desk.sign_in(User.objects.get(username="admin"))
    faults: list[str] = []
    for name, path in found.items():
        desk.page.goto(desk.address + path)
        faults += _faults(desk, name)
    for name, button in ASKED:
        desk.page.goto(desk.address + found[name])
        desk.page.locator(button).click()
        expect(desk.page.get_by_role("link", name="Cancel")).to_be_visible()
        faults += _faults(desk, button)
    assert not faults, "\n".join(faults)


def _faults(desk: Desk, name: str) -> list[str]:
    found: list[str] = []
    for theme in ("light", "dark"):
        # What Unfold does when it loads: all of a theme hangs on this class.
        desk.page.evaluate("dark => document.documentElement.classList.toggle('dark', dark)", theme == "dark")
        for width in WIDTHS:
            desk.page.set_viewport_size({"width": width, "height": 900})
            pale = [(words, ratio) for words, ratio in desk.page.evaluate(CONTRAST) if ratio < 4.5]
            faults = [f"{words} has a contrast of {ratio:.1f}" for words, ratio in pale]
            wide = desk.page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
            faults += [f"it scrolls {wide} px sideways"] if wide > 0 else []
            found += [f"{name}, {theme}, {width}: {one}" for one in [*faults, *violations(desk)]]
    return found


def test_the_way_in_is_accessible_and_the_keyboard_skips_the_navigation(desk: Desk, transactional_db: None) -> None:
    desk.open("login")
    assert violations(desk) == []
    desk.sign_in(members.viewer())
    desk.open("sandboxes_sandbox_changelist")
    desk.page.keyboard.press("Tab")
    expect(desk.page.get_by_role("link", name="Skip to the content")).to_be_focused()
    desk.page.keyboard.press("Enter")
    expect(desk.page.locator("#content")).to_be_focused()


def test_the_numbers_of_the_dashboard_lead_to_what_they_count(desk: Desk, transactional_db: None) -> None:
    furnish()
    desk.sign_in(members.viewer())
    for status in ("running", "stopped", "gone"):
        desk.open("index")
        tile = desk.page.locator(f'a[data-status="{status}"]')
        count = int(tile.locator(".sk-big").inner_text())
        tile.click()
        expect(desk.page.get_by_role("link", name=f"status: {status}")).to_be_visible()
        expect(desk.page.locator("#result_list tbody tr.data-row")).to_have_count(count)
    desk.open("index")
    desk.page.get_by_role("link", name="Oldest in progress").click()
    expect(desk.page.locator("#result_list tbody tr.data-row")).to_have_count(1)
    desk.open("index")
    desk.page.get_by_role("link", name="Failed operations").click()
    expect(desk.page.get_by_role("link", name="status: failed")).to_be_visible()


def test_no_cell_of_a_list_is_cut_off_on_a_phone(desk: Desk, transactional_db: None) -> None:
    furnish()
    desk.sign_in(User.objects.create_superuser("root"))
    desk.page.set_viewport_size({"width": 390, "height": 900})
    cut_off = """() => [...document.querySelectorAll("#result_list tbody :is(td, th)")]
        .filter(e => e.checkVisibility() && e.scrollHeight > e.clientHeight + 1).map(e => e.textContent.trim())"""
    for name in ("sandbox", "orphan", "receiver", "operation", "auditentry"):
        desk.open(f"sandboxes_{name}_changelist")
        assert desk.page.evaluate(cut_off) == [], name


LONG = "a" * 150, "user_" + "0123456789" * 12


def test_long_names_and_owners_leave_the_page_as_wide_as_it_is(desk: Desk, transactional_db: None) -> None:
    name, owner = LONG
    row = rows.sandbox(name, of=owner)
    rows.operation(row)
    desk.sign_in(members.root())
    too_wide = """() => [...document.querySelectorAll(".sk-scroll, #result_list, #main")]
        .map(e => e.closest(".sk-scroll") || e.parentElement)
        .filter(e => e.scrollWidth > e.clientWidth + 1).map(e => e.className)"""
    pages: list[tuple[object, ...]] = [
        ("sandboxes_sandbox_changelist",), ("sandboxes_sandbox_change", row.pk), ("sandboxes_owner_change", owner),
        ("sandboxes_owner_changelist",), ("sandboxes_operation_changelist",), ("index",),
    ]  # fmt: skip
    for page, *arguments in pages:
        desk.open(str(page), *arguments)
        for width in (768, 1440):
            desk.page.set_viewport_size({"width": width, "height": 900})
            assert desk.page.evaluate(too_wide) == [], (page, width)


def test_the_bar_of_actions_leaves_the_end_of_the_list_in_reach(desk: Desk, transactional_db: None) -> None:
    made = [rows.sandbox(f"box-{number}", created_at=rows.ago(hours=number)) for number in range(25)]
    desk.sign_in(members.root())
    desk.page.set_viewport_size({"width": 768, "height": 900})
    desk.open("sandboxes_sandbox_changelist")
    desk.choose(made[0])
    bar = desk.page.locator("#changelist-actions > div")
    expect(bar).to_be_visible()
    desk.page.evaluate("scrollTo(0, document.documentElement.scrollHeight)")
    last, over = desk.page.get_by_text("1\u201325").bounding_box(), bar.bounding_box()
    assert last is not None
    assert over is not None
    assert last["y"] + last["height"] <= over["y"]


def test_the_words_of_the_chart_follow_the_theme(desk: Desk, transactional_db: None) -> None:
    furnish()
    desk.sign_in(members.viewer())
    colour = "Chart.getChart(document.querySelector('canvas.chart')).scales.x.options.ticks.color"
    for theme, expected in (("light", "#4b5563"), ("dark", "#9ca3af")):
        desk.page.emulate_media(color_scheme=theme)  # type: ignore[arg-type]
        desk.open("index")
        assert desk.page.evaluate(colour) == expected


def test_filters_open_and_narrow_the_list(desk: Desk, transactional_db: None) -> None:
    furnish()
    desk.sign_in(members.viewer())
    desk.open("sandboxes_sandbox_changelist")
    desk.page.locator("a", has_text="Filters").click()
    desk.page.get_by_role("region", name="not as wanted").get_by_role("link", name="Yes").click()
    names = desk.page.locator("#result_list .field-cell_name a")
    expect(names.filter(has_text="evicted")).to_have_count(1)
    expect(names.filter(has_text="box-running")).to_have_count(0)


def test_ages_grow_while_a_page_stays_open(desk: Desk, transactional_db: None) -> None:
    row = rows.sandbox(last_accessed_at=rows.ago(seconds=10))
    desk.sign_in(members.viewer())
    desk.page.clock.install(time=rows.ago())
    desk.open_sandbox(row)
    used = desk.page.locator("dt", has_text="Last used").locator("+ dd")
    expect(used).to_contain_text("s ago")
    desk.page.clock.run_for(120_000)
    expect(used).to_contain_text("2 min ago")
