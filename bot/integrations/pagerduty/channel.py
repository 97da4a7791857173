"""PagerDuty: pages go out as Events v2, and what people do there comes back in as webhooks v3.

Every event carries the dedup_key of the incident's current page, so sending one again is safe: PagerDuty deduplicates
it into the open alert. The trap is order, not repetition: a trigger after a resolve opens a new alert, and a resolve
before its trigger is dropped without an error. The sender delivers in order per incident; this file never retries.

A trigger whose alert is acknowledged notifies nobody. So an incident that pages again gets a further page with a key of
its own, and the one before it is closed (docs/decisions/0051).
"""

from __future__ import annotations

import hashlib
import hmac
import json
import logging
import threading
from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import timedelta
from http import HTTPStatus
from typing import Any

import pdpyras

from bot.core.channel import Gateway, RateLimit, WebhookResponse
from bot.core.errors import Refusal, Rejected, Undelivered
from bot.core.incident import EventType, Incident
from bot.core.message import MessageKind, Notification
from bot.core.request import Principal, Request
from bot.integrations.foreign_answer import describe_foreign_answer
from bot.integrations.pagerduty.messages import error_text, is_own_answer, page_payload, retry_after, text_of
from bot.integrations.pagerduty.settings import PagerDutySettings
from bot.integrations.pagerduty.webhooks import PagerDutyWebhook, parse_webhook

_ACTIONS = {
    EventType.OPENED: "trigger",
    EventType.REOPENED: "trigger",
    EventType.SEVERITY_RAISED: "trigger",
    EventType.PAGED_AGAIN: "trigger",
    EventType.ACKED: "acknowledge",
    EventType.RESOLVED: "resolve",
}

_REFUSALS = frozenset(range(400, 500)) - {408, 425, 429}  # These three may succeed later; the others cannot.
_NO_ENTRY = (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN)
_SEND_S = 10  # Seconds to connect, and again for each read.
_ALERTS_MOST = 100  # Of one of PagerDuty's incidents; the most that it lists at once.
_LOOK_UP_S = 3  # PagerDuty waits 5 s for the answer to a webhook.

_logger = logging.getLogger(__name__)


