"""`make audit` against a stand-in for OSV on this machine."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import pytest

from tests.audit import unaudited
from tests.support.environment import ROOT
from tests.support.processes import free_port

if TYPE_CHECKING:
    from collections.abc import Iterator

FOUND = {
    "id": "PYSEC-2026-1",
    "modified": "2026-01-01T00:00:00Z",
    "affected": [
        {
            "package": {"name": "django", "ecosystem": "PyPI"},
            "ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "99.1"}]}],
        }
    ],
}


class Osv(BaseHTTPRequestHandler):
    vulnerable = ""

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["package"]["name"]
        body = json.dumps({"vulns": [FOUND]} if asked == self.vulnerable else {}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: Any) -> None:
        """Nothing: it would print a line for each package."""


@pytest.fixture
def osv() -> Iterator[ThreadingHTTPServer]:
    with ThreadingHTTPServer(("127.0.0.1", 0), type("Service", (Osv,), {})) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


def audit(port: int, *, offline: str = "") -> tuple[int, str]:
    command = [sys.executable, "-m", "tests.audit", "-s", "osv", "--osv-url", f"http://127.0.0.1:{port}/query"]
    environment = os.environ | {"AUDIT_OFFLINE": offline}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout


def test_nothing_known_is_well(osv: ThreadingHTTPServer) -> None:
    code, said = audit(osv.server_port)
    assert code == 0
    assert "NOT AUDITED" not in said
    assert said.endswith("packages were looked up, 0 have known vulnerabilities.\n")


def test_a_known_vulnerability_fails_and_is_named(osv: ThreadingHTTPServer) -> None:
    osv.RequestHandlerClass.vulnerable = "django"  # type: ignore[attr-defined]
    code, said = audit(osv.server_port, offline="1")
    assert code == 1
    assert "VULNERABLE django" in said
    assert "PYSEC-2026-1, mended in 99.1" in said


def test_an_audit_that_reached_nobody_fails() -> None:
    code, said = audit(free_port())
    assert code == 2
    assert said.startswith("NOT AUDITED: the service gave no answer (")
    assert "AUDIT_OFFLINE=1" in said


@pytest.mark.parametrize(("allowed", "expected"), [("", 2), ("0", 2), ("1", 0)])
def test_only_an_express_word_allows_it(monkeypatch: pytest.MonkeyPatch, allowed: str, expected: int) -> None:
    monkeypatch.setenv("AUDIT_OFFLINE", allowed)
    assert unaudited() == expected
