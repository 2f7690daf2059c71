"""The emulated deployment: which functions it has, what a call to one of them answers, and its rows."""

from __future__ import annotations

import functools
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from emulator.convex import application, harness, sandkeeper
from emulator.convex.functions import Context, ConvexError, Function, UserError
from emulator.convex.keys import ACT_AS_USER, DATA_VIEW, TO_RUN, DeployKey
from emulator.convex.tables import INDEXES, Document, Tables
from emulator.convex.values import encode
from emulator.settings import BadSetting

if TYPE_CHECKING:
    from emulator.core import Core

STATES = ("running", "paused", "disabled", "suspended")
NOT_RUNNING = {
    "paused": "Cannot run functions while this deployment is paused. Resume the deployment in the dashboard "
    "settings to allow functions to run.",
    "disabled": "You have exceeded the free plan limits, so your deployments have been disabled. Please "
    "upgrade to a Pro plan or reach out to us at support@convex.dev for help.",
    "suspended": "Cannot run functions while this deployment is suspended. Please contact Convex if you "
    "believe this is a mistake.",
}
DEFAULTS: dict[str, Any] = {
    "functions": "main",  # the published set
    "sandkeeper": False,  # whether Sandkeeper's own functions are deployed
    "state": "running",
    "lacks": [],  # indexes that the schema has not, as "harnesses.by_user"
    "redact": False,  # as production deployments do
    "log_lines": False,  # whether functions write to the console, which then comes with the answer
}


@dataclass
class FunctionResult:
    """What ran inside the envelope: a value, or an error with or without its data."""

    value: Any = None
    error: str = ""
    data: Any = None
    has_data: bool = False
    log_lines: list[str] = field(default_factory=list)


class Failed(Exception):
    """An error that Convex reports inside the envelope, with HTTP 200."""


