"""Reading the environment: typed, with `X_FILE` secrets, and loud when something is wrong.

django-environ parses the cache's URL and the `.env` file. Its other readers are too kind for an operator's typing
error: they read `DEBUG=ture` as false, `10s` as ten and a secret that begins with `$` as another variable.
"""

from __future__ import annotations

import difflib
import json
import os
from pathlib import Path
from typing import Any

import environ
from django.core.exceptions import ImproperlyConfigured
from environ.fileaware_mapping import FileAwareMapping

from project import database

YES = frozenset({"1", "true", "yes", "on"})
NO = frozenset({"0", "false", "no", "off"})
NEAR = 0.88  # how alike a name is, by difflib, to one that was meant: a letter or two in twelve


def _refusal(name: str, problem: str) -> ImproperlyConfigured:
    # The value itself is not repeated: it may be a secret put into the wrong variable.
    return ImproperlyConfigured(f"{name} {problem} See .env.example.")


class Environment:
    """The environment, then the lines of `env_file` for what the environment does not say.

    A variable `X_FILE` names a file that holds the value of `X` (Docker and Kubernetes secrets). An empty value
    counts as not set. Every reader raises ImproperlyConfigured, which names the variable. `former_names`: which
    variables were found under the name that they had before, and what they are called now.
    """

    def __init__(self, *, env_file: str = "") -> None:
        if env_file and Path(env_file).is_file():
            environ.Env.read_env(env_file)
        self._values = FileAwareMapping()
        self.former_names: dict[str, str] = {}
        self._read: set[str] = set()

    def mistyped(self) -> dict[str, str]:
        """Which variables nobody has read and are hardly more than a letter away from one that somebody did."""
        known = self._read | {f"{name}_FILE" for name in self._read}
        found = {}
        for name in sorted(set(os.environ) - known):
            near = difflib.get_close_matches(name, known, n=1, cutoff=NEAR)
            # A variable of another program may be near one that is set; two of the same kind are no mistake.
            if near and not os.environ.get(near[0]):
                found[name] = near[0]
        return found

    def text(self, name: str, *, default: str = "") -> str:
        self._read.add(name)
        try:
            value = str(self._values.get(name, "")).strip()
        except OSError as error:
            raise _refusal(f"{name}_FILE", f"cannot be read ({error.strerror}).") from None
        except UnicodeDecodeError:
            raise _refusal(f"{name}_FILE", "is not text.") from None
        if not value and self._values.get(f"{name}_FILE"):
            raise _refusal(f"{name}_FILE", "names an empty file.")
        return value or default

    def required(self, name: str, *, why: str) -> str:
        value = self.text(name)
        if not value:
            raise _refusal(name, f"is not set. {why}")
        return value

    def one_of(self, name: str, *choices: str, default: str) -> str:
        value = self.text(name, default=default)
        if value not in choices:
            raise _refusal(name, f"must be one of {', '.join(choices)}.")
        return value

    def flag(self, name: str, *, default: bool) -> bool:
        value = self.text(name).lower()
        if value and value not in YES | NO:
            raise _refusal(name, "must be 1 or 0.")
        return value in YES if value else default

    def whole(self, name: str, *, default: int, minimum: int = 0) -> int:
        try:
            number = int(self.text(name, default=str(default)))
        except ValueError:
            raise _refusal(name, "must be a whole number.") from None
        if number < minimum:
            raise _refusal(name, f"must be at least {minimum}.")
        return number

    def number(self, name: str, *, default: float, minimum: float = 0.0, formerly: str = "") -> float:
        name = self._found(name, formerly)
        try:
            number = float(self.text(name, default=str(default)))
        except ValueError:
            raise _refusal(name, "must be a number.") from None
        if not minimum <= number < float("inf"):
            raise _refusal(name, f"must be a number of at least {minimum:g}.")
        return number

    def _found(self, name: str, formerly: str) -> str:
        """The name to read: the former one where only that is set."""
        if not formerly or not self.text(formerly):
            return name
        self.former_names[formerly] = name
        return name if self.text(name) else formerly

    def words(self, name: str, *, default: list[str] | None = None) -> list[str]:
        """Words comma-separated."""
        found = [word.strip() for word in self.text(name).split(",")]
        return [word for word in found if word] or list(default or [])

    def json(self, name: str, *, default: Any) -> Any:
        text = self.text(name)
        try:
            return json.loads(text) if text else default
        except ValueError:
            raise _refusal(name, "must be JSON.") from None

    def database(self, name: str, *, default: str, statement_timeout: int) -> dict[str, Any]:
        """What Django's DATABASES takes for the database at this address."""
        url = self.text(name, default=default)
        try:
            config = database.django_settings(url, statement_timeout=statement_timeout)
        except database.WrongAddress as error:
            raise _refusal(name, str(error)) from None
        if "sqlite" in config["ENGINE"]:
            Path(config["NAME"]).parent.mkdir(parents=True, exist_ok=True)  # SQLite makes files, not folders
        return config

    def cache_url(self, name: str, *, default: str) -> dict[str, Any]:
        try:
            config: dict[str, Any] = environ.Env.cache_url_config(self.text(name, default=default))
        except (KeyError, ValueError, ImproperlyConfigured):
            raise _refusal(name, "must be the address of a cache, such as redis://host:6379/0.") from None
        return config
