"""The files of deploy/, compose.yaml and the Dockerfile, as far as they can be checked without an engine.

tests/e2e/test_containers.py runs their commands. docs/operations.md lists what neither shows.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from jsonschema_rs import Draft202012Validator

from tests.matrix import PYTHONS
from tests.support.environment import ROOT, variables

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SCHEMAS = ROOT / "tests" / "deploy" / "schemas"
MANIFESTS = sorted((ROOT / "deploy" / "kubernetes").glob("*.yaml"))
UNITS = sorted((ROOT / "deploy" / "systemd").glob("sandkeeper*"))
COMPOSE = yaml.safe_load((ROOT / "compose.yaml").read_text())
PRODUCTION = {name: one for name, one in COMPOSE["services"].items() if one["profiles"] == ["production"]}
PROCESSES = ("web", "worker", "reconcile", "watch", "migrate")
UID = 10001


def complaints(value: object, schema: dict[str, Any]) -> list[str]:
    found = Draft202012Validator(schema).iter_errors(value)
    return [f"{'.'.join(str(step) for step in error.instance_path)}: {error.message}" for error in found]


def dockerfile() -> list[tuple[str, str]]:
    lines = (line.partition(" ") for line in (ROOT / "Dockerfile").read_text().splitlines())
    return [(word, rest) for word, _, rest in lines if word and not word.startswith("#")]


# --- the image ---


def test_the_image_has_a_fixed_numeric_user_and_tells_how_to_ask_and_end_it() -> None:
    lines = dockerfile()
    assert [rest for word, rest in lines if word == "USER"] == [f"{UID}:{UID}"]
    assert ("STOPSIGNAL", "SIGTERM") in lines
    assert [word for word, _ in lines].count("HEALTHCHECK") == 1
    labels = {rest.split("=")[0] for word, rest in lines if word == "LABEL"}
    assert {f"org.opencontainers.image.{name}" for name in ("title", "version", "revision")} <= labels


def test_everything_that_pip_installs_has_its_hashes_and_pip_stays_behind() -> None:
    installs = [rest for word, rest in dockerfile() if word == "RUN" and " install " in rest and "pip" in rest]
    assert installs
    assert all("--require-hashes" in rest for rest in installs)
    assert ("RUN", "python -m venv --without-pip /venv") in dockerfile()


def test_the_context_holds_what_is_copied_and_nothing_else() -> None:
    ignored = (ROOT / ".dockerignore").read_text().splitlines()
    copied = {rest.split()[0] for word, rest in dockerfile() if word == "COPY" and not rest.startswith("--from")}
    assert {line[1:] for line in ignored if line.startswith("!")} == copied
    assert ignored[0] == "*"


# --- compose.yaml ---


def test_compose_fits_its_schema() -> None:
    schema = json.loads((SCHEMAS / "compose.json").read_text())
    assert complaints(COMPOSE, schema) == []


@pytest.mark.parametrize("name", COMPOSE["services"])
def test_a_container_has_no_privileges_and_nothing_to_write(name: str) -> None:
    service = COMPOSE["services"][name]
    assert service["profiles"] in (["demo"], ["production"])
    assert (service["read_only"], service["cap_drop"]) == (True, ["ALL"])
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert "/tmp" in service["tmpfs"]


@pytest.mark.parametrize("name", PRODUCTION)
def test_a_container_of_production_has_limits_and_no_secret_in_its_environment(name: str) -> None:
    service = PRODUCTION[name]
    limits = service["deploy"]["resources"]["limits"]
    assert {"memory", "pids"} <= set(limits)
    secret = re.compile("KEY|SECRET|PASSWORD|PEPPER|DATABASE_URL")
    told = [key for key in service.get("environment", {}) if secret.search(key)]
    assert all(key.endswith("_FILE") for key in told)
    assert "build" not in service or name == "migrate"


def test_every_image_can_be_named_by_its_digest() -> None:
    images = {service["image"] for service in PRODUCTION.values()}
    assert all(re.fullmatch(r"\$\{[A-Z]+_IMAGE:-[\w.:]+\}", image) for image in images)


def test_web_and_migrate_are_given_no_key_of_another_system() -> None:
    for name in ("web", "migrate", "proxy", "database"):
        mounted = " ".join(PRODUCTION[name].get("volumes", []))
        assert "./secrets" not in mounted
        assert not {"daytona_api_key", "convex_deploy_key"} & set(PRODUCTION[name].get("secrets", []))


def test_the_demo_needs_nothing_to_be_set() -> None:
    """Compose reads the whole file whatever the profile: a variable that must be set would end the demo, too."""
    text = (ROOT / "compose.yaml").read_text()
    assert re.findall(r"\$\{\w+:?\?", text) == []
    assert "required: true" not in text
    needed = [one["env_file"] for one in COMPOSE["services"].values() if "env_file" in one]
    assert all(not entry["required"] for files in needed for entry in files)


@pytest.mark.parametrize("name", ["web.env.example", "remote.env.example"])
def test_what_the_examples_set_are_settings(name: str) -> None:
    lines = (ROOT / "deploy" / "compose" / name).read_text().splitlines()
    named = {line.split("=")[0].removesuffix("_FILE") for line in lines if line and not line.startswith("#")}
    assert named
    assert named <= variables()


# --- Kubernetes ---


def documents(*paths: Path) -> Iterator[dict[str, Any]]:
    for path in paths:
        yield from yaml.safe_load_all(path.read_text())


def pods() -> dict[str, dict[str, Any]]:
    """The pod of each process, by its file's name."""
    found = {path.stem: next(documents(path)) for path in MANIFESTS if path.stem != "config"}
    return {name: document["spec"]["template"]["spec"] for name, document in found.items()}