class Deployment:
    def __init__(self, core: Core) -> None:
        self.core = core
        self.tables = Tables()
        for table in INDEXES:
            self.tables.load(table, (row for _, row in core.store.all(_kind(table))))
        core.on_reset.append(self.tables.clear)
        core.on_settings.append(self.check_settings)
        core.dumps["convex"] = lambda query: self.rows(query.get("table"))

    # settings

    def setting(self, name: str) -> Any:
        return self.core.settings.convex.get(name, DEFAULTS[name])

    def check_settings(self) -> None:
        """Raises BadSetting for a word that the setting `convex` does not know."""
        for name in self.core.settings.convex:
            if name not in DEFAULTS:
                raise BadSetting(f"unknown field {name!r} of convex; known are {', '.join(DEFAULTS)}")
        if self.setting("functions") not in harness.SETS:
            raise BadSetting(f"convex.functions must be one of {', '.join(harness.SETS)}")
        if self.setting("state") not in STATES:
            raise BadSetting(f"convex.state must be one of {', '.join(STATES)}")

    def functions(self) -> dict[str, Function]:
        return deployed(self.setting("functions"), self.setting("sandkeeper"))

    # calls

    def call(self, path: str, args: Any, *, kind: str | None, key: DeployKey | None) -> FunctionResult:
        """Run one function; `kind` None takes whatever it is (`/api/function`)."""
        try:
            if path.startswith("_system/"):
                return FunctionResult(value=self._system(path, key))
            return self._run(self._checked(path, args, kind=kind, key=key), args, _subject(key))
        except Failed as error:
            return FunctionResult(error=str(error))

    def _checked(self, path: str, args: Any, *, kind: str | None, key: DeployKey | None) -> Function:
        """In Convex's order: running, found and visible, permitted, of the right kind, arguments."""
        state = self.setting("state")
        if state in NOT_RUNNING:
            raise Failed(NOT_RUNNING[state])
        function = self.functions().get(path)
        if key is not None and key.acting_as is not None and ACT_AS_USER not in key.permissions:
            raise Failed(_forbidden(ACT_AS_USER))
        is_admin = key is not None and key.acting_as is None
        if function is None or not (function.public or is_admin):
            raise Failed(_not_found(path, any_kind=kind is None))
        permission = TO_RUN[function.kind]
        if key is not None and not function.public and permission not in key.permissions:
            raise Failed(_forbidden(permission))
        if kind is not None and function.kind != kind:
            raise Failed(
                f"Trying to execute {function.identifier} as {kind}, but it is defined as {function.kind}."
            )
        wrong = function.args.check(args, table_of=self.tables.table_of)
        if wrong:
            raise Failed(f"ArgumentValidationError: {wrong}")
        return function

    def _run(self, function: Function, args: Any, subject: str | None) -> FunctionResult:
        now = float(int(self.core.clock.now() * 1000))
        context = Context(self.tables, now, subject, frozenset(self.setting("lacks")))
        self.tables.begin()
        try:
            value = function.handler(context, args)
        except ConvexError as error:
            self.tables.rollback()
            text = f"Uncaught ConvexError: {json.dumps(encode(error.data))}"
            return FunctionResult(error=text, data=error.data, has_data=True)
        except UserError as error:
            self.tables.rollback()
            raise Failed(f"Uncaught Error: {error}\n    at handler (../convex/sandboxes.ts)\n") from error
        if function.kind == "Mutation":
            self._commit(function, args, context)
        lines = [f"[LOG] '{function.path}'"] if self.setting("log_lines") else []
        return FunctionResult(value=value, log_lines=lines)

    def _commit(self, function: Function, args: Any, context: Context) -> None:
        self._persist()
        accepted = context.accepted or [(args.get("daytonaSandboxId", ""), args)]
        for daytona_id, detail in accepted:
            self.core.log.add("convex", function.path, daytona_id, detail=detail)

    def _system(self, path: str, key: DeployKey | None) -> Any:
        """System functions answer an admin, whatever state the deployment is in."""
        if key is None:
            raise Failed("Executing function: unauthorized")
        if path == "_system/frontend/deploymentState:deploymentState":
            return {"state": self.setting("state")}
        if path != "_system/cli/modules:apiSpec":
            raise Failed(_not_found(path, any_kind=False))
        if DATA_VIEW not in key.permissions:
            raise Failed(_forbidden(DATA_VIEW))
        return [function.spec() for _, function in sorted(self.functions().items())]

    # rows

    def rows(self, table: str | None = None) -> dict[str, list[Document]]:
        return {name: self.tables.all(name) for name in ([table] if table else INDEXES)}

    def seed(self, rows: dict[str, list[Document]]) -> dict[str, str]:
        """Insert rows; a value `"$name"` stands for the row of this request whose `_id` is `"$name"`."""
        self.tables.begin()
        now = float(int(self.core.clock.now() * 1000))
        ids: dict[str, str] = {}
        added = []
        for table, items in rows.items():
            for number, item in enumerate(items):
                row_id = self.tables.insert(table, {}, now=now)
                ids[item.get("_id", f"{table}[{number}]")] = row_id
                added.append((table, row_id, item))
        for table, row_id, item in added:
            fields = {name: _resolved(value, ids) for name, value in item.items() if name != "_id"}
            self.tables.patch(table, row_id, fields)
        self._persist()
        return ids

    def delete(self, daytona_id: str) -> int:
        """The sandbox's rows vanish behind everybody's back."""
        self.tables.begin()
        rows = self.tables.by("sandboxes", "daytonaSandboxId", daytona_id)
        for row in rows:
            self.tables.delete("sandboxes", row["_id"])
        self._persist()
        return len(rows)

    def clear(self) -> None:
        self.tables.begin()
        for table in INDEXES:
            for row in self.tables.all(table):
                self.tables.delete(table, row["_id"])
        self._persist()

    def _persist(self) -> None:
        for (table, row_id), row in self.tables.changes().items():
            if row is None:
                self.core.store.delete(_kind(table), row_id)
            else:
                self.core.store.put(_kind(table), row_id, row)


@functools.cache
def deployed(published: str, with_sandkeeper: bool) -> dict[str, Function]:
    functions = harness.published(published) + application.functions(published)
    functions += sandkeeper.functions() if with_sandkeeper else []
    return {function.path: function for function in functions}


def _subject(key: DeployKey | None) -> str | None:
    return None if key is None or key.acting_as is None else key.acting_as.get("subject")


def _kind(table: str) -> str:
    return f"convex:{table}"


def _resolved(value: Any, ids: dict[str, str]) -> Any:
    return ids.get(value, value) if isinstance(value, str) else value


def _not_found(path: str, *, any_kind: bool) -> str:
    if any_kind:
        return f"Could not find function for '{path}'. Did you forget to run `npx convex dev`?"
    return (
        f"Could not find public function for '{path}'. Did you forget to run `npx convex dev` or "
        "`npx convex deploy`?"
    )


def _forbidden(permission: str) -> str:
    return f"You do not have permission to perform this operation ({permission})."
