"""Who writes, how long a file may be, what is required: what import-linter (pyproject.toml) does not know."""

from __future__ import annotations

import ast
import re
import tomllib
from typing import TYPE_CHECKING

import pytest

from tests.support.environment import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
GROUPS = PYPROJECT["dependency-groups"]
DEVELOPMENT = [one for one in GROUPS["dev"] + GROUPS["emulator"] if isinstance(one, str)]
MODELS = {"Sandbox", "Operation"}
WRITES = {
    "save", "delete", "create", "update", "bulk_create", "bulk_update", "get_or_create", "update_or_create",
}  # fmt: skip
WORKING = ("sandboxes", "project", "emulator", "tests", "bench", "clients")

# The packages whose name in pyproject.toml is not what one imports, and those that no import names.
IMPORTED_AS = {
    "import-linter": "importlinter",  # in pyproject.toml
    "daytona-sdk": "daytona_api_client_async",
    "django": "django",
    "django-axes": "axes",
    "django-cors-headers": "corsheaders",
    "django-csp": "csp",
    "django-environ": "environ",
    "django-filter": "django_filters",
    "django-unfold": "unfold",
    "djangorestframework": "rest_framework",
    "opentelemetry-exporter-otlp-proto-http": "opentelemetry",
    "opentelemetry-instrumentation-aiohttp-client": "opentelemetry",
    "opentelemetry-instrumentation-django": "opentelemetry",
    "opentelemetry-instrumentation-httpx": "opentelemetry",
    "opentelemetry-sdk": "opentelemetry",
    "prometheus-client": "prometheus_client",
    "psycopg": "psycopg",
    "pyjwt": "jwt",
    "python-socketio": "socketio",
}
# Of the group dev: what is known by another name where it is used.
IMPORTED_AS |= {
    "cyclonedx-bom": "cyclonedx",
    "django-stubs": "mypy_django_plugin",
    "djangorestframework-stubs": "mypy_drf_plugin",
    "pip-licenses": "licenses",
    "pytest-cov": "cov",
    "pytest-django": "pytest_django",
    "pytest-playwright": "playwright",
    "pytest-xdist": "worksteal",
}
# Where a package is named that no module imports: Django loads it by its name, a process is started with it.
NAMED_IN = ("project/settings.py", "project/rest.py", "project/server.py")
NAMED_IN_DEVELOPMENT = (
    "Makefile",
    ".ci/run",
    "tests/__main__.py",
    "tests/audit.py",
    "tests/licences.py",
)


def sources(*folders: str) -> list[Path]:
    found = [path for folder in folders for path in (ROOT / folder).rglob("*.py")]
    found += [ROOT / folder for folder in folders if folder.endswith(".py")]
    return [path for path in found if "migrations" not in path.parts]


def imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def named(path: Path) -> str:
    return str(path.relative_to(ROOT))


def test_only_services_and_the_engine_write_sandboxes_and_operations() -> None:
    wrong = [
        f"{named(path)}:{line} {words}"
        for path in sources("sandboxes", "project")
        if not {"services", "engine"} & set(path.parts)
        for line, words in writes(path)
    ]
    assert wrong == []


def writes(path: Path) -> Iterator[tuple[int, str]]:
    """Calls that write through `Sandbox.objects` or `Operation.objects`, or on a row that is named after one."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in WRITES:
            target = ast.unparse(node.func.value)
            manager = re.match(r"(\w+)\.(?:_default_manager|objects)\b", target)
            if (manager and manager[1] in MODELS) or target in ("sandbox", "operation", "row", "self.sandbox"):
                yield node.lineno, ast.unparse(node.func)


def test_the_search_for_writers_finds_one(tmp_path: Path) -> None:
    (tmp_path / "bad.py").write_text(
        "Sandbox.objects.filter(pk=1).update(name='x')\nsandbox.save()\nother.save()\n"
    )
    assert [line for line, _ in writes(tmp_path / "bad.py")] == [1, 2]


def test_no_file_is_longer_than_400_lines() -> None:
    written = [path for path in sources(*WORKING) if "Written by `make" not in path.read_text()[:200]]
    lengths = {named(path): len(path.read_text().splitlines()) for path in written}
    assert {name: length for name, length in lengths.items() if length > 400} == {}


@pytest.mark.parametrize(
    ("listed", "folders", "named_in"),
    [
        (PYPROJECT["project"]["dependencies"], ["sandboxes", "project"], NAMED_IN),
        (DEVELOPMENT, ["tests", "emulator", "bench"], NAMED_IN_DEVELOPMENT),
    ],
)
def test_every_requirement_is_used(listed: list[str], folders: list[str], named_in: tuple[str, ...]) -> None:
    wanted = [re.split(r"[\[~=<>]", requirement)[0] for requirement in listed]
    imported = {name.split(".")[0] for path in sources(*folders) for name in imports(path)}
    tools = (ROOT / "pyproject.toml").read_text().partition("[tool.")[2]
    words = set(re.findall(r"\w+", tools + "".join((ROOT / name).read_text() for name in named_in)))
    used = imported | words | {"psycopg"}  # Django imports it for postgres://
    unused = [package for package in wanted if IMPORTED_AS.get(package, package.replace("-", "_")) not in used]
    assert wanted
    assert unused == []


@pytest.mark.parametrize("name", ["requirements.txt", "requirements-dev.txt", "requirements-next.txt"])
def test_every_pin_has_its_hashes(name: str) -> None:
    pins = re.findall(
        r"^\S+==[^\n]*\n((?:    --hash=sha256:[0-9a-f]{64}(?: \\)?\n)*)", (ROOT / name).read_text(), re.M
    )
    assert pins
    assert all(pins)


def test_every_direct_connection_takes_the_parameters_of_its_address() -> None:
    """`psycopg.connect(url)` alone has neither our time limits nor our keepalives."""
    opened = re.compile(r"(?:psycopg|Connection)\.connect\((.*)")
    found = {
        f"{named(path)}: {arguments}"
        for path in sources("sandboxes", "project", "bench", "tests")
        if path.name != "test_structure.py"
        for arguments in opened.findall(path.read_text())
        if not arguments.startswith("conninfo(")
        # Django's own parameters of the same address, which has been through it.
        and not (path.name == "listening.py" and arguments.startswith("**parameters"))
    }
    assert found == set()


def test_tests_do_not_replace_our_own_functions() -> None:
    """Constants may be made smaller (the last part of the name is in capitals)."""
    replaced = re.compile(r"(?:patch|patch\.object|monkeypatch\.setattr)\(\s*['\"]?((?:sandboxes|project)\.[\w.]+)")
    found = {target for path in sources("tests") for target in replaced.findall(path.read_text())}
    assert {target for target in found if not target.rsplit(".", 1)[-1].isupper()} == set()


def test_tests_wait_for_conditions_instead_of_sleeping() -> None:
    allowed = {
        "tests/__main__.py",
        "tests/support/waiting.py",
        "tests/project/test_structure.py",
    }
    found = {named(path) for path in sources("tests") if "time.sleep(" in path.read_text()}
    assert found - allowed == set()
