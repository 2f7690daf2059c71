"""What the deployment at the other end is and can do, and how a call to it is made. Used by `convex.py` alone."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, TypeVar

from sandboxes import clock
from sandboxes.providers.convex.environment import EXAMPLE, address_parts
from sandboxes.providers.convex.errors import (
    ConvexError,
    ConvexPaused,
    ConvexRejected,
    ConvexUnauthorized,
    FunctionFailed,
    FunctionMissing,
)
from sandboxes.providers.convex.functions import (
    ABSENT,
    OWN,
    SIGNATURES,
    SYSTEM,
    UNKNOWN,
    Capabilities,
    Function,
    FunctionKind,
    read_spec,
)
from sandboxes.providers.convex.wire import ConvexWire, Identity

if TYPE_CHECKING:
    from collections.abc import Callable

logger = logging.getLogger(__name__)

T = TypeVar("T")
CAPABILITIES_LAST = 300.0  # seconds: a function that was deployed meanwhile is noticed then
REFRESH_PAUSE = 5.0  # seconds between two looks at apiSpec because of a failure
ACT_AS_USER = "deployment:functions:actAsUser"
# No user can be called so, and no identity needs another issuer: the application looks at the subject.
NOBODY = "sandkeeper-probe"
ISSUER = "https://sandkeeper.invalid"
# No sandbox can have it: functions run with it change nothing, and prove that the key may run them.
NO_SANDBOX = {"daytonaSandboxId": "sandkeeper-probe"}
Probes = tuple[tuple[Function, dict[str, Any]], ...]
PROBES: dict[FunctionKind, Probes] = {
    "query": (
        (Function.OWNER, NO_SANDBOX),
        (Function.COUNT, {"userId": NOBODY}),
        (Function.LIST_FOR_RECONCILE, {"userId": NOBODY}),
        (Function.STATUS, NO_SANDBOX),
    ),
    "mutation": (
        (Function.UPDATE_STATUS, NO_SANDBOX | {"status": "stopped"}),
        (Function.TOUCH, NO_SANDBOX),
        (Function.REMOVE_ON_MAIN, NO_SANDBOX),
    ),
}
OWN_PROBES: dict[FunctionKind, Probes] = {
    "query": ((Function.PROBE, {}),),
    "mutation": ((Function.APPLY, {"changes": []}),),
}


class Deployment:
    """Calls that know when to leave Convex alone, and that look for the reason when a function fails.

    Timeouts and pauses in seconds. After the key was refused, or the deployment said that it is paused, no
    call leaves for that long: each raises the same error at once. `issuer`: of the tokens of users as whom we act.
    """

    def __init__(
        self,
        *,
        url: str,
        deploy_key: str,
        connect_timeout: float = 3.0,
        read_timeout: float = 15.0,
        pool_size: int = 32,
        unauthorized_pause: float = 60.0,
        paused_pause: float = 10.0,
        issuer: str = "",
    ) -> None:
        self._url = _address(url)
        self._wire = ConvexWire(
            url=self._url,
            deploy_key=_usable(deploy_key),
            connect_timeout=connect_timeout,
            read_timeout=read_timeout,
            pool_size=pool_size,
        )
        self._issuer = issuer or ISSUER
        self._pauses = {ConvexUnauthorized: unauthorized_pause, ConvexPaused: paused_pause}
        self._resting: tuple[float, ConvexError] | None = None
        self._capabilities: tuple[float, Capabilities] | None = None
        self._own: tuple[float, bool] | None = None
        self._may_not_act: tuple[float, ConvexError] | None = None
        self._absent: dict[Function, float] = {}  # learned from an error, for keys that may not list

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._url}>"

    @property
    def clock_skew(self) -> float | None:
        """Seconds that Convex's clock is ahead of ours, within a second; None before the first answer."""
        return self._wire.clock_skew

    def close(self) -> None:
        """Close the pooled connections."""
        self._wire.close()

    def deployment_state(self) -> str:
        """`running`, `paused`, `disabled` or `suspended`. Any valid key may ask, at any time."""
        value = self.ask(Function.DEPLOYMENT_STATE, {})
        return str(read_value(lambda: value["state"], Function.DEPLOYMENT_STATE))

    def capabilities(self, *, refresh: bool = False) -> Capabilities:
        """Which functions are deployed; `known` is False when the key may not list them. Cached."""
        cached = self._capabilities
        if refresh or cached is None or clock.monotonic() - cached[0] > CAPABILITIES_LAST:
            if not refresh:
                self._let_pass()
            cached = (clock.monotonic(), self._list_functions())
            self._capabilities = cached
        return cached[1]

    def has(self, function: Function) -> bool | None:
        """Whether the function can be called; None when only trying will tell."""
        learned = self._absent.get(function)
        if learned is not None and clock.monotonic() - learned < CAPABILITIES_LAST:
            return False
        return self.capabilities().has(function)

    def own_functions(self) -> bool:
        """Whether `apply` and `list_all` can be used. Where functions may not be listed, it tries."""
        capabilities = self.capabilities()
        if capabilities.known:
            return capabilities.present >= OWN
        if self._own is None or clock.monotonic() - self._own[0] > CAPABILITIES_LAST:
            self._own = (clock.monotonic(), self.may_run("query", own=True) is True)
        return self._own[1]

    @property
    def had_own_functions(self) -> bool:
        """Whether they were there when that was last looked at; nothing is asked."""
        if self._capabilities is not None and self._capabilities[1].known:
            return self._capabilities[1].present >= OWN
        return self._own is not None and self._own[1]

    def may_run(self, kind: FunctionKind, *, own: bool = False) -> bool | None:
        """Whether this key can run internal functions of a kind, tried with some that change nothing.

        One that fails proves nothing, as it may fail by itself; False: all of them do. None: none is there.
        """
        answer = None
        for function, args in (OWN_PROBES if own else PROBES)[kind]:
            if self.has(function) is False:
                continue
            try:
                self.ask(function, args)
            except FunctionFailed:
                answer = False
            except FunctionMissing:
                continue
            else:
                return True
        return answer

    def may_act_as_user(self) -> bool | None:
        """Whether this key can call public functions as a user; None when only such a call will tell.

        The same function is asked as nobody and as an unknown user: only who asks differs.
        """
        if self.has(Function.LIST_AS_OWNER) is False:
            return None
        try:
            self.ask(Function.LIST_AS_OWNER, {})
        except (FunctionFailed, FunctionMissing):
            return None
        try:
            self.ask(Function.LIST_AS_OWNER, {}, as_owner=NOBODY)
        except FunctionFailed:
            return False
        except ConvexUnauthorized as error:
            if error.status != 403:
                raise
            return False
        return True

    # how a call is made

    def call(self, function: Function, args: dict[str, Any], *, as_owner: str = "") -> Any:
        """With `as_owner` as that user, else as nobody."""
        self._let_pass(as_owner=as_owner)
        self._refuse_missing(function)
        try:
            return self.ask(function, args, as_owner=as_owner)
        except FunctionFailed as error:
            reason = self._reason(function, error, as_owner=as_owner)
        except ConvexUnauthorized as error:
            if not as_owner or error.status != 403 or self.may_act_as_user() is not False:
                raise
            reason = _may_not_act(detail=error.detail, status=error.status, request_id=error.request_id)
        self._take_to_heart(reason)
        raise reason from None

    def ask(self, function: Function, args: dict[str, Any], *, as_owner: str = "") -> Any:
        """The call itself, whatever rests and without looking for reasons."""
        query = SIGNATURES[function].kind == "query"
        identity = Identity(as_owner, self._issuer) if as_owner else None
        try:
            value = (self._wire.read if query else self._wire.send)(function, args, identity)
        except ConvexError as error:
            if identity is None:  # a refusal may be meant for the acting alone
                self._take_to_heart(error)
            raise
        if function not in SYSTEM:  # those answer in a paused deployment, too
            self._resting = None
        return value

    def _let_pass(self, *, as_owner: str = "") -> None:
        refused = self._may_not_act
        if as_owner and refused is not None and clock.monotonic() - refused[0] < CAPABILITIES_LAST:
            raise refused[1].with_traceback(None)
        resting = self._resting
        if resting is not None and clock.monotonic() < resting[0]:
            raise resting[1].with_traceback(None)

    def _refuse_missing(self, function: Function) -> None:
        """What was missing a moment ago is not asked for again; a new look is taken when that is old."""
        if function in self._absent and self.has(function) is False:
            raise FunctionMissing(function, reason=ABSENT)
        if self._capabilities is not None and (why_not := self.capabilities().why_not(function)):
            raise FunctionMissing(function, reason=why_not)

    def _take_to_heart(self, error: ConvexError) -> None:
        if getattr(error, "permission", "") == ACT_AS_USER:
            self._may_not_act = (clock.monotonic(), error)
            return
        pause = self._pauses.get(type(error))
        if pause:
            self._resting = (clock.monotonic() + pause, error)

    def _reason(self, function: Function, error: FunctionFailed, *, as_owner: str) -> ConvexError:
        """Why a function failed without errorData: Convex may hide its words, so other calls must tell."""
        known: dict[str, Any] = {"detail": error.detail, "status": error.status, "request_id": error.request_id}
        try:
            state = self.deployment_state()
            if state != "running":
                return ConvexPaused(state, **known)
            missing = self._why_missing(function, error)
            if missing:
                return FunctionMissing(function, reason=missing, **known)
            if as_owner:
                return _may_not_act(**known) if self.may_act_as_user() is False else error
            if self.may_run(SIGNATURES[function].kind, own=function in OWN) is False:
                return self._refused(function, error, **known)
        except ConvexError as other:
            logger.info("convex: no reason found why %s failed: %s", function, other.code)
        return error

    def _refused(self, function: Function, error: FunctionFailed, **known: Any) -> ConvexError:
        """Not even a call that changes nothing gets through: is it the key, or the function?"""
        kind = SIGNATURES[function].kind
        if function in OWN and self.may_run(kind):
            if self.capabilities().known:
                return error
            self._absent[function] = clock.monotonic()
            reason = f"{ABSENT}, or it fails; Convex hides which" if error.cause_unknown else ABSENT
            return FunctionMissing(function, reason=reason, cause_unknown=error.cause_unknown, **known)
        permission = f"deployment:functions:runInternal{'Queries' if kind == 'query' else 'Mutations'}"
        message = f"Convex runs no internal {kind} for us, not even one that changes nothing: "
        lacks = f"the deploy key lacks {permission}"
        if error.cause_unknown:
            message += f"{lacks}, or they all fail, and Convex hides which. Check the key."
        else:
            message += f"{lacks}. Add that permission to the key."
        return ConvexUnauthorized(message, permission=permission, cause_unknown=error.cause_unknown, **known)

    def _why_missing(self, function: Function, error: FunctionFailed) -> str:
        """In words; "" when the function is there, or when nobody can say."""
        # The words are a hint only: production deployments hide them.
        said_so = "Could not find" in error.detail
        looked = self._capabilities
        stale = looked is None or clock.monotonic() - looked[0] > REFRESH_PAUSE
        capabilities = self.capabilities(refresh=stale or said_so)
        if capabilities.known:
            self._absent.pop(function, None)
            return capabilities.why_not(function)
        if said_so:
            self._absent[function] = clock.monotonic()
            return ABSENT
        return ""

    def _list_functions(self) -> Capabilities:
        """apiSpec is no documented API: a deployment without it, or a key without the right to it, is fine."""
        try:
            spec = self._wire.read(Function.API_SPEC, {})
            return read_value(lambda: read_spec(spec), Function.API_SPEC)
        except (ConvexRejected, FunctionMissing):
            return UNKNOWN
        except ConvexUnauthorized as error:
            if error.status == 403:
                return UNKNOWN
            self._take_to_heart(error)
            raise


def _may_not_act(**known: Any) -> ConvexUnauthorized:
    message = f"The deploy key may not act as a user. Add the permission {ACT_AS_USER} to the key."
    return ConvexUnauthorized(message, permission=ACT_AS_USER, **known)


def read_value(read: Callable[[], T], function: Function) -> T:
    """The value of an answer in the form we expect. Raises ConvexRejected when it has another."""
    try:
        return read()
    except (KeyError, TypeError, ValueError, AttributeError):
        message = f"Convex's function {function} answered in a form that is not understood. Is it the right one?"
        raise ConvexRejected(message) from None


def _address(url: str) -> str:
    if address_parts(url.strip()) is None:
        raise ConvexRejected(
            f"CONVEX_URL is no http(s) address, or it carries a password. Set it to something like {EXAMPLE}."
        )
    return url.strip().rstrip("/")


def _usable(deploy_key: str) -> str:
    """A key that no header can carry would be printed by the error of the HTTP client."""
    key = deploy_key.strip()
    if not key or not key.isascii() or not key.isprintable() or " " in key:
        raise ConvexUnauthorized("CONVEX_DEPLOY_KEY is empty or holds characters that no key has. Set it again.")
    return key
