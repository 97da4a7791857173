"""Every HTTP path of the bot, requested by every kind of caller: who is let in.

A path or method that is not listed here fails the build, and so does a caller that gets in without being listed.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import re
import socket
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi.routing import APIRoute

from bot.app.bot import Bot
from bot.config.settings import Settings
from tests.authority.ground import no_proxy
from tests.fakes.pagerduty import ROUTING_KEY, FakePagerDuty
from tests.fakes.slack import FakeSlack
from tests.fakes.telegram import TOKEN as TELEGRAM_TOKEN
from tests.fakes.telegram import FakeTelegram

API_TOKEN, SENDER_TOKEN = "the-token-of-the-api-of-32-bytes", "the-token-of-alertmanagers-32-by"

#: The callers that a path lets in; nobody else.
_EVERYBODY = frozenset(
    {
        *("here", "elsewhere", "proxied", "wrong token", "api token", "sender token"),
        *("other site", "own page", "old page", "own page, elsewhere", "own page, proxied"),
    }
)
#: The board's shell alone. A person may follow another site's link to it; that site sees nothing of it (no CORS).
_BOARD = frozenset({"here", "own page", "old page", "wrong token"})  # no token counts there, for or against
_OWN_PAGE = frozenset({"own page"})
_API = _OWN_PAGE | {"api token"}
_NOBODY: frozenset[str] = frozenset()  #: only what the platform has signed
LETS_IN: dict[tuple[str, str], frozenset[str]] = {
    **{(method, path): _EVERYBODY for method in ("GET", "HEAD") for path in ("/livez", "/readyz", "/pages/board.css")},
    ("GET", "/metrics"): _EVERYBODY,
    **{(method, path): _BOARD for method in ("GET", "HEAD") for path in ("/", "/incidents/1")},
    ("GET", "/events"): _OWN_PAGE,
    ("POST", "/console"): _OWN_PAGE,
    ("GET", "/api/incidents"): _API,
    ("GET", "/api/incidents/1"): _API,
    ("GET", "/api/plans"): _API,
    ("GET", "/api/drills"): _API,
    ("GET", "/api/runs"): _API,
    ("GET", "/api/stores"): _API,
    ("GET", "/api/rotas"): _API,
    ("GET", "/api/rotas/orders.ics"): _API,
    ("GET", "/api/audit"): _API,
    ("GET", "/api/docs"): _API,
    ("GET", "/api/openapi.json"): _API,
    ("POST", "/in/slack"): _NOBODY,
    ("POST", "/in/telegram"): _NOBODY,
    ("POST", "/in/pagerduty"): _NOBODY,
    ("POST", "/flagger/gate/confirm-promotion"): _NOBODY,
    ("POST", "/flagger/gate/rollback"): _NOBODY,
    ("POST", "/alerts/alertmanager"): frozenset({"sender token"}),
    ("POST", "/alerts/sns"): _NOBODY,
}
#: What stands for the part of a path that may vary; another such part has to get its own.
_EXAMPLES = {
    "/pages/{name}": ["board.css"],
    "/in/{name}": ["slack", "telegram", "pagerduty"],
    "/api/rotas/{name:path}.ics": ["orders"],
}


@dataclass(frozen=True)
class Caller:
    """From where, and with what."""

    headers: Mapping[str, str] = field(default_factory=dict)
    near: bool = True  #: by the loopback address


Ask = Callable[[Caller, str, str], httpx.Response]  #: by whom, method, path


def _bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


_PROXIED = {"X-Forwarded-For": "203.0.113.9"}
_OWN = {"Origin": "<own>", "X-Vakhta-Page": "<key>"}
CALLERS = {
    "here": Caller(),
    "elsewhere": Caller(near=False),
    "proxied": Caller(_PROXIED),
    "wrong token": Caller(_bearer("wrong")),
    "api token": Caller(_PROXIED | _bearer(API_TOKEN)),
    "sender token": Caller(_PROXIED | _bearer(SENDER_TOKEN)),
    "other site": Caller({"Origin": "https://evil.example", "Sec-Fetch-Site": "cross-site", "X-Vakhta-Page": "<key>"}),
    "own page": Caller(_OWN),
    "old page": Caller(_OWN | {"X-Vakhta-Page": "of-an-earlier-start"}),
    "own page, elsewhere": Caller(_OWN, near=False),
    "own page, proxied": Caller(_OWN | _PROXIED),
}


@pytest.fixture(scope="module")
def bot(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bot]:
    """All of it, with every channel that listens over HTTP."""
    place = tmp_path_factory.mktemp("routes")
    with FakeSlack() as slack, FakeTelegram() as telegram, FakePagerDuty() as pagerduty, no_proxy():
        made = Bot(_settings(place, slack, telegram, pagerduty))
        made.start()
        try:
            telegram.wait(lambda: bool(telegram.calls("setWebhook")), "Telegram was told where to send to")
            yield made
        finally:
            made.stop()


def _settings(place: Path, slack: FakeSlack, telegram: FakeTelegram, pagerduty: FakePagerDuty) -> Settings:
    return Settings.model_validate(
        {
            "server": {"listen": "0.0.0.0:0", "public_url": "https://vakhta.example", "api_token": API_TOKEN},
            "store": {"url": f"sqlite:///{place}/vakhta.db"},
            "sources": {
                "alertmanager": {"tokens": [SENDER_TOKEN]},
                "sns": {"topics": ["arn:aws:sns:eu-central-1:123456789012:alarms"]},
            },
            "channels": {
                "slack": {
                    "bot_token": slack.bot_token,
                    "signing_secret": slack.workspace.secret,
                    "team_id": "T1",
                    "channel": "C1",
                    "api_url": slack.api_url,
                    "mode": "http",
                },
                "telegram": {
                    "token": TELEGRAM_TOKEN,
                    "chat_id": telegram.chat_id,
                    "api_url": telegram.api_url,
                    "mode": "webhook",
                    "secret_token": "the-secret-of-the-webhook",
                    "webhook_url": "https://vakhta.example/in/telegram",
                },
                "pagerduty": {
                    "routing_key": ROUTING_KEY,
                    "webhook_secrets": ["the-secret-of-the-pager"],
                    "events_url": pagerduty.url,
                    "api_url": pagerduty.url,
                },
            },
            "clusters": {"main": {"flagger": {"tokens": ["the-token-of-flagger"]}}},
            "people": [{"id": "local", "roles": ["admin"]}],
        }
    )


def addresses(bot: Bot) -> set[tuple[str, str]]:
    """Every method and path that the bot answers at, with an example for each part of a path that may vary."""
    edge: Any = bot.web._app
    found = {
        (method, path) for route in _routes(edge._app) for method in route.methods or () for path in _paths(route.path)
    }
    return found | {("POST", path) for path in edge._alerts._sources}


def _routes(app: Any) -> Iterator[APIRoute]:
    """Those of the routers that it includes, too; of a sort that is not known, an error."""
    for route in app.routes:
        if isinstance(route, APIRoute):
            yield route
        else:
            assert not route.include_context.prefix
            yield from _routes(route.original_router)


def _paths(path: str) -> list[str]:
    if path in _EXAMPLES:
        return [path.replace("{name:path}", "{name}").replace("{name}", name) for name in _EXAMPLES[path]]
    found = path.replace("{incident_id}", "1")
    assert "{" not in found, f"{path} needs an example"
    return [found]


def own_address() -> str:
    """An address of this machine that is not the loopback one; "" where it has none. Nothing is sent."""
    with closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as line:
        try:
            line.connect(("192.0.2.254", 9))
        except OSError:
            return ""
        address: str = line.getsockname()[0]
        return "" if address.startswith("127.") else address


@pytest.fixture(scope="module")
def ask(bot: Bot) -> Iterator[Ask]:
    """Returns the head of the answer; of a story that goes on for ever there is no more."""
    port = bot.web.url().rpartition(":")[2]
    each = httpx.Limits(max_keepalive_connections=0)  # a connection each, as callers have
    with httpx.Client(trust_env=False, timeout=60, limits=each) as http:
        key = re.findall(r'name="vakhta-page" content="([^"]+)"', http.get(f"http://127.0.0.1:{port}/").text)[0]

        def asked(caller: Caller, method: str, path: str) -> httpx.Response:
            url = f"http://{'127.0.0.1' if caller.near else own_address()}:{port}"
            headers = {
                name: value.replace("<own>", url).replace("<key>", key) for name, value in caller.headers.items()
            }
            body = json.dumps({"words": "help"}).encode() if method == "POST" else None
            told = {"Content-Type": "application/json", **headers}
            with http.stream(method, url + path, headers=told, content=body) as answer:
                return answer

        yield asked


def test_every_address_is_in_the_table_and_nothing_else_is(bot: Bot) -> None:
    assert addresses(bot) == set(LETS_IN)


@pytest.mark.parametrize("caller", CALLERS)
@pytest.mark.parametrize(("method", "path"), sorted(LETS_IN))
def test_an_address_lets_in_whom_the_table_lists_and_nobody_else(ask: Ask, caller: str, method: str, path: str) -> None:
    if not CALLERS[caller].near and not own_address():
        pytest.skip("this machine has no address but the loopback one")

    answer = ask(CALLERS[caller], method, path)

    let_in = answer.status_code not in {401, 403}
    assert let_in == (caller in LETS_IN[method, path]), answer.status_code
    assert answer.status_code < 500
    assert not [name for name in answer.headers if name.startswith("access-control-")]


@pytest.mark.parametrize("path", sorted({path for _, path in LETS_IN}))
def test_no_other_method_is_taken(ask: Ask, path: str) -> None:
    others = [
        method
        for method in ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "PROPFIND")
        if (method, path) not in LETS_IN
    ]

    statuses = {method: ask(CALLERS["here"], method, path).status_code for method in others}

    assert set(statuses.values()) == {405}, statuses


def _jwt(payload: dict[str, object], *, alg: str = "HS256", key: str = API_TOKEN) -> str:
    """A token of three parts, signed with the key where the algorithm signs."""
    parts = [json.dumps({"alg": alg, "typ": "JWT"}).encode(), json.dumps(payload).encode()]
    told = ".".join(base64.urlsafe_b64encode(part).rstrip(b"=").decode() for part in parts)
    mark = b"" if alg == "none" else hmac.new(key.encode(), told.encode(), hashlib.sha256).digest()
    return f"{told}.{base64.urlsafe_b64encode(mark).rstrip(b'=').decode()}"


@pytest.mark.parametrize(
    "token",
    [
        pytest.param(_jwt({"sub": "local", "exp": 1_700_000_000}), id="expired"),
        pytest.param(_jwt({"sub": "local", "aud": "grafana", "exp": 4_000_000_000}), id="for another audience"),
        pytest.param(_jwt({"sub": "local", "exp": 4_000_000_000}, alg="none"), id="alg none"),
        pytest.param(_jwt({"sub": "local", "exp": 4_000_000_000}), id="signed with the token itself"),
        pytest.param(SENDER_TOKEN, id="of the alert sender"),
        pytest.param(TELEGRAM_TOKEN, id="of a chat"),
        pytest.param(API_TOKEN[:-1], id="short of one character"),
        pytest.param(API_TOKEN.upper(), id="in capitals"),
        pytest.param(hashlib.sha256(API_TOKEN.encode()).hexdigest(), id="its hash"),
    ],
)
@pytest.mark.parametrize("path", sorted(path for _, path in LETS_IN if path.startswith("/api/")))
def test_row_84_a_token_that_is_not_the_apis_own_opens_nothing(ask: Ask, token: str, path: str) -> None:
    for more in ({}, _PROXIED):
        answer = ask(Caller(more | _bearer(token)), "GET", path)

        assert answer.status_code == 401


def test_row_84_the_token_of_the_api_sends_no_alerts(ask: Ask) -> None:
    answer = ask(Caller(_bearer(API_TOKEN)), "POST", "/alerts/alertmanager")

    assert answer.status_code == 401
