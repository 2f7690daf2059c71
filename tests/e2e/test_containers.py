"""The steps of the Dockerfile in a clean folder, and the processes as compose.yaml starts them."""

from __future__ import annotations

import os
import re
import shlex
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
from tests.support.processes import Running, answers, database_url, free_port, listens, running
from tests.support.waiting import PATIENCE, wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.emulator import Emulator

pytestmark = [pytest.mark.postgres, pytest.mark.django_db(transaction=True)]

HOST = "sandkeeper.example.com"
THROUGH_THE_PROXY = {"Host": HOST, "X-Forwarded-Proto": "https"}
PROCESSES = ("worker", "reconcile", "watch")
NOT_HERE = ("apt-get", "groupadd", "install --directory")  # what changes the machine
UV = Path(sys.prefix) / "bin" / "uv"
HAS_STRIP = shutil.which("strip") is not None

BASE_MB = 124.84  # all layers of python:3.11.15-slim-trixie, as docker-library/repo-info publishes them
LIMIT_MB = 250


class Image:
    """A folder made by the Dockerfile's own lines; a virtual environment stands for the image's Python.

    All stages lie in one folder, so it has the emulator beside the rest. Users and owners are the image's own.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "app"
        self.folder.mkdir()
        self.venv = folder / "venv"
        self.environment: dict[str, str] = {}
        self.command: list[str] = []
        self.health: list[str] = []
        for word, rest in instructions(ROOT / "Dockerfile"):
            self.follow(word, rest.replace("/venv", str(self.venv)).replace("/app", str(self.folder)))

    def follow(self, word: str, rest: str) -> None:
        if word == "ENV":
            self.environment |= dict(pair.split("=", 1) for pair in rest.split() if not pair.startswith("PATH="))
        elif word == "COPY" and not rest.startswith("--from="):
            source, target = rest.split()
            self.copy(ROOT / source, self.folder / target)
        elif word == "RUN":
            self.follow_run(rest)
        elif word == "CMD":
            self.command = yaml.safe_load(rest)
        elif word == "HEALTHCHECK":
            self.health = yaml.safe_load(rest.partition(" CMD ")[2])

    def follow_run(self, command: str) -> None:
        if command.startswith("python -m venv"):
            self.run(command.replace("python", sys.executable, 1))
        elif " install --require-hashes" in command:
            # uv reads the same pins and is at hand; pip itself would take a minute. Copied: what is linked to uv's
            # cache belongs to every other environment as well, and is about to be stripped.
            options = command.partition(" install ")[2]
            how = "--quiet --link-mode copy --compile-bytecode"
            self.run(f"{UV} pip install {how} --python {self.venv}/bin/python {options}")
        elif " uninstall --yes " in command:
            self.run(
                f"{UV} pip uninstall --quiet --python {self.venv}/bin/python {command.partition(' --yes ')[2]}"
            )
        elif not command.startswith(NOT_HERE) and (HAS_STRIP or "strip" not in command):
            self.run(command)

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
        self._variables = variables

    def environment(self, service: str) -> dict[str, str]:
        """What it is told by its files and by compose.yaml; secrets are files that it was given."""
        told = self.services[service]
        given = dict(self.of_files(told.get("env_file", [])))
        given |= {str(name): str(value) for name, value in told.get("environment", {}).items()}
        for name, value in given.items():
            if value.startswith("/run/secrets/"):
                secret = value.removeprefix("/run/secrets/")
                is_given = secret in told.get("secrets", []) or "./secrets:/run/secrets:ro" in told.get(
                    "volumes", []
                )
                assert is_given, f"{service} is not given the secret {secret}"
                given[name] = str(self._secrets / secret)
        return given

    def of_files(self, files: list[dict[str, Any]]) -> Iterator[tuple[str, str]]:
        """The lines of the examples beside them, with this test's values."""
        for file in files:
            for line in (ROOT / f"{file['path']}.example").read_text().splitlines():
                name, _, value = line.partition("=")
                if value and not line.startswith("#"):
                    yield name, self._variables.get(name, value)


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Image:
    return Image(tmp_path_factory.mktemp("image"))


