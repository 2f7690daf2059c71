"""Search: what support has in hand, found the same way on every list.

The whole must be a part of a name, or each word must match: a part of a name or owner, the beginning of our id,
Daytona's id or name, or the id of an operation or request. What the operations know is asked beforehand: inside an
OR it would walk the whole table. Of few sandboxes the operations and events are looked up; of many, the newest are
read until enough are theirs.
"""

from __future__ import annotations

import re
from functools import reduce
from operator import and_, or_
from typing import TYPE_CHECKING, Any
from uuid import UUID

from django.db.models import Q

from sandboxes.models import Operation, Owner, Sandbox
from sandboxes.models.names import begins, contains
from sandboxes.models.scope import as_uuid

if TYPE_CHECKING:
    from collections.abc import Callable

    from django.db.models import QuerySet

    from sandboxes.models import AuditEntry, SandboxEvent

TRIGRAM = 3  # shorter than what the indexes of parts are made of: only the beginning is searched
FEW = 200  # sandboxes
MOST = 1000  # operations of one request
SHORTEST_ID = 4  # digits of an id's beginning


def sandboxes(rows: QuerySet[Sandbox], text: str) -> QuerySet[Sandbox]:
    each = _all_words(text, _of_sandbox)
    whole = " ".join(text.split())
    return rows.filter(_part("name", whole) | each if " " in whole else each)


def owners(rows: QuerySet[Owner], text: str) -> QuerySet[Owner]:
    return rows.filter(_all_words(text, lambda word: _part("id", word)))


def operations(rows: QuerySet[Operation], text: str) -> QuerySet[Operation]:
    """Those that have the id or were asked for by the request; else those of the sandboxes that are found."""
    word = text.strip()
    named = rows.filter(_id("pk", word) | Q(request_id=word))
    return named if named.exists() else _of_found(rows, text)


def events(rows: QuerySet[SandboxEvent], text: str) -> QuerySet[SandboxEvent]:
    """Those of an operation or request; else those of the sandboxes that are found."""
    named = operations_named(text.strip())
    if named:
        return rows.filter(operation__in=named)
    return _of_found(rows, text)


def audit_entries(rows: QuerySet[AuditEntry], text: str) -> QuerySet[AuditEntry]:
    def matches(word: str) -> Q:
        parts = [_part(column, word) for column in ("about_name", "owner", "actor", "address")]
        return reduce(or_, [*parts, Q(about_id=as_uuid(word) or word), Q(request_id=word)])

    return rows.filter(_all_words(text, matches))


def _of_found(rows: QuerySet[Any], text: str) -> QuerySet[Any]:
    """The rows of the sandboxes that are found."""
    found = sandboxes(Sandbox.objects.all(), text).order_by().values("pk")
    few = list(found.values_list("pk", flat=True)[: FEW + 1])
    return rows.filter(sandbox__in=few if len(few) <= FEW else found)


def _all_words(text: str, matches: Callable[[str], Q]) -> Q:
    return reduce(and_, (matches(word) for word in text.split()), Q())


def _of_sandbox(word: str) -> Q:
    named = [_part(column, word) for column in ("name", "owner_id", "daytona_name")]
    of_operations = Operation.objects.filter(pk__in=operations_named(word)).values_list("sandbox_id", flat=True)
    ids = [_id("pk", word), Q(daytona_id=word), Q(pk__in=list(of_operations))]
    return reduce(or_, [*named, *ids])


def _part(column: str, word: str) -> Q:
    return contains(column, word) if len(re.findall(r"\w", word)) >= TRIGRAM else begins(column, word)


def _id(column: str, word: str) -> Q:
    """That an id begins with these digits."""
    digits = word.replace("-", "").lower()
    if not SHORTEST_ID <= len(digits) <= 32 or set(digits) - set("0123456789abcdef"):
        return Q(pk__in=[])
    first, last = (UUID(digits.ljust(32, fill)) for fill in "0f")
    return Q(**{f"{column}__range": (first, last)})


def operations_named(word: str) -> list[UUID]:
    """The operations of an id or of a request."""
    named = Q(request_id=word)
    if (whole := as_uuid(word)) is not None:
        named |= Q(pk=whole)
    return list(Operation.objects.filter(named).values_list("pk", flat=True)[:MOST]) if word else []
