"""Strict JSON in, text that is safe to store out: shared by the exact readers of all sources.

`decode` rejects JSON on which parsers disagree (duplicate keys, NaN, depth, encodings), with a precise message.
`Repair` never rejects: it replaces, redacts and cuts text, and records flags of it. Limits are in characters.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from ipaddress import IPv6Address, ip_address
from typing import NoReturn

from bot.core.errors import Rejected
from bot.lib.redact import redact

MOST_LABELS = 64  #: labels, and annotations, of one alert
MOST_LABEL = 1024  #: characters of a name or of a label's value
MOST_NOTE = 4096  #: characters of an annotation's value, and of a link
MOST_DEPTH = 64
#: In a body for the exact reader: each costs some 10 us, and the smallest broken one has 3 bytes.
MOST_ALERTS = 100_000
#: Objects and lists in a body for the exact reader; an alert has three. Each costs the parser more than its bytes, and
#: parsing cannot be interrupted: 16 MiB of them kept a source's threads busy for 10 s a body.
MOST_PARTS = 5 * MOST_ALERTS
MOST_DIGITS = 64
AHEAD = timedelta(days=1)  #: how far a sender's clock may be ahead of ours
OPEN_END = "0001-01-01T00:00:00Z"  #: the end of an alert that still fires: Go's zero time

#: Kept first when there are too many labels: routing, titles and severity depend on them.
_KEPT_FIRST = frozenset({"alertname", "severity", "service", "cluster", "namespace", "job", "instance"})
_ZERO_TIME = "0001-01-01T"  #: Go's, in any zone
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")
#: Characters beyond the limit that are searched too: the longest secret known by its end (URL userinfo) is shorter.
_REDACT_BEYOND = 4096

_ORIGIN = re.compile(r"https?://([A-Za-z0-9_.-]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]{1,5})?", re.IGNORECASE)
_NUMERIC_HOST = re.compile(r"(?:.*\.)?(?:[0-9]+|0[xX][0-9A-Fa-f]*)\.?")
_METADATA_HOSTS = frozenset({"metadata", "metadata.google.internal", "instance-data"})
_METADATA_V6 = ip_address("fd00:ec2::254")


def decode(body: bytes) -> dict[str, object]:
    """One JSON object, at most `MOST_DEPTH` deep. Raises `Rejected` with what is wrong and where."""
    if not body.strip():
        raise Rejected("The body is empty. Nothing was stored. Send one JSON object.", code="empty_body")
    if body.count(b"{") + body.count(b"[") > MOST_PARTS:
        message = f"The limit is {MOST_PARTS} objects and lists. Nothing was stored as an alert. Set max_alerts."
        raise Rejected(message, code="too_many", status=413)
    value = _parse(_text_of(body))
    if not isinstance(value, dict):
        message = "The body is not a JSON object. Nothing was stored as an alert. Send one JSON object."
        raise Rejected(message, code="not_an_object", status=422)
    _check_depth(value, MOST_DEPTH)
    return value


def alert_list(payload: Mapping[str, object]) -> list[object]:
    """The alerts of a payload, unread. Raises `Rejected`."""
    raws = payload.get("alerts")
    if not isinstance(raws, list):
        message = "alerts: must be a list. Nothing was stored as an alert."
        raise Rejected(message, code="bad_alerts", status=422)
    if len(raws) > MOST_ALERTS:
        message = f"The limit is {MOST_ALERTS} alerts. Nothing was stored as an alert. Set max_alerts."
        raise Rejected(message, code="too_many", status=413)
    return raws


def parse_time(value: object) -> datetime | None:
    """An RFC 3339 time in UTC, without the digits after the microsecond.

    None: not a time, no offset, or Go's zero time (year 1), which means "not set".
    """
    if not isinstance(value, str):
        return None
    try:
        read = datetime.fromisoformat(value)
    except ValueError:
        return None
    if read.tzinfo is None or read.year <= 1:
        return None
    if read.tzinfo is UTC:
        return read
    try:
        return read.astimezone(UTC)
    except OverflowError:  # the last hours of year 9999, west of Greenwich
        return None


@lru_cache(maxsize=1024)
def is_link(url: str) -> bool:
    """Whether people may be shown this as a link: http(s) to a host by name or address, not to cloud metadata."""
    end = url.find("/", 8)
    return _is_open_origin(url if end < 0 else url[:end]) and url.isprintable() and " " not in url


def digest(text: str) -> str:
    """SHA-256 in hex, also of text with lone surrogates."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def digest_of_pairs(pairs: Mapping[str, str]) -> str:
    """SHA-256 in hex of the pairs sorted by name: the same for any order."""
    return digest(json.dumps(pairs, sort_keys=True, separators=(",", ":")))


