"""The key stays in the gateway: not in errors, not in logs, not in what is printed."""

from __future__ import annotations

import logging
import sys
import traceback
from typing import TYPE_CHECKING

import pytest

from sandboxes.providers.daytona.gateway import DaytonaError, NotConfigured
from sandboxes.providers.protocols import SandboxSpec
from tests.providers.daytona.scripted import CUT, HANG, answer, scripted
from tests.providers.daytona.test_transport import ALL
from tests.support.waiting import PATIENCE, wait_until

if TYPE_CHECKING:
    from types import FrameType

    from tests.providers.daytona.conftest import NewGateway

KEY = "dtn_canary_4711"
ECHOES = [
    answer(400, {"message": f"you sent Authorization: Bearer {KEY}"}),
    answer(401, {"message": f"Invalid credentials {KEY}"}),
    answer(403, {"message": f"Organization is suspended: {KEY}"}),
    answer(404, {"message": f"Sandbox with ID or name {KEY} not found"}),
    answer(409, {"message": f"Sandbox with name {KEY} already exists"}),
    answer(429, {"message": f"slow down, {KEY}"}),
    answer(502, f"<html>{KEY}</html>".encode()),
    answer(200, f"<html>{KEY}</html>".encode()),
    f"HTTP/1.1 Bearer {KEY}\r\n\r\n".encode(),
    CUT,
    HANG,
]


@pytest.mark.parametrize("step", ECHOES)
@pytest.mark.parametrize("call", ["get", "create", "stop", "list_page", "replace_labels"])
def test_no_error_and_no_log_holds_the_key(
    new_gateway: NewGateway, caplog: pytest.LogCaptureFixture, call: str, step: bytes | None
) -> None:
    caplog.set_level(logging.DEBUG)
    patience = 0.1 if step is HANG else PATIENCE
    with scripted(step, close_after=True) as server:
        gateway = new_gateway(api_url=server.url, api_key=KEY, read_timeout=patience)
        try:
            ALL[call](gateway)
        except DaytonaError as error:
            text = "".join(traceback.format_exception(error))
            assert KEY not in f"{text}{error!r}{error}{vars(error)}"
            assert KEY not in "".join(repr(frame.f_locals) for frame in frames(error))
        wait_until(lambda: server.seen, what="the request")  # the client may have left before it was read
    assert f"Bearer {KEY}" in {seen.headers["authorization"] for seen in server.seen}
    assert KEY not in caplog.text


def frames(error: BaseException) -> list[FrameType]:
    """Every frame that a log with local variables would print, those of this test left out."""
    found = []
    chain: BaseException | None = error
    while chain is not None:
        found += [frame for frame, _ in traceback.walk_tb(chain.__traceback__)]
        chain = chain.__cause__ or (None if chain.__suppress_context__ else chain.__context__)
    return [frame for frame in found if "/tests/" not in frame.f_code.co_filename]


def test_the_gateway_prints_its_address_and_no_key(new_gateway: NewGateway) -> None:
    gateway = new_gateway(api_url="http://127.0.0.1:1/api/", api_key=KEY)
    assert repr(gateway) == "<DaytonaGateway http://127.0.0.1:1/api>"


def test_the_gateway_logs_one_line_a_call(new_gateway: NewGateway, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, logger="sandboxes")
    with scripted(answer(400, {"message": "no"})) as server, pytest.raises(DaytonaError):
        new_gateway(api_url=server.url).create(SandboxSpec(name="a", env={"PASSWORD": "hunter2"}))
    ours = [record for record in caplog.records if record.name.startswith("sandboxes")]
    assert [record.levelno for record in ours] == [logging.INFO]
    assert "hunter2" not in caplog.text


@pytest.mark.parametrize(
    "url", ["https://user:hunter2@example.org/api", "http://[broken", "ftp://example.org", "x", ""]
)
def test_an_address_that_is_none_or_carries_a_password_is_not_quoted(new_gateway: NewGateway, url: str) -> None:
    with pytest.raises(NotConfigured) as raised:
        new_gateway(api_url=url)
    assert "DAYTONA_API_URL" in raised.value.message
    assert "hunter2" not in raised.value.message
    assert sys.exc_info() == (None, None, None)
