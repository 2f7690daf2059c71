"""A PostgreSQL server of the test's own that may be restarted; it ends with the test, also when that is killed."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg

from project.database import conninfo
from tests.support.processes import free_port
from tests.support.waiting import PATIENCE, wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

USER = "postgres"


def programs() -> Path | None:
    """The folder of the server's programs: the newest of Debian's, or where initdb is found."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    initdb = str(found[-1]) if found else shutil.which("initdb")
    return Path(initdb).resolve().parent if initdb else None


class PostgresServer:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = free_port()
        self.url = f"postgres://{USER}@127.0.0.1:{self.port}/postgres"
        self._process: subprocess.Popen[bytes] | None = None
        # The server refuses to be root. Whoever it is gets a signal when this process ends, however that was.
        nobody = ("--reuid", USER, "--regid", USER, "--init-groups") if os.geteuid() == 0 else ()
        self._as = ["setpriv", *nobody, "--pdeathsig", "INT"]
        if nobody:
            shutil.chown(folder, USER, USER)

    def command(self, program: str, *arguments: str) -> list[str]:
        where = programs()
        assert where is not None
        return [*self._as, str(where / program), "-D", str(self.folder), *arguments]

    def initialize(self) -> None:
        options = ("-U", USER, "--auth=trust", "--no-sync", "--encoding=UTF8", "--locale=C")
        subprocess.run(self.command("initdb", *options), check=True, stdout=subprocess.DEVNULL, cwd="/")

    def start(self) -> None:
        """Returns when connections are taken."""
        options = {
            "listen_addresses": "127.0.0.1",
            "port": self.port,
            "unix_socket_directories": "",
            "fsync": "off",
        }
        settings = [word for name, value in options.items() for word in ("-c", f"{name}={value}")]
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(self.command("postgres", *settings), stdout=log, stderr=log, cwd="/")
        wait_until(self.is_ready, what=f"the server of {self.folder}")

    def is_ready(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, (self.folder / "log").read_text()
        try:
            psycopg.connect(conninfo(self.url)).close()
        except psycopg.OperationalError:
            return False
        return True

    def stop(self) -> None:
        """As a restart by the distribution does: connections are broken off, nothing is lost."""
        if self._process is not None:
            self._process.send_signal(signal.SIGINT)
            self._process.wait(PATIENCE)
            self._process = None


@contextmanager
def postgres_server() -> Iterator[PostgresServer]:
    with tempfile.TemporaryDirectory(prefix="sandkeeper-server-") as folder:  # a test's own are for its user alone
        server = PostgresServer(Path(folder))
        server.initialize()
        server.start()
        try:
            yield server
        finally:
            server.stop()
