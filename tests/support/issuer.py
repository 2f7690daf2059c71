"""An OIDC issuer on loopback: real keys, real HTTP, and a switch to take it away."""

from __future__ import annotations

import json
import threading
import time
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, Self

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, rsa

if TYPE_CHECKING:
    from types import TracebackType

AUDIENCE = "https://app.example.com"
PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey


class Issuer:
    """A context manager. `fetches` counts the requests for its keys.

    `down` makes it answer 500, `padding` adds bytes to the answer. While `slow` is set it sends a byte at a time,
    and never to the end.
    """

    def __init__(self) -> None:
        self.keys: dict[str, PrivateKey] = {}
        self.down = False
        self.fetches = 0
        self.padding = 0
        self.slow = threading.Event()
        self.pause = threading.Event()
        self.add_key("first")
        issuer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                issuer._answer(self)

            def do_POST(self) -> None:
                issuer._answer(self)

            def log_message(self, *arguments: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01})

    def reset(self) -> None:
        """As it was at first, whatever an earlier test made of it."""
        self.down = False
        self.slow.clear()
        self.fetches = self.padding = 0

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    @property
    def jwks_url(self) -> str:
        return f"{self.url}/jwks"

    def add_key(self, kid: str, *, elliptic: bool = False) -> None:
        if elliptic:
            self.keys[kid] = ec.generate_private_key(ec.SECP256R1())
        else:
            self.keys[kid] = rsa.generate_private_key(public_exponent=65537, key_size=2048)

    def token(
        self, owner: str = "alice", *, kid: str = "first", key: PrivateKey | None = None, **claims: Any
    ) -> str:
        """A token that is good for a minute; a claim of None is left out."""
        now = int(time.time())
        payload = {
            "iss": self.url,
            "sub": owner,
            "aud": AUDIENCE,
            "iat": now,
            "nbf": now,
            "exp": now + 60,
            **claims,
        }
        signing = key or self.keys[kid]
        algorithm = "ES256" if isinstance(signing, ec.EllipticCurvePrivateKey) else "RS256"
        given = {name: value for name, value in payload.items() if value is not None}
        return jwt.encode(given, signing, algorithm=algorithm, headers={"kid": kid})

    def _answer(self, request: BaseHTTPRequestHandler) -> None:
        is_jwks = request.path == "/jwks"
        self.fetches += is_jwks
        if self.down:
            request.send_error(500)
            return
        if self.slow.is_set():
            self._drip(request)
            return
        document: Any = {"keys": [_public(kid, key) for kid, key in self.keys.items()]}
        if not is_jwks:
            document = {"issuer": self.url, "jwks_uri": self.jwks_url}
        body = json.dumps(document).encode() + b" " * self.padding
        request.send_response(200)
        request.send_header("Content-Type", "application/json")
        request.send_header("Content-Length", str(len(body)))
        request.end_headers()
        request.wfile.write(body)

    def _drip(self, request: BaseHTTPRequestHandler) -> None:
        """A header that never ends, until the client leaves."""
        with suppress(OSError):
            request.wfile.write(b"HTTP/1.1 200 OK\r\nX-Slow: ")
            while self.slow.is_set():
                request.wfile.write(b"x")
                self.pause.wait(0.02)


def _public(kid: str, key: PrivateKey) -> dict[str, Any]:
    if isinstance(key, ec.EllipticCurvePrivateKey):
        made: dict[str, Any] = jwt.algorithms.ECAlgorithm.to_jwk(key.public_key(), as_dict=True)
        return {**made, "kid": kid, "alg": "ES256", "use": "sig"}
    made = jwt.algorithms.RSAAlgorithm.to_jwk(key.public_key(), as_dict=True)
    return {**made, "kid": kid, "alg": "RS256", "use": "sig"}
