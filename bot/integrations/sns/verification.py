"""Who may send through Amazon SNS: listed topics, by the signature on each message. Implements `ports.SenderVerifier`.

The promise: nothing is fetched that the message alone decides, and never what a message gives as the way to confirm it
(SubscribeURL). A subscription of a listed topic is confirmed by its token, at AWS itself.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Collection
from datetime import datetime, timedelta
from http import HTTPStatus

from bot.core.errors import Rejected
from bot.integrations.sns import message as sns_letter
from bot.integrations.sns.certificates import CertificateCache
from bot.integrations.sns.message import SnsMessage

logger = logging.getLogger(__name__)

#: Anybody with an AWS account can have AWS ask, with a signature that is genuine: so many are kept in so long a time.
_MOST_STRANGERS = 20
_PER = timedelta(hours=1)


class SnsVerification:
    """`confirm` (topic, token) raises `Rejected` where it did not work. Safe to share between threads."""

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
        self._strangers: deque[datetime] = deque(maxlen=_MOST_STRANGERS)

    def verify(self, body: bytes) -> None:
        letter = sns_letter.parse_message(body)
        now = self._now()
        sns_letter.check_message(letter, self._topics, now)
        certificate = self._certificates.get(letter.certificate)
        if not certificate.since <= now <= certificate.until:
            message = "The certificate in SigningCertURL is not valid now. Nothing was stored."
            raise _forged(f"{message} Is the clock of the bot's machine right?")
        if not certificate.signed(letter.signed, letter.signature):
            raise _forged("The signature is not of this message. Nothing was stored.")
        if letter.kind == sns_letter.SUBSCRIBE:
            self._asked(letter, now)

    def _asked(self, letter: SnsMessage, now: datetime) -> None:
        """Somebody has subscribed the bot's address to that topic."""
        if letter.topic not in self._topics:
            self._count_stranger(now)
            return
        try:
            self._confirm(letter.topic, letter.token)
        except Rejected as refused:
            logger.warning("subscription not confirmed", extra={"topic": letter.topic, "why": refused.message})
            message = f"{refused.message}. Nothing was stored. Send it again."
            raise Rejected(message, code="not_confirmed", status=HTTPStatus.SERVICE_UNAVAILABLE) from None
        logger.info("subscription confirmed", extra={"topic": letter.topic})

    def _count_stranger(self, now: datetime) -> None:
        if len(self._strangers) == _MOST_STRANGERS and now - self._strangers[0] < _PER:
            message = (
                f"More than {_MOST_STRANGERS} topics that are not listed asked within an hour. Nothing was stored."
            )
            raise Rejected(f"{message} List the topic's ARN under sources.sns.topics.", code="too_many", status=403)
        self._strangers.append(now)


def _forged(message: str) -> Rejected:
    return Rejected(message, code="forged", status=HTTPStatus.FORBIDDEN)
