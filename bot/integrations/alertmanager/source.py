"""Prometheus Alertmanager's webhook, payload version 4 (tested from 0.25 to 0.34).

Two readers of the same bytes. The quick one reads an ordinary payload; anything unusual goes to the exact one, which
handles every case. The promise: where the quick one returns a result, it is the same as the exact one's. Format:
notify/webhook and template/template.go of Alertmanager.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import chain
from typing import Literal

import msgspec

from bot.core.alert import Alert, AlertBatch
from bot.core.errors import Rejected
from bot.integrations.payload import (
    AHEAD,
    MOST_LABEL,
    MOST_LABELS,
    MOST_NOTE,
    OPEN_END,
    Repair,
    alert_list,
    decode,
    digest_of_pairs,
    is_link,
    parse_time,
)
from bot.lib.redact import looks_secret, redact

NAME = "alertmanager"
MOST_FINGERPRINT = 64  #: characters; Alertmanager's own have 16
MOST_GROUP = 1024  #: characters of a group's key
_MOST_TRUNCATED = 2**31 - 1
#: Strings of a payload without labels: 10 keys and 5 texts; of each alert: 7 keys and 5 texts.
_STRINGS = 15
_STRINGS_OF_ALERT = 12


class AlertmanagerSource:
    """`now` is read once for each delivery; it stands for a start that cannot be right (`Alert.undated`)."""

    name = NAME

    def __init__(self, now: Callable[[], datetime]) -> None:
        self._now = now

    def read(self, headers: Mapping[str, str], body: bytes) -> AlertBatch:  # noqa: ARG002  (all is in the body)
        now = self._now()
        return read_ordinary(body, now) or read_exactly(body, now)


def read_ordinary(body: bytes, now: datetime) -> AlertBatch | None:
    """The quick reader. None: something is unusual, use `read_exactly`."""
    try:
        payload = _decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    if not payload.alerts or not _is_plain(payload, body):
        return None
    latest = now + AHEAD
    group = payload.groupKey
    read = [_ordinary(raw, group, latest) for raw in payload.alerts]
    alerts = tuple(one for one in read if one is not None)
    if len(alerts) < len(read):
        return None
    return AlertBatch(
        source=NAME,
        group=group,
        alerts=alerts,
        body=body,
        truncated=payload.truncatedAlerts,
        group_ended=payload.status == "resolved" and _is_over(alerts, payload.truncatedAlerts),
    )


def read_exactly(body: bytes, now: datetime) -> AlertBatch:
    """The exact reader: handles every bad input. Raises `Rejected`."""
    payload = decode(body)
    if payload.get("version") != "4":
        message = 'Only payload version "4" is supported. Nothing was stored as an alert. Update the Alertmanager.'
        raise Rejected(message, code="unsupported_version", status=422)
    raws = alert_list(payload)
    repair = Repair()
    group = _group_of(payload, repair)
    read = [_exact(raw, group, f"alerts[{index}]", (repair, now)) for index, raw in enumerate(raws)]
    alerts = tuple(one for one in read if isinstance(one, Alert))
    faults = [one for one in read if isinstance(one, _Fault)]
    if faults and not alerts:
        message = f"{faults[0].path}: {faults[0].reason} Nothing was stored as an alert."
        raise Rejected(message, code=faults[0].code, status=422)
    if not alerts:
        repair.record("no_alerts")
    return AlertBatch(
        source=NAME,
        group=group,
        alerts=alerts,
        body=body,
        truncated=(truncated := _truncated(payload.get("truncatedAlerts"))),
        group_ended=payload.get("status") == "resolved" and not faults and _is_over(alerts, truncated),
        rejected=tuple((fault.path, fault.reason) for fault in faults),
        repairs=repair.repairs,
    )


def _is_over(alerts: Sequence[Alert], truncated: int) -> bool:
    """Whether a group with the status "resolved" is over, as far as Alertmanager notifies about it.

    Silenced and inhibited alerts are left out without a count, whether or not they fire on.
    """
    return not truncated and bool(alerts) and not any(one.firing for one in alerts)


class _OrdinaryAlert(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    """Every field is required: the count of strings below depends on it."""

    status: Literal["firing", "resolved"]
    labels: dict[str, str]
    annotations: dict[str, str]
    startsAt: str  # noqa: N815  (the sender's names, here and below)
    endsAt: str  # noqa: N815
    generatorURL: str  # noqa: N815
    fingerprint: str


class _OrdinaryPayload(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    """`notification_reason` and `routeLabels` came with 0.33."""

    version: Literal["4"]
    groupKey: str  # noqa: N815
    truncatedAlerts: int  # noqa: N815
    status: str
    receiver: str
    groupLabels: dict[str, str]  # noqa: N815
    commonLabels: dict[str, str]  # noqa: N815
    commonAnnotations: dict[str, str]  # noqa: N815
    externalURL: str  # noqa: N815
    alerts: list[_OrdinaryAlert]
    notification_reason: str | msgspec.UnsetType = msgspec.UNSET
    routeLabels: dict[str, str] | msgspec.UnsetType = msgspec.UNSET  # noqa: N815


_decode = msgspec.json.Decoder(_OrdinaryPayload).decode
#: Found by the backslash, which is rare: a search for the whole escape takes half as long as the decoding.
_finds_hidden_quote = re.compile(rb"\\(?=u0022)").search


def _is_plain(payload: _OrdinaryPayload, body: bytes) -> bool:
    """Whether no key is there twice and no text needs repair: short, storable, and without a sign of a secret."""
    if not 0 < len(payload.groupKey) <= MOST_GROUP or not 0 <= payload.truncatedAlerts <= _MOST_TRUNCATED:
        return False
    texts: list[str] = []
    for alert in payload.alerts:
        labels, notes = alert.labels, alert.annotations
        texts += [*labels, *labels.values(), *notes, *notes.values(), alert.generatorURL, alert.fingerprint]
    # The alerts of one group have mostly the same texts, and checking each is what costs time.
    different = set(texts) if len(payload.alerts) > 1 else texts
    text = "\n".join(different)
    if "\x00" in text or "\x00" in payload.groupKey:
        return False
    if len(text) > MOST_LABEL and max(map(len, different)) > MOST_LABEL:
        return False
    if not _keys_are_unique(payload, body, quoted='"' in text):
        return False
    text = f"{text}\n{payload.groupKey}"
    return not looks_secret(text.encode()) or redact(text) == text


def _keys_are_unique(payload: _OrdinaryPayload, body: bytes, *, quoted: bool) -> bool:
    """Whether the body has only as many strings as were decoded, so that no key is there twice.

    A string has two quotes, and one more for each quote inside it, unless that is written as an escape.
    `quoted`: a label or annotation of some alert has a quote in it.
    """
    if _finds_hidden_quote(body):
        return False
    routed = payload.routeLabels
    strings = _STRINGS + _STRINGS_OF_ALERT * len(payload.alerts)
    pairs = len(payload.groupLabels) + len(payload.commonLabels) + len(payload.commonAnnotations)
    if payload.notification_reason is not msgspec.UNSET:
        strings += 2
    if routed is not msgspec.UNSET:
        strings += 1
        pairs += len(routed)
    for alert in payload.alerts:
        pairs += len(alert.labels) + len(alert.annotations)
    inside = payload.groupKey.count('"')
    if quoted:
        inside += sum(_quotes(alert.labels) + _quotes(alert.annotations) for alert in payload.alerts)
        inside += sum(
            map(_quotes, (payload.groupLabels, payload.commonLabels, payload.commonAnnotations, routed or {}))
        )
    return body.count(b'"') == 2 * (strings + 2 * pairs) + inside


def _quotes(pairs: Mapping[str, str]) -> int:
    return sum(text.count('"') for text in chain(pairs, pairs.values()))


def _ordinary(raw: _OrdinaryAlert, group: str, latest: datetime) -> Alert | None:
    starts_at = parse_time(raw.startsAt)
    if starts_at is None or starts_at > latest or not 0 < len(raw.fingerprint) <= MOST_FINGERPRINT:
        return None
    firing = raw.status == "firing"
    ends_at = None
    if not firing and raw.endsAt != OPEN_END:
        ends_at = parse_time(raw.endsAt)
        if ends_at is None or ends_at > latest:
            return None
    if len(raw.labels) > MOST_LABELS or len(raw.annotations) > MOST_LABELS:
        return None
    if raw.generatorURL and not is_link(raw.generatorURL):
        return None
    return Alert(
        source=NAME,
        group=group,
        fingerprint=raw.fingerprint,
        firing=firing,
        labels=raw.labels,
        annotations=raw.annotations,
        starts_at=starts_at,
        ends_at=ends_at,
        link=raw.generatorURL,
    )


@dataclass(frozen=True, slots=True)
class _Fault:
    """Why one alert could not be read. It repeats nothing of the payload."""

    path: str
    reason: str
    code: str = "bad_alert"


def _exact(raw: object, group: str, path: str, at: tuple[Repair, datetime]) -> Alert | _Fault:
    if not isinstance(raw, dict):
        return _Fault(path, "must be an object.")
    if raw.get("status") not in ("firing", "resolved"):
        return _Fault(f"{path}.status", 'must be "firing" or "resolved".', "bad_status")
    labels = raw.get("labels")
    if not isinstance(labels, dict) or not all(isinstance(value, str) for value in labels.values()):
        return _Fault(f"{path}.labels", "must be an object of texts.")
    repair, now = at
    firing = raw["status"] == "firing"
    notes = _notes_of(raw.get("annotations"), repair)
    link = _link_of(raw.get("generatorURL"), notes, repair)
    start = repair.start(raw.get("startsAt"), now)
    return Alert(
        source=NAME,
        group=group,
        fingerprint=_fingerprint_of(raw.get("fingerprint"), labels, repair),
        firing=firing,
        labels=repair.labels(labels),
        annotations=repair.notes(notes),
        starts_at=start or now,
        ends_at=None if firing else repair.end(raw.get("endsAt"), now),
        link=link,
        undated=start is None,
    )


def _notes_of(raw: object, repair: Repair) -> dict[str, str]:
    """Annotations only explain: no alert is rejected because of them."""
    if raw is None:
        return {}
    if not isinstance(raw, dict):
        repair.record("notes_mended")
        return {}
    if not all(isinstance(value, str) for value in raw.values()):
        repair.record("notes_mended")
    return {name: value if isinstance(value, str) else json.dumps(value) for name, value in raw.items()}


def _link_of(raw: object, notes: dict[str, str], repair: Repair) -> str:
    """The link if people may be shown it; else "", and its text becomes an annotation."""
    if not isinstance(raw, str) or not raw:
        return ""
    link = repair.text(raw, MOST_NOTE, "notes_cut")
    if link == raw and is_link(link):
        return link
    repair.record("link_dropped")
    notes.setdefault("generatorURL", raw)
    return ""


def _fingerprint_of(raw: object, labels: dict[str, str], repair: Repair) -> str:
    """The sender's, or the SHA-256 of the sorted labels; a long one is replaced by its SHA-256."""
    if isinstance(raw, str) and raw:
        return repair.key(raw, MOST_FINGERPRINT, "fingerprint_hashed")
    repair.record("fingerprint_computed")
    return digest_of_pairs(labels)


def _group_of(payload: Mapping[str, object], repair: Repair) -> str:
    raw = payload.get("groupKey")
    if isinstance(raw, str) and raw:
        return repair.key(raw, MOST_GROUP, "group_hashed")
    repair.record("group_derived")
    labels = payload.get("groupLabels")
    pairs = sorted(labels.items()) if isinstance(labels, dict) else []
    # The form of the group key of Alertmanager's root route.
    inside = ", ".join(f"{name}={json.dumps(value, ensure_ascii=False)}" for name, value in pairs)
    return repair.key(f"{{}}:{{{inside}}}", MOST_GROUP, "group_hashed")


def _truncated(raw: object) -> int:
    if isinstance(raw, bool) or not isinstance(raw, int):
        return 0
    return min(max(raw, 0), _MOST_TRUNCATED)
