"""What every address holds a request to, whoever calls: one reading of it, and no other."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rest_framework.exceptions import ValidationError
from rest_framework.views import APIView

from sandboxes.core.codes import Code, Refused

if TYPE_CHECKING:
    from rest_framework.request import Request


class StrictView(APIView):
    # Query parameters that may be given several times.
    repeatable: frozenset[str] = frozenset()

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        _refuse_encoded(request)
        _refuse_repeated(request, self.repeatable)
        super().initial(request, *args, **kwargs)


def _refuse_encoded(request: Request) -> None:
    if request.headers.get("Content-Encoding", "").strip().lower() not in ("", "identity"):
        raise Refused(Code.UNSUPPORTED_MEDIA_TYPE, "A body with a Content-Encoding is not read; send it as it is.")


def _refuse_repeated(request: Request, repeatable: frozenset[str]) -> None:
    """Two values of a parameter that has one: programs do not agree on which of them counts."""
    given = request.query_params
    repeated = [name for name, values in given.lists() if len(values) > 1 and name not in repeatable]
    if repeated:
        raise ValidationError({name: ["Give this parameter once."] for name in repeated})
