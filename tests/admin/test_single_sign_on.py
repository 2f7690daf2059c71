from __future__ import annotations

from typing import TYPE_CHECKING, Any

import httpx
import pytest
from django.contrib.auth.models import Group, Permission, User
from django.core.management import CommandError, call_command
from django.urls import reverse

from project.version import NAME
from sandboxes.admin import single_sign_on
from sandboxes.core.vocabulary import AuditAction
from sandboxes.models import AuditEntry
from tests.admin import members
from tests.admin.pages import text_of
from tests.support.staff_issuer import CLIENT, SECRET, StaffIssuer

if TYPE_CHECKING:
    from collections.abc import Iterator

    from django.test import Client
    from pytest_django import Settings

pytestmark = pytest.mark.django_db
PASSWORD = "correct horse battery staple"


@pytest.fixture(scope="module")
def provider() -> Iterator[StaffIssuer]:
    with StaffIssuer() as issuer:
        yield issuer


@pytest.fixture
def issuer(provider: StaffIssuer, settings: Settings, db: None) -> StaffIssuer:
    provider.reset()
    # A test with transactions before this one may have emptied the tables.
    viewers, _ = Group.objects.get_or_create(name="Sandbox viewers")
    viewers.permissions.set(
        Permission.objects.filter(content_type__app_label="sandboxes", codename__in=members.GROUPS.VIEW)
    )
    Group.objects.get_or_create(name="Sandbox operators")
    single_sign_on.endpoints.cache_clear()
    settings.STAFF_OIDC_ISSUER = provider.url
    settings.STAFF_OIDC_GROUPS = {
        "platform": "Sandbox operators", "support": "Sandbox viewers", "root": single_sign_on.SUPERUSER,
    }  # fmt: skip
    settings.OIDC_RP_CLIENT_ID, settings.OIDC_RP_CLIENT_SECRET = CLIENT, SECRET
    settings.AUTHENTICATION_BACKENDS = [
        "axes.backends.AxesStandaloneBackend",
        "sandboxes.admin.single_sign_on.Backend",
        "django.contrib.auth.backends.ModelBackend",
    ]
    return provider


def sign_in(browser: Client, **query: str) -> Any:
    """Through the provider and back; the page that this leads to."""
    asked = browser.get(reverse("single_sign_on"), query)
    back = httpx.get(asked["Location"]).headers["Location"]
    return browser.get(back.removeprefix("http://testserver"), follow=True)


def groups(user: User) -> list[str]:
    return [group.name for group in user.groups.all()]


def test_the_sign_in_page_leads_to_the_provider_and_back_to_where_one_was(
    client: Client, issuer: StaffIssuer
) -> None:
    wanted = reverse("admin:sandboxes_owner_changelist")
    page = client.get(reverse("admin:login"), {"next": wanted})
    assert f'href="{reverse("single_sign_on")}?next=%2Fadmin%2Fsandboxes%2Fowner%2F"' in page.content.decode()
    assert sign_in(client, next=wanted).redirect_chain[-1][0] == wanted
    assert sign_in(client, next="https://evil.example.com/").redirect_chain[-1][0] == reverse("admin:index")


def test_an_account_is_made_with_the_groups_that_the_provider_names(client: Client, issuer: StaffIssuer) -> None:
    assert "Operations per hour" in text_of(sign_in(client))
    user = User.objects.get()
    assert (user.username, user.email, user.get_full_name()) == (
        "vera@example.com",
        "Vera@example.com".lower(),
        "Vera Example",
    )
    assert (user.is_staff, user.is_superuser, groups(user)) == (True, False, ["Sandbox viewers"])
    assert not user.has_usable_password()
    assert client.session.get_expiry_age() <= 28_800


def test_each_sign_in_makes_its_rights_what_the_provider_says(client: Client, issuer: StaffIssuer) -> None:
    sign_in(client)
    issuer.person["groups"] = ["platform", "root", "unknown"]
    sign_in(client)
    user = User.objects.get()
    assert (user.is_superuser, groups(user)) == (True, ["Sandbox operators"])
    issuer.person["groups"] = ["support"]
    sign_in(client)
    assert (User.objects.get().is_superuser, groups(user)) == (False, ["Sandbox viewers"])
    entries = AuditEntry.objects.order_by("id")
    told = entries.filter(action__in=(AuditAction.ACCOUNT_ADDED, AuditAction.ACCOUNT_CHANGED))
    found = [(entry.after["groups"], entry.after["is_superuser"]) for entry in told]
    assert found == [(["Sandbox viewers"], False), (["Sandbox operators"], True), (["Sandbox viewers"], False)]
    assert {entry.actor for entry in told} == {"staff:vera@example.com"}


def test_an_account_that_is_there_is_known_by_its_address(client: Client, issuer: StaffIssuer) -> None:
    User.objects.create_user("vera", email="vera@example.com", password=PASSWORD)
    sign_in(client)
    assert groups(User.objects.get(username="vera")) == ["Sandbox viewers"]


