"""Runs pytest in forks of one process that has the installed packages imported, and nothing of ours.

    python tests/breakages/forking.py < a line of JSON for each run

The first line is the names of the modules to import. Each further line is `{"folder", "arguments"}`, and is
answered by `{"code", "words"}`. Most of what a fresh process does for one test is to import installed packages.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import json
import os
import sys
import tempfile
import threading
from typing import IO

import pytest
import pytest_django.plugin


def import_all(names: list[str]) -> None:
    for name in names:
        with contextlib.suppress(Exception):  # what needs settings is left to each run
            importlib.import_module(name)


def run(folder: str, arguments: list[str], output: IO[str]) -> int:
    """pytest's exit code in a child of this process; what it says goes to `output`."""
    child = os.fork()
    if child == 0:
        code = 70  # of no use to pytest
        try:
            os.dup2(output.fileno(), 1)
            os.dup2(output.fileno(), 2)
            os.chdir(folder)
            sys.path[0] = folder  # as `python -m pytest` there
            code = int(pytest.main(arguments, plugins=[pytest_django.plugin]))
            sys.stdout.flush()
            sys.stderr.flush()
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def main() -> None:
    import_all(json.loads(sys.stdin.readline()))
    assert threading.active_count() == 1, "a fork has only the thread that forked"
    gc.collect()
    gc.freeze()  # else each child looks through all of this several times: a fifth of what it does
    for line in sys.stdin:
        asked = json.loads(line)
        with tempfile.TemporaryFile("w+") as output:
            code = run(asked["folder"], asked["arguments"], output)
            output.seek(0)
            print(json.dumps({"code": code, "words": output.read()}), flush=True)


if __name__ == "__main__":
    main()
