"""Whatever the pages tell people to type is run by a test or is a benchmark."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from django.core.management import get_commands

from tests.support.environment import ROOT

if TYPE_CHECKING:
    from pathlib import Path

PAGES = sorted([
    *ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *ROOT.glob("*/README.md"),
    *ROOT.glob("clients/*/README.md"),
])  # fmt: skip
# Which test runs the commands and examples of a page, all of them, as they stand there.
RUN_BY = {
    "README.md": "tests/e2e/test_readme_page.py",
    "clients/python/README.md": "tests/clients/test_python.py",
    "clients/typescript/README.md": "tests/clients/test_typescript.py",
    "docs/clients.md": "tests/api/test_clients_page.py",
    "docs/operations.md": "tests/e2e/test_operations_page.py",
}
# Where else commands are run: make's targets, and those of npm and docker.
RUN_IN = [".ci/run", "tests/__main__.py", "tests/installing/test_make_run.py"]
BY_HAND = {
    "clients": "writes into the checkout; tests/clients/test_document.py runs all but the writing",
    "image": "needs Docker and its registry; tests/project/test_image.py runs what it refuses",
    "pins": "takes the newest versions from the registry",
    "soak": "takes as long as you let it",
}


def named(page: Path) -> str:
    return str(page.relative_to(ROOT))


def fences(page: Path) -> list[tuple[str, str]]:
    """Language and text of each fenced block."""
    return re.findall(r"^```(\w*)\n(.*?)^```", page.read_text(), re.MULTILINE | re.DOTALL)


def bare(page: Path) -> str:
    """The page without its blocks: what is named in the middle of a sentence or table."""
    return re.sub(r"^```.*?^```", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_every_block_of_commands_has_a_test_that_runs_it(page: Path) -> None:
    languages = {language for language, _ in fences(page)}
    assert languages <= {"", "sh", "console", "python", "ts", "json"}, "say sh, or nobody runs it"
    drawings = [text for language, text in fences(page) if language in ("", "json")]
    assert not [
        text for text in drawings if re.search(r"^\s*\$? ?(make|curl|python|npm|docker) ", text, re.MULTILINE)
    ]
    run = languages & {"sh", "console", "python", "ts"}
    if not run:
        assert named(page) not in RUN_BY
        return
    test = (ROOT / RUN_BY[named(page)]).read_text()
    assert page.name in test
    assert {language for language in run if f"```{language}" not in test and f'"{language}"' not in test} == set()


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_every_command_in_a_sentence_exists_and_is_run(page: Path) -> None:
    text = bare(page)
    elsewhere = "".join((ROOT / path).read_text() for path in RUN_IN)
    targets = set(re.findall(r"`make (\w+)", text))
    makefile = (ROOT / "Makefile").read_text()
    assert {target for target in targets if f"\n{target}:" not in makefile} == set()
    run = set(re.findall(r"make [^\n]*?\b(\w+)(?: >[^\n]*)?$|\"make\".*?\"(\w+)\"", elsewhere, re.MULTILINE))
    assert targets - {word for pair in run for word in pair} - set(BY_HAND) == set()

    commands = set(re.findall(r"manage\.py (\w+)", text))
    assert commands <= set(get_commands())
    tests = "".join(path.read_text() for path in (ROOT / "tests").rglob("test_*.py"))
    blocks = "".join(block for one in PAGES for language, block in fences(one) if language == "sh")
    ours = {command for command in commands if get_commands()[command] == "sandboxes"}
    run = set(re.findall(r"\"(\w+)\"", tests)) | set(re.findall(r"manage\.py (\w+)", blocks))
    assert ours - run == set()

    for module in re.findall(r"`(?:\.venv/bin/)?python -m ([\w.]+)", text):
        path = ROOT / module.replace(".", "/")
        assert path.with_suffix(".py").exists() or (path / "__main__.py").exists(), module


@pytest.mark.parametrize("page", [ROOT / "CONTRIBUTING.md", ROOT / "docs" / "architecture.md"], ids=named)
def test_every_file_that_a_page_for_developers_names_is_there(page: Path) -> None:
    named_there = set(re.findall(r"`([\w/-]+(?:\.py|/))", bare(page)))
    tops = ("sandboxes", "project", "tests", "emulator")
    files = ["/manage.py", *(f"/{named(path)}" for top in tops for path in (ROOT / top).rglob("*.py"))]
    assert len(named_there) > 20
    assert named_there - {name for name in named_there for path in files if f"/{name}" in path} == set()


def test_a_decision_names_what_is_there_and_each_has_a_line() -> None:
    folder = ROOT / "docs" / "decisions"
    pages = sorted(folder.glob("0*.md"))
    index = (folder / "README.md").read_text()
    for number, page in enumerate(pages, start=1):
        text = page.read_text()
        assert page.name.startswith(f"{number:04d}-")
        assert text.startswith(f"# {number}. ")
        assert f"({page.name})" in index
        places = re.findall(r"`((?:sandboxes|tests)/[\w/]+\.py)`", text)
        assert [place for place in places if not (ROOT / place).is_file()] == []
