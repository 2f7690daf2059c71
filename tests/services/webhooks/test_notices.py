"""Notices leave the building: signed, as a message for a chat, and by mail; closing is told, too."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from django.db import transaction

from sandboxes import clock
from sandboxes.core.codes import REMEDIES, NoticeCode, Refused
from sandboxes.core.vocabulary import Form
from sandboxes.models import Delivery, Notice, Receiver
from sandboxes.services import notices, webhooks
from sandboxes.services.prune import prune
from tests.services.webhooks.sending import STAFF, deliver, register
from tests.support.mail_server import MailServer, mail_server
from tests.support.receiver import raw_server, receiver_server

if TYPE_CHECKING:
    import socket
    import threading
    from collections.abc import Iterable, Iterator

    from pytest_django import Settings

    from tests.support.receiver import ReceiverServer

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("stopped_clock")]
PAUSED, ORPHANS = NoticeCode.CONVEX_PAUSED, NoticeCode.ORPHANS


@pytest.fixture
def mails(settings: Settings) -> Iterator[MailServer]:
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.DEFAULT_FROM_EMAIL = "sandkeeper@example.com"
    with mail_server() as server:
        settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", server.port
        yield server


def told(form: Form, address: str, *, codes: Iterable[str] = ()) -> tuple[Receiver, str]:
    return webhooks.register_for_notices(form, address=address, codes=codes, actor=STAFF)


def test_a_signed_webhook_is_told_when_it_opens_and_when_it_is_over(server: ReceiverServer) -> None:
    _, secret = told(Form.WEBHOOK, server.url)
    notices.tell(PAUSED, "Paused by its owner")
    notices.tell(PAUSED, "Still paused")
    deliver()
    clock.move(60)
    notices.close(PAUSED, ORPHANS)
    notices.close(PAUSED)
    deliver()
    notice = Notice.objects.get()
    assert server.ids == [f"ntc_{notice.pk}_opened", f"ntc_{notice.pk}_closed"]
    opened, closed = (got.verified(secret) for got in server.got)
    assert (opened["type"], closed["type"]) == ("notice.opened", "notice.closed")
    assert opened["data"]["code"] == "convex_paused"
    assert (opened["data"]["message"], opened["data"]["count"]) == ("Still paused", 2)
    assert opened["data"]["remedy"] == notice.remedy
    assert opened["data"]["closed_at"] is None
    assert closed["timestamp"] == closed["data"]["closed_at"] > opened["timestamp"]


def test_a_chat_gets_a_message_in_which_nobodys_words_call_anybody(server: ReceiverServer) -> None:
    told(Form.SLACK, server.url)
    notices.tell(PAUSED, "<!channel> said <https://evil.example|click> & \x1b[2J")
    deliver()
    notices.close(PAUSED)
    deliver()
    opened, closed = (json.loads(got.body)["text"] for got in server.got)
    assert opened.startswith(
        "*Sandkeeper: convex_paused*\n&lt;!channel&gt; said &lt;https://evil.example|click&gt; &amp; "
    )
    assert "\x1b" not in opened
    assert f"What to do: {REMEDIES[PAUSED]}" in opened
    assert closed.startswith("*Sandkeeper: convex_paused is over*\n")
    assert "webhook-signature" not in server.got[0].headers


def test_a_mail_is_sent_with_the_id_of_the_delivery(mails: MailServer) -> None:
    told(Form.MAIL, "ops@example.com")
    notices.tell(ORPHANS, "Daytona has 3 sandboxes that have no row here.\r\nBcc: eve@example.com")
    deliver()
    notices.close(ORPHANS)
    deliver()
    opened, closed = mails.took
    assert (opened["Subject"], closed["Subject"]) == ("Sandkeeper: orphans", "Sandkeeper: orphans is over")
    assert (opened["To"], opened["From"], opened["Bcc"]) == ("ops@example.com", "sandkeeper@example.com", None)
    assert opened["Message-ID"] == f"<ntc_{Notice.objects.get().pk}_opened@sandkeeper>"
    text = opened.get_content()
    assert "Daytona has 3 sandboxes" in text
    assert f"What to do: {REMEDIES[ORPHANS]}" in text


def test_mail_that_is_refused_is_tried_again(mails: MailServer) -> None:
    told(Form.MAIL, "ops@example.com")
    mails.reply = "451 try later"
    notices.tell(ORPHANS, "some")
    deliver()
    assert Delivery.objects.get().error == "The mail server refused it (SMTPDataError)"
    mails.reply = "250 OK"
    clock.move(10)
    deliver()
    assert (mails.tries, len(mails.took)) == (2, 1)
    assert not Delivery.objects.exists()


def test_a_mail_server_that_hangs_or_is_not_there_is_given_up(mails: MailServer, settings: Settings) -> None:
    def hang(connection: socket.socket, over: threading.Event) -> None:
        over.wait()

    told(Form.MAIL, "ops@example.com")
    notices.tell(ORPHANS, "some")
    settings.WEBHOOK_TIMEOUT = settings.EMAIL_TIMEOUT = 0.3
    with raw_server(hang) as address:
        settings.EMAIL_PORT = int(address.split(":")[2].split("/")[0])
        deliver()
    assert "mail server" in Delivery.objects.get().error
    settings.WEBHOOK_TIMEOUT = settings.EMAIL_TIMEOUT = 20.0
    clock.move(10)
    deliver()
    assert Delivery.objects.get().error == "The mail server cannot be reached (ConnectionRefusedError)"


def test_each_is_told_of_what_it_asked_for(server: ReceiverServer, mails: MailServer) -> None:
    told(Form.WEBHOOK, server.url, codes=["orphans"])
    told(Form.MAIL, "ops@example.com", codes=["convex_paused"])
    register(server.url)  # a program is told of no notice
    notices.tell(PAUSED, "paused")
    notices.tell(ORPHANS, "some")
    deliver()
    assert [got.event["code"] for got in server.got] == ["orphans"]
    assert [mail["Subject"] for mail in mails.took] == ["Sandkeeper: convex_paused"]


def test_the_end_is_told_after_the_beginning(server: ReceiverServer) -> None:
    told(Form.WEBHOOK, server.url)
    server.answer = lambda _: 500
    notices.tell(ORPHANS, "some")
    deliver()
    notices.close(ORPHANS)
    deliver()
    assert [one.endswith("opened") for one in server.ids] == [True]
    server.answer = lambda _: 204
    clock.move(10)
    deliver()
    assert [one.rpartition("_")[2] for one in server.ids] == ["opened", "opened", "closed"]


def test_a_notice_of_a_transaction_that_is_rolled_back_is_not_told(server: ReceiverServer) -> None:
    told(Form.WEBHOOK, server.url)
    with pytest.raises(ValueError, match="no"), transaction.atomic():
        notices.tell(ORPHANS, "some")
        raise ValueError("no")
    assert not Delivery.objects.exists()


def test_one_that_is_disabled_is_not_told_later(server: ReceiverServer) -> None:
    receiver, _ = told(Form.WEBHOOK, server.url)
    webhooks.change(receiver.pk, webhooks.ReceiverChanges(enabled=False), actor=STAFF)
    notices.tell(ORPHANS, "some")
    webhooks.change(receiver.pk, webhooks.ReceiverChanges(enabled=True), actor=STAFF)
    assert deliver() == 0
    notices.close(ORPHANS)
    deliver()
    assert [got.event["code"] for got in server.got] == ["orphans"]


def test_what_is_too_old_to_be_kept_keeps_nothing_back(server: ReceiverServer) -> None:
    told(Form.WEBHOOK, server.url)
    notices.tell(ORPHANS, "some")
    notices.close(ORPHANS)
    clock.move(91 * 86_400)
    prune()
    deliver()
    assert server.got == []
    assert not Delivery.objects.exists()


def test_a_receiver_that_failed_for_long_becomes_a_notice_that_others_hear(server: ReceiverServer) -> None:
    told(Form.WEBHOOK, server.url, codes=["webhook_disabled"])
    with receiver_server() as broken:
        broken.answer = lambda _: 410
        receiver, _ = told(Form.SLACK, broken.url, codes=["orphans"])
        notices.tell(ORPHANS, "some")
        deliver()
    webhooks.review()
    webhooks.review()
    deliver()
    assert [got.event["code"] for got in server.got] == ["webhook_disabled"]
    assert "410" in server.got[0].event["message"]
    webhooks.delete(receiver.pk, actor=STAFF)
    webhooks.review()
    deliver()
    assert server.ids[-1].endswith("closed")


@pytest.mark.parametrize(
    ("form", "address", "host"),
    [
        (Form.MAIL, "nobody", "mail.example.com"),
        (Form.MAIL, "a@b.example\nBcc: c@d.example", "mail.example.com"),
        (Form.MAIL, "ops@example.com", ""),
        (Form.SLACK, "http://hooks.example.com", ""),
        (Form.WEBHOOK, "https://10.0.0.1/", ""),
    ],
)
def test_an_address_that_cannot_be_told(form: Form, address: str, host: str, settings: Settings) -> None:
    settings.EMAIL_HOST, settings.WEBHOOK_NETWORKS = host, []
    with pytest.raises(Refused, match="address_not_allowed"):
        told(form, address)


def test_a_closing_costs_one_statement_where_nothing_is_open(django_assert_num_queries: object) -> None:
    with django_assert_num_queries(1):  # type: ignore[operator]
        notices.close(ORPHANS, PAUSED)
