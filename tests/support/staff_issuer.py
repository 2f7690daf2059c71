"""An OpenID Connect provider for staff, on loopback, by the authorization code flow: anybody is its `person`."""

from __future__ import annotations

import hashlib
import json
from base64 import urlsafe_b64encode
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlencode, urlsplit

from tests.support.issuer import Issuer

if TYPE_CHECKING:
    from http.server import BaseHTTPRequestHandler

CLIENT, SECRET = "sandkeeper", "of-the-client"


class StaffIssuer(Issuer):
    """`person` is what it tells of whoever signs in; `claims` are changes of its next tokens."""

    def __init__(self) -> None:
        super().__init__()
        self.person: dict[str, Any] = {}
        self.claims: dict[str, Any] = {}
        self.refuses = ""
        self._asked: dict[str, str] = {}

    def reset(self) -> None:
        super().reset()
        self.person = {
            "sub": "7f3a", "email": "Vera@example.com", "email_verified": True, "given_name": "Vera",
            "family_name": "Example", "groups": ["support"],
        }  # fmt: skip
        self.claims = {}
        self.refuses = ""

    def _answer(self, request: BaseHTTPRequestHandler) -> None:
        path = urlsplit(request.path).path
        if path == "/authorize":
            self._authorize(request)
        elif path == "/token":
            self._token(request)
        elif path == "/userinfo":
            _send(request, self.person)
        elif path == "/.well-known/openid-configuration" and not self.down:
            names = {
                "authorization_endpoint": "authorize",
                "token_endpoint": "token",
                "userinfo_endpoint": "userinfo",
            }
            pages = {name: f"{self.url}/{page}" for name, page in names.items()}
            _send(request, {"issuer": self.url, "jwks_uri": self.jwks_url, **pages})
        else:
            super()._answer(request)

    def _authorize(self, request: BaseHTTPRequestHandler) -> None:
        self._asked = {name: values[0] for name, values in parse_qs(urlsplit(request.path).query).items()}
        told = {"error": self.refuses} if self.refuses else {"code": "once"}
        request.send_response(302)
        query = urlencode(told | {"state": self._asked["state"]})
        request.send_header("Location", f"{self._asked['redirect_uri']}?{query}")
        request.end_headers()

    def _token(self, request: BaseHTTPRequestHandler) -> None:
        length = int(request.headers["Content-Length"])
        given = {name: values[0] for name, values in parse_qs(request.rfile.read(length).decode()).items()}
        challenge = (
            urlsafe_b64encode(hashlib.sha256(given["code_verifier"].encode()).digest()).rstrip(b"=").decode()
        )
        is_right = (
            (given["client_id"], given["client_secret"], given["code"]) == (CLIENT, SECRET, "once")
            and challenge == self._asked["code_challenge"]
            and given["redirect_uri"] == self._asked["redirect_uri"]
        )
        if not is_right:
            _send(request, {"error": "invalid_grant"}, status=400)
            return
        claims = {"aud": CLIENT, "nonce": self._asked["nonce"]} | self.claims
        token = self.token(claims.pop("sub", self.person["sub"]), **claims)
        _send(request, {"access_token": "a", "token_type": "Bearer", "id_token": token})


def _send(request: BaseHTTPRequestHandler, document: Any, *, status: int = 200) -> None:
    body = json.dumps(document).encode()
    request.send_response(status)
    request.send_header("Content-Type", "application/json")
    request.send_header("Content-Length", str(len(body)))
    request.end_headers()
    request.wfile.write(body)