@pytest.mark.parametrize("path", MANIFESTS, ids=lambda path: path.stem)
def test_a_manifest_fits_its_schema(path: Path) -> None:
    """That of Kubernetes 1.34, where an unknown field is an error."""
    whole = json.loads((SCHEMAS / "kubernetes.json").read_text())
    for document in documents(path):
        reference = {"$ref": f"#/$defs/{whole['kinds'][document['kind']]}", "$defs": whole["$defs"]}
        assert complaints(document, reference) == []


def test_there_is_one_file_for_each_process() -> None:
    assert set(pods()) == set(PROCESSES)


@pytest.mark.parametrize("name", PROCESSES)
def test_a_pod_runs_as_the_images_user_with_nothing_to_write(name: str) -> None:
    pod = pods()[name]
    (container,) = pod["containers"]
    wanted = {"runAsNonRoot": True, "runAsUser": UID, "runAsGroup": UID, "fsGroup": UID}
    assert wanted.items() <= pod["securityContext"].items()
    assert pod["automountServiceAccountToken"] is False
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert {"requests", "limits"} == set(container["resources"])
    mounts = {mount["mountPath"] for mount in container["volumeMounts"]}
    assert mounts == {"/run/secrets", "/tmp"}


@pytest.mark.parametrize("name", [name for name in PROCESSES if name != "migrate"])
def test_every_process_has_probes_and_time_to_end(name: str) -> None:
    pod = pods()[name]
    (container,) = pod["containers"]
    assert {"startupProbe", "livenessProbe"} <= set(container)
    if name != "web":
        assert container["livenessProbe"]["exec"]["command"] == ["python", "manage.py", "health", name]
    assert pod["terminationGracePeriodSeconds"] >= 30


def test_only_those_that_need_them_see_the_keys_of_others() -> None:
    for name, pod in pods().items():
        secrets = {source["secret"]["name"] for source in pod["volumes"][0]["projected"]["sources"]}
        remote = {"sandkeeper-remote"} if name in ("worker", "reconcile", "watch") else set()
        assert secrets == {"sandkeeper-web"} | remote
        (container,) = pod["containers"]
        maps = {one["configMapRef"]["name"] for one in container["envFrom"]}
        assert maps == {"sandkeeper"} | remote


def test_what_the_maps_set_are_settings() -> None:
    maps = list(documents(ROOT / "deploy" / "kubernetes" / "config.yaml"))
    named = {name.removesuffix("_FILE") for one in maps for name in one["data"]}
    assert named <= variables()


# --- systemd ---


def exec_start(unit: Path) -> list[str]:
    found = re.search(r"^ExecStart=(.+)$", unit.read_text(), re.MULTILINE)
    assert found is not None
    return found[1].split()


@pytest.mark.systemd
def test_units_are_what_systemd_understands(tmp_path: Path) -> None:
    program = shutil.which("systemd-analyze")
    assert program is not None
    for unit in UNITS:
        # What is installed on the machine that runs them is not here.
        text = unit.read_text().replace("/opt/sandkeeper/.venv/bin/python", "/bin/true")
        (tmp_path / unit.name).write_text(text)
    files = [str(tmp_path / unit.name) for unit in UNITS if "@" not in unit.name]
    shutil.copy(tmp_path / "sandkeeper-worker@.service", tmp_path / "sandkeeper-worker@1.service")
    files.append(str(tmp_path / "sandkeeper-worker@1.service"))
    done = subprocess.run(
        [program, "verify", "--man=no", "--recursive-errors=no", *files],
        capture_output=True,
        text=True,
        check=False,
    )
    ours = [line for line in done.stderr.splitlines() if "sandkeeper" in line]
    assert ours == []
    assert done.returncode == 0, done.stderr


# --- all of them ---


def test_every_file_starts_a_process_by_the_same_command() -> None:
    image = next(json.loads(rest) for word, rest in dockerfile() if word == "CMD")
    for name in PROCESSES:
        compose = PRODUCTION[name].get("command", image)
        (container,) = pods()[name]["containers"]
        assert container.get("command", image) == compose
        (unit,) = (unit for unit in UNITS if unit.name.removesuffix(".service").rstrip("@") == f"sandkeeper-{name}")
        python, *rest = exec_start(unit)
        assert python == "/opt/sandkeeper/.venv/bin/python"
        expected = [word.replace("0.0.0.0", "127.0.0.1") for word in compose[1:]]
        assert rest == expected


# --- what runs before a commit and after a push ---


def test_the_workflow_fits_its_schema_and_runs_what_ci_runs() -> None:
    text = (ROOT / ".github" / "workflows" / "ci.yml").read_text()
    workflow = yaml.safe_load(text)
    workflow["on"] = workflow.pop(True)  # YAML 1.1 reads the key `on` as a truth
    assert complaints(workflow, json.loads((SCHEMAS / "github-workflow.json").read_text())) == []
    jobs = workflow["jobs"]
    assert {"run": "bash .ci/run"} in jobs["everything"]["steps"]
    assert jobs["everything"]["strategy"]["matrix"]["postgres"] == ["14", "15", "16", "17", "18"]
    assert tuple(jobs["pythons"]["strategy"]["matrix"]["python"]) == PYTHONS


def test_a_commit_is_checked_by_what_ci_runs() -> None:
    hooks = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())["repos"][0]["hooks"]
    ci = "".join((ROOT / name).read_text() for name in (".ci/run", "Makefile"))
    for hook in hooks:
        *_, tool = re.findall(r"[.\w-]+(?:/[\w-]+)+|make", hook["entry"].partition(" --")[0])
        assert tool.rpartition("/")[2] in ci, hook["id"]
    for word in ("ruff", "lint-imports", "mypy", "makemigrations --check", "spectacular --validate"):
        assert any(word in hook["entry"] for hook in hooks), word
