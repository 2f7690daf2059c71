"""The column of a name that people give: kept in NFC, found in any spelling and case, on both databases."""

from __future__ import annotations

import unicodedata
from typing import Any

from django.db import models
from django.db.backends.signals import connection_created
from django.db.models import F, Q
from django.db.models.lookups import IContains, IExact, IStartsWith

FOLD = "sandkeeper_fold"


def composed(value: Any) -> Any:
    return unicodedata.normalize("NFC", value) if isinstance(value, str) else value


class NameField(models.CharField):  # type: ignore[type-arg] # takes none where the code runs
    """A CharField to migrations: nothing differs in the database."""

    def get_prep_value(self, value: Any) -> Any:
        return composed(super().get_prep_value(value))

    def pre_save(self, model_instance: models.Model, add: bool) -> Any:
        value = composed(super().pre_save(model_instance, add))
        setattr(model_instance, self.attname, value)
        return value

    def deconstruct(self) -> Any:
        name, _, args, kwargs = super().deconstruct()
        return name, "django.db.models.CharField", args, kwargs


class _InAnyCase:
    """PostgreSQL folds by itself. SQLite knows the cases of ASCII alone, so anything else is folded for it."""

    def get_prep_lookup(self) -> Any:
        return composed(super().get_prep_lookup())  # type: ignore[misc]

    def as_sqlite(self, compiler: Any, connection: Any) -> Any:
        if str(self.rhs).isascii():  # type: ignore[attr-defined]
            return self.as_sql(compiler, connection)  # type: ignore[attr-defined]
        column, before = self.process_lhs(compiler, connection)  # type: ignore[attr-defined]
        place, pattern = self.process_rhs(compiler, connection)  # type: ignore[attr-defined]
        folded = [_folded(str(part)) for part in pattern]
        return f"{FOLD}({column}) LIKE {place} ESCAPE '\\'", [*before, *folded]


_LOOKUPS: dict[str, Any] = {
    str(_lookup.lookup_name): type(_lookup.__name__, (_InAnyCase, _lookup), {})
    for _lookup in (IContains, IStartsWith, IExact)
}
for _lookup in _LOOKUPS.values():
    NameField.register_lookup(_lookup)


def contains(column: str, text: str) -> Q:
    """That a column of text has this in it, in any spelling and case, on both databases."""
    return Q(_LOOKUPS["icontains"](F(column), text))


def begins(column: str, text: str) -> Q:
    return Q(_LOOKUPS["istartswith"](F(column), text))


def _folded(text: str | None) -> str | None:
    return None if text is None else text.lower()


def _teach_sqlite(connection: Any, **_: Any) -> None:
    if connection.vendor == "sqlite":
        connection.connection.create_function(FOLD, 1, _folded, deterministic=True)


connection_created.connect(_teach_sqlite, dispatch_uid=FOLD)
