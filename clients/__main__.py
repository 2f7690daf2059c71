"""`make clients`: keep the OpenAPI document that the code has, and write the Python client's types and methods.

    python -m clients [--breaking]

The TypeScript client makes its types of the kept document whenever it is built. What breaks programs that were
written by the kept document is refused, unless `--breaking` says that it is meant.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path

import django

from clients import document, python_code

HERE = Path(__file__).resolve().parent
PACKAGE = HERE / "python" / "src" / "sandkeeper_client"
RUFF = str(Path(sys.prefix) / "bin" / "ruff")


def current() -> document.Document:
    """The document that the code has, in an installation with no settings of its own."""
    from sandboxes.api import schema  # Django must be set up

    return dict(json.loads(schema.document()[0]))


def written(made: document.Document) -> dict[Path, str]:
    """Each file that is made of the document, with its text."""
    return {
        document.KEPT: document.as_text(made),
        PACKAGE / "types.py": _formatted(python_code.types(made)),
        PACKAGE / "operations.py": _formatted(python_code.methods(made)),
    }


def _formatted(code: str) -> str:
    command = [RUFF, "format", "--stdin-filename", str(PACKAGE / "types.py"), "-"]
    return subprocess.run(command, input=code, check=True, capture_output=True, text=True).stdout


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--breaking", action="store_true")
    means_it = parser.parse_args().breaking
    for name in [name for name in os.environ if name.startswith("TIERS")]:
        del os.environ[name]
    os.environ.update(
        DJANGO_SETTINGS_MODULE="project.settings", ENV_FILE="", DEBUG="1", SECRET_KEY="of-make-clients"
    )
    django.setup()
    made = current()
    broken = document.breaking(document.kept(), made) if document.KEPT.exists() else []
    if broken and not means_it:
        print("This breaks programs that were written by what was kept:", *broken, sep="\n  ")
        print("Nothing was written. If it is meant: make clients BREAKING=--breaking")
        return 1
    for path, text in written(made).items():
        path.write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