class Repair:
    """Makes text safe to store, and records what it had to change."""

    def __init__(self) -> None:
        self._flags: set[str] = set()
        #: The alerts of one group have mostly the same texts.
        self._repaired: dict[tuple[str, int, str], str] = {}

    @property
    def repairs(self) -> tuple[str, ...]:
        return tuple(sorted(self._flags))

    def record(self, flag: str) -> None:
        self._flags.add(flag)

    def text(self, raw: str, most: int, cut: str) -> str:
        """Storable, without known secrets, at most `most` characters. `cut`: the flag for a text that was longer."""
        key = (raw, most, cut)
        if key not in self._repaired:
            self._repaired[key] = self._repair(raw, most, cut)
        return self._repaired[key]

    def key(self, raw: str, most: int, hashed: str) -> str:
        """An identifier is never changed in part: it stays as it is, or becomes its SHA-256."""
        if len(raw) <= most and redact(raw) == raw:
            return self._storable(raw)
        self.record(hashed)
        return digest(raw)

    def labels(self, raw: Mapping[str, str]) -> dict[str, str]:
        return self._pairs(raw, MOST_LABEL, "labels_cut")

    def notes(self, raw: Mapping[str, str]) -> dict[str, str]:
        return self._pairs(raw, MOST_NOTE, "notes_cut")

    def start(self, raw: object, now: datetime) -> datetime | None:
        """The start; None where it is missing or cannot be right."""
        read = parse_time(raw)
        if read is not None and read <= now + AHEAD:
            return read
        self.record("time_replaced")
        return None

    def end(self, raw: object, now: datetime) -> datetime | None:
        """The end; None where it is missing or cannot be right."""
        read = parse_time(raw)
        if read is not None and read <= now + AHEAD:
            return read
        if raw is not None and not (isinstance(raw, str) and raw.startswith(_ZERO_TIME)):
            self.record("end_dropped")
        return None

    def _pairs(self, raw: Mapping[str, str], most: int, cut: str) -> dict[str, str]:
        names: Iterable[str] = raw
        if len(raw) > MOST_LABELS:
            self.record(cut)
            names = sorted(raw, key=lambda name: (name not in _KEPT_FIRST, name))[:MOST_LABELS]
        kept: dict[str, str] = {}
        for name in names:
            kept.setdefault(self.text(name, MOST_LABEL, cut), self.text(raw[name], most, cut))
        return kept

    def _repair(self, raw: str, most: int, cut: str) -> str:
        kept = self._redacted(self._storable(raw[: most + _REDACT_BEYOND]))
        if len(raw) <= most and len(kept) <= most:
            return kept
        self.record(cut)
        marker = f"... [cut: {len(raw)} characters, sha256 {digest(raw)[:16]}]"
        return kept[: most - len(marker)] + marker

    def _storable(self, raw: str) -> str:
        text = _UNSTORABLE.sub("\ufffd", raw)
        if text != raw:
            self.record("text_mended")
        return text

    def _redacted(self, raw: str) -> str:
        text = redact(raw)
        if text != raw:
            self.record("redacted")
        return text


def _text_of(body: bytes) -> str:
    if body.startswith((b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff")) or b"\x00" in body:
        message = "The body is not plain UTF-8 (byte order mark or UTF-16). Nothing was stored as an alert. Send UTF-8."
        raise Rejected(message, code="bad_encoding")
    try:
        return body.decode()
    except UnicodeDecodeError as error:
        message = (
            f"The body is not UTF-8: bad byte at offset {error.start}. Nothing was stored as an alert. Send UTF-8."
        )
        raise Rejected(message, code="bad_encoding") from None


def _parse(text: str) -> object:
    try:
        return json.loads(
            text,
            object_pairs_hook=_unique,
            parse_int=_integer,
            parse_float=_finite,
            parse_constant=_refuse_number,
        )
    except json.JSONDecodeError as error:
        at = len(text[: error.pos].encode())
        message = f"The body is not JSON: {error.msg} at offset {at}. Nothing was stored as an alert."
        raise Rejected(message, code="bad_json") from None
    except RecursionError:
        raise _too_deep() from None


def _unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
    value = dict(pairs)
    if len(value) != len(pairs):
        message = "An object has the same key twice. Nothing was stored as an alert. Send each key once."
        raise Rejected(message, code="duplicate_key")
    return value


def _integer(text: str) -> int:
    if len(text) > MOST_DIGITS:
        _refuse_number(text)
    return int(text)


def _finite(text: str) -> float:
    number = float(text)
    if number in (float("inf"), float("-inf")):
        _refuse_number(text)
    return number


def _refuse_number(_: str) -> NoReturn:
    message = (
        f"The body has a number that is NaN, infinite or over {MOST_DIGITS} digits. Nothing was stored as an alert."
    )
    raise Rejected(message, code="bad_number")


def _check_depth(value: object, left: int) -> None:
    if left == 0:
        raise _too_deep()
    for inner in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        if isinstance(inner, dict | list):
            _check_depth(inner, left - 1)


def _too_deep() -> Rejected:
    return Rejected(f"The body is nested more than {MOST_DEPTH} deep. Nothing was stored as an alert.", code="too_deep")


def _is_open_origin(origin: str) -> bool:
    """Whether the URL's part before its path is harmless: no userinfo, no backslash, no number as a host name."""
    matched = _ORIGIN.fullmatch(origin)
    if matched is None:
        return False
    host = matched[1].strip("[]").rstrip(".")
    try:
        address = ip_address(host)
    except ValueError:
        return host.lower() not in _METADATA_HOSTS and not _NUMERIC_HOST.fullmatch(host)
    if isinstance(address, IPv6Address):
        address = address.ipv4_mapped or address
    return not address.is_link_local and address != _METADATA_V6
