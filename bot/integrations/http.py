"""A client for one HTTP API that answers JSON or a file; the only file that knows requests.

The promise: the caller always learns which of three happened. It was refused or never arrived, and nothing was done
(`Rejected`); a change was sent and its result is unknown (`OutcomeUnknown`); or it was answered. Nothing is ever sent
twice. Proxies, netrc and certificates of the environment are ignored, and redirects are not followed.
"""

from __future__ import annotations

import base64
import json
import ssl
import time
from collections.abc import Mapping, Sequence
from datetime import timedelta
from http import HTTPStatus
from typing import Any

import requests
from pydantic import SecretStr
from requests.adapters import HTTPAdapter
from urllib3.exceptions import HTTPError, LocationParseError, NewConnectionError

from bot.core.errors import OutcomeUnknown, Rejected
from bot.integrations.foreign_answer import describe_foreign_answer, is_page
from bot.lib.redact import REDACTED, redact

_MAX_BYTES = 8 * 1024 * 1024  # Of an answer.
_CHUNK = 64 * 1024
_MAX_REDACTED = 4096  # Characters of a refusal that are searched for secrets, before it is cut for people.
_MAX_SHOWN = 300
_CODES = {
    HTTPStatus.UNAUTHORIZED: "no_entry",
    HTTPStatus.FORBIDDEN: "no_entry",
    HTTPStatus.NOT_FOUND: "not_found",
    HTTPStatus.TOO_MANY_REQUESTS: "too_many",
}


