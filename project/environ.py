"""The WSGI environment of an ASGI request: nothing in it comes from a client but what belongs to HTTP."""

from __future__ import annotations

import sys
from typing import Any
from urllib.parse import unquote_to_bytes

SEPARATORS = {"HTTP_COOKIE": "; "}


def head_size(scope: dict[str, Any]) -> int:
    """Bytes of the request line and the headers."""
    fields = sum(len(name) + len(value) + 4 for name, value in scope["headers"])
    return len(scope["raw_path"]) + len(scope["query_string"]) + fields


def environ_of(scope: dict[str, Any], body: Any, length: int) -> dict[str, Any]:
    server, client = scope.get("server") or ("localhost", 80), scope.get("client") or ("", 0)
    environ: dict[str, Any] = {
        "REQUEST_METHOD": scope["method"],
        "SCRIPT_NAME": "",
        "PATH_INFO": unquote_to_bytes(scope["raw_path"]).decode("latin-1"),
        "QUERY_STRING": scope["query_string"].decode("latin-1"),
        "SERVER_PROTOCOL": f"HTTP/{scope['http_version']}",
        "SERVER_NAME": server[0],
        "SERVER_PORT": str(server[1]),
        "REMOTE_ADDR": client[0],
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": scope["scheme"],
        "wsgi.input": body,
        "wsgi.input_terminated": True,
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": True,
        "wsgi.multiprocess": True,
        "wsgi.run_once": False,
    }
    for name, value in scope["headers"]:
        _add(environ, name.decode("latin-1"), value.decode("latin-1"))
    # What was read is the truth, whether it came with a length or in chunks.
    environ.pop("HTTP_TRANSFER_ENCODING", None)
    if length or "CONTENT_LENGTH" in environ:
        environ["CONTENT_LENGTH"] = str(length)
    return environ


def _add(environ: dict[str, Any], name: str, value: str) -> None:
    if "_" in name:
        return  # X_Forwarded_For would pass for X-Forwarded-For
    key = name.upper().replace("-", "_")
    if key not in ("CONTENT_TYPE", "CONTENT_LENGTH"):
        key = f"HTTP_{key}"
    given = environ.get(key)
    environ[key] = value if given is None else f"{given}{SEPARATORS.get(key, ',')}{value}"
