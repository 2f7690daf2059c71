"""One version, in pyproject.toml, wherever it is shown; and a wheel that runs without the checkout."""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from django.core.management import call_command
from prometheus_client.parser import text_string_to_metric_families

from project.version import USER_AGENT, VERSION
from sandboxes.metrics import exposition
from tests.api.callers import Api
from tests.support.environment import DEVELOPMENT, ROOT, clean_environment

if TYPE_CHECKING:
    from django.test import Client

WRITTEN = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
# Needs the migrations, templates and static files.
SIGN_IN = """
from django.core.management import call_command
from django.test import Client
call_command("migrate", verbosity=0)
print(Client().get("/admin/login/", HTTP_HOST="localhost").status_code)
"""
UV = str(Path(sys.prefix) / "bin" / "uv")


def test_it_is_written_once(capsys: pytest.CaptureFixture[str]) -> None:
    call_command("sandkeeper_version")
    assert capsys.readouterr().out == f"{WRITTEN}\n"
    assert (WRITTEN, f"sandkeeper/{WRITTEN}") == (VERSION, USER_AGENT)
    assert f"\n## {WRITTEN} " in (ROOT / "CHANGELOG.md").read_text()


@pytest.mark.django_db
def test_the_api_says_it_and_where_to_go_on() -> None:
    answer = Api().get("/")
    assert answer.status_code == 200
    about = answer.json()
    assert (about["name"], about["version"]) == ("sandkeeper", WRITTEN)
    public = [about["links"][name] for name in ("problems", "schema", "docs")]
    assert [Api().get(link.removeprefix("/api/v1")).status_code for link in public] == [200, 200, 200]
    private = set(about["links"].values()) - set(public)
    assert {Api().get(link.removeprefix("/api/v1")).status_code for link in private} == {401}


@pytest.mark.django_db
def test_metrics_say_it() -> None:
    families = {family.name: family for family in text_string_to_metric_families(exposition().decode())}
    (sample,) = families["sandkeeper_build_info"].samples
    assert (sample.value, sample.labels["version"]) == (1.0, WRITTEN)


@pytest.mark.django_db
def test_the_foot_of_a_page_says_it_to_staff_alone(admin_client: Client, client: Client) -> None:
    """Lists and forms have their own foot: the pages' numbers, the buttons."""
    for page in ("/admin/", "/admin/sandboxes/sandbox/add/"):
        assert f"Sandkeeper {WRITTEN}</div></footer>" in admin_client.get(page).content.decode()
    assert WRITTEN not in client.get("/admin/login/").content.decode()


def run(*command: str, cwd: Path, **environment: str) -> str:
    """What it prints, in an environment without any setting of ours but these."""
    done = subprocess.run(
        command, cwd=cwd, env=clean_environment(**environment), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built from what is in the checkout; uv builds with what it has inside, and asks no registry."""
    folder = tmp_path_factory.mktemp("dist")
    run(UV, "build", "--quiet", "--wheel", "--offline", "--out-dir", str(folder), cwd=ROOT)
    (made,) = folder.glob("*.whl")
    return made


def test_a_wheel_runs_where_there_is_no_checkout(wheel: Path, tmp_path: Path) -> None:
    assert wheel.name == f"sandkeeper-{WRITTEN}-py3-none-any.whl"
    place, home = tmp_path / "venv", tmp_path / "home"
    home.mkdir()
    run(sys.executable, "-m", "venv", "--without-pip", str(place), cwd=tmp_path)
    # What it depends on is what this Python has: installing a hundred packages once more shows nothing of ours.
    (installed,) = (Path(path) for path in sys.path if path.endswith("site-packages"))
    (packages,) = place.glob("lib/python*/site-packages")
    (packages / "of-the-suite.pth").write_text(f"{installed}\n")
    run(
        UV,
        "pip",
        "install",
        "--quiet",
        "--offline",
        "--no-deps",
        "--python",
        f"{place}/bin/python",
        str(wheel),
        cwd=home,
    )
    environment = DEVELOPMENT | {"PATH": f"{place}/bin:{os.environ['PATH']}"}
    assert run("sandkeeper-manage", "sandkeeper_version", cwd=home, **environment) == f"{WRITTEN}\n"
    said = run("sandkeeper-manage", "shell", "--verbosity", "0", "-c", SIGN_IN, cwd=home, **environment)
    assert said.splitlines()[-1] == "200"
    assert (home / "var" / "sandkeeper.sqlite3").is_file()
    where = run(
        "python",
        "-c",
        "import project, sandboxes; print(project.__file__, sandboxes.__file__)",
        cwd=home,
        **environment,
    )
    assert str(ROOT) not in where


def test_the_wheel_names_what_it_needs(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        (metadata,) = (name for name in names if name.endswith(".dist-info/METADATA"))
        told = archive.read(metadata).decode()
    assert {name.split("/")[0] for name in names} == {"project", "sandboxes", metadata.split("/")[0]}
    assert [name for name in names if "__pycache__" in name] == []
    assert "Requires-Python: >=3.11" in told
    assert "Requires-Dist: django~=5.2.0" in told
