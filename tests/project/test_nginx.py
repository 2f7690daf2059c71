"""The proxy of compose.yaml: a real nginx before something that writes down what reaches it."""

from __future__ import annotations

import ipaddress
import socket
import ssl
import threading
from contextlib import ExitStack, closing
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

import httpx
import pytest
import yaml
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from django.test import RequestFactory

from project.networks import client_address
from tests.support.environment import ROOT
from tests.support.nginx import TEMPLATE, proxy
from tests.support.problems import faults
from tests.support.processes import free_port
from tests.support.waiting import PATIENCE

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from pytest_django import Settings

pytestmark = pytest.mark.nginx
HEAD = "POST /api/v1/sandboxes HTTP/1.1\r\nHost: sandkeeper.example.com\r\n"
TLS = ROOT / "nginx" / "tls.conf"
LARGE = 4_000_000  # more than the kernel's buffers of a connection hold
MAX_BODY = 10_000


class Web(ThreadingHTTPServer):
    """Stands for the web process: takes one request at a time, and keeps the headers of each."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Recording)
        self.seen: list[dict[str, str]] = []
        self.one = threading.Lock()

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.server_port}"


class Recording(BaseHTTPRequestHandler):
    server: Web

    def do_GET(self) -> None:
        with self.server.one:
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            self.server.seen.append(dict(self.headers))
            body = b"x" * (LARGE if self.path == "/large" else 2)
            self.send_response(404 if self.path == "/own" else 200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    def do_POST(self) -> None:
        self.do_GET()

    def log_message(self, *arguments: object) -> None:
        pass


@pytest.fixture
def web() -> Iterator[Web]:
    with Web() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def port(web: Web, tmp_path: Path) -> Iterator[int]:
    with proxy(web.address, tmp_path, max_body=MAX_BODY) as port:
        yield port


def connected(port: int, sent: str) -> socket.socket:
    connection = socket.create_connection(("127.0.0.1", port), timeout=PATIENCE)
    connection.sendall(sent.encode("latin-1"))
    return connection


def test_slow_clients_do_not_reach_the_web_process(web: Web, port: int) -> None:
    slow_reader = "GET /large HTTP/1.1\r\nHost: a\r\n\r\n"
    with ExitStack() as stack:
        for beginning in (HEAD, f"{HEAD}Content-Length: 1000\r\n\r\n{{", slow_reader) * 10:
            stack.enter_context(closing(connected(port, beginning)))
        # The stand-in serves one at a time: it answers only if nobody holds it.
        assert httpx.get(f"http://127.0.0.1:{port}/", timeout=PATIENCE).status_code == 200
    assert not [seen for seen in web.seen if "Content-Length" in seen], "no body that was not whole"


def test_the_address_that_counts_is_the_one_that_nginx_saw(web: Web, port: int, settings: Settings) -> None:
    headers = {"X-Forwarded-For": "10.1.2.3", "X_Forwarded_For": "10.1.2.3", "X-Forwarded-Proto": "https"}
    httpx.get(f"http://127.0.0.1:{port}/", headers=headers)
    (seen,) = web.seen
    assert seen["X-Forwarded-For"] == "10.1.2.3, 127.0.0.1"
    assert seen["X-Forwarded-Proto"] == "https"
    assert "X_Forwarded_For" not in seen
    request = RequestFactory().get(
        "/", headers={"X-Forwarded-For": seen["X-Forwarded-For"]}, REMOTE_ADDR="10.0.0.9"
    )
    for trusted, client in ((["1"], "127.0.0.1"), (["2"], "10.1.2.3"), (["10.0.0.9"], "127.0.0.1")):
        settings.TRUSTED_PROXIES = trusted
        assert client_address(request) == client


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        ("NONSENSE\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400),
        (f"GET /{'x' * 40_000} HTTP/1.1\r\nHost: a\r\n\r\n", 431),
        (f"GET / HTTP/1.1\r\nHost: a\r\nCookie: {'x' * 40_000}\r\n\r\n", 431),
        (f"{HEAD}Content-Length: {MAX_BODY + 1}\r\n\r\n", 413),
    ],
)
def test_what_nginx_refuses_is_a_problem(port: int, sent: str, status: int) -> None:
    with closing(connected(port, sent)) as connection:
        answer = httpx_answer(connection)
    assert answer.status_code == status
    instance = answer.json()["instance"]
    assert faults(status, answer.headers, answer.content, path=instance) == []


def httpx_answer(connection: socket.socket) -> httpx.Response:
    received = b""
    while part := connection.recv(65_536):
        received += part
        if b"\r\n\r\n" in received and received.endswith(b"}"):
            break
    head, _, body = received.partition(b"\r\n\r\n")
    first, *lines = head.decode().split("\r\n")
    headers = [(name, value) for name, _, value in (line.partition(": ") for line in lines)]
    return httpx.Response(int(first.split()[1]), headers=headers, content=body)


def test_a_web_process_that_is_away_is_a_problem_and_its_own_answers_pass(port: int, tmp_path: Path) -> None:
    own = httpx.get(f"http://127.0.0.1:{port}/own")
    assert (own.status_code, own.text) == (404, "xx")
    folder = tmp_path / "away"
    folder.mkdir()
    with proxy(f"127.0.0.1:{free_port()}", folder) as away:
        answer = httpx.get(f"http://127.0.0.1:{away}/api/v1/sandboxes")
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "5")
    assert faults(503, answer.headers, answer.content, path="/api/v1/sandboxes") == []


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """A folder with a key and a certificate for 127.0.0.1 that it signs itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.now(UTC)
    made = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
    made = made.not_valid_before(now - timedelta(days=1)).not_valid_after(now + timedelta(days=1))
    address = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
    signed = made.add_extension(x509.SubjectAlternativeName([address]), critical=False).sign(key, hashes.SHA256())
    pem, plain = serialization.Encoding.PEM, serialization.NoEncryption()
    (tmp_path / "tls_certificate").write_bytes(signed.public_bytes(pem))
    (tmp_path / "tls_key").write_bytes(key.private_bytes(pem, serialization.PrivateFormat.PKCS8, plain))
    return tmp_path


def test_it_ends_tls_itself_and_leads_http_there(web: Web, certificate: Path) -> None:
    plain = free_port()
    text = TLS.read_text().replace("/run/secrets", str(certificate)).replace("8080", f"127.0.0.1:{plain}")
    with proxy(web.address, certificate, tls=text) as port:
        trust = ssl.create_default_context(cafile=str(certificate / "tls_certificate"))
        with httpx.Client(verify=trust) as client:
            # Whoever speaks TLS to nginx speaks https, whatever they write.
            answer = client.get(f"https://127.0.0.1:{port}/", headers={"X-Forwarded-Proto": "http"})
        assert answer.status_code == 200
        led = httpx.get(f"http://127.0.0.1:{plain}/admin/?a=1")
    assert (led.status_code, led.headers["Location"]) == (308, "https://127.0.0.1/admin/?a=1")
    (seen,) = web.seen
    assert seen["X-Forwarded-Proto"] == "https"


def test_compose_starts_it_with_these_files() -> None:
    services = yaml.safe_load((ROOT / "compose.yaml").read_text())["services"]
    mounted = {volume.split(":")[0] for volume in services["proxy"]["volumes"]}
    assert mounted == {f"./{file.relative_to(ROOT)}" for file in (TEMPLATE, TLS)}
    assert set(services["proxy"]["environment"]) == {"WEB", "LISTEN", "MAX_BODY_BYTES"}
    assert "ports" not in services["web"], "nobody goes past the proxy"
