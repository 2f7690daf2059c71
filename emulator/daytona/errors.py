"""Daytona's refusals: the one error body and the texts of the recordings."""

from __future__ import annotations

from http import HTTPStatus


class Refusal(Exception):
    """An HTTP error of Daytona. `headers` are added to the answer."""

    def __init__(self, status: int, message: str, *, headers: dict[str, str] | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.headers = headers or {}

    @property
    def reason(self) -> str:
        return HTTPStatus(self.status).phrase


def not_found(reference: str) -> Refusal:
    return Refusal(404, f"Sandbox with ID or name {reference} not found")


def busy() -> Refusal:
    return Refusal(409, "Sandbox state change in progress")


def raced() -> Refusal:
    return Refusal(409, "Sandbox was modified by another operation")


def errored() -> Refusal:
    return Refusal(400, "Sandbox is in an errored state")


def broken() -> Refusal:
    return Refusal(500, "An unexpected error occurred.")


def full_grown(disk: int) -> Refusal:
    """A recover in place enlarges the storage; this is all that it may."""
    text = (
        f"Sandbox storage cannot be further expanded. Maximum expansion of {disk * 0.1:.2f}GB "
        f"(10% of original {disk:.2f}GB) has been reached. Please contact support for further assistance."
    )
    return Refusal(403, text)


def failed_to_start(reason: str | None) -> Refusal:
    return Refusal(400, f"Sandbox failed to start: {reason}")
