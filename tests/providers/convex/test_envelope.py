"""Answers that no well-behaved server sends, from a script of raw bytes."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import pytest

from project.version import USER_AGENT, VERSION
from sandboxes.providers.convex import gateway as convex
from sandboxes.providers.convex.gateway import ConvexGateway
from tests.providers.daytona.scripted import CUT, Script, answer, scripted
from tests.support.waiting import PATIENCE

if TYPE_CHECKING:
    from collections.abc import Iterator

KEY = "dev:test|canary-5f2a"


@contextlib.contextmanager
def convex_that_answers(*steps: bytes | None) -> Iterator[tuple[ConvexGateway, Script]]:
    with scripted(*steps) as script:
        gateway = ConvexGateway(url=script.url.removesuffix("/api"), deploy_key=KEY, read_timeout=PATIENCE)
        try:
            yield gateway, script
        finally:
            gateway.close()


def test_560_is_an_envelope_and_not_worth_a_retry() -> None:
    envelope = {"status": "error", "errorMessage": "x", "errorData": {"code": "busy", "message": "Later."}}
    with convex_that_answers(answer(560, envelope)) as (gateway, script):
        with pytest.raises(convex.ConvexApplicationError) as caught:
            gateway.owner_of("d1")

        assert (caught.value.application_code, str(caught.value)) == ("busy", "Later.")
        assert len(script.seen) == 1


@pytest.mark.parametrize("body", [b"", b"null", b"[]", b'"success"', b"{}", b'{"status":"success"', b"\xff\xfe"])
def test_only_an_envelope_is_success(body: bytes) -> None:
    with convex_that_answers(answer(200, body)) as (gateway, _), pytest.raises(convex.ConvexUnavailable):
        gateway.update_status("d1", status="running", error_message="x")


def test_success_with_another_status_than_200_is_no_success() -> None:
    reply = answer(560, {"status": "success", "value": None})
    with convex_that_answers(reply) as (gateway, _), pytest.raises(convex.ConvexUnavailable):
        gateway.owner_of("d1")


def test_error_data_may_be_anything() -> None:
    envelope = {"status": "error", "errorMessage": "x", "errorData": "too late"}
    with convex_that_answers(answer(200, envelope)) as (gateway, _):
        with pytest.raises(convex.ConvexApplicationError) as caught:
            gateway.owner_of("d1")

        assert (caught.value.application_code, caught.value.data) == ("", "too late")


def test_a_value_in_another_form_is_refused_in_words() -> None:
    reply = answer(200, {"status": "success", "value": [{"id": 1}]})
    with convex_that_answers(reply) as (gateway, _), pytest.raises(convex.ConvexRejected, match="not understood"):
        gateway.list_for_reconcile("user_ada")


def test_a_key_that_is_echoed_is_taken_out() -> None:
    body = {"code": "BadJsonBody", "message": f"no good: Convex {KEY}"}
    with convex_that_answers(answer(400, body)) as (gateway, _):
        with pytest.raises(convex.ConvexRejected) as caught:
            gateway.owner_of("d1")

        assert "canary" not in f"{caught.value} {caught.value.detail}"


def test_what_is_sent() -> None:
    with convex_that_answers(answer(200, {"status": "success", "value": "user_ada"})) as (gateway, script):
        gateway.owner_of("d1")

        (seen,) = script.seen
        headers = {name.lower(): value for name, value in seen.headers.items()}
        assert seen.line.startswith("POST /api/query ")
        assert seen.body == (
            b'{"path": "sandboxes:getOwnerByDaytonaId", "args": {"daytonaSandboxId": "d1"}, "format": "json"}'
        )
        assert headers["content-type"] == "application/json"
        assert headers["authorization"] == f"Convex {KEY}"
        assert headers["convex-client"] == f"sandkeeper-{VERSION}"
        assert headers["user-agent"] == USER_AGENT
        assert len(headers["convex-request-id"]) == 32


def test_the_request_id_of_a_failure_is_the_one_that_was_sent() -> None:
    with convex_that_answers(CUT, CUT, answer(400, {"code": "BadJsonBody", "message": "x"})) as (gateway, script):
        with pytest.raises(convex.ConvexRejected) as caught:
            gateway.owner_of("d1")

        sent = [{n.lower(): v for n, v in seen.headers.items()}["convex-request-id"] for seen in script.seen]
        assert caught.value.request_id == sent[-1]
        assert len(set(sent)) == 3


def test_one_connection_serves_many_calls() -> None:
    with convex_that_answers(answer(200, {"status": "success", "value": None})) as (gateway, script):
        for _ in range(5):
            gateway.owner_of("d1")

        assert len({seen.connection for seen in script.seen}) == 1


@pytest.mark.parametrize("url", ["", "convex.cloud", "ftp://x", "http://", "https://user:secret@x"])
def test_an_address_that_is_none_is_refused(url: str) -> None:
    with pytest.raises(convex.ConvexRejected, match="CONVEX_URL") as caught:
        ConvexGateway(url=url, deploy_key=KEY)

    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("key", ["", "  ", "canary\nkey", "canary key", "canäry"])
def test_a_key_that_no_header_can_carry_is_refused_unseen(key: str) -> None:
    with pytest.raises(convex.ConvexUnauthorized, match="CONVEX_DEPLOY_KEY") as caught:
        ConvexGateway(url="http://127.0.0.1:9", deploy_key=key)

    assert "can" not in str(caught.value).replace("characters that no key", "")
