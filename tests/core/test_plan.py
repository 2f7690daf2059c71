"""The plan, as a table: every row and column, in the design's own words."""

from __future__ import annotations

import pytest

from sandboxes.core.codes import Code
from sandboxes.core.plan import Call, Done, Fail, FindRoom, LookAgain, Step, plan
from sandboxes.core.states import Seen
from sandboxes.core.vocabulary import Action

TABLE = """
no id yet        |call create / wait|wait        |wait              |wait        |done       |wait
started          |done              |call stop   |call stop         |call stop   |call delete|done
stopped          |call start        |done        |call start        |call archive|call delete|done
archived         |call start        |done        |call start        |done        |call delete|done
archiving        |call start        |done        |call start        |wait        |call delete|done
paused           |call start        |call stop   |call start        |call stop   |call delete|done
pending_build    |wait              |wait        |wait              |wait        |call delete|wait
starting         |wait              |wait        |wait              |wait        |wait       |wait
creating         |wait              |wait        |wait              |wait        |wait       |wait
restoring        |wait              |wait        |wait              |wait        |wait       |wait
resuming         |wait              |wait        |wait              |wait        |wait       |wait
pulling_snapshot |wait              |wait        |wait              |wait        |wait       |wait
building_snapshot|wait              |wait        |wait              |wait        |wait       |wait
resizing         |wait              |wait        |wait              |wait        |wait       |wait
snapshotting     |wait              |wait        |wait              |wait        |wait       |wait
forking          |wait              |wait        |wait              |wait        |wait       |wait
unknown          |wait              |wait        |wait              |wait        |wait       |wait
stopping         |wait              |wait        |wait              |wait        |wait       |wait
pausing          |wait              |wait        |wait              |wait        |wait       |wait
error!           |call recover      |fail errored|call recover      |fail errored|call delete|call recover
error            |fail unrecoverable|fail errored|fail unrecoverable|fail errored|call delete|fail unrecoverable
build_failed     |fail unrecoverable|fail errored|fail unrecoverable|fail errored|call delete|fail unrecoverable
destroying       |fail gone         |done        |fail gone         |done        |wait       |fail gone
started>destroyed|fail gone         |done        |fail gone         |done        |wait       |fail gone
missing          |fail gone         |done        |fail gone         |done        |done       |fail gone
hibernating      |wait              |wait        |wait              |wait        |wait       |wait
started>stopped  |wait              |wait        |wait              |wait        |wait       |wait
stopped>started  |wait              |wait        |wait              |wait        |wait       |wait
archived>started |wait              |wait        |wait              |wait        |wait       |wait
paused>started   |wait              |wait        |wait              |wait        |wait       |wait
archiving>started|wait              |wait        |wait              |wait        |wait       |wait
stopped>archived |call start        |done        |call start        |wait        |call delete|done
"""
COLUMNS = (Action.START, Action.STOP, Action.RESTART, Action.ARCHIVE, Action.DELETE, Action.RECOVER)


def seen(word: str) -> Seen | None:
    if word == "no id yet":
        return None
    if word == "missing":
        return Seen("started", missing=True)
    state, _, desired = word.partition(">")
    return Seen(state.rstrip("!"), desired, recoverable=word.endswith("!"))


def in_words(step: Step) -> str:
    match step:
        case Done():
            return "done"
        case LookAgain():
            return "wait"
        case Call(name):
            return f"call {name}"
        case FindRoom():
            return "find room"
        case Fail(code):
            return f"fail {code.removeprefix('sandbox_')}"


CASES = [
    (cells[0], action, expected)
    for cells in ([cell.strip() for cell in line.split("|")] for line in TABLE.strip().splitlines())
    for action, expected in zip(COLUMNS, cells[1:], strict=True)
]


@pytest.mark.parametrize(("word", "action", "expected"), CASES, ids=lambda value: str(value).replace(" ", "-"))
def test_the_table(word: str, action: Action, expected: str) -> None:
    expected = expected.split(" / ")[-1]
    assert in_words(plan(action, seen(word))) == expected


