"""The distribution's nginx with the configuration that compose.yaml gives it."""

from __future__ import annotations

import shutil
from contextlib import contextmanager
from typing import TYPE_CHECKING

from tests.support.environment import ROOT
from tests.support.processes import free_port, listens, running
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

TEMPLATE = ROOT / "nginx" / "sandkeeper.conf.template"
PROGRAM = shutil.which("nginx") or "/usr/sbin/nginx"
AROUND = """
daemon off;
master_process off;
pid {folder}/nginx.pid;
error_log stderr;
events {{ worker_connections 1024; }}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    include {folder}/*.server.conf;
}}
"""


@contextmanager
def proxy(web: str, folder: Path, *, max_body: int = 1_000_000, tls: str = "") -> Iterator[int]:
    """nginx in front of the web process at this address; gives its port. `tls`: another file beside the first."""
    port = free_port()
    listen = f"127.0.0.1:{port}{' ssl' if tls else ''}"
    given = {"WEB": web, "LISTEN": listen, "MAX_BODY_BYTES": str(max_body)}
    (folder / "sandkeeper.server.conf").write_text(filled(given))
    (folder / "tls.server.conf").write_text(tls)
    (folder / "nginx.conf").write_text(AROUND.format(folder=folder))
    command = [PROGRAM, "-p", str(folder), "-e", "stderr", "-c", str(folder / "nginx.conf")]
    with running(command, environment={}, log=folder / "nginx.log") as program:
        wait_until(lambda: listens(port) or program.ended(), what="nginx to listen")
        assert not program.ended(), program.output
        yield port


def filled(values: dict[str, str]) -> str:
    """As the image's envsubst does: only ${NAME} of what is given; nginx's own variables have no braces."""
    text = TEMPLATE.read_text()
    for name, value in values.items():
        text = text.replace(f"${{{name}}}", value)
    return text
