"""The Python client against a server with the emulator, and as it is published."""

from __future__ import annotations

import asyncio
import re
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from sandkeeper_client import AsyncSandkeeper, NotFound, PersonSaidNo, Sandkeeper

from tests.support.environment import ROOT

if TYPE_CHECKING:
    from tests.e2e.conftest import Installation

PYTHON = ROOT / "clients" / "python"
UV = str(Path(sys.prefix) / "bin" / "uv")


def client(installation: Installation) -> Sandkeeper:
    return Sandkeeper(str(installation.http.base_url), installation.key, owner=installation.owner)


def asynchronous(installation: Installation) -> AsyncSandkeeper:
    return AsyncSandkeeper(str(installation.http.base_url), installation.key, owner=installation.owner)


def test_a_life_with_both_clients(installation: Installation) -> None:
    with client(installation) as one:
        created = one.create_sandbox(name="atlas", tier="basic", wait=30)
        assert one.wait(created)["status"] == "succeeded"
        box = created["sandbox"]
        assert one.ensure_running(box, reason="a tool call")["status"] == "running"
        one.touch_sandbox(box)
        for name in ("second", "third"):
            one.wait(one.create_sandbox(name=name))
        names = [row["name"] for row in one.every(one.list_sandboxes(limit=2, order="name"))]
        assert names == ["atlas", "second", "third"]
        assert one.change_sandbox(box, name="best", if_match=one.get_sandbox(box)["etag"])["name"] == "best"
        with pytest.raises(NotFound):
            one.on_behalf_of("somebody else").get_sandbox(box)
        asyncio.run(_the_other_half(installation, box))
        feed = one.events(sandbox=box, wait=0)
        told = [event["type"] for event in next(feed)["results"]]
        assert {"created", "intent", "operation", "renamed"} <= set(told)
        assert next(feed)["results"] == [], "it went on after what it had"


async def _the_other_half(installation: Installation, box: str) -> None:
    async with asynchronous(installation) as one:
        async for page in one.events("latest", wait=0):
            cursor = page["cursor"]
            break
        await one.wait(await one.stop_sandbox(box, reason="lunch"))
        with pytest.raises(PersonSaidNo) as refused:
            await one.on_behalf_of(installation.owner).ensure_running(box)
        assert (refused.value.code, refused.value.problem["stopped_reason"]) == ("sandbox_stopped_by_user", "lunch")
        await one.wait(await one.start_sandbox(box))
        assert (await one.ensure_running(box))["status"] == "running"
        last = await one.list_sandboxes(limit=1, order="-name")
        assert [row["name"] async for row in one.every(last)] == ["third", "second", "best"]
        async for page in one.events(cursor, types=["intent"], wait=0):
            assert [event["changes"]["intent"] for event in page["results"]] == ["stopped", "running"]
            break


def test_the_ten_lines_of_its_page(installation: Installation, tmp_path: Path) -> None:
    (example,) = re.findall(r"^```python\n(.*?)^```", (PYTHON / "README.md").read_text(), re.M | re.S)
    environment = {
        "PYTHONPATH": str(PYTHON / "src"),
        "SANDKEEPER_URL": str(installation.http.base_url),
        "SANDKEEPER_KEY": installation.key,
        "OWNER": installation.owner,
    }
    done = subprocess.run([sys.executable, "-c", example], env=environment, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "atlas running\n"), done.stderr


def test_the_wheel_has_types_and_needs_httpx_alone(tmp_path: Path) -> None:
    version = tomllib.loads((PYTHON / "pyproject.toml").read_text())["project"]["version"]
    command = [UV, "build", "--quiet", "--wheel", "--offline", "--out-dir", str(tmp_path)]
    done = subprocess.run(command, cwd=PYTHON, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    (wheel,) = tmp_path.glob("*.whl")
    assert wheel.name == f"sandkeeper_client-{version}-py3-none-any.whl"
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        (metadata,) = (name for name in names if name.endswith("/METADATA"))
        told = archive.read(metadata).decode()
    assert {"sandkeeper_client/py.typed", "sandkeeper_client/types.py"} <= set(names)
    assert re.findall(r"^Requires-Dist: (\S+)", told, re.M) == ["httpx>=0.27,<1"]
    assert f"\n## {version} " in (PYTHON / "CHANGELOG.md").read_text()
    code = f"import sys; sys.path.insert(0, {str(wheel)!r}); import sandkeeper_client as c; print(c.__file__)"
    said = subprocess.run([sys.executable, "-I", "-c", code], capture_output=True, text=True, check=True).stdout
    assert wheel.name in said


def its_types_hold(client: Sandkeeper) -> None:
    """What mypy must find before anything is sent: each `ignore` that it did not need would be an error."""
    client.create_sandbox(name="a", teir="basic")  # type: ignore[call-arg]
    client.get_sandbox("x")["stauts"]  # type: ignore[typeddict-item]
    client.list_sandboxes(status=["runing"])  # type: ignore[list-item]
    assert client.ensure_running("x")["status"] == "runing"  # type: ignore[comparison-overlap]
