"""Events: of one sandbox, the newest first; and of all that the caller may see, as a feed that loses nothing."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from rest_framework.response import Response

from sandboxes import clock
from sandboxes.api import querysets
from sandboxes.api.documented import (
    FEED_QUERY,
    NO_SANDBOX,
    SANDBOX_ID,
    WAIT_FOR_EVENT,
    FeedAnswer,
    documented,
    page_of,
    page_parameters,
)
from sandboxes.api.http import wait_seconds
from sandboxes.api.permissions import READ, Need
from sandboxes.api.representations import EventShape
from sandboxes.api.requests import FeedQuery
from sandboxes.api.views.base import ApiView
from sandboxes.api.views.lists import ListView
from sandboxes.core.codes import Code
from sandboxes.services import feed, lookup, waiting

if TYPE_CHECKING:
    from rest_framework.request import Request


class SandboxEvents(ListView):
    needs = {"get": Need(READ, "view_sandboxevent")}
    orders = {"at": "at"}
    default_order = "-at"
    shape = EventShape

    @documented(
        "List a sandbox's events, the newest first",
        answers={200: page_of(EventShape, "Event")},
        refusals=NO_SANDBOX,
        parameters=[SANDBOX_ID, *page_parameters(orders, default_order)],
    )
    def get(self, request: Request, sandbox_id: str) -> Response:
        row = lookup.find(sandbox_id, actor=self.actor)
        return self.page(querysets.events(row, for_staff=self.principal.is_staff))


class FeedEvents(ApiView):
    needs = {"get": Need(READ, "view_sandboxevent")}
    repeatable = frozenset({"type"})

    @documented(
        "Follow the events of all sandboxes, in one order and without a gap",
        answers={200: FeedAnswer},
        refusals=[*NO_SANDBOX, Code.CURSOR_EXPIRED],
        parameters=[*FEED_QUERY, *WAIT_FOR_EVENT],
        description="Ask again with `after` = the answer's `cursor`. No event ever turns up behind a cursor.",
    )
    def get(self, request: Request) -> Response:
        asked = FeedQuery.of(request)
        sandbox = asked["sandbox"]
        sandbox_id = lookup.identify(sandbox, actor=self.actor) if sandbox else None
        allowed = querysets.kinds(for_staff=self.principal.is_staff)
        kinds = [kind for kind in allowed if kind in asked["type"]] if asked["type"] else allowed
        look = partial(feed.read_page, self.actor, limit=asked["limit"], kinds=kinds, sandbox_id=sandbox_id)
        page = look(after=asked["after"])
        seconds = wait_seconds(request.headers.get("Prefer", ""), asked["wait"])
        if seconds is None or page.events or page.more:
            return self._answer(page)
        return self._wait(page, look, seconds)

    def _wait(self, page: feed.FeedPage, look: partial[feed.FeedPage], seconds: int) -> Response:
        """Until there is an event for this caller. Events of others move the cursor on."""

        def next_page() -> feed.FeedPage:
            nonlocal page
            page = look(after=str(page.cursor))
            return page

        with waiting.seat() as seated:
            if not seated:
                return self._answer(page)
            waiting.until(next_page, lambda found: bool(found.events), deadline=clock.monotonic() + seconds)
        response = self._answer(page)
        response["Preference-Applied"] = f"wait={seconds}"
        return response

    def _answer(self, page: feed.FeedPage) -> Response:
        events = EventShape(page.events, many=True, context=self.shape_context).data
        return Response({"results": events, "cursor": page.cursor, "more": page.more})