@pytest.mark.parametrize(("word", "expected"), [(c[0], c[2]) for c in CASES if c[1] == Action.START])
def test_a_create_goes_on_as_a_start(word: str, expected: str) -> None:
    assert in_words(plan(Action.CREATE, seen(word))) == expected.split(" / ")[0]


@pytest.mark.parametrize(("word", "expected"), [(c[0], c[2]) for c in CASES if c[1] == Action.START])
def test_a_restart_goes_on_as_a_start_after_its_stop(word: str, expected: str) -> None:
    assert in_words(plan(Action.RESTART, seen(word), stopped=True)) == expected.split(" / ")[-1]


@pytest.mark.parametrize(("word", "action", "expected"), [c for c in CASES if c[1] != Action.RESTART])
def test_no_other_action_minds_a_stop_of_its_own(word: str, action: Action, expected: str) -> None:
    assert in_words(plan(action, seen(word), stopped=True)) == expected.split(" / ")[-1]


@pytest.mark.parametrize("word", ["started", "error", "hibernating", "destroying", "missing"])
def test_a_sync_is_done_after_one_observation(word: str) -> None:
    assert plan(Action.SYNC, seen(word)) == Done()


@pytest.mark.parametrize(
    ("action", "word", "unacknowledged"),
    [
        (Action.START, "stopped", "start"),
        (Action.START, "archived", "start"),
        (Action.STOP, "started", "stop"),
        (Action.ARCHIVE, "started", "stop"),
        (Action.ARCHIVE, "stopped", "archive"),
        (Action.DELETE, "started", "delete"),
        (Action.DELETE, "archived", "delete"),
        (Action.RECOVER, "error!", "recover"),
        (Action.RECOVER, "stopped", "recover"),
        (Action.START, "stopped", "recover"),
        (Action.CREATE, "no id yet", "create"),
        (Action.DELETE, "no id yet", "create"),
        # an earlier operation's call counts as much: this stop would otherwise be done before that start runs
        (Action.STOP, "stopped", "start"),
        (Action.START, "started", "stop"),
        (Action.RESTART, "started", "stop"),
        (Action.RESTART, "stopped", "start"),
    ],
)
def test_a_state_from_before_our_call_is_not_an_answer(action: Action, word: str, unacknowledged: str) -> None:
    assert in_words(plan(action, seen(word), unacknowledged=unacknowledged)) == "wait"


def test_a_recover_is_called_once_per_operation() -> None:
    errored = Seen("error", "started", recoverable=True)
    assert plan(Action.START, errored, recovered=True) == Fail(Code.SANDBOX_ERRORED)


def test_a_missing_sandbox_is_missing_whatever_we_await() -> None:
    assert plan(Action.DELETE, Seen("started", missing=True), unacknowledged="delete") == Done()


@pytest.mark.parametrize("word", ["starting", "stopping", "destroying", "hibernating", "stopped>started"])
def test_the_deadline_rests_while_daytonas_own_state_is_waited_out(word: str) -> None:
    step = plan(Action.DELETE, seen(word))
    assert isinstance(step, LookAgain)
    assert not step.counts


def test_the_deadline_runs_while_an_archive_makes_no_end() -> None:
    step = plan(Action.ARCHIVE, Seen("archiving", "archived"))
    assert isinstance(step, LookAgain)
    assert step.counts


@pytest.mark.parametrize(
    ("word", "action", "unacknowledged", "seconds"),
    [
        ("starting", Action.START, None, 1),
        ("stopping", Action.START, None, 1),
        ("stopped>started", Action.STOP, None, 1),
        ("no id yet", Action.STOP, None, 1),
        ("destroying", Action.DELETE, None, 1),
        ("hibernating", Action.STOP, None, 10),
        ("archiving", Action.ARCHIVE, None, 5),
        ("pending_build", Action.START, None, 2),
        ("stopped", Action.START, "start", 0.5),
    ],
)
def test_how_long_each_wait_is(word: str, action: Action, unacknowledged: str | None, seconds: float) -> None:
    step = plan(action, seen(word), unacknowledged=unacknowledged)
    assert isinstance(step, LookAgain)
    assert (step.after, step.may_be_sooner) == (seconds, True)
