"""Daytona's wire for the emulator's own tests."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import httpx

from tests.support.waiting import PATIENCE, wait_until

if TYPE_CHECKING:
    from types import TracebackType

    from tests.support.emulator import Emulator


class Wire:
    def __init__(self, emulator: Emulator) -> None:
        self.emulator = emulator
        headers = {"Authorization": f"Bearer {emulator.daytona_key}"}
        self.client = httpx.Client(base_url=emulator.daytona_url, headers=headers, timeout=PATIENCE, verify=False)

    def __enter__(self) -> Wire:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.client.close()

    def create(self, **body: Any) -> httpx.Response:
        return self.client.post("/sandbox", json=body)

    def get(self, key: str) -> httpx.Response:
        return self.client.get(f"/sandbox/{key}")

    def delete(self, key: str) -> httpx.Response:
        return self.client.delete(f"/sandbox/{key}")

    def post(self, key: str, verb: str) -> httpx.Response:
        """`start`, `stop`, `archive`, `recover`, `last-activity`, `autostop/5` …"""
        return self.client.post(f"/sandbox/{key}/{verb}")

    def items(self, **query: str) -> list[dict[str, Any]]:
        """One page of the list."""
        return list(self.client.get("/sandbox", params=query).json()["items"])

    def names(self, **query: str) -> list[str]:
        return [item["name"] for item in self.items(**query)]

    def state(self, key: str) -> str:
        """What GET says, `gone` for a 404."""
        answer = self.get(key)
        return str(answer.json()["state"]) if answer.status_code == 200 else "gone"

    def until(self, key: str, state: str) -> None:
        wait_until(lambda: self.state(key) == state, what=f"{state} of {key}")


def message(answer: httpx.Response) -> str:
    return str(answer.json()["message"])
