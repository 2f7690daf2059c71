"""Which functions a deployment has: asked once, looked at again when one is not found, tried without the right."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from sandboxes.providers.convex.functions import SIGNATURES, mismatch, read_spec
from sandboxes.providers.convex.gateway import ConvexGateway, Function, FunctionMissing

if TYPE_CHECKING:
    from tests.providers.convex.conftest import Connect
    from tests.support.emulator import Emulator

WITHOUT_LISTING = "dev:test|functions-only-0123"
API_SPEC = "query _system/cli/modules:apiSpec"
HAVE = {
    "first": {Function.UPDATE_NAME, Function.TOUCH, Function.REMOVE, Function.STATUS},
    "second": {Function.UPDATE_NAME, Function.TOUCH, Function.REMOVE, Function.LIST_FOR_RECONCILE},
    "main": {Function.REMOVE_ON_MAIN, Function.COUNT},
}
EVERYWHERE = {
    *(Function.CREATE, Function.OWNER, Function.UPDATE_STATUS),
    *(Function.LIST_AS_OWNER, Function.HARNESS_AS_OWNER),
}


@pytest.mark.parametrize("functions", HAVE)
@pytest.mark.parametrize("own", [True, False])
def test_each_set_is_recognised(emulator: Emulator, gateway: ConvexGateway, functions: str, own: bool) -> None:
    emulator.settings(convex={"functions": functions, "sandkeeper": own})

    capabilities = gateway.capabilities()

    ours = {Function.APPLY, Function.LIST_ALL, Function.PROBE} if own else set()
    assert capabilities.known
    assert capabilities.present == EVERYWHERE | HAVE[functions] | ours
    assert capabilities.mismatched == {}
    assert capabilities.missing == ()
    assert gateway.own_functions() is own


def test_what_main_lacks_is_named_with_its_effect(emulator: Emulator, gateway: ConvexGateway) -> None:
    emulator.settings(convex={"functions": "main"})

    assert [text.split(":")[1] for text in gateway.capabilities().missing_optional] == [
        "updateMetadataInternal",
        "touchSandboxInternal",
        "listForReconcile",
    ]


def test_the_list_is_asked_for_once(emulator: Emulator, gateway: ConvexGateway) -> None:
    for _ in range(3):
        gateway.update_status("d1", status="running")
        gateway.own_functions()

    assert emulator.counts()["convex"][API_SPEC] == 1


def test_a_function_that_is_not_found_makes_it_look_again(emulator: Emulator, connect: Connect) -> None:
    emulator.settings(convex={"functions": "second"})
    gateway = connect()
    assert gateway.has(Function.TOUCH) is True

    emulator.settings(convex={"functions": "main"})
    with pytest.raises(FunctionMissing):
        gateway.touch("d1")

    assert gateway.has(Function.TOUCH) is False
    assert gateway.has(Function.REMOVE_ON_MAIN) is True


@pytest.mark.parametrize("may_list", [True, False])
def test_what_is_missing_is_asked_for_once(emulator: Emulator, connect: Connect, may_list: bool) -> None:
    limited(emulator, functions="main")
    gateway = connect(deploy_key=emulator.convex_key if may_list else WITHOUT_LISTING)

    for _ in range(5):
        with pytest.raises(FunctionMissing):
            gateway.touch("d1")

    assert emulator.counts()["convex"]["mutation sandboxes:touchSandboxInternal"] == 1


def test_without_the_right_to_list_it_runs_and_learns_from_what_is_not_found(
    emulator: Emulator, connect: Connect
) -> None:
    limited(emulator, functions="main")
    gateway = connect(deploy_key=WITHOUT_LISTING)

    assert gateway.capabilities().known is False
    assert gateway.has(Function.TOUCH) is None
    with pytest.raises(FunctionMissing):
        gateway.touch("d1")
    assert gateway.has(Function.TOUCH) is False
    gateway.update_status("d1", status="running")


@pytest.mark.parametrize("redact", [True, False])
@pytest.mark.parametrize("own", [True, False])
def test_without_the_right_to_list_our_own_functions_are_found_by_trying(
    emulator: Emulator, connect: Connect, own: bool, redact: bool
) -> None:
    limited(emulator, sandkeeper=own, redact=redact)

    assert connect(deploy_key=WITHOUT_LISTING).own_functions() is own


def test_our_own_functions_are_missed_even_when_nobody_says_so(emulator: Emulator, connect: Connect) -> None:
    limited(emulator, sandkeeper=False, redact=True)
    gateway = connect(deploy_key=WITHOUT_LISTING)

    with pytest.raises(FunctionMissing):
        gateway.apply([])
    assert gateway.has(Function.APPLY) is False


@pytest.mark.parametrize(
    "fault", [{"status": 404, "answer": {"code": "FunctionPathNotFound"}}, {"status": 403, "answer": {"code": "x"}}]
)
def test_a_deployment_that_lists_nothing_is_served_all_the_same(
    emulator: Emulator, gateway: ConvexGateway, fault: dict[str, object]
) -> None:
    emulator.faults.add("status", body="apiSpec", **fault)

    gateway.update_status("d1", status="running")

    assert gateway.capabilities().known is False


def entry(**changes: object) -> dict[str, object]:
    fields = {
        "daytonaSandboxId": {"fieldType": {"type": "string"}, "optional": False},
        "name": {"fieldType": {"type": "string"}, "optional": True},
    }
    return {
        "identifier": "sandboxes.js:updateMetadataInternal",
        "functionType": "Mutation",
        "args": {"type": "object", "value": fields | changes},
    }


NUMBER = {"fieldType": {"type": "number"}, "optional": False}
MISMATCHES = {
    "": entry(),
    "it wants the argument reason, which we do not send": entry(reason=NUMBER),
    "its argument name is a number, not a string": entry(name=NUMBER),
    "it is a query, not a mutation": entry() | {"functionType": "Query"},
    "its arguments are a array": entry() | {"args": {"type": "array"}},
}


@pytest.mark.parametrize(
    ("why", "spec"), MISMATCHES.items(), ids=lambda value: value if isinstance(value, str) else ""
)
def test_a_function_with_other_arguments_cannot_be_used(why: str, spec: dict[str, object]) -> None:
    assert mismatch(SIGNATURES[Function.UPDATE_NAME], spec) == why
    assert (Function.UPDATE_NAME in read_spec([spec]).present) is (why == "")


def test_functions_without_validators_and_http_routes_are_fine() -> None:
    spec = [entry() | {"args": {"type": "any"}}, {"functionType": "HttpAction", "method": "GET", "path": "/x"}]

    assert read_spec(spec).present == {Function.UPDATE_NAME}


def limited(emulator: Emulator, **convex: object) -> None:
    rules = {"permissions": [f"deployment:functions:runInternal{kind}" for kind in ("Queries", "Mutations")]}
    emulator.settings(convex=convex, convex_keys={emulator.convex_key: {}, WITHOUT_LISTING: rules})
