"""PagerDuty: pages go out as Events v2, and what people do there comes back in as webhooks v3.

Every event carries the incident's `page_key` as dedup_key, so sending one again is safe: PagerDuty folds it into the
alert that is open. The trap is order, not repetition: a trigger after a resolve opens a new alert, and a resolve
before its trigger is dropped without a word. The house delivers in order per incident; this file never retries.
"""

from __future__ import annotations

import hashlib
import hmac
import logging
import threading
from collections import Counter
from collections.abc import Mapping
from datetime import timedelta
from http import HTTPStatus
from typing import Any

import pdpyras

from bot.core.channel import Gateway, RateLimit, WebhookResponse
from bot.core.errors import Rejected, Undelivered
from bot.core.incident import EventType, Incident
from bot.core.message import MessageKind, Notification
from bot.core.request import Principal, Request
from bot.integrations.pagerduty.messages import (
    PagerDutyWebhook,
    error_text,
    page_payload,
    parse_webhook,
    retry_after,
    text_of,
)
from bot.integrations.pagerduty.settings import PagerDutySettings

_ACTIONS = {
    EventType.OPENED: "trigger",
    EventType.REOPENED: "trigger",
    EventType.SEVERITY_RAISED: "trigger",
    EventType.ACKED: "acknowledge",
    EventType.RESOLVED: "resolve",
}

_REFUSALS = frozenset(range(400, 500)) - {408, 425, 429}  # These three pass with time; the same again cannot help else.
_NO_ENTRY = (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN)
_SEND_S = 10  # Seconds to connect, and again for each read.
_LOOK_UP_S = 3  # PagerDuty gives up on our answer to a webhook after 5 s.

_logger = logging.getLogger(__name__)


