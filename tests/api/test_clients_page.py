"""docs/clients.md: its examples run, in order, against an installation; its tables say what the code says."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

import pytest
from django.test import Client

from sandboxes.core import signature
from sandboxes.core.codes import MEANINGS, Code
from sandboxes.models import ServiceKey
from sandboxes.services.webhooks import secrets
from tests.e2e.conftest import Installation
from tests.support import openapi
from tests.support.environment import ROOT
from tests.support.processes import run_command

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support.emulator import Emulator

PAGE = (ROOT / "docs" / "clients.md").read_text()
TYPESCRIPT = ROOT / "convex" / "node_modules" / ".bin" / "tsc"


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)


@pytest.fixture
def installation(emulator: Emulator, transactional_db: None, tmp_path: Path) -> Iterator[Installation]:
    made = Installation(emulator, tmp_path)
    with made.stack:
        made.start_web()
        made.start_worker()
        yield made


def run(installation: Installation, folder: Path, *command: str) -> str:
    known = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(ROOT / "clients" / "python" / "src"),
        "SANDKEEPER_URL": str(installation.http.base_url).rstrip("/"),
        "SANDKEEPER_KEY": installation.http.headers["Authorization"].removeprefix("Bearer "),
        "OWNER": installation.owner,
    }
    done = subprocess.run(command, cwd=folder, env=known, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.curl
def test_the_tutorial(installation: Installation, tmp_path: Path) -> None:
    """Its Python is one program, and so is what it says without a client."""
    script = tmp_path / "tutorial.py"
    script.write_text("\n".join(blocks("python")))
    said = run(installation, tmp_path, sys.executable, str(script))
    assert said.startswith("my first running [")
    assert "\nstop queued\n" in said
    assert "Wanted stopped: lunch" in said
    assert "\nsandbox_stopped_by_user: lunch\nrunning\nsucceeded\n30 {'auto_stop_minutes': " in said
    assert "\nmy first archived\nof job 7 running\nmy best\n" in said
    assert "\nrenamed once\nprecondition_failed\naccepted \nrefused sandbox_not_found\n2 5 False\n" in said
    assert said.endswith("sandbox_not_found 404\n")
    script = tmp_path / "examples.sh"
    script.write_text("set -euo pipefail\n" + "\n".join(blocks("sh")))
    said = run(installation, tmp_path, "bash", str(script))
    assert said.startswith("stop succeeded\n")
    assert '"action": "restart",\n  "status": "succeeded"' in said
    assert '"team": "core"' in said
    assert '{"enabled":true,"failing_since":null,"position":' in said
    assert "0 replayed" in said
    [example] = blocks("console")
    words = example.removeprefix("$ python manage.py ").split()
    made = run_command(*words, environment=installation.web_environment)
    assert (made.returncode, "sandkeeper_" in made.stdout) == (0, True), made.stderr
    key = ServiceKey.objects.get(name="agent-runtime")
    assert key.expires_at is not None
    assert key.scopes == ["sandboxes:read", "sandboxes:use"]


def delivery(secret: str) -> tuple[dict[str, str], bytes]:
    body = '{"type":"gone","data":{"message":"ö"}}'.encode()
    at = int(time.time())
    return signature.headers([secret, secrets.new()], message="evt_1", at=at, body=body), body


def test_the_python_lines_that_verify_a_delivery() -> None:
    (example,) = (block for block in blocks("python") if "def verified" in block)
    names: dict[str, Any] = {}
    exec(example, names)
    verified = names["verified"]
    secret = secrets.new()
    headers, body = delivery(secret)
    assert verified(secret, headers, body)["type"] == "gone"
    old = {**headers, "webhook-timestamp": str(int(headers["webhook-timestamp"]) - 301)}
    for wrong in ((secrets.new(), headers, body), (secret, headers, body + b" "), (secret, old, body)):
        with pytest.raises(ValueError, match=r"not signed|too old"):
            verified(*wrong)


@pytest.mark.node
def test_the_typescript_lines_that_verify_a_delivery(tmp_path: Path) -> None:
    _, example = blocks("ts")
    (tmp_path / "example.ts").write_text(example)
    (tmp_path / "package.json").write_text('{"type": "module"}')
    options = ("--strict", "--target", "es2022", "--module", "esnext", "--lib", "es2022,dom")
    secret = secrets.new()
    headers, body = delivery(secret)
    (tmp_path / "caller.js").write_text(
        'import { verified } from "./example.js";\n'
        f"const headers = new Headers({json.dumps(headers)}), body = {json.dumps(body.decode())};\n"
        "const said = (...all) => verified(...all).then((it) => it.type, (error) => error.message);\n"
        f"console.log(await said({json.dumps(secret)}, headers, body));\n"
        f"console.log(await said({json.dumps(secrets.new())}, headers, body));\n"
        f"console.log(await said({json.dumps(secret)}, headers, body + ' '));\n"
        f"console.log(await said({json.dumps(secret)}, new Headers({{ 'webhook-timestamp': '1' }}), body));\n"
    )
    for command in ((str(TYPESCRIPT), *options, "example.ts"), ("node", "caller.js")):
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
    wrong = "not signed with this secret\n"
    assert done.stdout == f"gone\n{wrong}{wrong}too old or too new\n"


def test_the_table_of_codes_is_the_codes() -> None:
    told = re.findall(r"^\| `(\w+)` \| (\d+) \| (.+?) \| (.+?) \|$", PAGE, re.MULTILINE)
    meant = [(code, MEANINGS[code]) for code in Code]
    assert told == [(code.value, str(one.status), one.title, one.remedy) for code, one in meant]


def test_what_an_agent_does_is_told_for_every_code_that_ensure_running_may_answer() -> None:
    schema = openapi.without_references(Client().get("/api/v1/schema").json())
    answers = schema["paths"]["/api/v1/sandboxes/{sandbox_id}/ensure-running"]["post"]["responses"]
    codes = {
        (status, example["value"]["code"])
        for status, answer in answers.items()
        if int(status) >= 400
        for example in answer["content"]["application/problem+json"]["examples"].values()
    }
    table = PAGE.partition("## Before each tool call")[2].partition("The clients do all that")[0]
    by_status = {str(status) for status in (*range(400, 407), 408, 411, 413, 415, 422, 429, 431, 500, 503)}
    untold = {code for status, code in codes if status not in by_status and f"`{code}`" not in table}
    assert untold == set()
