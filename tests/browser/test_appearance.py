"""Every page in light and dark, wide and narrow: quiet, readable, without a sideways scroll."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from django.contrib.auth.models import Group, User
from playwright.sync_api import expect

from sandboxes.core.codes import NoticeCode
from sandboxes.core.vocabulary import Action, Actor, Intent, OperationStatus, PolicyScope, Rule, Status
from sandboxes.models import Policy, Sandbox, ServiceKey, Sweep, UsageHour, WorkerHeartbeat
from sandboxes.services import notices, policies
from tests.admin import members
from tests.support import rows

if TYPE_CHECKING:
    from tests.browser.conftest import Desk

pytestmark = pytest.mark.browser
BOB = Actor.staff("bob")

PAGES = [
    "index", "sandboxes_sandbox_changelist", "sandboxes_sandbox_add", "sandboxes_owner_changelist",
    "sandboxes_operation_changelist", "sandboxes_sandboxevent_changelist", "sandboxes_notice_changelist",
    "sandboxes_sweep_changelist", "sandboxes_workerheartbeat_changelist", "sandboxes_servicekey_changelist",
    "sandboxes_servicekey_add", "sandboxes_auditentry_changelist", "auth_user_changelist", "auth_user_add",
    "auth_group_changelist", "password_change", "sandboxes_policy_changelist", "sandboxes_policy_add",
    "sandboxes_policy_preview",
]  # fmt: skip

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


def violations(desk: Desk) -> list[str]:
    """What axe finds, of any impact, with the size of targets."""
    found = Axe().run(
        desk.page, options={"resultTypes": ["violations"], "rules": {"target-size": {"enabled": True}}}
    )
    return [
        f"{one['id']}: {node['html'][:160]}" for one in found.response["violations"] for node in one["nodes"]
    ]  # fmt: skip


def furnish() -> Sandbox:
    for status in Status:
        rows.sandbox(f"box-{status}", status=status, error_reason="no disk" if status == Status.ERROR else "")
    row = rows.sandbox(
        "evicted",
        status=Status.STOPPED,
        intent=Intent.RUNNING,
        projection={"wanted_generation": 4, "error": "refused: x"},
    )
    rows.operation(row, Action.STOP, OperationStatus.FAILED, code="timeout", message="too slow")
    rows.event(row)
    rows.operation(rows.sandbox("moving", ephemeral=True), Action.STOP, OperationStatus.IN_PROGRESS)
    for hours in (1, 2, 5):
        hour = rows.ago(hours=hours).replace(minute=0, second=0, microsecond=0)
        UsageHour.objects.create(owner="held", hour=hour, measure="vcpu_seconds", value=3600, rolled_up_at=hour)
    rows.owner("held", hold_since=rows.ago(hours=1), hold_reason="abuse")
    notices.tell(NoticeCode.ORG_SUSPENDED, "The organisation is suspended.")
    Sweep.objects.create(result="complete", started_at=rows.ago(minutes=1), counts={"drift": 2})
    beat: dict[str, Any] = {"host": "h", "pid": 1, "places": 1, "started_at": rows.ago(hours=1)}
    WorkerHeartbeat.objects.create(worker_id="one", beat_at=rows.ago(seconds=1), **beat)
    policies.set_policy(PolicyScope.DEFAULT, "", {Rule.IDLE_STOP: 90}, actor=BOB, reason="costs")
    policies.set_policy(PolicyScope.OWNER, "held", {Rule.EXPIRY: 0, Rule.LONGEST_RUN: 600}, actor=BOB)
    policies.apply_all()
    ServiceKey.objects.create(name="key", prefix="abc", digest="x", scopes=["sandboxes:read"])
    return row


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_every_page_is_quiet_readable_and_fits(desk: Desk, transactional_db: None, theme: Any) -> None:
    row = furnish()
    desk.sign_in(members.root())
    desk.page.emulate_media(color_scheme=theme)
    addresses: list[tuple[object, ...]] = [(name,) for name in PAGES]
    addresses += [
        ("sandboxes_sandbox_change", row.pk),
        ("sandboxes_owner_change", "held"),
        ("sandboxes_operation_change", row.operations.get().pk),
        ("sandboxes_policy_change", Policy.objects.get(scope="default").pk),
        ("auth_user_change", User.objects.get().pk),
        ("auth_group_change", Group.objects.create(name="Readers").pk),
    ]
    hard: list[str] = []
    pale: list[tuple[object, str, float]] = []

    def look(name: object) -> None:
        expect(desk.page.locator("html")).to_have_class(re.compile("dark" if theme == "dark" else "^(?!.*dark)"))
        for width in (390, 768, 1024, 1440):
            desk.page.set_viewport_size({"width": width, "height": 900})
            pale.extend((name, words, ratio) for words, ratio in desk.page.evaluate(CONTRAST) if ratio < 4.5)
            wide = desk.page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
            assert wide <= 0, f"{name} scrolls {wide} px sideways at {width}"
            if width in (390, 1440):
                hard.extend(f"{name} at {width}: {one}" for one in violations(desk))

    for name, *arguments in addresses:
        desk.open(str(name), *arguments)
        look(name)
    for button in ("settings", "delete"):
        desk.open_sandbox(row)
        desk.page.locator(f"#do-{button}").click()
        expect(desk.page.get_by_role("link", name="Cancel")).to_be_visible()
        look(button)
    assert not pale
    assert not hard, "\n".join(hard)


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
