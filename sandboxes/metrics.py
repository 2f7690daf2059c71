"""Metrics for Prometheus, read from the database when they are asked for.

Any web process can answer for all: workers leave their call counters in their heartbeat rows. Numbers of what
ended are of the last ten minutes, because old rows are pruned and a counter may not go down.
"""

from __future__ import annotations

import sys
from collections import Counter
from datetime import datetime, timedelta
from itertools import accumulate
from typing import TYPE_CHECKING

from django.db.models import Avg, Count, DurationField, ExpressionWrapper, F, Max, Min
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST as CONTENT_TYPE
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from project.readable import visible
from project.version import VERSION
from sandboxes import clock
from sandboxes.core.codes import NoticeCode
from sandboxes.core.vocabulary import Action, Source
from sandboxes.models import (
    ConvexProjection,
    Delivery,
    Notice,
    Operation,
    Receiver,
    Sandbox,
    Sweep,
    WorkerHeartbeat,
)
from sandboxes.models.counting import numbers_by_status
from sandboxes.providers.counters import BOUNDS, Tally
from sandboxes.services import backlog, heartbeat, projection, sweeps, verifications
from sandboxes.services.reconcile import FindingKind

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

__all__ = ["CONTENT_TYPE", "exposition"]

Role = WorkerHeartbeat.Role
WINDOW = timedelta(minutes=10)
TOOK = ExpressionWrapper(F("finished_at") - F("created_at"), output_field=DurationField())


def exposition() -> bytes:
    registry = CollectorRegistry(auto_describe=False)
    registry.register(FromDatabase())
    return generate_latest(registry)


class FromDatabase(Collector):
    def collect(self) -> Iterator[Metric]:
        now = clock.now()
        yield _build()
        yield _sandboxes()
        yield _stuck(now)
        yield from _operations_ended(now)
        yield from _operations_active(now)
        yield from _waiting(now)
        yield from _projection(now)
        yield from _webhooks()
        yield from _verification(now)
        yield from _sweeps(now)
        yield from _workers(now)
        yield from _calls()
        yield _notices()


def _gauge(name: str, text: str, value: float) -> Metric:
    return GaugeMetricFamily(f"sandkeeper_{name}", text, value=value)


def _gauges(name: str, text: str, labels: list[str], rows: Iterable[tuple[list[str], float]]) -> Metric:
    family = GaugeMetricFamily(f"sandkeeper_{name}", text, labels=labels)
    for values, number in rows:
        family.add_metric([visible(value) for value in values], number)
    return family


def _age(now: datetime, since: datetime | None) -> float:
    return max(0.0, (now - since).total_seconds()) if since else 0.0


def _build() -> Metric:
    running = ".".join(map(str, sys.version_info[:3]))
    text = "Always 1; the labels say what answers."
    return _gauges("build_info", text, ["version", "python"], [([VERSION, running], 1.0)])


def _sandboxes() -> Metric:
    rows = (([status.value], number.value) for status, number in numbers_by_status().items())
    return _gauges("sandboxes", "Sandboxes by status; above 10,000 as the database estimates.", ["status"], rows)


def _stuck(now: datetime) -> Metric:
    text = "Sandboxes that have stood for STUCK_SECONDS where they should pass."
    return _gauge("stuck_sandboxes", text, Sandbox.objects.stuck(now).count())


def _operations_ended(now: datetime) -> Iterator[Metric]:
    ended = Operation.objects.filter(finished_at__gte=now - WINDOW)
    by_result = ended.values_list("action", "status", "code").order_by()
    groups = list(by_result.annotate(number=Count("pk"), mean=Avg(TOOK), longest=Max(TOOK)))
    labels = ["action", "status", "code"]
    rows = [([action, status, code], float(number)) for action, status, code, number, _, _ in groups]
    yield _gauges("operations_ended", "Operations that ended in the last ten minutes.", labels, rows)
    rows = [([action, status, code], mean.total_seconds()) for action, status, code, _, mean, _ in groups]
    yield _gauges("operations_mean_seconds", "Their mean duration, from the request to the end.", labels, rows)
    rows = [([action, status, code], longest.total_seconds()) for action, status, code, _, _, longest in groups]
    yield _gauges("operations_longest_seconds", "Their longest duration.", labels, rows)
    evictions = Operation.objects.filter(source=Source.EVICTION, created_at__gte=now - WINDOW).count()
    yield _gauge("evictions", "Stops and archives to make room, requested in the last ten minutes.", evictions)


def _operations_active(now: datetime) -> Iterator[Metric]:
    active = Operation.objects.active()
    counted = dict(active.values_list("action").annotate(number=Count("pk")).order_by())
    rows = (([action.value], counted.get(action.value, 0)) for action in Action)
    yield _gauges("operations_active", "Operations in flight.", ["action"], rows)
    oldest = active.aggregate(oldest=Min("created_at"))["oldest"]
    yield _gauge("operations_oldest_seconds", "Age of the oldest operation in flight.", _age(now, oldest))


def _waiting(now: datetime) -> Iterator[Metric]:
    lanes = backlog.waiting(now)
    rows = [([one.lane], one.oldest.total_seconds()) for one in lanes]
    yield _gauges("due_oldest_seconds", "Age of the oldest due row that nobody has taken.", ["lane"], rows)
    rows = [([one.lane], float(one.rows)) for one in lanes]
    yield _gauges("due_rows", "Rows that are due and that no worker has taken.", ["lane"], rows)
    yield _gauge("rows_failing", "Sandboxes whose latest attempt ended with our own error.", backlog.failing())