class HttpApi:
    """`called` is its name in messages. With `user`, `token` is that user's password (basic), else a bearer token.

    `timeout` is for connecting, and again from there to the end of the answer. `most`: bytes of an answer. `ca`: a
    certificate authority in PEM that is trusted beside the usual ones. Safe to share between threads.

    `error_header`: a header that this service alone sets, on every error of its own (ClickHouse's
    X-ClickHouse-Exception-Code). With it a server error is an answer, and `Rejected` carries its value as `code`.
    """

    def __init__(
        self,
        url: str,
        *,
        called: str,
        token: SecretStr | None = None,
        user: str | None = None,
        timeout: timedelta = timedelta(seconds=5),
        most: int = _MAX_BYTES,
        error_header: str = "",
        ca: str = "",
    ) -> None:
        self._url = url.rstrip("/")
        self._called = called
        self._secrets = _secrets(token, user)
        self._headers: dict[str, str | bytes] = {
            "Accept": "application/json",
            "Accept-Encoding": "identity",
            "User-Agent": "vakhta",
            **_authorization(token, user),
        }
        self._timeout_s = timeout.total_seconds()
        self._most = most
        self._error_header = error_header
        self._ca = ca

    def get(self, verb: str, path: str, *, query: Sequence[tuple[str, str]] = (), body: object = None) -> object:
        """A request that changes nothing there; returns the decoded JSON, None for an empty answer.

        Raises:
            Rejected: with `code` unreachable, no_entry, not_found, too_many, refused, proxy, redirected, failed,
                no_answer or unreadable.
        """
        try:
            return self._decoded(self._call(verb, path, query, body))
        except OutcomeUnknown as unknown:
            raise self._read_failed(unknown) from None

    def download(self, path: str = "") -> bytes:
        """The bytes at that path. Raises `Rejected` as `get` does."""
        try:
            return self._call("GET", path, (), None)
        except OutcomeUnknown as unknown:
            raise self._read_failed(unknown) from None

    def send(self, verb: str, path: str, *, query: Sequence[tuple[str, str]] = (), body: object = None) -> object:
        """A request that changes something there; returns as `get` does.

        Raises:
            Rejected: with `code` unreachable, no_entry, not_found, too_many, refused, proxy or redirected; nothing was
                done.
            OutcomeUnknown: it was sent, and no readable answer came back.
        """
        try:
            return self._decoded(self._call(verb, path, query, body))
        except OutcomeUnknown as unknown:
            raise OutcomeUnknown(f"{unknown.message} It is not known whether it took effect.") from None

    def sanitize(self, text: str) -> str:
        """A text of the other side, fit to be shown: a sentence or its beginning, or "no reason given."."""
        text = text[:_MAX_REDACTED]
        for secret in self._secrets:
            text = text.replace(secret, REDACTED)
        text = "".join(one if one.isprintable() else " " for one in redact(text))
        text = " ".join(text.split())
        if not text:
            return "no reason given."
        if len(text) > _MAX_SHOWN:
            return f"{text[:_MAX_SHOWN]}..."
        return text if text.endswith((".", "!", "?")) else f"{text}."

    def _call(self, verb: str, path: str, query: Sequence[tuple[str, str]], body: object) -> bytes:
        """Each call has a connection of its own: a kept one that the other side has just closed would look like a
        request that was sent and not answered. A body of bytes is sent as it is, any other as JSON.
        """
        raw = body if isinstance(body, bytes) else None
        until = time.monotonic() + 2 * self._timeout_s
        try:
            with one_attempt_session() as session:
                if self._ca:
                    session.mount("https://", _Trusting(self._ca))
                response = session.request(
                    verb,
                    f"{self._url}{path}",
                    params=list(query),
                    data=raw,
                    json=None if raw is not None else body,
                    headers=self._headers,
                    timeout=self._timeout_s,
                    allow_redirects=False,
                    stream=True,
                )
                with response as answer:  # a response that is not read to its end would keep its connection
                    return self._answered(answer, until)
        except (requests.RequestException, HTTPError) as error:
            raise self._failed(error) from None

    def _answered(self, answer: requests.Response, until: float) -> bytes:
        status = answer.status_code
        code = answer.headers.get(self._error_header, "") if self._error_header else ""
        if code:
            why = self.sanitize(_reason_in(self._text(answer, until)))
            raise Rejected(f"{self._called} refused ({status}): {why} Nothing was done.", code=code)
        if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            raise _Failed(f"{self._called} failed ({status}): {self.sanitize(_reason_in(self._text(answer, until)))}")
        if status >= HTTPStatus.BAD_REQUEST:
            raise self._refused(status, self._text(answer, until))
        if status >= HTTPStatus.MULTIPLE_CHOICES:
            raise self._redirected()
        return self._read(answer, until)

    def _refused(self, status: int, text: str) -> Rejected:
        if status == HTTPStatus.PROXY_AUTHENTICATION_REQUIRED or is_page(text):
            return Rejected(
                f"{self._foreign(status, text)} Nothing was done.", code="proxy", status=HTTPStatus.BAD_GATEWAY
            )
        message = f"{self._called} refused ({status}): {self.sanitize(_reason_in(text))} Nothing was done."
        return Rejected(message, code=_CODES.get(HTTPStatus(status), "refused") if status in _STATUSES else "refused")

    def _foreign(self, status: int, text: str) -> str:
        return self.sanitize(describe_foreign_answer(self._called, status, text))

    def _decoded(self, read: bytes) -> object:
        if not read:
            return None
        try:
            return json.loads(read)
        except (ValueError, RecursionError):
            text = read[:_MAX_REDACTED].decode(errors="replace")
            if is_page(text):
                raise _Unreadable(self._foreign(HTTPStatus.OK, text)) from None
            raise _Unreadable(f"The answer of {self._called} is not JSON.") from None

    def _read(self, answer: requests.Response, until: float) -> bytes:
        read = bytearray()
        while piece := answer.raw.read1(_CHUNK):
            read += piece
            if len(read) > self._most:
                raise _Unreadable(f"The answer of {self._called} is over {self._most} bytes.")
            if time.monotonic() > until:
                raise _Slow(f"{self._called} did not finish its answer in time.")
        return bytes(read)

    def _text(self, answer: requests.Response, until: float) -> str:
        """What a refusal says; "" where that cannot be read."""
        try:
            return self._read(answer, until).decode(errors="replace")
        except (HTTPError, OutcomeUnknown):
            return ""

    def _read_failed(self, unknown: OutcomeUnknown) -> Rejected:
        """A read without an answer has changed nothing."""
        message = f"{unknown.message} Nothing was done. Try again; if it fails again, check {self._called}."
        return Rejected(message, code=_code_of(unknown), status=HTTPStatus.BAD_GATEWAY)

    def _failed(self, error: Exception) -> Rejected | OutcomeUnknown:
        """The failure without the library's own text, which holds addresses and headers."""
        if isinstance(error, requests.TooManyRedirects):
            return self._redirected()
        reason = type(_root(error)).__name__
        if _never_left(error):
            message = (
                f"{self._called} could not be reached ({reason}). Nothing was done. Check its address and that it runs."
            )
            return Rejected(message, code="unreachable", status=HTTPStatus.BAD_GATEWAY)
        return _Slow(f"{self._called} gave no answer ({reason}).")

    def _redirected(self) -> Rejected:
        message = f"{self._called} answered with a redirect, which is not followed. Nothing was done."
        return Rejected(f"{message} Correct its address in the settings.", code="redirected")


