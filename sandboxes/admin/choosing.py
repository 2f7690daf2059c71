"""Which sandboxes an action is for: ticked rows, all that a list matches, or those of a job."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from uuid import UUID

from django.db.models import Count, Q
from django.http import HttpRequest, QueryDict

from sandboxes.core.gate import DAY
from sandboxes.core.vocabulary import Action, Status
from sandboxes.models import JobItem, Sandbox
from sandboxes.models.job import ASKED_FOR, GROUPS

if TYPE_CHECKING:
    from sandboxes.admin.verbs import Verb

CHOSEN = "_selected_action"  # Django's name for the checkboxes of a list; on pages of ours one value has many ids
SKIPPED = "skipped"
ACROSS = "select_across"
QUERY = "query"  # of the list where the choice was made
JOB, FAILED_ONLY = "job", "failed_only"
AT_MOST = 10_000
NAMED = 200  # so many are named one by one where it is asked; a page of the list has no more


@dataclass(frozen=True, slots=True)
class Choice:
    """The sandboxes, in the order of the list. `is_seen`: each was ticked by hand. `is_cut`: more matched."""

    ids: list[UUID]
    is_seen: bool = True
    is_cut: bool = False


def chosen(model_admin: Any, request: HttpRequest) -> Choice:
    """What the form of a list, of the page that asks, or of a job names."""
    if request.POST.get(ACROSS) == "1":
        return _matching(model_admin, request)
    if job := request.POST.get(JOB):
        return _of_job(job, only_failed=FAILED_ONLY in request.POST)
    return Choice(ids_in(request, CHOSEN))


def ids_in(request: HttpRequest, name: str) -> list[UUID]:
    """The ids of a field, or of several of one name, with commas between; nonsense is left out."""
    texts = [text for value in request.POST.getlist(name) for text in value.split(",")]
    found = [_uuid(text) for text in texts[:AT_MOST]]
    return list(dict.fromkeys(pk for pk in found if pk is not None))


def _uuid(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None


def _matching(model_admin: Any, request: HttpRequest) -> Choice:
    """All that the list shows with the same parameters, on whichever page."""
    listed = HttpRequest()
    listed.method, listed.user, listed.META = "GET", request.user, request.META
    listed.GET = QueryDict(request.POST.get(QUERY, ""))
    changes = model_admin.get_changelist_instance(listed)
    rows = changes.queryset.prefetch_related(None).values_list("pk", flat=True)
    ids = list(rows[: AT_MOST + 1])
    return Choice(ids[:AT_MOST], is_seen=False, is_cut=len(ids) > AT_MOST)


def _of_job(job: str, *, only_failed: bool) -> Choice:
    """Those for which it asked, or those with which it failed."""
    which = GROUPS["failed"] if only_failed else ASKED_FOR
    items = JobItem.objects.filter(which, job=_uuid(job)).order_by("pk")
    ids = [pk for pk in items.values_list("sandbox_id", flat=True) if pk is not None]
    return Choice(ids, is_seen=only_failed)  # a retry was agreed to before


@dataclass(frozen=True, slots=True)
class Crowd:
    """More sandboxes than a page names one by one: so many in each status, so many that would be destroyed."""

    total: int
    statuses: list[tuple[str, int]]
    destroyed: int

    @classmethod
    def of(cls, verb: Verb, ids: list[UUID]) -> Crowd:
        rows = Sandbox.objects.filter(pk__in=ids).order_by()
        counts = dict(rows.values_list("status").annotate(Count("pk")))
        doomed = Q(observed_auto_delete__range=(0, DAY))
        if verb.does.action == Action.STOP:
            doomed |= Q(ephemeral=True)
        uses_something = Q(status__in=(Status.RUNNING, Status.STARTING, Status.CREATING))
        destroyed = rows.filter(doomed & uses_something).count() if verb.does.may_destroy else 0
        statuses = [(status.value, counts[status]) for status in Status if status in counts]
        return cls(sum(counts.values()), statuses, destroyed)
