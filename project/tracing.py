"""Traces by OpenTelemetry, where OTEL_EXPORTER_OTLP_ENDPOINT is set; else nothing of it is imported.

A request and the operation that it asked for are run by two processes, which both know the request's id: it makes
the trace, unless the caller brought one (`traceparent`), which then has the request alone.
"""

from __future__ import annotations

import hashlib
import os
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

from project.version import NAME, VERSION

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from opentelemetry.context import Context

ENDPOINTS = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
AFTER_REQUEST_IDS = "3"  # where the instrumentation's middleware stands in MIDDLEWARE
EXCLUDED = "OTEL_PYTHON_DJANGO_EXCLUDED_URLS"
SIGN_IN = "admin/single-sign-on/"  # a span has the whole address, and this one's query carries a code
_is_on = False


def start(role: str) -> None:
    """Trace this process: its requests, what it calls, and the operations that it runs."""
    global _is_on
    if _is_on or not any(os.environ.get(name) for name in ENDPOINTS):
        return
    from opentelemetry import trace
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.instrumentation.aiohttp_client import AioHttpClientInstrumentor
    from opentelemetry.instrumentation.django import DjangoInstrumentor
    from opentelemetry.instrumentation.httpx import HTTPXClientInstrumentor
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    os.environ.setdefault("OTEL_SERVICE_NAME", f"{NAME}-{role}")
    os.environ.setdefault("OTEL_PYTHON_DJANGO_MIDDLEWARE_POSITION", AFTER_REQUEST_IDS)
    provider = TracerProvider(resource=Resource.create({"service.version": VERSION}))
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    trace.set_tracer_provider(provider)
    if role == "web":
        _propagate_request_ids()
        others = os.environ.get(EXCLUDED)
        DjangoInstrumentor().instrument(excluded_urls=f"{SIGN_IN},{others}" if others else SIGN_IN)
    AioHttpClientInstrumentor().instrument()
    HTTPXClientInstrumentor().instrument()
    _is_on = True


def operation(request_id: str, attributes: dict[str, str]) -> AbstractContextManager[Any]:
    """The span of an attempt at an operation, in the trace of the request that asked for it."""
    if not _is_on:
        return nullcontext()
    from opentelemetry import trace

    tracer = trace.get_tracer(NAME, VERSION)
    parent = _of_request(request_id) if request_id else None
    return tracer.start_as_current_span("operation", context=parent, attributes=attributes)


def _of_request(request_id: str) -> Context:
    from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags, set_span_in_context

    digest = hashlib.sha256(request_id.encode()).digest()
    trace_id, span_id = int.from_bytes(digest[:16], "big"), int.from_bytes(digest[16:24], "big")
    root = SpanContext(trace_id, span_id, is_remote=True, trace_flags=TraceFlags(TraceFlags.SAMPLED))
    return set_span_in_context(NonRecordingSpan(root))


def _propagate_request_ids() -> None:
    from opentelemetry import trace
    from opentelemetry.propagate import get_global_textmap, set_global_textmap
    from opentelemetry.propagators.textmap import TextMapPropagator, default_getter

    standard = get_global_textmap()

    class WithRequestIds(TextMapPropagator):
        """As the variables say, or else by the request's id."""

        def extract(self, carrier: Any, context: Any = None, getter: Any = default_getter) -> Any:
            found = standard.extract(carrier, context, getter)
            if trace.get_current_span(found).get_span_context().is_valid:
                return found
            ids = getter.get(carrier, "X-Request-ID")
            return _of_request(ids[0]) if ids else found

        def inject(self, *arguments: Any, **options: Any) -> None:
            standard.inject(*arguments, **options)

        @property
        def fields(self) -> set[str]:
            return standard.fields

    set_global_textmap(WithRequestIds())
