"""The contract of an alert source, run over every source found."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.config.settings import SourcesSettings
from bot.core.alert import AlertBatch
from bot.core.errors import Rejected
from bot.core.source import Source
from bot.integrations import find_sources
from bot.lib.settings_fields import plugs_in
from tests.integrations.contract import TEXTS
from tests.integrations.source_benches import BENCHES, SourceBench

every_source = pytest.mark.parametrize("name", sorted(find_sources()))
examples = settings(max_examples=150)
#: Any JSON at all; the keys are often those that a sender of alerts would use.
anything = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text()
    | st.sampled_from([*TEXTS.values(), "0001-01-01T00:00:00Z", "2026-13-45", "firing", "resolved", "9" * 400]),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.text(max_size=8)
            | st.sampled_from(["alerts", "labels", "status", "startsAt", "endsAt", "groupKey", "Type", "Message"]),
            inner,
            max_size=6,
        )
    ),
    max_leaves=20,
)


def bench_of(name: str) -> SourceBench:
    assert name in BENCHES, f"the source {name!r} has no documented payload in tests/integrations/source_benches.py"
    return BENCHES[name]


def read(source: Source, headers: dict[str, str], body: bytes) -> AlertBatch | Rejected:
    """What the source makes of it; any other error is the test's to fail with."""
    try:
        return source.read(headers, body)
    except Rejected as rejected:
        return rejected


def alike(first: AlertBatch | Rejected, second: AlertBatch | Rejected) -> bool:
    if isinstance(first, Rejected) and isinstance(second, Rejected):
        return (first.message, first.code, first.status) == (second.message, second.code, second.status)
    return first == second


def check(name: str, told: AlertBatch | Rejected) -> None:
    """What holds of every answer, whatever was sent."""
    if isinstance(told, Rejected):
        assert 400 <= told.status < 500
        assert told.status != 429, "Alertmanager gives up on 429, and the page is lost"
        assert told.message
        assert told.code.replace("_", "").isalnum()
        assert told.code == told.code.lower()
        return
    assert told.source == name
    for alert in told.alerts:
        assert alert.source == name
        assert 0 < len(alert.fingerprint) <= 64
        assert alert.starts_at.tzinfo is not None
        assert alert.firing or alert.ends_at is None or alert.ends_at.tzinfo is not None
        for text in (
            *alert.labels.keys(),
            *alert.labels.values(),
            *alert.annotations.values(),
            alert.link,
            alert.group,
        ):
            assert "\x00" not in text
            text.encode()  # A lone surrogate cannot be stored, and would be an error of ours for ever.


def test_the_sources_of_the_product_are_found() -> None:
    assert {"alertmanager", "sns"} <= set(find_sources())


def test_each_source_has_a_section_of_its_name_and_each_section_its_source() -> None:
    assert set(plugs_in(SourcesSettings)) == set(find_sources())


@every_source
def test_a_source_is_named_as_its_file(name: str) -> None:
    source = bench_of(name).build()

    assert source.name == name
    assert type(source).__module__ == f"bot.integrations.{name}.source"


@every_source
def test_the_payload_that_its_sender_documents_gives_its_alerts(name: str) -> None:
    bench = bench_of(name)

    told = bench.build().read(bench.headers, bench.body)

    assert [alert.firing for alert in told.alerts].count(True) == bench.firing
    assert [alert.firing for alert in told.alerts].count(False) == bench.ended
    assert len({alert.fingerprint for alert in told.alerts}) == bench.firing + bench.ended
    assert told.rejected == ()
    assert told.body == bench.body
    check(name, told)


@every_source
def test_fields_that_nobody_knows_yet_change_nothing(name: str) -> None:
    bench = bench_of(name)
    source = bench.build()
    more = {"fromNextYear": {"deep": [1, None, "x"]}, **bench.payload}

    told = source.read(bench.headers, json.dumps(more).encode())

    assert told.alerts == source.read(bench.headers, bench.body).alerts


@every_source
@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS.keys())
def test_whatever_text_is_in_an_alert_can_be_stored(name: str, text: str) -> None:
    bench = bench_of(name)

    for path in _texts(bench.payload):
        told = read(bench.build(), bench.headers, json.dumps(_put(bench.payload, path, text)).encode())
        check(name, told)


@every_source
@given(body=st.binary(max_size=300))
@examples
def test_bytes_that_are_no_payload_are_only_ever_rejected(name: str, body: bytes) -> None:
    told = read(bench_of(name).build(), {}, body)

    assert isinstance(told, Rejected)
    check(name, told)


@every_source
@given(payload=anything)
@examples
def test_any_json_is_read_or_rejected_and_the_same_twice(name: str, payload: Any) -> None:
    bench = bench_of(name)
    source, body = bench.build(), json.dumps(payload).encode()

    told = read(source, bench.headers, body)

    assert alike(told, read(source, bench.headers, body))
    check(name, told)


@every_source
@given(data=st.data())
@examples
def test_a_payload_with_anything_in_place_of_a_part_is_read_or_rejected(name: str, data: st.DataObject) -> None:
    bench = bench_of(name)
    path = data.draw(st.sampled_from(_parts(bench.payload)))
    body = json.dumps(_put(bench.payload, path, data.draw(anything))).encode()

    told = read(bench.build(), bench.headers, body)

    check(name, told)
    assert alike(told, read(bench.build(), bench.headers, body))


@every_source
def test_a_payload_cut_short_anywhere_is_rejected(name: str) -> None:
    bench = bench_of(name)

    for end in range(0, len(bench.body), 7):
        assert isinstance(read(bench.build(), bench.headers, bench.body[:end]), Rejected)


@every_source
@pytest.mark.parametrize("nest", [b"[", b'{"a":', b'{"alerts":['])
def test_nesting_without_end_is_rejected(name: str, nest: bytes) -> None:
    told = read(bench_of(name).build(), {}, nest * 100_000)

    assert isinstance(told, Rejected)


Path = tuple[str | int, ...]


def _parts(whole: Any, at: Path = ()) -> list[Path]:
    """The path of every part of a JSON value, the whole left out."""
    inner = (
        list(whole.items()) if isinstance(whole, dict) else list(enumerate(whole)) if isinstance(whole, list) else []
    )
    return [path for name, part in inner for path in ((*at, name), *_parts(part, (*at, name)))]


def _texts(whole: Any) -> list[Path]:
    return [path for path in _parts(whole) if isinstance(_at(whole, path), str)]


def _at(whole: Any, path: Path) -> Any:
    for name in path:
        whole = whole[name]
    return whole


def _put(whole: dict[str, Any], path: Path, part: Any) -> dict[str, Any]:
    """A copy with `part` at `path`."""
    copy: dict[str, Any] = json.loads(json.dumps(whole))
    _at(copy, path[:-1])[path[-1]] = part
    return copy
