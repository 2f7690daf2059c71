"""The distribution's pgbouncer before the server of the tests."""

from __future__ import annotations

import os
import shutil
from contextlib import contextmanager
from typing import TYPE_CHECKING

from django.db import connection

from tests.support.environment import beside
from tests.support.processes import free_port, listens, running
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PROGRAM = shutil.which("pgbouncer") or "/usr/sbin/pgbouncer"
CONFIGURATION = """
[databases]
* = {server}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = any
pool_mode = transaction
default_pool_size = 3
"""


@contextmanager
def pgbouncer(folder: Path) -> Iterator[str]:
    """In transaction mode before the test's database; gives the address that DATABASE_URL would have."""
    port = free_port()
    known = connection.settings_dict
    keys = {name: known[name] for name in ("HOST", "PORT", "USER", "PASSWORD") if known[name]}
    server = " ".join(f"{name.lower()}={value}" for name, value in keys.items())
    (folder / "pgbouncer.ini").write_text(CONFIGURATION.format(port=port, server=server))
    command = [PROGRAM, str(folder / "pgbouncer.ini")]
    if os.geteuid() == 0:  # which it refuses to be
        command[1:1] = ["-u", "nobody"]
    with running(command, environment={}, log=folder / "pgbouncer.log") as program:
        wait_until(lambda: listens(port) or program.ended(), what="pgbouncer to listen")
        assert not program.ended(), program.output
        yield beside(f"postgres://{known['USER']}@127.0.0.1:{port}/", connection.settings_dict["NAME"])
