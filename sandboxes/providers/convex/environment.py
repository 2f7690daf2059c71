"""Mistakes in CONVEX_URL and CONVEX_DEPLOY_KEY that can be told without asking Convex. Pure; no key is repeated."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal
from urllib.parse import SplitResult, urlsplit

if TYPE_CHECKING:
    from collections.abc import Iterator

CLOUD = ".convex.cloud"
HTTP_ACTIONS = ".convex.site"
DASHBOARD = "convex.dev"
EXAMPLE = "https://happy-animal-123.convex.cloud"
_NAME = re.compile(r"(?:(?:prod|dev):)?([a-z]+-[a-z]+-\d+)")
# What clients add by themselves, so that it does not belong into the setting.
_ADDED = re.compile(r"(?P<kept>.*?)/(api|version|http)(/.*)?")
_OTHER_KEYS = {
    "preview": "is a preview key, which makes deployments and calls no functions",
    "project": "is a project key, which makes deployments and calls no functions",
}


@dataclass(frozen=True, slots=True)
class Mistake:
    """`text` names the setting and what is wrong with it, `remedy` the right form."""

    setting: Literal["CONVEX_URL", "CONVEX_DEPLOY_KEY"]
    text: str
    remedy: str


def mistakes(url: str, deploy_key: str) -> list[Mistake]:
    """What is wrong with the two settings together; nothing for a Convex that is not set up at all."""
    url, deploy_key = url.strip(), deploy_key.strip()
    if not url and not deploy_key:
        return []
    if not url:
        remedy = f"Set CONVEX_URL to {_address_of(deploy_key)}, or unset the key to run without Convex."
        return [Mistake("CONVEX_URL", "CONVEX_DEPLOY_KEY is set without CONVEX_URL.", remedy)]
    found = list(_of_url(url))
    if not deploy_key:
        remedy = "Set CONVEX_DEPLOY_KEY, or unset CONVEX_URL to run without Convex."
        return [*found, Mistake("CONVEX_DEPLOY_KEY", "CONVEX_URL is set without CONVEX_DEPLOY_KEY.", remedy)]
    return found or list(_of_key(url, deploy_key))


def _of_url(url: str) -> Iterator[Mistake]:
    parts = address_parts(url)
    if parts is None:
        named = _NAME.fullmatch(url)
        right = f"https://{named[1]}{CLOUD}" if named else f"something like {EXAMPLE}"
        yield _url_is("no http address, or it carries a password", right)
        return
    host = (parts.hostname or "").lower()
    if host.endswith(HTTP_ACTIONS):
        right = f"https://{host.removesuffix(HTTP_ACTIONS)}{CLOUD}"
        yield _url_is(f"the address of HTTP actions ({HTTP_ACTIONS}), where no function can be called", right)
    elif host == DASHBOARD or host.endswith(f".{DASHBOARD}"):
        named = next((found for part in parts.path.split("/") if (found := _NAME.fullmatch(part))), None)
        right = f"https://{named[1]}{CLOUD}" if named else "the deployment's own, as its Settings show it"
        yield _url_is("an address of Convex's dashboard, not of a deployment", right)
    elif (kept := _path_to_keep(host, parts.path)) != parts.path.rstrip("/") or parts.query or parts.fragment:
        right = f"{parts.scheme}://{parts.netloc}{kept}"
        yield _url_is("more than the deployment's address: what follows it is added by itself", right)


def _of_key(url: str, deploy_key: str) -> Iterator[Mistake]:
    kind, name = _kind_and_name(deploy_key)
    if kind in _OTHER_KEYS:
        remedy = "Make a deploy key in the deployment's Settings on the dashboard: prod:<deployment>|…, or dev:…"
        yield Mistake("CONVEX_DEPLOY_KEY", f"CONVEX_DEPLOY_KEY {_OTHER_KEYS[kind]}.", remedy)
        return
    host = (urlsplit(url).hostname or "").lower()
    deployment = host.split(".")[0]
    if name and _is_cloud(host) and name.lower() != deployment:
        text = f"CONVEX_DEPLOY_KEY is a key of the deployment {name}, and CONVEX_URL is {deployment}'s."
        remedy = f"Set a deploy key of {deployment}, or CONVEX_URL to https://{name}{CLOUD}."
        yield Mistake("CONVEX_DEPLOY_KEY", text, remedy)


def _kind_and_name(deploy_key: str) -> tuple[str, str]:
    """`prod:happy-animal-123|…` is ("prod", "happy-animal-123"); a self-hosted key has no kind."""
    before, bar, _ = deploy_key.partition("|")
    kind, colon, name = before.partition(":")
    if not bar:
        return (kind if colon and kind in _OTHER_KEYS else "", "")
    return (kind, name) if colon else ("", before)


def _address_of(deploy_key: str) -> str:
    kind, name = _kind_and_name(deploy_key)
    is_cloud = kind in ("prod", "dev") and _NAME.fullmatch(name)
    return f"https://{name}{CLOUD}" if is_cloud else f"the deployment's address, like {EXAMPLE}"


def address_parts(url: str) -> SplitResult | None:
    """The parts of an http address without a password in it; None for anything else."""
    try:
        parts = urlsplit(url)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.username is None
        _ = parts.port  # raises for one that is no number
    except ValueError:
        return None
    return parts if usable else None


def _path_to_keep(host: str, path: str) -> str:
    """A self-hosted deployment may lie below a path, one of Convex's cloud never does."""
    added = _ADDED.fullmatch(path)
    if _is_cloud(host):
        return ""
    return added["kept"] if added else path.rstrip("/")


def _is_cloud(host: str) -> bool:
    return host.endswith(CLOUD)


def _url_is(what: str, right: str) -> Mistake:
    return Mistake("CONVEX_URL", f"CONVEX_URL is {what}.", f"Set it to {right}.")
