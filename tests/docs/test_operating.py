"""docs/operating.md tells every key, word, address and metric that there is, and none that there is not."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, get_args, get_origin

import pytest
from pydantic import BaseModel, SecretStr
from pydantic.fields import FieldInfo
from starlette.responses import PlainTextResponse

from bot.__main__ import _parser
from bot.app.scheduler import _SEEN_FOR, LATE_PAGE
from bot.config import backup_engines
from bot.config.settings import Settings
from bot.core.incident import CONSOLE
from bot.integrations import channel_names, find_sources
from bot.integrations.pagerduty.channel import PagerDuty
from bot.integrations.payload import MOST_LABEL, MOST_LABELS, MOST_NOTE
from bot.integrations.sns import verification
from bot.lib.metrics import Metrics
from bot.notifications.sender import LEASE, POISON
from bot.web import (
    channel_webhooks,
    event_stream,
    framing,
    http_protocol,
    incident_json,
    incidents_api,
    request_body,
    sender_verification,
)
from bot.web.event_stream import FeedSignal
from bot.web.flagger_gates import GateClients
from bot.web.server import WebApp, build_web
from commands import note
from tests.docs.papers import OPERATING, README, ROOT, first_cells, section

_FIGURES = (
    f"after {LATE_PAGE.total_seconds():g} s every chat and the board say that THE PAGE is late",
    f"when its lease of {LEASE.total_seconds():g} s runs out",
    f"that row is set aside after {POISON} tries",
    f"| acts of people remembered against repeats | {_SEEN_FOR.total_seconds() / 3600:g} hours |",
    f"| body of a message of SNS | {sender_verification.MOST // 2**20} MiB |",
    f"| messages of SNS that are being checked at once | {sender_verification._MOST_WAITING} |",
    f"| SNS topics that are not listed and ask | {verification._MAX_UNLISTED} an hour |",
    f"| labels, annotations of an alert | {MOST_LABELS} each, of {MOST_LABEL:,} and {MOST_NOTE:,} characters |",
    f"| time for another body, or a head, to arrive | {request_body._WITHIN_S:g} s |",
    f"| head of a request | {framing.MOST_HEAD // 1024} KiB, {framing.MOST_FIELDS} fields |",
    f"| body from a chat | {channel_webhooks._MOST // 1024} KiB |",
    f"| body of a webhook of PagerDuty's | {(PagerDuty.ignores_above or 0) // 1024} KiB |",
    f"| requests of one chat or pager at once | {channel_webhooks._MOST_WAITING} |",
    f"(`ulimit -Hn`, at most {http_protocol._MOST_FILES:,})",
    f"| time for the API to read the database | {incidents_api._WITHIN_S:g} s |",
    f"| boards open at once | {event_stream._MOST_CLIENTS} |",
    f"| alerts shown of an incident by the API | {incident_json.MOST_ALERTS} |",
    f"| a note | {note._LONGEST:,} characters |",
)
_EMPTY: tuple[object, ...] = (None, "", (), {})


def keys(model: type[BaseModel], at: str = "") -> Iterator[tuple[str, FieldInfo]]:
    """Every key that holds a value, spelled as in the page: people[].id, roles.NAME.allow."""
    for attribute, field in model.model_fields.items():
        name = field.alias or attribute
        inner, how = _inside(field.annotation)
        if isinstance(inner, type) and issubclass(inner, BaseModel):
            yield from keys(inner, f"{at}{name}{how}.")
        else:
            yield f"{at}{name}", field


def _inside(kind: Any) -> tuple[object, str]:
    """The kind of the values in it, and how one of them is spelled."""
    if get_origin(kind) is tuple:
        return get_args(kind)[0], "[]"
    if get_origin(kind) is Mapping:
        return get_args(kind)[1], ".NAME"
    choices = [choice for choice in get_args(kind) if choice is not type(None)]
    return (choices[0] if choices and get_origin(kind) is not None else kind), ""


def default(field: FieldInfo) -> str | None:
    """How the page tells it; None where it tells it in words."""
    if field.is_required():
        return "required"
    extra = field.json_schema_extra
    value = extra.get("default") if isinstance(extra, dict) else None
    value = field.get_default(call_default_factory=True) if value is None else value
    value = value.get_secret_value() if isinstance(value, SecretStr) else value
    if isinstance(value, bool):
        return f"`{value}`".lower()
    if value in _EMPTY:
        return "none"
    return f"`{value}`" if isinstance(value, str | int) else None


SETTINGS = dict(keys(Settings))
#: The keys of `where`, which depend on the engine of the store.
WHERE = {
    (word, key): field
    for word in backup_engines.ENGINES
    if (kind := backup_engines.section_class(word)) is not None
    for key, field in keys(kind)
}
WHERE_ROWS = {
    (cells[1].strip(" `"), cells[2].strip(" `")): cells[3].strip()
    for cells in (line.split("|") for line in section(OPERATING, "Backups").splitlines() if line.startswith("| `"))
    if cells[1].strip(" `") in backup_engines.ENGINES
}
ROWS = {
    cells[1].strip(" `"): cells[2].strip()
    for cells in (line.split("|") for line in section(OPERATING, "Settings").splitlines() if line.startswith("| `"))
}


def test_every_key_of_the_settings_is_told_and_no_other() -> None:
    assert sorted(ROWS) == sorted(SETTINGS)


@pytest.mark.parametrize("key", sorted(SETTINGS))
def test_the_default_that_is_told_is_the_default(key: str) -> None:
    expected = default(SETTINGS[key])

    assert expected is None or ROWS[key] == expected


def test_every_key_of_where_is_told_for_each_engine_and_no_other() -> None:
    assert sorted(WHERE_ROWS) == sorted(WHERE)


@pytest.mark.parametrize(("word", "key"), sorted(WHERE))
def test_the_default_that_is_told_for_an_engine_is_its_default(word: str, key: str) -> None:
    expected = default(WHERE[word, key])

    assert expected is None or WHERE_ROWS[word, key] == expected


def test_every_metric_is_told_and_no_other() -> None:
    families = list(Metrics().registry.collect())
    real = {f"{one.name}_total" if one.type == "counter" else one.name for one in families}

    assert set(first_cells(section(OPERATING, "Metrics"))) == real
    assert set(re.findall(r"\bvakhta_[a-z_]+", OPERATING)) <= real


def test_every_command_of_the_command_line_is_told_and_no_other() -> None:
    told = {words.split()[1] for words in first_cells(section(OPERATING, "Command line"))}

    assert told == _commands()


def _commands() -> set[str]:
    groups = _parser()._subparsers
    assert groups is not None
    return set(groups._group_actions[0].choices or ())


def test_every_address_is_told_and_no_other() -> None:
    told = {_without_names(words) for words in first_cells(section(OPERATING, "Addresses"))}

    assert told == {_without_names(words) for words in _addresses(_edge())}


def _edge() -> WebApp:
    return build_web(
        alerts=PlainTextResponse(),
        store=None,  # type: ignore[arg-type]  # nothing is asked of it
        channels={},
        checks={},
        channel_checks={},
        outbox_sizes=lambda: (),
        meters=Metrics(),
        on_refused=lambda place, code: None,
        feed_signal=FeedSignal(),
        flagger=GateClients(answer=lambda question: False),
        public_url="http://127.0.0.1:8080",
        api_token=None,
        version="0",
    )


def _addresses(edge: WebApp) -> Iterator[str]:
    """Method and path of all that answers; of GET and HEAD only GET."""
    for name in find_sources():
        yield f"POST /alerts/{name}"
    for included in edge._app.routes:  # type: ignore[attr-defined]  # FastAPI's own app
        inner = getattr(included, "original_router", None)
        for route in inner.routes if inner else [included]:
            for method in sorted(route.methods - {"HEAD"}):
                yield from _spread(f"{method} {route.path}")


def _spread(address: str) -> Iterator[str]:
    if not address.endswith("/in/{name}"):
        yield address
        return
    for name in channel_names():
        if name != CONSOLE:  # it has a door of its own
            yield address.replace("{name}", name)


def _without_names(address: str) -> str:
    return re.sub(r"\{\w+(:path)?\}", "{}", address)


@pytest.mark.parametrize("told", _FIGURES)
def test_the_figures_that_are_told_are_those_of_the_code(told: str) -> None:
    assert told in OPERATING


def test_every_target_of_the_makefile_is_told_and_no_other() -> None:
    makefile = (ROOT / "Makefile").read_text()
    targets = set(re.findall(r"^([a-z0-9-]+):.*## ", makefile, re.MULTILINE)) - {"help"}
    told = {words.split()[1] for words in first_cells(README) if words.startswith("make ")}

    assert told == targets


def test_every_environment_variable_that_the_bot_reads_is_told_or_is_for_tests() -> None:
    read = set()
    for path in (ROOT / "bot").rglob("*.py"):
        text = path.read_text()
        read |= set(re.findall(r'environ(?:\.get\(|\[)"([A-Z_]+)"', text))

    assert read
    assert {name for name in read if name not in OPERATING} <= {"VAKHTA_FAILPOINT"}
