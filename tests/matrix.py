"""`make matrix`: a part of the suite with each Python of this machine, and with the Django that comes next.

    .venv/bin/python -m tests.matrix

Each gets an environment of its own from the pinned requirements, and runs on SQLite. What this machine does not
have is named, and fails nothing.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tests.support.environment import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator

PYTHONS = ("3.11", "3.12", "3.13", "3.14")
PINNED, NEXT = "pinned", "next"  # of requirements.txt; of requirements-next.txt
NEXT_NEEDS = (3, 12)
HERE = f"{sys.version_info[0]}.{sys.version_info[1]}"
# Some of each kind: pure rules, REST, the admin. Most of the time goes into starting.
PART = [
    "tests/core/test_plan.py", "tests/api/test_sandboxes.py", "tests/api/test_problems.py",
    "tests/admin/test_list.py",
]  # fmt: skip
UV = str(Path(sys.prefix) / "bin" / "uv")


def places(version: str) -> Iterator[Path]:
    """Where a Python of this version may be: on the path, or among pyenv's."""
    yield from (Path(folder) / f"python{version}" for folder in os.environ.get("PATH", "").split(os.pathsep))
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
    yield from sorted(pyenv.glob(f"versions/{version}.*/bin/python"), reverse=True)


def interpreter(version: str) -> str | None:
    """The first that runs: pyenv's stand-ins on the path may not."""
    asked = "import sys, sqlite3, ssl; print('%d.%d' % sys.version_info[:2])"
    for place in places(version):
        if os.access(place, os.X_OK):
            done = subprocess.run([place, "-c", asked], capture_output=True, text=True, check=False)
            if done.stdout.strip() == version:
                return str(place)
    return None


def pairs(found: list[str], *, here: str) -> list[tuple[str, str]]:
    """Each Python once: the newest with the next Django, the others with ours; the suite itself runs `here`."""
    tried = [(version, PINNED) for version in found]
    if found and _number(found[-1]) >= NEXT_NEEDS:
        tried[-1] = (found[-1], NEXT)
    return [pair for pair in tried if pair != (here, PINNED)]


def _number(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split("."))


@dataclass(frozen=True)
class Trial:
    """The part of the suite with one Python and one Django."""

    version: str
    django: str
    python: str

    def run(self) -> bool:
        began = time.monotonic()
        with tempfile.TemporaryDirectory() as folder:
            commands = self._commands(Path(folder) / "venv")
            passed, words = all_pass(commands)
        last = (words.strip().splitlines() or ["without a word"])[-1]
        print(
            f"Python {self.version}, {self.django} Django: {'passed' if passed else 'FAILED'} in "
            f"{time.monotonic() - began:.0f} s: {last if passed else words}",
            flush=True,
        )
        return passed

    def _commands(self, folder: Path) -> list[list[str]]:
        inside = str(folder / "bin" / "python")
        install = [UV, "pip", "install", "--quiet", "--require-hashes", "--python", inside]
        create = [UV, "venv", "--quiet", "--python", self.python, str(folder)]
        unneeded = [f"-pno:{name}" for name in ("cacheprovider", "playwright", "schemathesis")]
        test = [inside, "-m", "pytest", "-q", *unneeded, "-m", "not postgres", *PART]
        if self.django == PINNED:
            return [create, [*install, "-r", "requirements-dev.txt"], test]
        # Here a deprecation is no error: it says what will have to change before the Django after this one.
        lenient = [f"-Wdefault::{kind}" for kind in ("DeprecationWarning", "PendingDeprecationWarning")]
        replace = [*install, "--no-deps", "-r", "requirements-next.txt"]
        return [create, [*install, "-r", "requirements-dev.txt"], replace, [*test, *lenient]]


def all_pass(commands: list[list[str]]) -> tuple[bool, str]:
    """Whether each ended well, and what the last of them said."""
    # Only here and in a fresh environment: what was compiled is thrown away with it.
    environment = os.environ | {"TEST_DATABASE_URL": "", "PYTHONDONTWRITEBYTECODE": "1"}
    said = ""
    for command in commands:
        done = subprocess.run(
            command, cwd=ROOT, env=environment, capture_output=True, text=True, errors="replace", check=False
        )
        said = done.stdout + done.stderr
        if done.returncode:
            return False, said
    return True, said


def main() -> int:
    found = {version: python for version in PYTHONS if (python := interpreter(version))}
    trials = [Trial(version, django, found[version]) for version, django in pairs(list(found), here=HERE)]
    with ThreadPoolExecutor(2) as pool:
        passed = list(pool.map(Trial.run, trials))
    print(f"Python {HERE}, pinned Django: the suite itself (make test)")
    for version in PYTHONS:
        if version not in found:
            print(f"NOT TRIED Python {version}: this machine has none")
    return 0 if all(passed) else 1


if __name__ == "__main__":
    sys.exit(main())
