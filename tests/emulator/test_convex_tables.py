"""The emulated document store: indexes follow the rows, and a transaction can be undone."""

from __future__ import annotations

from emulator.convex.tables import Tables


def stored() -> tuple[Tables, str]:
    tables = Tables()
    row_id = tables.insert("sandboxes", {"daytonaSandboxId": "d1", "userId": "ada"}, now=1.0)
    tables.insert("sandboxes", {"daytonaSandboxId": "d2", "userId": "ada"}, now=1.0)
    tables.begin()
    return tables, row_id


def ids(tables: Tables, column: str, value: str) -> list[str]:
    return [row["daytonaSandboxId"] for row in tables.by("sandboxes", column, value)]


def test_an_undone_transaction_leaves_no_trace() -> None:
    tables, row_id = stored()
    before = sorted(tables.all("sandboxes"), key=lambda row: row["_id"])

    tables.patch("sandboxes", row_id, {"userId": "bob", "name": "x"})
    tables.insert("sandboxes", {"daytonaSandboxId": "d3", "userId": "ada"}, now=2.0)
    tables.delete("sandboxes", row_id)
    tables.rollback()

    assert sorted(tables.all("sandboxes"), key=lambda row: row["_id"]) == before
    assert sorted(ids(tables, "userId", "ada")) == ["d1", "d2"]
    assert ids(tables, "userId", "bob") == ids(tables, "daytonaSandboxId", "d3") == []


def test_an_index_follows_a_changed_row() -> None:
    tables, row_id = stored()

    tables.patch("sandboxes", row_id, {"userId": "bob"})

    assert (ids(tables, "userId", "ada"), ids(tables, "userId", "bob")) == (["d2"], ["d1"])


def test_a_field_set_to_none_is_gone() -> None:
    tables, row_id = stored()

    tables.patch("sandboxes", row_id, {"userId": None})

    row = tables.get("sandboxes", row_id)
    assert row is not None
    assert "userId" not in row


def test_no_two_rows_are_of_the_same_time() -> None:
    tables, _ = stored()

    times = [row["_creationTime"] for row in tables.all("sandboxes")]

    assert times == sorted(set(times))
