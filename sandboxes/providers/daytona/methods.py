"""METHODS: our calls, what the client package calls them, and how Daytona counts and answers them."""

from __future__ import annotations

from dataclasses import dataclass

AUTHENTICATED = "authenticated"
CREATE = "sandbox-create"
LIFECYCLE = "sandbox-lifecycle"
# Not recorded: the hosted service's configuration names a throttler of its own for the list.
LIST = "sandbox-list"
BUCKETS = frozenset({AUTHENTICATED, CREATE, LIFECYCLE, LIST})


@dataclass(frozen=True, slots=True)
class Method:
    """One of our calls.

    `buckets` count it; the first is blamed for a 429 that names none. What has a bucket of its own does not count
    as authenticated (recording 14_throttle). `is_held`: Daytona answers when the sandbox runs, or after 30 s.
    """

    name: str
    buckets: tuple[str, ...] = (AUTHENTICATED,)
    is_held: bool = False


METHODS: dict[str, Method] = {
    "get": Method("get_sandbox"),
    "list_page": Method("list_sandboxes", (AUTHENTICATED, LIST)),
    "create": Method("create_sandbox", (CREATE,), is_held=True),
    "start": Method("start_sandbox", (LIFECYCLE,), is_held=True),
    "stop": Method("stop_sandbox", (LIFECYCLE,)),  # destroys an ephemeral sandbox
    "archive": Method("archive_sandbox", (LIFECYCLE,)),
    # The answer carries the name `DESTROYED_<name>_<ms>` (recording 06_delete).
    "delete": Method("delete_sandbox", (LIFECYCLE,)),
    "recover": Method("recover_sandbox", (LIFECYCLE,), is_held=True),
    "replace_labels": Method("replace_labels"),
    "keep_alive": Method("update_last_activity"),
    "set_auto_stop": Method("set_autostop_interval"),
    "set_auto_archive": Method("set_auto_archive_interval"),
    "set_auto_delete": Method("set_auto_delete_interval"),
}


def buckets_of(operation: str) -> tuple[str, ...]:
    return METHODS[operation].buckets
