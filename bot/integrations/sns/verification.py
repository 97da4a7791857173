"""Checks the signature of each message of Amazon SNS, and that its topic is listed. Implements `SenderVerifier`.

The promise: no address is fetched that a message can choose freely, and never its SubscribeURL. The subscription of a
listed topic is confirmed with its token, at AWS itself.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Collection
from datetime import datetime, timedelta
from http import HTTPStatus

from bot.core.errors import Rejected
from bot.integrations.sns.certificates import CertificateCache
from bot.integrations.sns.message import SUBSCRIBE, SnsMessage, check_message, parse_message

logger = logging.getLogger(__name__)

#: Anybody with an AWS account can make AWS send a genuine subscription request: this many are stored in this time.
_MAX_UNLISTED = 20
_PER = timedelta(hours=1)


class SnsVerification:
    """`confirm` (topic, token) raises `Rejected` where it fails. Safe to share between threads."""

    def __init__(
        self,
        topics: Collection[str],
        *,
        certificates: CertificateCache,
        confirm: Callable[[str, str], object],
        now: Callable[[], datetime],
    ) -> None:
        self._topics = frozenset(topics)
        self._certificates = certificates
        self._confirm = confirm
        self._now = now
        self._unlisted: deque[datetime] = deque(maxlen=_MAX_UNLISTED)

    def verify(self, body: bytes) -> None:
        message = parse_message(body)
        now = self._now()
        check_message(message, self._topics, now)
        certificate = self._certificates.get(message.certificate)
        if not certificate.since <= now <= certificate.until:
            reason = "The certificate in SigningCertURL is not valid now. Nothing was stored."
            raise _forged(f"{reason} Check the clock of the bot's machine.")
        if not certificate.signed(message.signed, message.signature):
            raise _forged("The signature does not match the message. Nothing was stored.")
        if message.kind == SUBSCRIBE:
            self._confirm_listed(message, now)

    def _confirm_listed(self, message: SnsMessage, now: datetime) -> None:
        """Somebody has subscribed the bot's address to the topic."""
        if message.topic not in self._topics:
            self._count_unlisted(now)
            return
        try:
            self._confirm(message.topic, message.token)
        except Rejected as refused:
            logger.warning("subscription not confirmed", extra={"topic": message.topic, "why": refused.message})
            reason = f"{refused.message}. Nothing was stored. Send it again."
            raise Rejected(reason, code="not_confirmed", status=HTTPStatus.SERVICE_UNAVAILABLE) from None
        logger.info("subscription confirmed", extra={"topic": message.topic})

    def _count_unlisted(self, now: datetime) -> None:
        if len(self._unlisted) == _MAX_UNLISTED and now - self._unlisted[0] < _PER:
            message = (
                f"Over {_MAX_UNLISTED} unlisted topics asked for a subscription within an hour. Nothing was stored."
            )
            raise Rejected(f"{message} List the topic's ARN under sources.sns.topics.", code="too_many", status=403)
        self._unlisted.append(now)


def _forged(message: str) -> Rejected:
    return Rejected(message, code="forged", status=HTTPStatus.FORBIDDEN)
