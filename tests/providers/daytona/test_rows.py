from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandboxes.providers.daytona.rows import UnreadableBody, read_page, read_sandbox, sandbox_from
from sandboxes.providers.messages import WORDS_LIMIT
from sandboxes.providers.protocols import SandboxSpec
from tests.providers.daytona.recorded import RECORDINGS

FIELDS = [
    "organizationId", "name", "target", "snapshot", "cpu", "memory", "disk", "state", "desiredState", "errorReason",
    "recoverable", "backupState", "autoStopInterval", "autoArchiveInterval", "autoDeleteInterval", "sandboxClass",
    "labels", "createdAt", "updatedAt", "lastActivityAt",
]  # fmt: skip
# Lone surrogates included: JSON can spell them.
TEXT = st.text(st.characters(exclude_categories=()))
ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=5,
)


def recorded_sandbox(name: str = "01_create_get") -> dict[str, Any]:
    """The first whole sandbox that a recording holds."""
    for entry in json.loads((RECORDINGS / f"{name}.json").read_text()):
        body = (entry.get("response") or {}).get("body")
        if isinstance(body, dict) and body.get("lastActivityAt"):
            return dict(body)
    raise AssertionError(f"no sandbox in {name}")


def test_every_field_of_a_recorded_sandbox_is_read() -> None:
    row = recorded_sandbox()
    sandbox = read_sandbox(json.dumps(row).encode())
    assert sandbox.id == row["id"]
    assert sandbox.organization_id == row["organizationId"]
    assert sandbox.name == row["name"]
    assert sandbox.target == row["target"]
    assert sandbox.snapshot == row["snapshot"]
    assert (sandbox.cpu, sandbox.memory_gb, sandbox.disk_gb) == (row["cpu"], row["memory"], row["disk"])
    assert (sandbox.state, sandbox.desired_state) == (row["state"], row["desiredState"])
    assert sandbox.error_reason == (row.get("errorReason") or "")
    assert sandbox.recoverable is row["recoverable"]
    assert sandbox.auto_stop_interval == row["autoStopInterval"]
    assert sandbox.auto_archive_interval == row["autoArchiveInterval"]
    assert sandbox.auto_delete_interval == row["autoDeleteInterval"]
    assert sandbox.sandbox_class == row["sandboxClass"]
    assert sandbox.labels == row["labels"]
    assert sandbox.created_at == datetime.fromisoformat(row["createdAt"])
    assert sandbox.last_activity_at == datetime.fromisoformat(row["lastActivityAt"])


def test_an_error_and_its_reason_are_read() -> None:
    row = recorded_sandbox() | {"state": "error", "errorReason": "no space left on device", "recoverable": True}
    sandbox = sandbox_from(row)
    assert (sandbox.state, sandbox.error_reason, sandbox.recoverable) == ("error", "no space left on device", True)


def test_what_daytona_says_is_cut_and_without_secrets_and_its_names_fit_a_row() -> None:
    long = dict.fromkeys(("name", "target", "snapshot", "state", "desiredState", "sandboxClass"), "x" * 100000)
    sandbox = sandbox_from({"id": "x", "errorReason": f"dtn_0123456789 {'dev:' * 30_000}", **long})
    assert WORDS_LIMIT - 20 < len(sandbox.error_reason) <= WORDS_LIMIT
    assert "dtn_" not in sandbox.error_reason
    assert (len(sandbox.name), len(sandbox.target), len(sandbox.sandbox_class)) == (255, 100, 100)
    assert (len(sandbox.state), len(sandbox.desired_state)) == (50, 50)
    with pytest.raises(UnreadableBody):
        sandbox_from({"id": "x" * 256})  # cut, it would be another one's


def test_a_row_with_nothing_but_an_id_is_a_sandbox() -> None:
    sandbox = sandbox_from({"id": "x"})
    assert (sandbox.name, sandbox.state, sandbox.cpu, sandbox.created_at) == ("", "", None, None)
    assert sandbox.recoverable is False
    assert sandbox.labels == {}


@pytest.mark.parametrize("field", FIELDS)
@given(value=ANY_JSON)
def test_an_odd_field_spoils_itself_and_nothing_else(field: str, value: object) -> None:
    row = {"id": "x", "name": "alpha", "state": "started", "labels": {"a": "b"}, field: value}
    sandbox = read_sandbox(json.dumps(row).encode())
    assert sandbox.id == "x"
    if field not in ("name", "state"):
        assert (sandbox.name, sandbox.state) == ("alpha", "started")
    if field != "labels":
        assert sandbox.labels == {"a": "b"}


