"""Webhooks of a service key: where its program is told of events, instead of asking for them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from drf_spectacular.utils import OpenApiParameter, OpenApiResponse
from rest_framework.response import Response

from sandboxes.api.documented import documented, page_of, page_parameters
from sandboxes.api.permissions import READ, Need
from sandboxes.api.representations import DeadDeliveryShape, NewWebhookShape, Replayed, WebhookShape
from sandboxes.api.requests import NewWebhook, NothingBody, ReplayBody, WebhookChanges
from sandboxes.api.views.base import ApiView
from sandboxes.api.views.lists import ListView
from sandboxes.core.codes import Code, Refused
from sandboxes.services import webhooks

if TYPE_CHECKING:
    from django.db.models import QuerySet
    from rest_framework.request import Request

    from sandboxes.models import Receiver

# It is told what the key may read, and no more.
NEEDS = Need(READ, "view_receiver")
WEBHOOK_ID = OpenApiParameter("webhook_id", str, OpenApiParameter.PATH, pattern=r"^[A-Za-z0-9._:-]{1,255}$")
NO_WEBHOOK = (Code.WEBHOOK_NOT_FOUND, Code.NOT_FOUND)


class OfKey(ApiView):
    """For service keys alone: staff have them in the admin."""

    keeps_answers = False  # one of them is a secret

    @property
    def webhooks(self) -> QuerySet[Receiver]:
        return webhooks.visible(self.key_id, self.principal.owner)

    @property
    def key_id(self) -> int:
        if self.principal.key_id is None:
            raise Refused(Code.PERMISSION_DENIED, "Webhooks belong to service keys; staff have them in the admin.")
        return self.principal.key_id

    def with_secret(self, row: Receiver, secret: str, *, status: int = 200) -> Response:
        shown = {**WebhookShape(row).data, "secret": secret}
        return Response(shown, status=status, headers={"Cache-Control": "no-store"})


class WebhookList(OfKey, ListView):
    needs = {"get": NEEDS, "post": NEEDS}
    orders = {"created_at": "created_at"}
    default_order = "created_at"
    shape = WebhookShape

    @documented(
        "List the key's webhooks",
        answers={200: page_of(WebhookShape, "Webhook")},
        parameters=page_parameters(orders, default_order),
    )
    def get(self, request: Request) -> Response:
        return self.page(self.webhooks)

    @documented(
        "Register a webhook",
        body=NewWebhook,
        answers={201: NewWebhookShape},
        refusals=[Code.ADDRESS_NOT_ALLOWED, Code.WEBHOOK_LIMIT_REACHED],
        description="It is told of all events from now on that this caller may read. Its `secret` is shown this "
        "once; an Idempotency-Key is refused, for the answer would have to be kept.",
    )
    def post(self, request: Request) -> Response:
        body = self.body(NewWebhook)
        row, secret = webhooks.register(
            self.key_id, url=body["url"], kinds=body["types"], actor=self.actor, owner=self.principal.owner
        )
        return self.with_secret(row, secret, status=201)


class WebhookDetail(OfKey):
    needs = {"get": NEEDS, "patch": NEEDS, "delete": NEEDS}

    @documented("Get a webhook", answers={200: WebhookShape}, refusals=NO_WEBHOOK, parameters=[WEBHOOK_ID])
    def get(self, request: Request, webhook_id: str) -> Response:
        return Response(WebhookShape(self._found(webhook_id)).data)

    @documented(
        "Change a webhook's address or types, disable or enable it",
        body=WebhookChanges,
        answers={200: WebhookShape},
        refusals=[*NO_WEBHOOK, Code.ADDRESS_NOT_ALLOWED],
        changes=True,
        parameters=[WEBHOOK_ID],
        description="One that is enabled again goes on where it was disabled.",
    )
    def patch(self, request: Request, webhook_id: str) -> Response:
        body = self.body(WebhookChanges)
        changes = webhooks.ReceiverChanges(body.get("url"), body.get("types"), body.get("enabled"))
        row = webhooks.change(self._found(webhook_id).pk, changes, actor=self.actor)
        return Response(WebhookShape(row).data)

    @documented(
        "Delete a webhook",
        answers={204: OpenApiResponse(description="Deleted, with all that was still to be delivered.")},
        refusals=NO_WEBHOOK,
        changes=True,
        parameters=[WEBHOOK_ID],
    )
    def delete(self, request: Request, webhook_id: str) -> Response:
        webhooks.delete(self._found(webhook_id).pk, actor=self.actor)
        return Response(status=204)

    def _found(self, webhook_id: str) -> Receiver:
        return webhooks.find(self.webhooks, webhook_id)


class WebhookSecret(OfKey):
    needs = {"post": NEEDS}

    @documented(
        "Rotate a webhook's secret",
        body=NothingBody,
        answers={200: NewWebhookShape},
        refusals=NO_WEBHOOK,
        parameters=[WEBHOOK_ID],
        description="The new one is shown this once. For a day deliveries are signed with both.",
    )
    def post(self, request: Request, webhook_id: str) -> Response:
        self.body(NothingBody)
        row = webhooks.find(self.webhooks, webhook_id)
        return self.with_secret(*webhooks.rotate(row.pk, actor=self.actor))


class DeadDeliveries(OfKey, ListView):
    needs = {"get": NEEDS}
    orders = {"died_at": "died_at"}
    default_order = "-died_at"
    shape = DeadDeliveryShape

    @documented(
        "List the deliveries that were given up",
        answers={200: page_of(DeadDeliveryShape, "DeadDelivery")},
        refusals=NO_WEBHOOK,
        parameters=[WEBHOOK_ID, *page_parameters(orders, default_order)],
    )
    def get(self, request: Request, webhook_id: str) -> Response:
        return self.page(webhooks.find(self.webhooks, webhook_id).deliveries.dead())


class Replay(OfKey):
    needs = {"post": NEEDS}

    @documented(
        "Deliver once more what was given up",
        body=ReplayBody,
        answers={200: Replayed},
        refusals=NO_WEBHOOK,
        parameters=[WEBHOOK_ID],
        description="All, or those of `ids`, with the `webhook-id` that they had: behind what was delivered since.",
    )
    def post(self, request: Request, webhook_id: str) -> Response:
        body: dict[str, Any] = self.body(ReplayBody)
        row = webhooks.find(self.webhooks, webhook_id)
        return Response({"replayed": webhooks.replay(row.pk, body.get("ids"), actor=self.actor)})