class PagerDuty:
    """The pager. It has no connection to keep: `start` only stores the gateway for `receive`."""

    name = "pagerduty"
    title = "PagerDuty"
    kinds = frozenset({MessageKind.PAGE})
    event_types = frozenset(_ACTIONS)
    #: 120 a minute for a routing key, in a sliding window; the half second is for clocks and the network.
    limits: tuple[RateLimit, ...] = (RateLimit(count=120, per=timedelta(seconds=60.5)),)
    threads = 2
    accounts = True
    pages = True
    local = False
    #: Its webhooks are small. After three 4xx in a row PagerDuty stops sending for a day.
    ignores_above: int | None = 256 * 1024

    def __init__(self, section: PagerDutySettings) -> None:
        self.ignored_by_reason: Counter[str] = Counter()  #: genuine webhooks without effect, by reason
        self._section = section
        self._severities = frozenset(section.severities)
        self._gateway: Gateway | None = None
        self._refusal: str | None = None
        self._last_failure: str | None = None  #: why the last page did not arrive
        self._warned = False  #: of the missing token
        self._lock = threading.Lock()
        self._sessions = threading.local()  # A requests session must not be shared by threads.
        self._open_sessions: list[Any] = []

    def accepts(self, incident: Incident) -> bool:
        """Whether this incident pages at all: its worst severity so far is one of the setting `severities`.

        Asked before a message is put into the outbox. The worst severity never falls while an incident lasts, even if
        a person sets a lower one, so an incident that was triggered is also acknowledged and resolved.
        """
        return incident.worst in self._severities

    def health_problem(self) -> str | None:
        """None, or why PagerDuty refused the key or token, or why the last page did not arrive.

        It stays until the same call succeeds: there is no connection that could be checked in between.
        """
        return self._refusal or self._last_failure

    def start(self, gateway: Gateway) -> None:
        self._gateway = gateway

    def stop(self) -> None:
        with self._lock:
            sessions, self._open_sessions = self._open_sessions, []
            self._sessions = threading.local()
        for session in sessions:
            session.close()

    def deliver(self, notification: Notification) -> str:
        """Send a trigger, acknowledge or resolve; returns the dedup_key. Raises as `Channel.deliver` does."""
        event = notification.event
        if event is None:
            raise TypeError("a page is always about an event")
        action, incident = _ACTIONS[event.type], notification.incident
        key = incident.current_page_key
        older = [incident.page_key_at(number) for number in notification.older_pages]
        if action == "trigger":
            self._send(action, key, page_payload(notification, event))
            if event.type is EventType.PAGED_AGAIN:
                self._close_older_pages(incident, older)
            return key
        for one in (*older, key):
            self._send(action, one, {})
        return key

    def _close_older_pages(self, incident: Incident, keys: Iterable[str]) -> None:
        """They have nothing more to say. What cannot be closed must not hold up the new page.

        Raises:
            Undelivered: they may be closed later. The trigger is sent again with them, and folds into the new page.
        """
        try:
            for key in keys:
                self._send("resolve", key, {})
        except Undelivered as undelivered:
            message = f"The new page is open. The one before it could not be closed: {undelivered.message}"
            if undelivered.permanent:
                _logger.warning("pagerduty: %s", message, extra={"incident": incident.id})
                return
            raise Undelivered(message, retry_after=undelivered.retry_after) from None

    def _send(self, action: str, key: str, more: Mapping[str, Any]) -> None:
        try:
            self._events().send_event(action, dedup_key=key, **more)
        except pdpyras.PDClientError as error:
            # Without its cause: pdpyras puts the last characters of the key into some messages.
            undelivered = self._undelivered(error)
        except OSError as error:
            undelivered = Undelivered(
                f"This machine could not send to PagerDuty ({type(error).__name__}: {error.strerror})."
            )
        else:
            self._refusal = self._last_failure = None
            return
        self._last_failure = undelivered.message
        raise undelivered

    def preview(self, notification: Notification) -> str:
        """The event as it would be sent."""
        if notification.event is None or not self.accepts(notification.incident):
            return f"no page: channels.pagerduty.severities has no {notification.incident.worst}"
        return json.dumps(page_payload(notification, notification.event), indent=2, ensure_ascii=False)

    def receive(self, headers: Mapping[str, str], body: bytes) -> WebhookResponse:
        """Mirror what was done in PagerDuty: who has the incident now, that it was resolved or reopened, a note.

        A genuine webhook is never answered with a 4xx, whatever it contains: after three in a row PagerDuty switches
        the subscription off for a day. One that is not for us is counted in `ignored_by_reason` and answered 202.
        """
        self._check_signature(headers, body)
        webhook = parse_webhook(body)
        if isinstance(webhook, str):
            return self._ignore(webhook)
        if webhook.is_echo:
            return self._ignore("echo")
        requests = [self._request(webhook, key, incident_id) for key, incident_id in self._own_page(webhook).items()]
        replies = [self._started().handle(request) for request in requests]
        done = {request.incident_id for request in requests}
        # Looked up after that: if PagerDuty's API does not answer, the webhook comes again, and this much is done.
        grouped = {key: one for key, one in self._pages_of(webhook).items() if one not in done}
        for key, incident_id in grouped.items():
            alone = not done and len(grouped) == 1
            replies.append(self._started().handle(self._request(webhook, key, incident_id, alone=alone)))
        if not replies:
            self._warn_without_token(webhook)
            return self._ignore("not_ours")
        effect = any(reply.ok for reply in replies)
        return WebhookResponse(status=202, body=b"taken" if effect else b"taken, without effect")

    def _request(self, webhook: PagerDutyWebhook, key: str, incident_id: int, *, alone: bool = True) -> Request:
        """`alone`: False where one webhook is about several of our incidents, so that each request needs its own id."""
        people = [
            (self._started().person(self.name, account) if account else None, name)
            for account, name in webhook.assignees
        ]
        listed = [who.id for who, _ in people if who is not None]
        return Request(
            by=self._principal(webhook),
            text=webhook.command(
                incident_id,
                assignees=[name if who is None else who.display_name for who, name in people],
                assigned=listed[0] if len(people) == len(listed) == 1 else None,
            ),
            channel=self.name,
            incident_id=incident_id,
            idempotency_key=webhook.idempotency_key if alone else f"{webhook.idempotency_key}/{incident_id}",
            sent_at=webhook.sent_at,
            account=webhook.account,
            page_key=key,
        )

    def read_an_incident(self, token: str) -> None:
        """Ask the REST API for one incident with that token, which only reads.

        Raises:
            Undelivered: it gave none; permanent where it refused the token.
        """
        try:
            self._rest(token).rget("/incidents", params={"limit": 1})
        except pdpyras.PDClientError as error:
            answer = error.response
            if answer is None:
                reason = type(error.__cause__ or error).__name__
                raise Undelivered(f"PagerDuty's REST API did not answer ({reason}).") from None
            status, reason = answer.status_code, self._without_secrets(error_text(answer))
            raise Undelivered(
                f"PagerDuty's REST API answered {status}: {reason}", permanent=status in _NO_ENTRY
            ) from None
        except OSError as error:
            raise Undelivered(f"PagerDuty's REST API could not be asked ({type(error).__name__}).") from None

    def _undelivered(self, error: Any) -> Undelivered:
        """What the error means for the page, by its status.

        Response codes: https://developer.pagerduty.com/docs/events-api-v2-overview
        """
        answer = error.response
        if answer is None:
            reason = type(error.__cause__ or error).__name__
            if reason == "TooManyRedirects":
                return Undelivered(_foreign(HTTPStatus.FOUND))
            return Undelivered(
                f"PagerDuty did not answer ({reason}). The same event is sent again; PagerDuty deduplicates it."
            )
        status = answer.status_code
        if status == HTTPStatus.TOO_MANY_REQUESTS:
            return Undelivered("PagerDuty limits the rate of events (429).", retry_after=retry_after(answer.headers))
        if status < HTTPStatus.INTERNAL_SERVER_ERROR and not is_own_answer(answer):
            return Undelivered(self._without_secrets(_foreign(status, answer.text)))
        reason = self._without_secrets(error_text(answer))
        if status in _REFUSALS:
            by_key = status in _NO_ENTRY or "routing" in reason.lower()
            if by_key:
                self._refusal = f"PagerDuty refused the event ({status}): {reason}"
            refused = Refusal.KEY if by_key else None
            return Undelivered(f"PagerDuty refused the event ({status}): {reason}", permanent=True, refused=refused)
        return Undelivered(f"PagerDuty failed ({status}): {reason}")

    def _without_secrets(self, text: str) -> str:
        for secret in (self._section.routing_key, self._section.api_token):
            if secret is not None:
                text = text.replace(secret.get_secret_value(), "***")
        return text

    def _events(self) -> Any:
        """This thread's session towards Events v2."""
        session = getattr(self._sessions, "events", None)
        if session is None:
            session = pdpyras.EventsAPISession(self._section.routing_key.get_secret_value())
            self._sessions.events = self._configured(session, self._section.events_url, _SEND_S)
        return self._sessions.events

    def _rest(self, token: str) -> Any:
        """This thread's session towards the REST API."""
        session = getattr(self._sessions, "rest", None)
        if session is None:
            self._sessions.rest = self._configured(pdpyras.APISession(token), self._section.api_url, _LOOK_UP_S)
        return self._sessions.rest

    def _configured(self, session: Any, url: str, timeout_s: int) -> Any:
        """Switch off all retries of pdpyras: the sender owns them.

        For 429 it has no "do not retry": without an entry it sleeps and retries for ever, so it gets one retry and a
        total below zero. Its logger is silenced because each failure is logged once, by the caller.
        """
        session.url = str(url).rstrip("/")
        session.timeout = timeout_s
        session.retry = {429: 1}
        session.max_http_attempts = -1
        session.max_network_attempts = 0
        session.max_redirects = 0
        session.log = logging.getLogger(f"{__name__}.pdpyras")
        session.log.disabled = True
        # Proxies and certificates of the environment are looked up once. `requests` would do it at each call, which is
        # two fifths of its work, and would read ~/.netrc as well, where a login replaces our token.
        found = session.merge_environment_settings(session.url, {}, None, None, None)
        session.trust_env = False
        session.proxies, session.verify = found["proxies"], found["verify"]
        with self._lock:
            self._open_sessions.append(session)
        return session

    def _check_signature(self, headers: Mapping[str, str], body: bytes) -> None:
        """Any of our secrets may match any of the signatures, so that a secret can be rotated without a gap."""
        lines = [line for name, line in headers.items() if name.lower() == "x-pagerduty-signature"]
        given = [one.strip().encode("utf-8", "replace") for line in lines for one in line.split(",")]
        genuine = False
        for secret in self._section.webhook_secrets:
            expected = hmac.new(secret.get_secret_value().encode(), body, hashlib.sha256).hexdigest()
            for one in given:
                genuine |= hmac.compare_digest(b"v1=" + expected.encode(), one)
        if genuine:
            return
        _logger.warning(
            "pagerduty webhook refused: %s. If PagerDuty sent it, put the subscription's secret under "
            "channels.pagerduty.webhook_secrets now: three refusals switch the subscription off for a day",
            "no signature" if not lines else "its signature matches no secret",
        )
        raise Rejected(
            "The signature in X-PagerDuty-Signature is missing or matches none of the secrets. "
            "Nothing was done. Check channels.pagerduty.webhook_secrets.",
            code="bad_signature",
            status=401,
        )

    def _ignore(self, reason: str) -> WebhookResponse:
        with self._lock:
            self.ignored_by_reason[reason] += 1
        return WebhookResponse(status=202, body=f"ignored: {reason}".encode())

    def _warn_without_token(self, webhook: PagerDutyWebhook) -> None:
        """Once: PagerDuty names no key in what it tells of some incidents, notes among them."""
        with self._lock:
            needed = not webhook.key and self._section.api_token is None and not self._warned
            self._warned |= needed
        if needed:
            _logger.warning(
                "pagerduty webhook ignored: it names no key, so its incident is found only by PagerDuty's REST API."
                " Set channels.pagerduty.api_token"
            )

    def _own_page(self, webhook: PagerDutyWebhook) -> dict[str, int]:
        """Our incident by the dedup_key of the page it was opened with."""
        return self._paged_as([webhook.key])

    def _pages_of(self, webhook: PagerDutyWebhook) -> dict[str, int]:
        """Our incidents by the dedup_keys of all alerts in PagerDuty's incident.

        Several alerts are in one where PagerDuty groups them, and where people merged incidents: the alerts of the
        merged one move. Of several pages of one incident the last one counts, which has the greatest key.
        """
        found = self._paged_as(sorted(self._keys_of(webhook.pd_incident), key=lambda key: (len(key), key)))
        return {key: incident_id for incident_id, key in {one: key for key, one in found.items()}.items()}

    def _paged_as(self, keys: Iterable[str]) -> dict[str, int]:
        usable = [key for key in keys if key and key.isascii() and key.isprintable()]
        found = {key: self._started().incident_paged_as(key) for key in usable}
        return {key: incident_id for key, incident_id in found.items() if incident_id is not None}

    def _keys_of(self, pd_incident: str) -> list[str]:
        """The dedup_keys of the alerts in one of PagerDuty's incidents.

        Raises:
            Rejected: with 503, so that PagerDuty sends the webhook again, where its own API did not answer.
        """
        token = self._section.api_token
        if token is None or not pd_incident:
            return []
        try:
            alerts = self._rest(token.get_secret_value()).rget(
                f"/incidents/{pd_incident}/alerts", params={"limit": _ALERTS_MOST}
            )
        except pdpyras.PDClientError as error:
            return self._no_keys(error.response)
        except OSError:
            return self._no_keys(None)
        self._refusal = None
        rows = alerts if isinstance(alerts, list) else []
        return [key for key in (text_of(row, "alert_key") for row in rows) if key]

    def _no_keys(self, answer: Any) -> list[str]:
        """`answer`: None where there was none. One of a proxy says nothing about the token."""
        status = 0 if answer is None or not is_own_answer(answer) else answer.status_code
        if status in _NO_ENTRY:
            self._refusal = f"PagerDuty's REST API refused the token ({status})"
            _logger.warning(
                "pagerduty webhook ignored, its incident is not known: %s; check channels.pagerduty.api_token",
                self._refusal,
            )
            return []
        if status == HTTPStatus.NOT_FOUND:
            return []
        raise Rejected(
            "PagerDuty's REST API did not answer which alerts the incident has. Nothing was done. Send it again.",
            code="try_again",
            status=503,
        ) from None

    def _principal(self, webhook: PagerDutyWebhook) -> Principal:
        """Who did it.

        An account listed under `people` is that person. Any other account is accepted under its own name: PagerDuty is
        the authority over acknowledgements made there. It has already happened and silenced the phone, and refusing it
        would show "nobody has it" to everybody else. Without an account it is an automation or the echo of our own
        event; those change nothing that people decided.
        """
        if not webhook.account:
            return Principal(id=self.name, name="PagerDuty", human=False)
        listed = self._started().person(self.name, webhook.account)
        return listed or Principal(id=f"{self.name}:{webhook.account}", name=webhook.display_name or webhook.account)

    def _started(self) -> Gateway:
        if self._gateway is None:
            raise Rejected("The bot is still starting. Nothing was done. Send it again.", code="starting", status=503)
        return self._gateway


def _foreign(status: int, body: str = "") -> str:
    return f"{describe_foreign_answer('PagerDuty', status, body)} The same event is sent again."