def one_attempt_session() -> requests.Session:
    """A session for one call of an SDK: nothing from the environment, no redirects. The caller closes it."""
    session = requests.Session()
    session.trust_env = False
    session.max_redirects = 0
    return session


class _Trusting(HTTPAdapter):
    """Connections that also trust this certificate authority."""

    def __init__(self, ca: str) -> None:
        self._context = ssl.create_default_context()
        self._context.load_verify_locations(cadata=ca)
        super().__init__()

    def init_poolmanager(self, *args: Any, **more: Any) -> None:
        super().init_poolmanager(*args, **more, ssl_context=self._context)


class _Failed(OutcomeUnknown):
    """It answered with a server error."""


class _Slow(OutcomeUnknown):
    """It did not answer, or not completely."""


class _Unreadable(OutcomeUnknown):
    """Its answer cannot be read."""


_STATUSES = frozenset(HTTPStatus)


def _code_of(unknown: OutcomeUnknown) -> str:
    if isinstance(unknown, _Failed):
        return "failed"
    return "unreadable" if isinstance(unknown, _Unreadable) else "no_answer"


def _authorization(token: SecretStr | None, user: str | None) -> dict[str, bytes]:
    """As bytes, because a str would have to be Latin-1."""
    if token is None:
        return {}
    secret = token.get_secret_value().encode()
    if user is None:
        return {"Authorization": b"Bearer " + secret}
    return {"Authorization": b"Basic " + base64.b64encode(user.encode() + b":" + secret)}


def _secrets(token: SecretStr | None, user: str | None) -> tuple[str, ...]:
    """Texts that are not shown even where the other side repeats them."""
    sent = (value.partition(b" ")[2].decode() for value in _authorization(token, user).values())
    return () if token is None else (token.get_secret_value(), *sent)


def _reason_in(text: str) -> str:
    """Alertmanager gives a JSON string, or {"code", "message"} where its validation refuses; OPA the latter."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return text
    if isinstance(value, Mapping):
        value = value.get("message") or value.get("error") or ""
    return value if isinstance(value, str) else ""


def _root(error: BaseException) -> BaseException:
    """The innermost named reason: requests wraps urllib3's error, which wraps the socket's."""
    inner = getattr(error, "reason", None) or (error.args[-1] if error.args else None)
    return _root(inner) if isinstance(inner, BaseException) else error


def _never_left(error: Exception) -> bool:
    """Whether no byte of the request was sent: no connection, no address, no trusted certificate, or a bad request."""
    if isinstance(error, _NOT_SENT):
        return True
    if isinstance(error, requests.exceptions.SSLError):
        return "CERTIFICATE_VERIFY_FAILED" in str(error)
    inner = error.args[0] if error.args else None
    return isinstance(getattr(inner, "reason", None), NewConnectionError)


_NOT_SENT = (
    requests.ConnectTimeout,
    requests.exceptions.InvalidURL,
    requests.exceptions.InvalidHeader,
    LocationParseError,
)
