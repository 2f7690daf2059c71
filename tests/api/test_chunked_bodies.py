from __future__ import annotations

import json
from io import BytesIO
from typing import TYPE_CHECKING, Any

import pytest
from django.test import Client

from sandboxes.models import Sandbox
from tests.api.callers import V1, Api, problem
from tests.api.live import live_api

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import httpx

JSON = {"Content-Type": "application/json"}
CHUNKED = {"Transfer-Encoding": "chunked"}


def chunks(*parts: bytes) -> Iterator[bytes]:
    """httpx sends what an iterator gives in chunks, without a Content-Length."""
    yield from parts


@pytest.mark.django_db(transaction=True)
def test_a_body_in_chunks_is_a_body(tmp_path: Path) -> None:
    with live_api(tmp_path, MAX_BODY_BYTES="1000") as api:
        key = {"Idempotency-Key": "k1", **JSON}

        def create(*parts: bytes) -> httpx.Response:
            return api.post("/api/v1/sandboxes", content=chunks(*parts), headers=key)

        assert create(b'{"name": ', b'"streamed"}').status_code == 202
        assert create(b'{"name": "streamed"}').headers["Idempotency-Replayed"] == "true"
        assert create(b'{"name": "other"}').json()["code"] == "idempotency_key_reused"
        key["Idempotency-Key"] = "k2"
        assert create(b'{"nme": "typo"}').json()["code"] == "invalid_request"
        assert create(b'{"name": "', b"x" * 1000, b'"}').json()["code"] == "payload_too_large"
        key["Idempotency-Key"] = "k3"
        assert create().status_code == 202, "no chunk at all is no body"
    assert list(Sandbox.objects.order_by("created_at").values_list("name", flat=True)) == ["streamed", "sandbox"]


class BrokenOff(BytesIO):
    """What a server gives for chunks that are none."""

    def read(self, _size: int | None = -1) -> bytes:
        raise ValueError("no chunk")


def test_chunks_that_are_none_are_refused() -> None:
    server: dict[str, Any] = {"wsgi.input": BrokenOff(), "wsgi.input_terminated": True, "CONTENT_LENGTH": ""}
    problem(Client().post(f"{V1}/sandboxes", headers=CHUNKED, **server), "invalid_request")


def test_a_server_that_does_not_end_chunks_asks_for_a_length() -> None:
    answer = Client().post(f"{V1}/sandboxes", headers=CHUNKED, CONTENT_LENGTH="")
    assert answer.status_code == 411
    problem(answer, "length_required")


@pytest.mark.django_db
def test_a_server_that_ends_chunks_is_read_to_the_end(alice: Api) -> None:
    body = BytesIO(json.dumps({"name": "streamed"}).encode())
    server: dict[str, Any] = {"wsgi.input": body, "wsgi.input_terminated": True, "CONTENT_LENGTH": ""}
    headers = {name.replace("_", "-"): value for name, value in alice.headers.items()}
    answer = alice.client.generic("POST", f"{V1}/sandboxes", headers={**headers, **JSON, **CHUNKED}, **server)
    assert answer.status_code == 202
    assert Sandbox.objects.get().name == "streamed"