@pytest.mark.parametrize(
    ("person", "words"),
    [
        ({"groups": ["cooks"]}, "None of your groups may sign in here."),
        ({"groups": None}, "None of your groups may sign in here."),
        ({"email_verified": False}, "Your e-mail address is not verified"),
        ({"email": None}, "told no e-mail address"),
        ({"sub": "somebody-else"}, "You were not signed in by your identity provider."),
    ],
)
def test_who_may_not_sign_in_reads_why(
    client: Client, issuer: StaffIssuer, person: dict[str, Any], words: str
) -> None:
    issuer.claims = {"sub": issuer.person["sub"]}
    issuer.person |= person
    assert words in text_of(sign_in(client))
    assert not User.objects.exists()


@pytest.mark.parametrize(
    "claims",
    [{"aud": "another-client"}, {"iss": "https://evil.example.com"}, {"nonce": "replayed"}, {"exp": 1}],
    ids=lambda claims: next(iter(claims)),
)
def test_a_token_that_is_not_for_us_is_refused(client: Client, issuer: StaffIssuer, claims: dict[str, Any]) -> None:
    issuer.claims = claims
    assert "The sign-in was not completed." in text_of(sign_in(client))
    assert not User.objects.exists()


def test_an_inactive_account_stays_out(client: Client, issuer: StaffIssuer) -> None:
    User.objects.create_user("vera", email="vera@example.com", is_active=False)
    assert "Your account here is not active." in text_of(sign_in(client))


def test_a_provider_that_is_away_or_refuses_is_told_and_nobody_is_signed_out_by_a_link(
    client: Client, issuer: StaffIssuer
) -> None:
    issuer.down = True
    assert "The sign-in was not completed." in text_of(client.get(reverse("single_sign_on"), follow=True))
    issuer.down = False
    sign_in(client)
    issuer.refuses = "access_denied"
    sign_in(client)
    assert client.get(reverse("admin:index")).status_code == 200


def test_a_page_costs_a_signed_in_person_no_call_to_the_provider(client: Client, issuer: StaffIssuer) -> None:
    sign_in(client)
    issuer.down = True
    single_sign_on.endpoints.cache_clear()
    assert client.get(reverse("admin:index")).status_code == 200


def test_a_state_that_we_did_not_give_is_refused(client: Client, issuer: StaffIssuer) -> None:
    asked = {"code": "once", "state": "mine"}
    assert "You were not signed in" in text_of(
        client.get(reverse("oidc_authentication_callback"), asked, follow=True)
    )
    client.get(reverse("single_sign_on"))
    page = client.get(reverse("oidc_authentication_callback"), asked, follow=True)
    assert "The sign-in was not completed." in text_of(page)


def test_the_code_of_a_sign_in_is_not_logged(
    client: Client, issuer: StaffIssuer, caplog: pytest.LogCaptureFixture
) -> None:
    sign_in(client)
    callback = reverse("oidc_authentication_callback")
    asked = requests_in(caplog)
    assert f"GET {callback}" in asked
    assert [line for line in asked if "code=" in line or "state=" in line] == []
    client.get(reverse("admin:index"), {"page": "2"})
    assert requests_in(caplog)[-1].endswith("?page=2"), "what other requests ask for is"


def requests_in(caplog: pytest.LogCaptureFixture) -> list[str]:
    lines = [record.msg for record in caplog.records if isinstance(record.msg, dict)]
    return [str(line["request"]) for line in lines if "request" in line]


def test_passwords_can_be_switched_off(client: Client, issuer: StaffIssuer, settings: Settings) -> None:
    settings.STAFF_PASSWORDS = False
    settings.AUTHENTICATION_BACKENDS = settings.AUTHENTICATION_BACKENDS[:2]
    User.objects.create_superuser("admin", password=PASSWORD)
    page = client.get(reverse("admin:login")).content.decode()
    assert 'type="password"' not in page
    assert "Sign in with your organization" in page
    client.post(reverse("admin:login"), {"username": "admin", "password": PASSWORD})
    assert "_auth_user_id" not in client.session


def test_without_a_provider_there_is_no_such_way(client: Client) -> None:
    assert client.get(reverse("single_sign_on")).status_code == 404
    assert client.get(reverse("oidc_authentication_callback")).status_code == 404
    assert "organization" not in client.get(reverse("admin:login")).content.decode()


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"STAFF_OIDC_ISSUER": "https://login.example.com"}, "without STAFF_OIDC_CLIENT_ID"),
        ({"STAFF_OIDC_GROUPS": {"support": 1}}, "does not name a group for each"),
        ({"STAFF_PASSWORDS": False}, "Nobody can sign in to the admin."),
    ],
)
def test_what_lets_nobody_in_is_found_before(settings: Settings, values: dict[str, Any], words: str) -> None:
    for name, value in values.items():
        setattr(settings, name, value)
    with pytest.raises(CommandError, match=words):
        call_command("check", tags=[NAME])