def _projection(now: datetime) -> Iterator[Metric]:
    rows = ConvexProjection.objects
    behind = rows.behind() if projection.is_used() else rows.none()
    found = behind.aggregate(number=Count("pk"), oldest=Min("behind_since"))
    yield _gauge("behind_sandboxes", "Sandboxes whose latest change Convex has not been told.", found["number"])
    yield _gauge("behind_oldest_seconds", "Age of the oldest of those changes.", _age(now, found["oldest"]))


def _webhooks() -> Iterator[Metric]:
    disabled = Receiver.objects.exclude(disabled_at=None).count()
    rows = [(["yes"], float(Receiver.objects.enabled().count())), (["no"], float(disabled))]
    yield _gauges("webhooks", "Webhooks, and whether anything is sent to them.", ["enabled"], rows)
    text = "Webhooks to which something is sent, and that have taken nothing since a delivery failed."
    yield _gauge("webhooks_failing", text, Receiver.objects.enabled().exclude(failing_since=None).count())
    yield _gauge("deliveries_pending", "Events still to be sent to a webhook.", Delivery.objects.pending().count())
    yield _gauge("deliveries_dead", "Deliveries that were given up.", Delivery.objects.dead().count())


def _verification(now: datetime) -> Iterator[Metric]:
    made = verifications.last() if projection.is_used() else None
    if made is None:
        return
    yield _gauge("convex_verified_age_seconds", "Time since Convex was last compared.", _age(now, made.at))
    yield _gauge("convex_differences", "What that found to differ.", made.differences)


def _sweeps(now: datetime) -> Iterator[Metric]:
    complete = sweeps.last_complete()
    if complete is not None:
        yield _gauge("sweep_age_seconds", "Time since the last complete sweep ended.", _age(now, complete))
    stale = sweeps.stale_after().total_seconds()
    yield _gauge("sweep_stale_after_seconds", "The age at which staff are told: SWEEP_STALE_SECONDS.", stale)
    whole = Sweep.objects.filter(dry_run=False, owner="", finished_at__isnull=False)
    last = whole.order_by("-finished_at").first()
    if last is None or last.finished_at is None:
        return
    yield _gauge("sweep_seconds", "How long the last sweep took.", _age(last.finished_at, last.started_at))
    yield _gauge("sweep_complete", "1 when the last sweep saw everything.", last.result == Sweep.Result.COMPLETE)
    counts = {kind.value: 0 for kind in FindingKind} | last.counts
    rows = [([name], float(number)) for name, number in counts.items()]
    yield _gauges("sweep_found", "What the last sweep found, such as drift and orphan.", ["kind"], rows)


def _workers(now: datetime) -> Iterator[Metric]:
    alive = list(heartbeat.alive())
    yield _gauge("workers", "Workers that gave a sign of life.", len(alive))
    taken, places = Counter[str](), Counter[str]()
    for worker in alive:
        for lane, (in_flight, there) in worker.lanes.items():
            taken[lane] += in_flight
            places[lane] += there
    lanes = sorted(places)
    yield _gauges("in_flight", "Rows that workers are at.", ["lane"], [([lane], taken[lane]) for lane in lanes])
    shares = [([lane], taken[lane] / max(places[lane], 1)) for lane in lanes]
    yield _gauges("places_used", "The share of the workers' places that is taken.", ["lane"], shares)
    rows = [
        ([worker.worker_id], _age(now, worker.beat_at))
        for worker in WorkerHeartbeat.objects.filter(stopped_at=None, role=Role.WORKER).only("worker_id", "beat_at")
    ]
    counted = {role: heartbeat.alive(role).count() for role in (Role.RECONCILE, Role.WATCH)}
    text = "Other processes that gave a sign of life."
    yield _gauges("processes", text, ["role"], [([role.value], number) for role, number in counted.items()])
    silent = Counter(heartbeat.silent().values_list("role", flat=True))
    text = "Processes that fell silent within the last day without having been stopped in good order."
    yield _gauges("processes_silent", text, ["role"], [([role.value], silent[role.value]) for role in Role])
    yield _gauges("worker_silence_seconds", "Time since a worker's last sign of life.", ["worker"], rows)


def _calls() -> Iterator[Metric]:
    labels = ["worker", "system", "operation", "result"]
    calls = CounterMetricFamily(
        "sandkeeper_calls", "Calls to Daytona, Convex and webhooks by result.", labels=labels
    )
    seconds = CounterMetricFamily("sandkeeper_call_seconds", "Seconds that these calls took.", labels=labels)
    text = "How long calls to Daytona, Convex and webhooks took."
    latency = HistogramMetricFamily("sandkeeper_call_latency_seconds", text, labels=["worker", "system", "result"])
    for worker, counted in WorkerHeartbeat.objects.values_list("worker_id", "counters"):
        lengths: dict[tuple[str, str], Tally] = {}
        for key, (number, took, *buckets) in counted.items():
            system, operation, result = key.split(" ", 2)
            calls.add_metric([worker, system, operation, result], number)
            seconds.add_metric([worker, system, operation, result], took)
            if buckets:  # else a process of the release before wrote it
                before = lengths.get((system, result), Tally(0, 0.0))
                both = tuple(map(sum, zip(before.buckets, buckets[0], strict=True)))
                lengths[system, result] = Tally(before.calls + number, before.seconds + took, both)
        for labels_of_both, tally in lengths.items():
            until = [str(bound) for bound in BOUNDS] + ["+Inf"]
            cumulated = list(zip(until, accumulate(tally.buckets), strict=True))
            latency.add_metric([worker, *labels_of_both], cumulated, tally.seconds)
    yield calls
    yield seconds
    yield latency


def _notices() -> Metric:
    open_now = set(Notice.objects.filter(closed_at=None).values_list("code", flat=True))
    rows = (([code.value], float(code.value in open_now)) for code in NoticeCode)
    return _gauges("notices_open", "1 for each condition that staff must know.", ["code"], rows)
