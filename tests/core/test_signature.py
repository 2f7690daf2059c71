"""Signatures as the convention has them: the example of its specification."""

from __future__ import annotations

from sandboxes.core.signature import headers, secret_of

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
SIGNATURE = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
SENT = {"message": "msg_p5jXN8AQM9LWM0D4loKWxJek", "at": 1614265330, "body": b'{"test": 2432232314}'}


def test_the_example_of_the_specification() -> None:
    assert headers([SECRET], **SENT) == {  # type: ignore[arg-type]
        "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
        "webhook-timestamp": "1614265330",
        "webhook-signature": SIGNATURE,
    }


def test_each_secret_in_force_signs() -> None:
    other = secret_of(b"another key")
    first, second = headers([SECRET, other], **SENT)["webhook-signature"].split(" ")  # type: ignore[arg-type]
    assert first == SIGNATURE
    assert second == headers([other], **SENT)["webhook-signature"]  # type: ignore[arg-type]


def test_a_key_is_given_as_the_convention_has_it() -> None:
    assert secret_of(b"\x00\x01\x02") == "whsec_AAEC"
