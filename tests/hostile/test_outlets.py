"""Where text comes out, whoever wrote it: no control sequence, no turned direction, no line that is not ours."""

from __future__ import annotations

import io
import json
import logging
from typing import Any

import pytest
from django.core.management import call_command, get_commands, load_command_class
from django.test import Client
from django.urls import reverse

from project import logs
from sandboxes.core.codes import NoticeCode
from sandboxes.management.output import ReadableCommand
from sandboxes.management.tables import ReadableConsole, table
from sandboxes.metrics import _gauges
from sandboxes.models import SandboxEvent
from sandboxes.services import notices
from tests.admin import members
from tests.support import rows

NAME = "x\x1b[2J\x1b[31mALL WELL\u202e\x9b"
SHOWN = "x␛[2J␛[31mALL WELL⟨U+202E⟩⟨U+009B⟩"
RAW = ("\x1b", "\u202e", "\x9b", "\x00", "\r")


def assert_readable(text: str) -> None:
    assert not [sign for sign in RAW if sign in text], ascii(text)


def test_every_command_of_ours_writes_what_can_be_read() -> None:
    ours = [name for name, app in get_commands().items() if app == "sandboxes"]
    assert len(ours) >= 9
    assert [name for name in ours if not isinstance(load_command_class("sandboxes", name), ReadableCommand)] == []


def test_tables_and_sentences_on_a_terminal_show_signs() -> None:
    """The terminal's own colours stay."""
    stream = io.StringIO()
    console = ReadableConsole(file=stream, force_terminal=True, width=200)
    console.print(table([NAME], [[f"{NAME}\nok", "[b]"]], caption=NAME))
    console.print(f"{NAME} [b]", soft_wrap=True)
    written = stream.getvalue()
    assert written.count("␛[2J") == 4
    assert "\x1b[2J" not in written
    assert "\u202e" not in written
    assert "ALL WELL⟨U+202E⟩⟨U+009B⟩␊ok" in written
    assert written.count("[b]") == 2


def test_the_eviction_table_shows_signs(db: None) -> None:
    rows.sandbox(NAME, of="alice", last_accessed_at=rows.ago(hours=5))
    out = io.StringIO()
    call_command("evict_sandboxes", "--idle", "1h", "--dry-run", stdout=out)
    assert "␛" in out.getvalue()
    assert_readable(out.getvalue())


def test_the_doctor_shows_signs_and_gets_no_line_of_others(db: None) -> None:
    notices.tell(NoticeCode.ORPHANS, f"{NAME}\nok      all is well")
    for options in ([], ["--json"]):
        out = io.StringIO()
        with pytest.raises(SystemExit):
            call_command("doctor", *options, stdout=out)
        assert_readable(out.getvalue())
        assert "\nok      all is well" not in out.getvalue()
    assert json.loads(out.getvalue())["broken"]


@pytest.mark.parametrize("as_json", [True, False])
def test_a_log_line_is_one_line_whatever_is_in_it(as_json: bool) -> None:
    config: dict[str, Any] = dict(logs.logging_config(level="INFO", as_json=as_json)["formatters"]["structlog"])
    formatter = config.pop("()")(**config)
    record = logging.LogRecord("x", logging.INFO, __file__, 1, "GET %s\r\n2026 [info] forged", (NAME,), None)
    line = formatter.format(record)
    assert "\n" not in line
    assert_readable(line)
    assert logs.show_event(None, "info", {"event": NAME, "deep": {NAME: [NAME]}}) == {
        "event": SHOWN, "deep": {SHOWN: [SHOWN]},
    }  # fmt: skip


def test_a_value_of_a_log_line_has_a_length() -> None:
    shown = logs.show_event(None, "info", {"user_agent": "dev:" * 30_000, "exception": "x\n" * 30_000})
    assert len(shown["user_agent"]) == logs.VALUE_LIMIT
    assert len(shown["exception"]) == logs.TRACEBACK_LIMIT
    assert "\n" in shown["exception"]


def test_the_pages_of_the_admin_show_signs(db: None) -> None:
    """Whatever the database holds: rows are older than the rules, and other systems keep none of them."""
    root = Client()
    root.force_login(members.root())
    notices.tell(NoticeCode.ORPHANS, NAME)
    box = rows.sandbox(NAME, status="error", error_reason=NAME, intent_reason=NAME)
    operation = rows.operation(box, "stop", "failed", reason=NAME, message=NAME)
    SandboxEvent.objects.create(
        sandbox=box, owner=box.owner_id, kind="change", at=rows.ago(minutes=1), text=NAME, actor=NAME
    )
    pages = [
        reverse("admin:index"), reverse("admin:sandboxes_sandbox_changelist"),
        reverse("admin:sandboxes_sandbox_change", args=[box.pk]),
        reverse("admin:sandboxes_operation_changelist"),
        reverse("admin:sandboxes_operation_change", args=[operation.pk]),
        reverse("admin:sandboxes_sandboxevent_changelist"), reverse("admin:sandboxes_notice_changelist"),
    ]  # fmt: skip
    for address in pages:
        page = root.get(address).content.decode()
        assert "ALL WELL⟨U+202E⟩" in page, address
        assert_readable(page)


def test_labels_of_metrics_show_signs() -> None:
    [sample] = _gauges("x", "x", ["code"], [([NAME], 1.0)]).samples
    assert sample.labels == {"code": SHOWN}
