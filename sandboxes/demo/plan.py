"""What the demo holds: 60 sandboxes of 15 owners, in every state that people can meet."""

from __future__ import annotations

from dataclasses import dataclass

from sandboxes.core.vocabulary import Action

OWNERS = [
    "ada", "alan", "barbara", "claude", "donald", "edsger", "frances", "grace", "hedy", "john", "katherine",
    "ken", "leslie", "margaret", "tim",
]  # fmt: skip
IN_EUROPE = ("claude", "hedy", "john", "katherine", "ken")
NAMES = ["notebook", "data-cleaning", "web-preview", "fine-tuning"]
LANGUAGES = ["python", "python", "typescript", "javascript"]
TIERS = ["basic", "basic", "standard", "basic", "performance"]


@dataclass(frozen=True, slots=True)
class Ending:
    """How one sandbox ends up: what Daytona has of it before us (nothing: it is made here), then what is asked."""

    found: tuple[tuple[str, object], ...] = ()
    action: Action | None = None


def _found(state: str, **more: object) -> Ending:
    return Ending(found=(("state", state), *more.items()))


RUNNING, STOPPED, ARCHIVED = _found("started"), _found("stopped"), _found("archived")
CRASHED = _found("error", error_reason="Sandbox runtime exited with code 137", recoverable=True)
LOST = _found("error", error_reason="The backup of the sandbox is corrupt", recoverable=False)
BUILD_FAILED = _found("build_failed", error_reason="Step 4/9 of the image failed: pip install")
CREATING, STARTING, STOPPING = _found("pending_build"), _found("restoring"), _found("stopping")

MADE = Ending()
MADE_STOPPED, MADE_DELETED = Ending(action=Action.STOP), Ending(action=Action.DELETE)

# 15 rounds of four; a round is what one owner has.
ENDINGS = [
    *(RUNNING, STOPPED, MADE, RUNNING),
    *(MADE, STOPPED, RUNNING, ARCHIVED),
    *(RUNNING, MADE_STOPPED, RUNNING, ARCHIVED),
    *(RUNNING, CRASHED, STOPPED, RUNNING),
    *(STOPPED, MADE_DELETED, RUNNING, STARTING),
    *(MADE_STOPPED, RUNNING, ARCHIVED, STOPPED),
    *(RUNNING, LOST, STOPPED, MADE_DELETED),
    *(CREATING, RUNNING, STOPPED, ARCHIVED),
    *(RUNNING, STOPPING, RUNNING, STOPPED),
    *(RUNNING, RUNNING, BUILD_FAILED, ARCHIVED),
    *(STOPPED, RUNNING, ARCHIVED, ARCHIVED),
    *(RUNNING, MADE_DELETED, CRASHED, RUNNING),
    *(RUNNING, STOPPED, RUNNING, MADE),
    *(ARCHIVED, ARCHIVED, STOPPED, STOPPED),
    *(RUNNING, RUNNING, STOPPED, MADE_DELETED),
]


@dataclass(frozen=True, slots=True)
class Planned:
    """`age_days` and `idle_minutes`: how long ago one that is found was made and used."""

    owner: str
    name: str
    tier: str
    language: str
    region: str
    ending: Ending
    age_days: int
    idle_minutes: int


def planned() -> list[Planned]:
    return [
        Planned(
            owner=f"user_{OWNERS[number // 4]}",
            name=NAMES[number % 4],
            tier=TIERS[number % 5],
            language=LANGUAGES[number % 4],
            region="eu" if OWNERS[number // 4] in IN_EUROPE else "us",
            ending=ending,
            age_days=15 + number * 7 % 40,
            idle_minutes=10 + number * 53 % 600,
        )
        for number, ending in enumerate(ENDINGS)
    ]
