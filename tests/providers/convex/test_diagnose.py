"""What `doctor` can say about Convex, each with its remedy."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest

from sandboxes.providers.convex.gateway import ACT_AS_USER, ConvexGateway
from tests.providers.daytona.scripted import answer, scripted
from tests.support.convex import call, value_of

if TYPE_CHECKING:
    from tests.providers.convex.conftest import Connect
    from tests.support.emulator import Emulator

QUERIES = "deployment:functions:runInternalQueries"
MUTATIONS = "deployment:functions:runInternalMutations"
DATA_VIEW = "deployment:data:view"
KEY = "dev:test|limited-0123"


@pytest.mark.parametrize(
    ("convex", "codes"),
    [
        ({"functions": "second"}, set()),
        ({"functions": "first"}, {"convex_function_optional"}),
        ({"functions": "main"}, {"convex_function_optional", "convex_harness_stays_linked"}),
        ({"functions": "main", "sandkeeper": True}, set()),
        ({"sandkeeper": True, "lacks": ["workspaces.by_user"]}, {"convex_schema_incomplete"}),
        ({"functions": "second", "state": "paused"}, {"convex_paused"}),
        ({"functions": "second", "state": "suspended", "redact": True}, {"convex_paused"}),
    ],
)
def test_the_deployment(
    emulator: Emulator, gateway: ConvexGateway, convex: dict[str, Any], codes: set[str]
) -> None:
    emulator.settings(convex=convex)

    diagnosis = gateway.diagnose()

    assert diagnosis.codes == codes
    assert diagnosis.broken is bool(codes & {"convex_paused", "convex_schema_incomplete"})
    assert diagnosis.own_functions is convex.get("sandkeeper", False)


@pytest.mark.parametrize("redact", [True, False])
@pytest.mark.parametrize(
    ("permissions", "remedies"),
    [
        ([QUERIES, MUTATIONS, DATA_VIEW, ACT_AS_USER], []),
        ([QUERIES, MUTATIONS, ACT_AS_USER], [DATA_VIEW]),
        ([QUERIES, DATA_VIEW, ACT_AS_USER], [MUTATIONS]),
        ([QUERIES, MUTATIONS, DATA_VIEW], [ACT_AS_USER]),
        ([DATA_VIEW, ACT_AS_USER], [QUERIES, MUTATIONS]),
        (["deployment:deploy"], [DATA_VIEW, QUERIES, MUTATIONS, ACT_AS_USER]),
    ],
)
def test_the_permission_to_add_is_named(
    emulator: Emulator, connect: Connect, permissions: list[str], remedies: list[str], redact: bool
) -> None:
    emulator.settings(
        convex={"functions": "second", "redact": redact}, convex_keys={KEY: {"permissions": permissions}}
    )

    diagnosis = connect(deploy_key=KEY).diagnose()

    found = [finding.remedy for finding in diagnosis.findings if finding.level != "ok"]
    assert [re.findall(r"deployment:[\w:]+", remedy) for remedy in found] == [[one] for one in remedies]
    assert diagnosis.broken is any(remedy in (QUERIES, MUTATIONS) for remedy in remedies)


def test_our_own_functions_of_an_older_version_are_not_used(emulator: Emulator, gateway: ConvexGateway) -> None:
    emulator.settings(convex={"functions": "second", "sandkeeper": True})
    spec = value_of(call(emulator, "_system/cli/modules:apiSpec", kind="query"))
    older = [entry for entry in spec if entry["identifier"] != "sandkeeper.js:probe"]
    answer = {"status": "success", "value": older}
    emulator.faults.add("status", system="convex", body="apiSpec", status=200, answer=answer)

    diagnosis = gateway.diagnose()

    assert (diagnosis.codes, diagnosis.own_functions) == ({"convex_own_functions_old"}, False)


def test_what_the_schema_lacks_is_named(emulator: Emulator, gateway: ConvexGateway) -> None:
    lacks = ["harnesses.by_user", "sandkeeperRevisions.by_daytona_id"]
    emulator.settings(convex={"sandkeeper": True, "lacks": lacks})

    (finding,) = [found for found in gateway.diagnose().findings if found.level == "error"]

    assert ", ".join(lacks) in finding.text


def test_a_wrong_key(connect: Connect) -> None:
    diagnosis = connect(deploy_key="dev:test|wrong").diagnose()

    (finding,) = diagnosis.findings
    assert (finding.level, finding.code) == ("error", "convex_unauthorized")
    assert "CONVEX_DEPLOY_KEY" in finding.text


def test_nobody_there(connect: Connect) -> None:
    (finding,) = connect(url="http://127.0.0.1:9").diagnose().findings

    assert (finding.level, finding.code) == ("error", "convex_unavailable")
    assert "CONVEX_URL" in finding.text


def test_needed_functions_that_are_missing_are_named() -> None:
    state = answer(200, {"status": "success", "value": {"state": "running"}})
    spec = answer(200, {"status": "success", "value": []})
    with scripted(state, spec) as script:
        gateway = ConvexGateway(url=script.url.removesuffix("/api"), deploy_key=KEY)
        diagnosis = gateway.diagnose()
        gateway.close()

    missing = [finding.text for finding in diagnosis.findings if finding.code == "convex_function_missing"]
    assert missing == [
        "Convex has no function sandboxes:createInternal.",
        "Convex has no function sandboxes:getOwnerByDaytonaId.",
        "Convex has no function sandboxes:updateStatus.",
        "Convex has no function sandboxes:removeByDaytonaIdInternal or sandboxes:removeByDaytonaId.",
    ]
    assert diagnosis.broken


def test_a_clock_that_is_wrong() -> None:
    headers = {"Date": "Sat, 04 May 2024 19:13:20 GMT"}
    state = answer(200, {"status": "success", "value": {"state": "paused"}}, headers=headers)
    with scripted(state, answer(200, {"status": "success", "value": []})) as script:
        gateway = ConvexGateway(url=script.url.removesuffix("/api"), deploy_key=KEY)
        diagnosis = gateway.diagnose()
        gateway.close()

    (finding,) = [finding for finding in diagnosis.findings if finding.code == "convex_clock_skew"]
    assert finding.level == "warning"
    assert "behind" in finding.text


def test_a_right_clock_is_seen(gateway: ConvexGateway) -> None:
    assert gateway.clock_skew is None
    gateway.deployment_state()
    assert gateway.clock_skew is not None
    assert abs(gateway.clock_skew) <= 2
