from __future__ import annotations

from datetime import timedelta
from io import StringIO
from typing import TYPE_CHECKING

import pytest
from django.core.management import call_command
from django.db.models import Max, Min

from sandboxes.core.codes import NoticeCode
from sandboxes.core.usage import Measure, hour_of
from sandboxes.core.vocabulary import EventKind, Intent, OperationStatus, Status
from sandboxes.demo import emulated, loading
from sandboxes.demo.plan import planned
from sandboxes.models import Job, Notice, Operation, Orphan, Owner, Policy, Sandbox, SandboxEvent, UsageHour
from sandboxes.services import usage_history, usage_roll_up, victims
from sandboxes.services.usage_history import Period
from tests.admin import members
from tests.services.conftest import world

if TYPE_CHECKING:
    from httpx import Client
    from pytest_django import Settings

    from sandboxes.demo.loading import Step
    from tests.support.emulator import Emulator

__all__ = ["world"]
pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def development(world: Emulator, settings: Settings) -> None:
    settings.DEBUG, settings.ATTEMPT_SECONDS = True, 0.2
    settings.CONVEX_URL, settings.CONVEX_DEPLOY_KEY = world.convex_url, world.convex_key
    members.root()


def load() -> str:
    said = StringIO()
    call_command("load_demo", stdout=said)
    return said.getvalue().strip()


def test_it_shows_what_there_is_and_a_second_time_changes_nothing(world: Emulator) -> None:
    before = world.settings()
    assert load() == "Made 60 demo sandboxes."
    all_is_shown()
    assert world.settings() == before
    made = counts()
    assert load() == "The demo data is there."
    assert counts() == made


class Interrupted(Exception):
    """The load ends before anybody has waited for what the step has asked for."""


def broken_off(step: Step) -> Step:
    def play(control: Client) -> None:
        step(control)
        raise Interrupted

    return play


def test_a_load_that_was_interrupted_at_any_step_is_carried_on() -> None:
    for count, step in enumerate(loading.STEPS):
        with emulated.quick_emulator() as control, pytest.raises(Interrupted):
            loading.load(control, [*loading.STEPS[:count], broken_off(step)])
    load()
    all_is_shown()


def all_is_shown() -> None:
    sandboxes = Sandbox.objects.all()
    assert sandboxes.count() == len(planned()) == 60
    assert set(sandboxes.values_list("status", flat=True)) == set(Status)
    assert set(sandboxes.exclude(status=Status.GONE).values_list("target", flat=True)) == {"us", "eu"}
    assert sandboxes.filter(status=Status.ERROR, recoverable=True).exists()
    assert Owner.objects.filter(hold_since__isnull=False).count() == 1
    assert Operation.objects.get(status=OperationStatus.FAILED).code == "daytona_rejected"
    assert set(Orphan.objects.values_list("owner", flat=True)) == {"user_alan", ""}
    assert Notice.objects.get(closed_at=None).code == NoticeCode.ORPHANS
    assert Job.objects.get().items.counts()["succeeded"] == Job.objects.get().total > 3
    assert Policy.objects.get().subject == "user_grace"
    an_eviction_is_shown()
    two_weeks_of_usage_are_shown()


def an_eviction_is_shown() -> None:
    victim = Sandbox.objects.get(events__kind=EventKind.EVICTION)
    assert (victim.owner_id, victim.status, victim.intent) == ("user_ada", Status.STOPPED, Intent.RUNNING)
    why = victims.why(victim.pk)
    assert why is not None
    assert [(line["name"], line["broken"]) for line in why.data["ranking"]] == [
        ("fine-tuning", ["not_protected"]), ("notebook", []), ("web-preview", ["idle"]),
    ]  # fmt: skip
    made_for = Sandbox.objects.get(pk=why.data["for_sandbox"])
    assert (made_for.name, made_for.status) == ("data-cleaning", Status.RUNNING)


def two_weeks_of_usage_are_shown() -> None:
    first = SandboxEvent.objects.earliest("at").at
    began = hour_of(first)
    hours = UsageHour.objects.filter(hour__lt=began)
    assert hours.aggregate(Min("hour"))["hour__min"] == began - timedelta(days=14)
    assert hours.aggregate(Max("hour"))["hour__max"] == began - timedelta(hours=1)
    assert set(hours.values_list("measure", flat=True)) == set(Measure) - {Measure.MEMORY_GIB_QUOTA}
    for name, least in (("owner", 5), ("tier", 3), ("region", 2)):
        assert hours.values(name).distinct().count() >= least
    found = usage_history.series(hours, Period.HOUR)
    by_hour, total = found.by_start, found.total
    days = {start.date() for start in by_hour if start.weekday() < 5 and start.hour == 13}
    at = {
        hour: sum(by_hour[start].vcpu_hours for start in by_hour if start.date() in days and start.hour == hour)
        for hour in (2, 13)
    }
    assert at[13] > 3 * at[2] > 0
    usage_roll_up.roll_up(usage_roll_up.earliest())
    assert usage_history.series(hours, Period.HOUR) == found
    assert total.evictions > total.refusals > 0


def counts() -> dict[str, int]:
    return {
        model.__name__: model._default_manager.count() for model in (Sandbox, Operation, SandboxEvent, UsageHour)
    }
