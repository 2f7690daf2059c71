"""Mistakes in the two settings of Convex: each is named with the right form, and no key is repeated."""

from __future__ import annotations

import pytest

from sandboxes.providers.convex.environment import mistakes

CLOUD = "https://happy-animal-123.convex.cloud"
SECRET = "0a1b2c3d4e5f"
KEY = f"prod:happy-animal-123|{SECRET}"


@pytest.mark.parametrize(
    ("url", "key"),
    [
        ("", ""),
        (CLOUD, KEY),
        (f"{CLOUD}/", KEY),
        ("https://happy-animal-123.eu-west-1.convex.cloud", KEY),
        (CLOUD, f"dev:happy-animal-123|{SECRET}"),
        (CLOUD, f"happy-animal-123|{SECRET}"),
        (CLOUD, SECRET),
        ("https://convex.example.com", KEY),  # an address of one's own says nothing of the deployment's name
        ("http://127.0.0.1:3210", f"convex-self-hosted|{SECRET}"),
        ("https://example.com/convex", f"convex-self-hosted|{SECRET}"),
    ],
)
def test_what_is_right_is_left_alone(url: str, key: str) -> None:
    assert mistakes(url, key) == []


@pytest.mark.parametrize(
    ("url", "key", "named", "right"),
    [
        (CLOUD, "", "without CONVEX_DEPLOY_KEY", "Set CONVEX_DEPLOY_KEY"),
        ("", KEY, "without CONVEX_URL", CLOUD),
        ("", f"convex-self-hosted|{SECRET}", "without CONVEX_URL", "the deployment's address"),
        ("happy-animal-123", KEY, "no http address", CLOUD),
        ("prod:happy-animal-123", KEY, "no http address", CLOUD),
        ("wss://happy-animal-123.convex.cloud", KEY, "no http address", "something like https://"),
        ("https://x:y@happy-animal-123.convex.cloud", KEY, "a password", "something like https://"),
        ("http://[happy", KEY, "no http address", "something like https://"),
        ("https://happy-animal-123.convex.site", KEY, "HTTP actions", CLOUD),
        ("https://happy-animal-123.eu-west-1.convex.site/x", KEY, "HTTP actions", "123.eu-west-1.convex.cloud"),
        ("https://dashboard.convex.dev/d/happy-animal-123/data", KEY, "dashboard", CLOUD),
        ("https://dashboard.convex.dev/t/team/project", KEY, "dashboard", "the deployment's own"),
        (f"{CLOUD}/api", KEY, "more than the deployment's address", f"{CLOUD}."),
        (f"{CLOUD}/api/query", KEY, "more than the deployment's address", f"{CLOUD}."),
        (f"{CLOUD}?adminKey=x", KEY, "more than the deployment's address", f"{CLOUD}."),
        ("http://127.0.0.1:3210/api", f"x|{SECRET}", "more than", "http://127.0.0.1:3210."),
        ("https://example.com/convex/version", f"x|{SECRET}", "more than", "https://example.com/convex."),
        (CLOUD, f"preview:team:project|{SECRET}", "preview key", "prod:<deployment>|"),
        (CLOUD, f"project:team:project|{SECRET}", "project key", "prod:<deployment>|"),
        ("https://convex.example.com", f"preview:team:project|{SECRET}", "preview key", "prod:<deployment>|"),
        (CLOUD, f"prod:other-name-9|{SECRET}", "the deployment other-name-9", "deploy key of happy-animal-123"),
        (CLOUD, f"dev:other-name-9|{SECRET}", "the deployment other-name-9", "https://other-name-9.convex.cloud"),
        (CLOUD, f"convex-self-hosted|{SECRET}", "the deployment convex-self-hosted", "key of happy-animal-123"),
    ],
)
def test_a_mistake_is_named_with_the_right_form(url: str, key: str, named: str, right: str) -> None:
    (found,) = mistakes(url, key)

    assert named in found.text
    assert right in found.remedy
    assert found.setting in found.text + found.remedy
    assert SECRET not in found.text + found.remedy
