"""What the demo holds: 60 sandboxes of 15 owners, in every state that people can meet."""

from __future__ import annotations

from dataclasses import dataclass

from sandboxes.core.vocabulary import Action

OWNERS = [
    "ada", "alan", "barbara", "claude", "donald", "edsger", "frances", "grace", "hedy", "john", "katherine",
    "ken", "leslie", "margaret", "tim",
]  # fmt: skip
NAMES = ["notebook", "data-cleaning", "web-preview", "fine-tuning"]
LANGUAGES = ["python", "python", "typescript", "javascript"]
TIERS = ["basic", "basic", "standard", "basic", "performance"]


@dataclass(frozen=True, slots=True)
class Ending:
    """How one sandbox ends up: the actions asked for after its create, then what happens to it in Daytona."""

    actions: tuple[Action, ...] = ()
    fate: tuple[tuple[str, object], ...] = ()


RUNNING = Ending()
STOPPED = Ending((Action.STOP,))
ARCHIVED = Ending((Action.STOP, Action.ARCHIVE))
DELETED = Ending((Action.DELETE,))


def _happens(**changes: object) -> Ending:
    return Ending(fate=tuple(changes.items()))


CRASHED = _happens(state="error", error_reason="Sandbox runtime exited with code 137", recoverable=True)
LOST = _happens(state="error", error_reason="The backup of the sandbox is corrupt", recoverable=False)
BUILD_FAILED = _happens(state="build_failed", error_reason="Step 4/9 of the image failed: pip install")
CREATING = _happens(state="pending_build")
STARTING = _happens(state="restoring")
STOPPING = _happens(state="stopping")

# 15 rounds of four; a round is what one owner has.
ENDINGS = [
    *(RUNNING, STOPPED, RUNNING, ARCHIVED) * 3,
    *(RUNNING, CRASHED, STOPPED, RUNNING),
    *(STOPPED, DELETED, RUNNING, STARTING),
    *(RUNNING, RUNNING, ARCHIVED, STOPPED),
    *(RUNNING, LOST, STOPPED, DELETED),
    *(CREATING, RUNNING, STOPPED, ARCHIVED),
    *(RUNNING, STOPPING, RUNNING, STOPPED),
    *(RUNNING, RUNNING, BUILD_FAILED, ARCHIVED),
    *(STOPPED, RUNNING, ARCHIVED, ARCHIVED),
    *(RUNNING, DELETED, CRASHED, RUNNING),
    *(RUNNING, STOPPED, RUNNING, RUNNING),
    *(ARCHIVED, ARCHIVED, STOPPED, STOPPED),
    *(RUNNING, RUNNING, STOPPED, DELETED),
]


@dataclass(frozen=True, slots=True)
class Planned:
    owner: str
    name: str
    tier: str
    language: str
    ending: Ending


def planned() -> list[Planned]:
    return [
        Planned(
            owner=f"user_{OWNERS[number // 4]}",
            name=NAMES[number % 4],
            tier=TIERS[number % 5],
            language=LANGUAGES[number % 4],
            ending=ending,
        )
        for number, ending in enumerate(ENDINGS)
    ]
