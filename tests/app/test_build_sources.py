"""What the alert sources are built with."""

from __future__ import annotations

import pytest

from bot.app import build_sources
from bot.core.errors import Rejected
from tests.fakes.calls import Answer, Call
from tests.fakes.server import StrictServer


class Certificates(StrictServer):
    """Serves one file."""

    def answer(self, call: Call) -> Answer:
        if call.path != "/SimpleNotificationService-1.pem":
            self.fault(f"{call.path} was asked for")
        return Answer(body=b"-----BEGIN CERTIFICATE-----")


def test_a_certificate_of_sns_is_fetched_from_the_address_in_the_message() -> None:
    with Certificates() as there:
        fetched = build_sources._fetch_certificate(f"{there.url}/SimpleNotificationService-1.pem")

    assert fetched == b"-----BEGIN CERTIFICATE-----"


def test_a_proxy_that_answers_in_its_place_is_named() -> None:
    with Certificates() as there:
        there.answer_next(status=403, body=b"<html><title>Blocked</title>")
        with pytest.raises(Rejected, match="Something between this machine and Amazon SNS answered"):
            build_sources._fetch_certificate(f"{there.url}/SimpleNotificationService-1.pem")
