"""The steps of the Dockerfile in a clean folder, and the processes as compose.yaml starts them."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest
import yaml

from tests.support.environment import ROOT, clean_environment
from tests.support.processes import Running, answers, database_url, free_port, running
from tests.support.waiting import PATIENCE, wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.emulator import Emulator

pytestmark = [pytest.mark.postgres, pytest.mark.django_db(transaction=True)]

HOST = "sandkeeper.example.com"
THROUGH_THE_PROXY = {"Host": HOST, "X-Forwarded-Proto": "https"}
PROCESSES = ("worker", "reconcile", "watch")


class Image:
    """A folder made by the Dockerfile's own lines; a virtual environment stands for the image's Python."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "app"
        self.folder.mkdir()
        self.venv = folder / "venv"
        self.environment: dict[str, str] = {}
        self.command: list[str] = []
        subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(self.venv)], check=True)
        for word, rest in instructions(ROOT / "Dockerfile"):
            self.follow(word, rest)

    def follow(self, word: str, rest: str) -> None:
        if word == "ENV":
            self.environment |= dict(pair.split("=", 1) for pair in rest.split())
        elif word == "COPY":
            source, target = rest.split()
            self.copy(ROOT / source, self.folder / target)
        elif word == "RUN" and rest.startswith("python -m pip install"):
            # uv reads the same pins and is at hand; pip itself would take a minute.
            uv = Path(sys.prefix) / "bin" / "uv"
            options = rest.removeprefix("python -m pip install")
            self.run(f"{uv} pip install --quiet --python {self.venv}/bin/python {options}")
        elif word == "RUN" and not rest.startswith("useradd"):  # users are the image's own
            self.run(rest)
        elif word == "CMD":
            self.command = yaml.safe_load(rest)

    def copy(self, source: Path, target: Path) -> None:
        if source.is_dir():
            shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, self.folder / source.name)

    def run(self, command: str, **environment: str) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            command,
            shell=True,
            cwd=self.folder,
            env=self.inside(environment),
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
        return done

    def inside(self, environment: dict[str, str]) -> dict[str, str]:
        path = f"{self.venv / 'bin'}:{os.environ['PATH']}"
        return clean_environment(**(self.environment | {"PATH": path} | environment))


def instructions(dockerfile: Path) -> Iterator[tuple[str, str]]:
    for line in dockerfile.read_text().splitlines():
        if line and not line.startswith("#"):
            word, _, rest = line.partition(" ")
            yield word, rest


class Compose:
    """compose.yaml with its variables filled in; secrets and ports are this test's."""

    def __init__(self, variables: dict[str, str], *, secrets: Path) -> None:
        self._secrets = secrets
        text = re.sub(
            r"\$\{(\w+)(?::[-?]([^}]*))?\}",
            lambda found: variables.get(found[1], found[2] or ""),
            (ROOT / "compose.yaml").read_text(),
        )
        self.services: dict[str, Any] = yaml.safe_load(text)["services"]

    def environment(self, service: str) -> dict[str, str]:
        given = {str(name): str(value) for name, value in self.services[service].get("environment", {}).items()}
        for name, value in given.items():
            if value.startswith("/run/secrets/"):
                secret = value.removeprefix("/run/secrets/")
                assert secret in self.services[service]["secrets"], f"{service} is not given the secret {secret}"
                given[name] = str(self._secrets / secret)
        return given


@pytest.fixture
def compose(emulator: Emulator, tmp_path: Path) -> Compose:
    secrets = tmp_path / "secrets"
    secrets.mkdir()
    values = {
        "secret_key": "of-the-container-" + "0123456789" * 5,
        "service_key_peppers": "a-pepper-of-its-own",
        "daytona_api_key": emulator.daytona_key,
        "convex_deploy_key": emulator.convex_key,
    }
    for name, value in values.items():
        (secrets / name).write_text(f"{value}\n")
    variables = {
        "POSTGRES_PASSWORD": "unused",
        "ALLOWED_HOSTS": HOST,
        "DAYTONA_API_URL": emulator.daytona_url,
        "CONVEX_URL": emulator.convex_url,
    }
    return Compose(variables, secrets=secrets)


def test_the_image_and_its_processes_work(compose: Compose, tmp_path: Path, emulator: Emulator) -> None:
    image = Image(tmp_path)
    here = {"DATABASE_URL": database_url()}
    web, remote = compose.environment("web") | here, compose.environment("worker") | here
    assert not [name for name in web if name.startswith(("DAYTONA", "CONVEX"))]
    image.run(" ".join(compose.services["migrate"]["command"]), **compose.environment("migrate") | here)
    # http to the emulator on this machine is fine; all else must be as for production.
    image.run("python manage.py check --deploy --fail-level WARNING", **remote)

    with ExitStack() as stack:

        def start(name: str, command: list[str], environment: dict[str, str]) -> Running:
            log = tmp_path / f"{name}.log"
            program = running(command, environment=image.inside(environment), log=log, cwd=image.folder)
            return stack.enter_context(program)

        port = free_port()
        address = f"127.0.0.1:{port}"
        serve = [word.replace("0.0.0.0:8000", address) for word in image.command]
        program = start("web", serve, web)
        wait_until(lambda: answers(port) or program.ended(), what="an answer of the web process")
        started = [start(name, compose.services[name]["command"], remote) for name in PROCESSES]
        http = stack.enter_context(httpx.Client(base_url=f"http://{address}", timeout=PATIENCE))

        assert http.get("/ready").json() == {"database": "ok", "migrations": "ok"}
        assert http.get("/admin/login/", headers={"Host": HOST}).headers["Location"].startswith("https://")
        page = http.get("/admin/login/", headers=THROUGH_THE_PROXY)
        assert "Strict-Transport-Security" in page.headers
        sheet = re.search(r'href="(/static/[^"]+\.css)"', page.text)
        assert sheet is not None
        assert http.get(sheet[1], headers=THROUGH_THE_PROXY).status_code == 200

        scopes = "--scope sandboxes:read --scope sandboxes:write"
        key = image.run(f"python manage.py create_service_key test --quiet {scopes}", **web).stdout.strip()
        http.headers.update(THROUGH_THE_PROXY | {"Authorization": f"Bearer {key}", "X-On-Behalf-Of": "user_c"})
        asked = http.post("/api/v1/sandboxes", json={})
        location = asked.headers["Location"]
        wait_until(
            lambda: http.get(location).json()["status"] == "succeeded",
            timeout=PATIENCE,
            pause=0.2,
            what="a created sandbox",
        )
        assert len(emulator.state()["sandboxes"]) == 1
        image.run("python manage.py doctor", **remote)
        assert [program.output for program in started if program.ended()] == []