@given(value=ANY_JSON)
def test_what_is_kept_fits_a_database(value: object) -> None:
    sandbox = sandbox_from({"id": "x", "name": value, "cpu": value, "labels": value, "createdAt": value})
    texts = [sandbox.name, *sandbox.labels, *sandbox.labels.values()]
    assert "\x00" not in "".join(texts)
    "".join(texts).encode()  # raises for a lone surrogate
    assert sandbox.cpu is None or abs(sandbox.cpu) < 2**31
    assert sandbox.created_at is None or sandbox.created_at.tzinfo is not None


@pytest.mark.parametrize(
    "body",
    [b"", b"<html>", b"null", b"7", b"[]", b"{}", b'{"id": null}', b'{"id": " "}', b'{"id": "a\\u0000"}', b"\xff"],
)
def test_without_an_id_there_is_no_sandbox(body: bytes) -> None:
    with pytest.raises(UnreadableBody):
        read_sandbox(body)


@pytest.mark.parametrize(
    ("labels", "kept"),
    [
        ({"a": "b"}, {"a": "b"}),
        ({}, {}),
        (None, {}),
        ("q", {}),
        (["q"], {}),
        (7, {}),
        ({"n": 1, "o": {"k": 1}, "x": None}, {"n": "1"}),
        ({"t": True, "f": 1.5, "a": "b"}, {"t": "true", "f": "1.5", "a": "b"}),
    ],
)
def test_odd_labels_are_kept_as_text_or_dropped(labels: object, kept: dict[str, str]) -> None:
    assert sandbox_from({"id": "x", "labels": labels}).labels == kept


def test_every_label_that_was_recorded_as_stored_can_be_read() -> None:
    read = 0
    for entry in json.loads((RECORDINGS / "18_labels_edge.json").read_text()):
        body = (entry.get("response") or {}).get("body")
        if isinstance(body, dict) and body.get("id"):
            labels = sandbox_from(body).labels
            assert all(isinstance(label, str) for label in labels.values())
            read += 1
    assert read >= 6


@pytest.mark.parametrize(
    ("value", "number"),
    [
        (2, 2),
        (2.0, 2),
        (1.5, 2),
        ("4", 4),
        (-1, -1),
        (True, None),
        ("many", None),
        (1e300, None),
        (None, None),
        ([], None),
    ],
)
def test_sizes_are_whole_and_never_too_small(value: object, number: int | None) -> None:
    assert sandbox_from({"id": "x", "memory": value}).memory_gb == number


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-11-23T06:11:54.096Z", datetime(2026, 11, 23, 6, 11, 54, 96000, UTC)),
        ("2026-11-23T08:11:54+02:00", datetime(2026, 11, 23, 6, 11, 54, tzinfo=UTC)),
        ("2026-11-23T06:11:54", datetime(2026, 11, 23, 6, 11, 54, tzinfo=UTC)),
        ("yesterday", None),
        (1795415165, None),
    ],
)
def test_times_know_their_zone(text: object, moment: datetime | None) -> None:
    read = sandbox_from({"id": "x", "lastActivityAt": text}).last_activity_at
    assert read == moment
    assert read is None or read - datetime.now(UTC) != timedelta(0)


def test_a_page_reports_the_rows_that_are_none() -> None:
    rows = [{"id": "a"}, None, {"name": "x", "state": "started"}, {"id": "b"}]
    page = read_page(json.dumps({"items": rows, "nextCursor": "c"}).encode())
    assert [item.id for item in page.items] == ["a", "b"]
    assert page.next_cursor == "c"
    assert page.bad_rows == (
        "row 1: not an object but NoneType",
        "row 2: an object without an id (it has name, state)",
    )


@pytest.mark.parametrize("cursor", [None, ""])
def test_the_last_page_has_no_cursor(cursor: str | None) -> None:
    assert read_page(json.dumps({"items": [], "nextCursor": cursor}).encode()).next_cursor is None


@pytest.mark.parametrize(
    "body",
    [[], {"items": []}, {"nextCursor": None}, {"items": {}, "nextCursor": None}, {"items": [], "nextCursor": 7}],
)
def test_a_page_that_does_not_say_whether_it_is_the_last_is_none(body: object) -> None:
    with pytest.raises(UnreadableBody):
        read_page(json.dumps(body).encode())


def test_a_new_sandbox_takes_a_snapshot_or_sizes_never_both() -> None:
    SandboxSpec(name="a", snapshot="daytona-small")
    SandboxSpec(name="a", cpu=1, memory_gb=1, disk_gb=3)
    with pytest.raises(ValueError, match="never both"):
        SandboxSpec(name="a", snapshot="daytona-small", disk_gb=3)


def test_the_environment_of_a_new_sandbox_is_not_printed() -> None:
    assert "hunter2" not in repr(SandboxSpec(name="a", env={"PASSWORD": "hunter2"}))