@pytest.fixture
def compose(emulator: Emulator, tmp_path: Path) -> Compose:
    secrets = tmp_path / "secrets"
    secrets.mkdir()
    values = {
        "secret_key": "of-the-container-" + "0123456789" * 5,
        "service_key_peppers": "a-pepper-of-its-own",
        "daytona_api_key": emulator.daytona_key,
        "convex_deploy_key": emulator.convex_key,
        "database_url": database_url(),
    }
    for name, value in values.items():
        (secrets / name).write_text(f"{value}\n")
    variables = {
        "ALLOWED_HOSTS": HOST,
        "CSRF_TRUSTED_ORIGINS": f"https://{HOST}",
        "DAYTONA_API_URL": emulator.daytona_url,
        "CONVEX_URL": emulator.convex_url,
    }
    return Compose(variables, secrets=secrets)


def test_the_image_and_its_processes_work(
    image: Image, compose: Compose, tmp_path: Path, emulator: Emulator
) -> None:
    web, remote = compose.environment("web"), compose.environment("worker")
    assert not [name for name in web if name.startswith(("DAYTONA", "CONVEX"))]
    image.run(" ".join(compose.services["migrate"]["command"]), **compose.environment("migrate"))
    # http to the emulator on this machine is fine; all else must be as for production.
    image.run("python manage.py check --deploy --fail-level WARNING", **remote)
    installed = everything_in(image.folder)

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
        image.run(shlex.join(image.health).replace("127.0.0.1:8000", address), **web)
        for name in PROCESSES:
            asked = compose.services[name]["healthcheck"]["test"]
            assert asked[0] == "CMD"
            image.run(shlex.join(asked[1:]), **remote)
        assert [program.output for program in started if program.ended()] == []
    assert everything_in(image.folder) == installed, "the root of the file system is read-only in a container"


@pytest.mark.strip
def test_the_image_is_below_250_mb(image: Image) -> None:
    """With the demo's few packages, which lie in the same folder here."""
    figures = {"base": BASE_MB, "packages": megabytes(image.venv), "application": megabytes(image.folder)}
    print({name: round(value, 1) for name, value in figures.items()}, f"together {sum(figures.values()):.1f} MB")
    assert sum(figures.values()) < LIMIT_MB


def megabytes(folder: Path) -> float:
    """As a layer counts them: the bytes of all files."""
    return sum(path.lstat().st_size for path in folder.rglob("*") if path.is_file()) / 1e6


def everything_in(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*")}


def test_the_demo_is_there_with_nothing_set(image: Image, tmp_path: Path) -> None:
    demo = Compose({}, secrets=tmp_path)
    ports = {"8010": free_port(), "8000": free_port()}

    def here(text: str) -> str:
        """The names and ports of containers, as those of this machine."""
        for port, ours in ports.items():
            text = re.sub(rf"(emulator|0\.0\.0\.0|127\.0\.0\.1):{port}", f"127.0.0.1:{ours}", text)
        return text

    def environment(service: str) -> dict[str, str]:
        told = demo.environment(service) | {"EMULATOR_PORT": str(ports["8010"])}
        return image.inside({name: here(value) for name, value in told.items()})

    (image.folder / "var").mkdir(exist_ok=True)
    with ExitStack() as stack:

        def start(service: str) -> Running:
            command = [here(word) for word in demo.services[service].get("command", image.command)]
            log = tmp_path / f"{service}.log"
            return stack.enter_context(
                running(command, environment=environment(service), log=log, cwd=image.folder)
            )

        emulator = start("emulator")
        wait_until(lambda: listens(ports["8010"]) or emulator.ended(), what="the emulator")
        setup = demo.services["demo-setup"]["command"]
        image.run(shlex.join(setup), **environment("demo-setup"))
        web = start("demo-web")
        wait_until(lambda: answers(ports["8000"]) or web.ended(), what="an answer of the web process")
        page = httpx.get(f"http://127.0.0.1:{ports['8000']}/admin/login/", timeout=PATIENCE)
        assert page.status_code == 200, web.output
    for process in ("worker", "reconcile"):  # run above as they are in production
        of_demo, of_production = (demo.services[name]["command"] for name in (f"demo-{process}", process))
        assert of_demo[:3] == of_production[:3]