class PagerDuty:
    """The pager. It has nothing to listen to: `start` only makes it known to whom `receive` speaks."""

    name = "pagerduty"
    kinds = frozenset({MessageKind.PAGE})
    event_types = frozenset(_ACTIONS)
    #: 120 a minute and routing key, in a window that slides; the half second is for clocks and the way there.
    limits: tuple[RateLimit, ...] = (RateLimit(count=120, per=timedelta(seconds=60.5)),)
    threads = 2
    accounts = True
    pages = True
    local = False
    #: Its webhooks are small. Three 4xx in a row and PagerDuty stops sending for a day.
    ignores_above: int | None = 256 * 1024

    def __init__(self, section: PagerDutySettings) -> None:
        self.ignored_by_reason: Counter[str] = Counter()  #: genuine webhooks without effect, by why
        self._section = section
        self._severities = frozenset(section.severities)
        self._door: Gateway | None = None
        self._refused: str | None = None
        self._failing: str | None = None  #: why the last page did not arrive
        self._lock = threading.Lock()
        self._mine = threading.local()  # A requests session must not be shared by threads.
        self._open: list[Any] = []

    def accepts(self, incident: Incident) -> bool:
        """Whether this incident pages at all: the worst it has been is one of the setting `severities`.

        The house asks before it owes a delivery. The worst never sinks while an incident lasts, whatever a person says
        of its severity, so what was triggered is also acknowledged and resolved.
        """
        return incident.worst in self._severities

    def health_problem(self) -> str | None:
        """None, or why the last page did not arrive, or what PagerDuty said when it refused our key or token.

        It holds until the same succeeds: a pager has no connection that could be looked at in between.
        """
        return self._refused or self._failing

    def start(self, gateway: Gateway) -> None:
        self._door = gateway

    def stop(self) -> None:
        with self._lock:
            still, self._open = self._open, []
            self._mine = threading.local()
        for session in still:
            session.close()

    def deliver(self, notification: Notification) -> str:
        """Send the edge; returns the dedup_key. See `ports.Channel.deliver` for what it raises."""
        event = notification.event
        if event is None:
            raise TypeError("a page always tells an event")
        action, key = _ACTIONS[event.type], notification.incident.page_key
        more = page_payload(notification, event) if action == "trigger" else {}
        try:
            self._events().send_event(action, dedup_key=key, **more)
        except pdpyras.PDClientError as error:
            # Without its cause: pdpyras puts the last characters of the key into some of its sentences.
            failed = self._undelivered(error)
        except OSError as error:
            failed = Undelivered(
                f"This machine could not send to PagerDuty ({type(error).__name__}: {error.strerror})."
            )
        else:
            self._refused = self._failing = None
            return key
        self._failing = failed.message
        raise failed

    def receive(self, headers: Mapping[str, str], body: bytes) -> WebhookResponse:
        """Mirror an acknowledgement, a resolution or a note that was made in PagerDuty.

        A genuine webhook is never answered with a 4xx, whatever is in it: three of those in a row and PagerDuty
        switches the subscription off for a day. What is not for us is counted in `ignored_by_reason` and answered 202.
        """
        self._check_signature(headers, body)
        told = parse_webhook(body)
        if isinstance(told, str):
            return self._ignore(told)
        incident_id = self._incident(told)
        if incident_id is None:
            return self._ignore("not_ours")
        request = Request(
            by=self._who(told),
            text=" ".join((told.verb, str(incident_id), told.note)).strip(),
            channel=self.name,
            incident_id=incident_id,
            idempotency_key=told.idempotency_key,
            sent_at=told.sent_at,
            account=told.account,
        )
        reply = self._at_door().handle(request)
        return WebhookResponse(status=202, body=b"taken" if reply.ok else b"taken, without effect")

    def _undelivered(self, error: Any) -> Undelivered:
        """What pdpyras's error means. https://developer.pagerduty.com/docs/events-api-v2-overview (response codes)."""
        answer = error.response
        if answer is None:
            reason = type(error.__cause__ or error).__name__
            return Undelivered(
                f"PagerDuty did not answer ({reason}). The same event is sent again; PagerDuty folds it."
            )
        status = answer.status_code
        if status == HTTPStatus.TOO_MANY_REQUESTS:
            return Undelivered("PagerDuty takes no more events for now (429).", retry_after=retry_after(answer.headers))
        words = self._safe(error_text(answer))
        if status in _REFUSALS:
            if status in _NO_ENTRY or "routing" in words.lower():
                self._refused = f"PagerDuty refused the event ({status}): {words}"
            return Undelivered(f"PagerDuty refused the event ({status}): {words}", permanent=True)
        return Undelivered(f"PagerDuty failed ({status}): {words}")

    def _safe(self, words: str) -> str:
        for secret in (self._section.routing_key, self._section.api_token):
            if secret is not None:
                words = words.replace(secret.get_secret_value(), "***")
        return words

    def _events(self) -> Any:
        """This thread's session towards Events v2."""
        session = getattr(self._mine, "events", None)
        if session is None:
            session = pdpyras.EventsAPISession(self._section.routing_key.get_secret_value())
            self._mine.events = self._tame(session, self._section.events_url, _SEND_S)
        return self._mine.events

    def _rest(self, token: str) -> Any:
        """This thread's session towards the REST API."""
        session = getattr(self._mine, "rest", None)
        if session is None:
            self._mine.rest = self._tame(pdpyras.APISession(token), self._section.api_url, _LOOK_UP_S)
        return self._mine.rest

    def _tame(self, session: Any, url: str, timeout_s: int) -> Any:
        """Switch off everything by which pdpyras would hold on to a page: the house owns the retries.

        For 429 there is no "do not retry": without an entry it sleeps and retries for ever, so it gets one retry and
        a total below nought. Its logger is silenced because each failure is told once, by whoever called.
        """
        session.url = str(url).rstrip("/")
        session.timeout = timeout_s
        session.retry = {429: 1}
        session.max_http_attempts = -1
        session.max_network_attempts = 0
        session.max_redirects = 0
        session.log = logging.getLogger(f"{__name__}.pdpyras")
        session.log.disabled = True
        # Proxies and certificates of the environment are looked up once. `requests` would do it for each call, which is
        # two fifths of its work, and open ~/.netrc as well, where a login replaces our token.
        found = session.merge_environment_settings(session.url, {}, None, None, None)
        session.trust_env = False
        session.proxies, session.verify = found["proxies"], found["verify"]
        with self._lock:
            self._open.append(session)
        return session

    def _check_signature(self, headers: Mapping[str, str], body: bytes) -> None:
        """Any of our secrets may match any of the signatures, so that a secret can be changed without a gap."""
        lines = [line for name, line in headers.items() if name.lower() == "x-pagerduty-signature"]
        given = [one.strip().encode("utf-8", "replace") for line in lines for one in line.split(",")]
        genuine = False
        for secret in self._section.webhook_secrets:
            sealed = hmac.new(secret.get_secret_value().encode(), body, hashlib.sha256).hexdigest()
            for one in given:
                genuine |= hmac.compare_digest(b"v1=" + sealed.encode(), one)
        if genuine:
            return
        _logger.warning(
            "pagerduty webhook refused: %s. If PagerDuty sent it, put the subscription's secret under "
            "channels.pagerduty.webhook_secrets now: three refusals switch the subscription off for a day",
            "no signature" if not lines else "no secret of ours made its signature",
        )
        raise Rejected(
            "The signature in X-PagerDuty-Signature is missing or not made with a secret known here. "
            "Nothing was done. Check channels.pagerduty.webhook_secrets.",
            code="bad_signature",
            status=401,
        )

    def _ignore(self, reason: str) -> WebhookResponse:
        with self._lock:
            self.ignored_by_reason[reason] += 1
        return WebhookResponse(status=202, body=f"ignored: {reason}".encode())

    def _incident(self, told: PagerDutyWebhook) -> int | None:
        """Which incident of ours PagerDuty means, by the dedup_key it was paged under; None when it is not ours."""
        door = self._at_door()
        for key in [told.key] if told.key else self._keys_of(told.pd_incident):
            found = door.incident_paged_as(key) if key.isascii() and key.isprintable() else None
            if found is not None:
                return found
        return None

    def _keys_of(self, pd_incident: str) -> list[str]:
        """The dedup_keys of the alerts in one of PagerDuty's incidents; notes carry only that incident's id.

        Raises:
            Rejected: with 503, so that PagerDuty tells us again, where its own API did not answer.
        """
        token = self._section.api_token
        if token is None or not pd_incident:
            return []
        try:
            alerts = self._rest(token.get_secret_value()).rget(f"/incidents/{pd_incident}/alerts")
        except pdpyras.PDClientError as error:
            return self._no_keys(error.response)
        except OSError:
            return self._no_keys(None)
        self._refused = None
        rows = alerts if isinstance(alerts, list) else []
        return [key for key in (text_of(row, "alert_key") for row in rows) if key]

    def _no_keys(self, answer: Any) -> list[str]:
        """`answer`: None where there was none."""
        status = 0 if answer is None else answer.status_code
        if status in _NO_ENTRY:
            self._refused = f"PagerDuty's REST API refused the token ({status})"
            _logger.warning("pagerduty webhook not placed: %s; check channels.pagerduty.api_token", self._refused)
            return []
        if status == HTTPStatus.NOT_FOUND:
            return []
        raise Rejected(
            "PagerDuty's REST API did not say which alert that is. Nothing was done. Send it again.",
            code="try_again",
            status=503,
        ) from None

    def _who(self, told: PagerDutyWebhook) -> Principal:
        """Whose act it was.

        An account listed under `people` is that person. Any other account is still let through, under its own
        name: PagerDuty is the authority over acknowledgements made there, it has already happened and silenced the
        phone, and a house that refused to know would show "nobody has it" to everybody else. No person at all is
        an automation or the echo of our own event; the house lets those change nothing that people decided.
        """
        if not told.account:
            return Principal(id=self.name, name="PagerDuty", human=False)
        listed = self._at_door().person(self.name, told.account)
        return listed or Principal(id=f"{self.name}:{told.account}", name=told.display_name or told.account)

    def _at_door(self) -> Gateway:
        if self._door is None:
            raise Rejected("The bot is still starting. Nothing was done. Send it again.", code="starting", status=503)
        return self._door
