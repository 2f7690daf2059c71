"""A request and what comes of it are one trace, sent to a collector of OpenTelemetry's."""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from sandboxes.services import keys
from tests.api.callers import ALL, V1
from tests.support import rows
from tests.support.processes import environment_for, manage, running, web
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from opentelemetry.proto.trace.v1.trace_pb2 import Span

    from tests.support.emulator import Emulator


class Collector(ThreadingHTTPServer):
    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Receiving)
        self.spans: list[tuple[str, Span]] = []  # with the service that sent each

    def named(self, service: str, name: str) -> list[Span]:
        return [span for sender, span in list(self.spans) if (sender, span.name) == (service, name)]


class Receiving(BaseHTTPRequestHandler):
    server: Collector

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        for part in ExportTraceServiceRequest.FromString(body).resource_spans:
            of = {one.key: one.value.string_value for one in part.resource.attributes}["service.name"]
            self.server.spans += [(of, span) for scope in part.scope_spans for span in scope.spans]
        self.send_response(200)
        self.end_headers()

    def log_message(self, *arguments: object) -> None:
        pass


@pytest.fixture
def collector() -> Iterator[Collector]:
    with Collector() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.mark.django_db(transaction=True)
def test_a_request_its_operation_and_its_calls_are_one_trace(
    emulator: Emulator, collector: Collector, tmp_path: Path
) -> None:
    (key,) = emulator.seed([{"name": "box"}])
    box = rows.sandbox("box", of="alice", daytona_id=key)
    _, secret = keys.create_key("a program", scopes=ALL)
    environment = environment_for(
        emulator,
        OTEL_EXPORTER_OTLP_ENDPOINT=f"http://127.0.0.1:{collector.server_port}",
        OTEL_EXPORTER_OTLP_COMPRESSION="none",
        OTEL_BSP_SCHEDULE_DELAY="50",
    )
    with (
        web(environment, log=tmp_path / "web.log") as http,
        running(manage("run_worker"), environment=environment, log=tmp_path / "worker.log"),
    ):
        headers = {"Authorization": f"Bearer {secret}", "X-On-Behalf-Of": "alice"}
        answer = http.post(f"{V1}/sandboxes/{box.pk}/stop", headers=headers)
        assert answer.status_code == 202, answer.text
        http.get("/admin/single-sign-on/callback/?code=of-a-sign-in")
        http.get("/admin/login/?page=seen")

        def calls() -> list[Span]:
            return collector.named("sandkeeper-run_worker", "POST")

        wait_until(lambda: "page=seen" in str(collector.spans), what="the span of another page")
        wait_until(lambda: calls() and collector.named("sandkeeper-run_worker", "operation"), what="the spans")
        posts = wait_until(
            lambda: [
                span for of, span in collector.spans if of == "sandkeeper-web" and "stop" in str(span.attributes)
            ]
        )
    (request,) = posts
    operations = {span.span_id: span for span in collector.named("sandkeeper-run_worker", "operation")}
    (call,) = [span for span in calls() if "/stop" in str(span.attributes)]
    assert call.parent_span_id in operations
    assert {call.trace_id, operations[call.parent_span_id].trace_id} == {request.trace_id}
    assert "of-a-sign-in" not in str(collector.spans)
    assert secret not in str(collector.spans)
    assert emulator.daytona_key not in str(collector.spans)
