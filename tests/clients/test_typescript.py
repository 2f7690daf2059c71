"""The TypeScript client against a server with the emulator, in the hands of somebody who installed it."""

from __future__ import annotations

import json
import os
import re
import subprocess
from typing import TYPE_CHECKING

import pytest
from sandkeeper_client import errors

from sandboxes.core.codes import MEANINGS, Code
from tests.support.environment import ROOT

if TYPE_CHECKING:
    from pathlib import Path

    from tests.e2e.conftest import Installation

pytestmark = pytest.mark.node
CLIENT = ROOT / "clients" / "typescript"
OPTIONS = ("--strict", "--target", "es2022", "--module", "nodenext", "--lib", "es2022,dom,dom.iterable")
TYPES = ("--types", "node", "--typeRoots", str(CLIENT / "node_modules" / "@types"))
# The gate of docs/clients.md, and what takes the place of the application's server functions.
DROPPED_IN = ("gate.ts", "sandbox-server.ts")
# What must not compile: a wrong field, status and path, and a path without its id.
REFUSED = """
import { Sandkeeper } from "@sandkeeper/client";
const client = new Sandkeeper({ url: "http://x", key: "k" });
client.post("/sandboxes", { body: { name: "a", tier: "of another installation" } });
client.post("/sandboxes", { body: { name: "a", teir: "basic" } });
client.get("/sandboxes", { query: { status: ["runing"] } });
client.get("/sandboxen");
client.get("/sandboxes/{sandbox_id}");
(await client.ensureRunning("x")).status === "runing";
"""
LIFE = """
import { NotFound, PersonSaidNo, Sandkeeper, familyOf } from "@sandkeeper/client";
import { beforeEachToolCall } from "./gate.js";
import { SandboxServer } from "./sandbox-server.js";
const { SANDKEEPER_URL: url, SANDKEEPER_KEY: key, OWNER: owner, CODES } = process.env;
const client = new Sandkeeper({ url, key, owner });
const told = {};
const created = [];
for (const name of ["atlas", "second", "third"])
  created.push(await client.wait(await client.post("/sandboxes", { body: { name }, wait: 30 })));
const id = created[0].sandbox;
const at = { path: { sandbox_id: id } };
told.names = [];
const page = await client.get("/sandboxes", { query: { limit: 2, order: "name", status: ["running", "stopped"] } });
for await (const row of client.every(page)) told.names.push(row.name);
await client.wait(await client.post("/sandboxes/{sandbox_id}/stop", { ...at, body: { reason: "lunch" } }));
told.refused = await client.ensureRunning(id).catch(
  (no) => [no instanceof PersonSaidNo, no.code, no.problem.stopped_reason]);
told.gate = [await beforeEachToolCall(client, id)];
await client.wait(await client.post("/sandboxes/{sandbox_id}/start", at));
told.gate.push(await beforeEachToolCall(client, id));
told.running = (await client.ensureRunning(id)).status;
told.touched = await client.post("/sandboxes/{sandbox_id}/touch", at) === undefined;
const { etag } = await client.get("/sandboxes/{sandbox_id}", at);
const best = { ...at, body: { name: "best" }, ifMatch: etag };
told.renamed = (await client.patch("/sandboxes/{sandbox_id}", best)).name;
const foreign = client.onBehalfOf("somebody else").get("/sandboxes/{sandbox_id}", at);
told.foreign = await foreign.catch((no) => no instanceof NotFound);
for await (const { results } of client.events({ sandbox: id, types: ["intent"], wait: 0 })) {
  told.intents = results.map((event) => event.changes.intent);
  break;
}
// Answers that were lost or refused for the moment are asked for again, with the same key.
const keys = [];
const flaky = new Sandkeeper({ url, key, owner, fetch: (to, init) => {
  keys.push(init.headers.get("Idempotency-Key"));
  return keys.length < 3 ? Promise.reject(new TypeError("lost")) : fetch(to, init);
}});
await flaky.post("/sandboxes/{sandbox_id}/sync", at);
told.keys = [keys.length, new Set(keys).size];
// The application's server functions.
const server = new SandboxServer(owner, { url, key });
const last = created[2].sandbox;
await server.stopSandbox(last);
await server.updateSandboxMetadata(last, "renamed");
await server.startSandbox(last);
told.server = [await server.syncSandbox(last)];
await server.archiveSandbox(last);
const { name, status } = await client.get("/sandboxes/{sandbox_id}", { path: { sandbox_id: last } });
await server.deleteSandbox(last);
await server.deleteSandbox(last);
told.server.push(name, status);
const codes = Object.entries(JSON.parse(CODES));
told.families = Object.fromEntries(codes.map(([code, status]) => [code, familyOf(code, status).name]));
console.log(JSON.stringify(told));
"""


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which the built client is installed, with the example of its page and what must not compile."""
    folder = tmp_path_factory.mktemp("project")
    (example,) = re.findall(r"^```ts\n(.*?)^```", (CLIENT / "README.md").read_text(), re.M | re.S)
    (folder / "example.ts").write_text(example)
    (folder / "refused.ts").write_text(REFUSED)
    gate, *_ = re.findall(r"^```ts\n(.*?)^```", (ROOT / "docs" / "clients.md").read_text(), re.M | re.S)
    (folder / "gate.ts").write_text(gate)
    drop_in = ROOT / "clients" / "application" / "sandbox-server.ts"
    (folder / "sandbox-server.ts").write_text(drop_in.read_text())
    built = subprocess.run(["npm", "run", "--silent", "build"], cwd=CLIENT, capture_output=True, text=True)
    assert built.returncode == 0, built.stdout
    (folder / "package.json").write_text('{"type": "module"}')
    scope = folder / "node_modules" / "@sandkeeper"
    scope.mkdir(parents=True)
    (scope / "client").symlink_to(CLIENT)
    return folder


@pytest.fixture(scope="module")
def compiler(project: Path) -> str:
    """What the compiler says of the two."""
    tsc = str(CLIENT / "node_modules" / ".bin" / "tsc")
    command = [tsc, *OPTIONS, *TYPES, "--preserveSymlinks", "example.ts", *DROPPED_IN, "refused.ts"]
    return subprocess.run(command, cwd=project, capture_output=True, text=True).stdout


def test_a_life_and_the_lines_of_its_page(installation: Installation, project: Path, compiler: str) -> None:
    environment = {
        "PATH": os.environ["PATH"],
        "SANDKEEPER_URL": str(installation.http.base_url),
        "SANDKEEPER_KEY": installation.key,
        "OWNER": installation.owner,
        "CODES": json.dumps({code.value: MEANINGS[code].status for code in Code}),
    }

    def run(name: str) -> str:
        done = subprocess.run(["node", name], cwd=project, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return done.stdout

    (project / "life.js").write_text(LIFE)
    told = json.loads(run("life.js"))
    families = told.pop("families")
    assert told == {
        "names": ["atlas", "second", "third"],
        "refused": [True, "sandbox_stopped_by_user", "lunch"],
        "gate": ["sandbox_stopped_by_user", "running"],
        "running": "running",
        "touched": True,
        "renamed": "best",
        "foreign": True,
        "intents": ["stopped", "running"],
        "keys": [3, 1],
        "server": ["running", "renamed", "archived"],
    }
    assert families == {code: errors.family_of(code, MEANINGS[code].status).__name__ for code in Code}
    assert "example.ts" not in compiler
    assert not [name for name in DROPPED_IN if name in compiler]
    assert run("example.js") == "atlas running\n"


def test_its_types_refuse_what_the_server_would(compiler: str) -> None:
    lines = [int(line) for line in re.findall(r"^refused.ts\((\d+),", compiler, re.M)]
    assert lines == [*range(5, 10)], compiler
