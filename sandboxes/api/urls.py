"""The addresses. An id in a path is ours or Daytona's; whatever is not here is a problem, too."""

from __future__ import annotations

from django.urls import URLPattern, URLResolver, include, path, re_path, register_converter
from django.urls.converters import StringConverter

from sandboxes.api.policies import ADDRESS
from sandboxes.api.views import (
    actions,
    capacity,
    events,
    operations,
    owners,
    policies,
    public,
    sandboxes,
    usage,
    webhooks,
)
from sandboxes.core.vocabulary import Action


class IdConverter(StringConverter):
    regex = r"[A-Za-z0-9._:-]{1,255}"


class PolicyConverter(StringConverter):
    regex = ADDRESS


register_converter(IdConverter, "id")
register_converter(PolicyConverter, "policy")

of_sandbox = [
    *(
        path(action.value, actions.view_of(action), name=f"sandbox-{action}")
        for action in Action
        if action not in (Action.CREATE, Action.DELETE)  # a POST of the list, a DELETE of the sandbox
    ),
    path("ensure-running", actions.EnsureRunning.as_view(), name="sandbox-ensure-running"),
    path("touch", actions.Touch.as_view(), name="sandbox-touch"),
    path("policy", policies.SandboxPolicy.as_view(), name="sandbox-policy"),
    path("operations", operations.SandboxOperations.as_view(), name="sandbox-operations"),
    path("events", events.SandboxEvents.as_view(), name="sandbox-events"),
]

v1: list[URLPattern | URLResolver] = [
    path("", public.Root.as_view(), name="root"),
    path("sandboxes", sandboxes.SandboxList.as_view(), name="sandboxes"),
    path("sandboxes/bulk", actions.Bulk.as_view(), name="bulk"),
    path("sandboxes/<id:sandbox_id>", sandboxes.SandboxDetail.as_view(), name="sandbox"),
    path("sandboxes/<id:sandbox_id>/", include(of_sandbox)),
    path("operations", operations.OperationList.as_view(), name="operations"),
    path("operations/<uuid:operation_id>", operations.OperationDetail.as_view(), name="operation"),
    path("operations/<uuid:operation_id>/cancel", operations.OperationCancel.as_view(), name="operation-cancel"),
    path("events", events.FeedEvents.as_view(), name="events"),
    path("webhooks", webhooks.WebhookList.as_view(), name="webhooks"),
    path("webhooks/<id:webhook_id>", webhooks.WebhookDetail.as_view(), name="webhook"),
    path("webhooks/<id:webhook_id>/rotate", webhooks.WebhookSecret.as_view(), name="webhook-rotate"),
    path("webhooks/<id:webhook_id>/dead", webhooks.DeadDeliveries.as_view(), name="webhook-dead"),
    path("webhooks/<id:webhook_id>/replay", webhooks.Replay.as_view(), name="webhook-replay"),
    path("policies", policies.PolicyList.as_view(), name="policies"),
    path("policies/preview", policies.PolicyPreview.as_view(), name="policy-preview"),
    path("policies/<policy:policy_id>", policies.PolicyDetail.as_view(), name="policy"),
    path("capacity", capacity.Capacity.as_view(), name="capacity"),
    path("usage", usage.Usage.as_view(), name="usage"),
    path("owners/me", owners.Me.as_view(), name="owner"),
    path("problems", public.ProblemList.as_view(), name="problems"),
    path("problems/<slug:code>", public.ProblemDetail.as_view(), name="problem"),
    path("schema", public.Schema.as_view(), name="schema"),
    path("docs", public.Docs.as_view(url_name="api:schema"), name="docs"),
]

app_name = "api"
urlpatterns = [
    path("v1/", include(v1)),
    re_path(r"^.*$", public.UnknownAddress.as_view(), name="unknown"),
]
